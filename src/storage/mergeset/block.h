#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::mergeset {

/// Bytes of all items of a block together at most, and of an unpacked index frame.
inline constexpr size_t kMaxBlockSize = 64 * 1024;

/// Items of one block, decoded.
class ItemBlock {
 public:
  size_t size() const noexcept { return ends_.size(); }
  bool empty() const noexcept { return ends_.empty(); }
  size_t bytes() const noexcept { return data_.size(); }
  /// What it takes in memory.
  size_t memory_bytes() const noexcept {
    return sizeof(*this) + data_.capacity() + ends_.capacity() * sizeof(uint32_t);
  }
  ByteView Item(size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return ByteView(data_).subspan(begin, ends_[i] - begin);
  }
  void Add(ByteView item) {
    Append(data_, item);
    ends_.push_back(static_cast<uint32_t>(data_.size()));
  }
  /// Add the concatenation of both.
  void Add(ByteView head, ByteView tail) {
    Append(data_, head);
    Add(tail);
  }
  void Clear() {
    data_.clear();
    ends_.clear();
  }
  bool IsSorted() const;
  /// Index of the first item not below `key`.
  size_t LowerBound(ByteView key) const;
  /// The same for a key above item `after`, quick when the result is not far from it.
  size_t LowerBoundAfter(size_t after, ByteView key) const;

 private:
  ByteBuffer data_;
  std::vector<uint32_t> ends_;
};

enum class MarshalType : uint8_t { kPlain = 0, kZstd = 1 };

struct BlockHeader {
  ByteBuffer common_prefix;
  ByteBuffer first_item;
  MarshalType marshal_type = MarshalType::kPlain;
  uint32_t items_count = 0;  // The first item counts.
  uint64_t items_offset = 0;
  uint64_t lens_offset = 0;
  uint32_t items_size = 0;
  uint32_t lens_size = 0;
};

void MarshalBlockHeader(ByteBuffer& dst, const BlockHeader& header);
/// Errors: kCorrupted.
Result<BlockHeader> UnmarshalBlockHeader(ByteView& src);

/// Append the encoded items to the two buffers; offsets of the header stay 0. Requires sorted items, not none.
BlockHeader EncodeBlock(const ItemBlock& block, int compress_level, ByteBuffer& items, ByteBuffer& lens);
/// Decode a block. Errors: kCorrupted.
Status DecodeBlock(const BlockHeader& header, ByteView items, ByteView lens, ItemBlock& block);

}  // namespace vm::mergeset
