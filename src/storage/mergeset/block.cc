#include "storage/mergeset/block.h"

#include <algorithm>

#include "lib/encoding/common_prefix.h"
#include "lib/encoding/int.h"
#include "lib/encoding/zstd.h"

namespace vm::mergeset {
namespace {

constexpr uint32_t kMaxItemsSize = 2 * kMaxBlockSize;
constexpr uint32_t kMaxLensSize = 16 * kMaxBlockSize;

Error Corrupted(const char* what) { return Error(ErrorCode::kCorrupted, what); }

/// Index of the first item of low..high not below `key`.
size_t LowerBoundIn(const ItemBlock& block, size_t low, size_t high, ByteView key) {
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (Less(block.Item(middle), key)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace

bool ItemBlock::IsSorted() const {
  for (size_t i = 1; i < size(); ++i) {
    if (Less(Item(i), Item(i - 1))) return false;
  }
  return true;
}

size_t ItemBlock::LowerBound(ByteView key) const { return LowerBoundIn(*this, 0, size(), key); }

size_t ItemBlock::LowerBoundAfter(size_t after, ByteView key) const {
  size_t low = after + 1;
  size_t high = low;
  for (size_t step = 1; high < size() && Less(Item(high), key); step *= 2) {
    low = high + 1;
    high += step;
  }
  return LowerBoundIn(*this, low, std::min(high, size()), key);
}

void MarshalBlockHeader(ByteBuffer& dst, const BlockHeader& header) {
  encoding::AppendBytes(dst, header.common_prefix);
  encoding::AppendBytes(dst, header.first_item);
  dst.push_back(static_cast<uint8_t>(header.marshal_type));
  AppendBigEndian(dst, header.items_count);
  AppendBigEndian(dst, header.items_offset);
  AppendBigEndian(dst, header.lens_offset);
  AppendBigEndian(dst, header.items_size);
  AppendBigEndian(dst, header.lens_size);
}

Result<BlockHeader> UnmarshalBlockHeader(ByteView& src) {
  BlockHeader header;
  VM_ASSIGN_OR_RETURN(const ByteView prefix, encoding::TakeBytes(src));
  VM_ASSIGN_OR_RETURN(const ByteView first, encoding::TakeBytes(src));
  header.common_prefix.assign(prefix.begin(), prefix.end());
  header.first_item.assign(first.begin(), first.end());
  VM_ASSIGN_OR_RETURN(const uint8_t type, encoding::TakeUint<uint8_t>(src));
  if (type > 1) return Corrupted("unknown marshal type in the header of an index block");
  header.marshal_type = static_cast<MarshalType>(type);
  VM_ASSIGN_OR_RETURN(header.items_count, encoding::TakeUint<uint32_t>(src));
  VM_ASSIGN_OR_RETURN(header.items_offset, encoding::TakeUint<uint64_t>(src));
  VM_ASSIGN_OR_RETURN(header.lens_offset, encoding::TakeUint<uint64_t>(src));
  VM_ASSIGN_OR_RETURN(header.items_size, encoding::TakeUint<uint32_t>(src));
  VM_ASSIGN_OR_RETURN(header.lens_size, encoding::TakeUint<uint32_t>(src));
  if (header.items_count == 0) return Corrupted("no items in the header of an index block");
  if (header.items_size > kMaxItemsSize) return Corrupted("itemsBlockSize is too big");
  if (header.lens_size > kMaxLensSize) return Corrupted("lensBlockSize is too big");
  return header;
}

BlockHeader EncodeBlock(const ItemBlock& block, int compress_level, ByteBuffer& items, ByteBuffer& lens) {
  const size_t count = block.size();
  VM_CHECK(count > 0);
  const ByteView first = block.Item(0);
  const size_t prefix = count < 2 ? 0 : encoding::CommonPrefixSize(first, block.Item(count - 1));
  BlockHeader header;
  header.common_prefix.assign(first.begin(), first.begin() + static_cast<ptrdiff_t>(prefix));
  header.first_item.assign(first.begin(), first.end());
  header.items_count = static_cast<uint32_t>(count);
  const size_t items_start = items.size();
  const size_t lens_start = lens.size();
  const size_t body_size = block.bytes() - prefix * count;

  if (count >= 2 && body_size >= 64) {
    ByteBuffer packed;
    ByteBuffer prefix_lens;
    ByteBuffer item_lens;
    ByteView previous = first.subspan(prefix);
    uint64_t previous_shared = 0;
    for (size_t i = 1; i < count; ++i) {
      const ByteView item = block.Item(i).subspan(prefix);
      const uint64_t shared = encoding::CommonPrefixSize(previous, item);
      Append(packed, item.subspan(shared));
      encoding::AppendVarUint64(prefix_lens, shared ^ previous_shared);
      encoding::AppendVarUint64(item_lens, item.size() ^ previous.size());
      previous = item;
      previous_shared = shared;
    }
    encoding::CompressZstd(items, packed, compress_level);
    if (static_cast<double>(items.size() - items_start) <= 0.9 * static_cast<double>(body_size)) {
      Append(prefix_lens, item_lens);
      encoding::CompressZstd(lens, prefix_lens, compress_level);
      header.marshal_type = MarshalType::kZstd;
      header.items_size = static_cast<uint32_t>(items.size() - items_start);
      header.lens_size = static_cast<uint32_t>(lens.size() - lens_start);
      return header;
    }
    items.resize(items_start);
  }
  for (size_t i = 1; i < count; ++i) {
    const ByteView item = block.Item(i).subspan(prefix);
    Append(items, item);
    AppendBigEndian<uint64_t>(lens, item.size());
  }
  header.items_size = static_cast<uint32_t>(items.size() - items_start);
  header.lens_size = static_cast<uint32_t>(lens.size() - lens_start);
  return header;
}

Status DecodeBlock(const BlockHeader& header, ByteView items, ByteView lens, ItemBlock& block) {
  block.Clear();
  const ByteView prefix = header.common_prefix;
  const ByteView first = header.first_item;
  if (first.size() < prefix.size() || !Equal(first.subspan(0, prefix.size()), prefix)) {
    return Corrupted("the first item of an index block lacks the common prefix");
  }
  block.Add(first);
  const size_t count = header.items_count;
  if (header.marshal_type == MarshalType::kPlain) {
    if (lens.size() / 8 != count - 1 || lens.size() % 8 != 0) return Corrupted("bad size of a plain lens block");
    if (items.size() > 4 * kMaxBlockSize || prefix.size() > 4 * kMaxBlockSize / count) {
      return Corrupted("the items of a block are too big");
    }
    for (size_t i = 1; i < count; ++i) {
      const uint64_t size = TakeBigEndian<uint64_t>(lens);
      if (size > items.size()) return Corrupted("an item exceeds its plain block");
      block.Add(prefix, items.subspan(0, size));
      items = items.subspan(size);
    }
    if (!items.empty()) return Corrupted("bytes left over in a plain items block");
  } else {
    if (count < 2) return Corrupted("a compressed index block has a single item");
    ByteBuffer packed;
    ByteBuffer unpacked_lens;
    VM_TRY(encoding::DecompressZstd(packed, items, size_t{16} << 20));
    VM_TRY(encoding::DecompressZstd(unpacked_lens, lens, size_t{16} << 20));
    if (unpacked_lens.size() / 2 < count - 1) return Corrupted("the lens block has too few items");
    ByteView rest = packed;
    ByteView numbers = unpacked_lens;
    std::vector<uint64_t> shared(count);
    for (size_t i = 1; i < count; ++i) {
      VM_ASSIGN_OR_RETURN(const uint64_t delta, encoding::TakeVarUint64(numbers));
      shared[i] = shared[i - 1] ^ delta;
    }
    uint64_t size = first.size() - prefix.size();
    uint64_t total = first.size();
    ByteBuffer item(first.begin() + static_cast<ptrdiff_t>(prefix.size()), first.end());
    for (size_t i = 1; i < count; ++i) {
      VM_ASSIGN_OR_RETURN(const uint64_t delta, encoding::TakeVarUint64(numbers));
      const uint64_t next = size ^ delta;
      if (shared[i] > next || shared[i] > size) return Corrupted("an item shares more bytes than there are");
      const uint64_t own = next - shared[i];
      if (own > rest.size()) return Corrupted("an item exceeds its block");
      total += next + prefix.size();
      if (total > 4 * kMaxBlockSize) return Corrupted("the items of a block are too big");
      item.resize(shared[i]);
      Append(item, rest.subspan(0, own));
      rest = rest.subspan(own);
      block.Add(prefix, item);
      size = next;
    }
    if (!rest.empty() || !numbers.empty()) return Corrupted("bytes left over in an index block");
  }
  if (!block.IsSorted()) return Corrupted("the items of an index block are not sorted");
  return Ok();
}

}  // namespace vm::mergeset
