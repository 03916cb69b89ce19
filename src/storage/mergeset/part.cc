#include "storage/mergeset/part.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/encoding/common_prefix.h"
#include "lib/encoding/int.h"
#include "lib/encoding/zstd.h"
#include "lib/hash/xxhash.h"
#include "lib/log/log.h"

namespace vm::mergeset {
namespace {

constexpr size_t kMaxIndexSize = 4 * kMaxBlockSize;  // Compressed frame of index.bin.
constexpr size_t kMaxUnpackedSize = size_t{256} << 20;
constexpr size_t kWriteOutSize = size_t{1} << 20;

Error Corrupted(std::string what) { return Error(ErrorCode::kCorrupted, std::move(what)); }

}  // namespace

std::string MarshalPartHeader(const PartHeader& header) {
  return "{\"ItemsCount\":" + std::to_string(header.items_count) +
         ",\"BlocksCount\":" + std::to_string(header.blocks_count) + ",\"FirstItem\":\"" + ToHex(header.first_item) +
         "\",\"LastItem\":\"" + ToHex(header.last_item) + "\"}";
}

Result<PartHeader> UnmarshalPartHeader(std::string_view json) {
  const auto parsed = nlohmann::json::parse(json, nullptr, false);
  if (!parsed.is_object()) return Corrupted("metadata.json is not a JSON object");
  PartHeader header;
  const auto number = [&](const char* key, uint64_t& value) {
    const auto it = parsed.find(key);
    if (it == parsed.end() || !it->is_number_unsigned()) return false;
    value = it->get<uint64_t>();
    return true;
  };
  const auto item = [&](const char* key, ByteBuffer& value) {
    const auto it = parsed.find(key);
    return it != parsed.end() && it->is_string() && FromHex(it->get_ref<const std::string&>(), value);
  };
  if (!number("ItemsCount", header.items_count) || !number("BlocksCount", header.blocks_count) ||
      !item("FirstItem", header.first_item) || !item("LastItem", header.last_item)) {
    return Corrupted("bad field in metadata.json");
  }
  if (header.items_count == 0) return Corrupted("part cannot contain zero items");
  if (header.blocks_count == 0) return Corrupted("part cannot contain zero blocks");
  if (header.blocks_count > header.items_count) {
    return Corrupted("the number of blocks cannot exceed the number of items in the part");
  }
  return header;
}

Result<std::vector<MetaindexRow>> UnmarshalMetaindex(ByteView compressed) {
  ByteBuffer bytes;
  VM_TRY(encoding::DecompressZstd(bytes, compressed, kMaxUnpackedSize));
  ByteView src = bytes;
  std::vector<MetaindexRow> rows;
  while (!src.empty()) {
    MetaindexRow row;
    VM_ASSIGN_OR_RETURN(const ByteView first, encoding::TakeBytes(src));
    row.first_item.assign(first.begin(), first.end());
    VM_ASSIGN_OR_RETURN(row.block_headers_count, encoding::TakeUint<uint32_t>(src));
    VM_ASSIGN_OR_RETURN(row.index_offset, encoding::TakeUint<uint64_t>(src));
    VM_ASSIGN_OR_RETURN(row.index_size, encoding::TakeUint<uint32_t>(src));
    if (row.block_headers_count == 0) return Corrupted("a metaindex row has no block headers");
    if (row.index_size > kMaxIndexSize) return Corrupted("the index frame of a metaindex row is too big");
    if (!rows.empty() && Less(row.first_item, rows.back().first_item)) return Corrupted("metaindex is not sorted");
    rows.push_back(std::move(row));
  }
  if (rows.empty()) return Corrupted("metaindex has no rows");
  return rows;
}

int CompressLevelFor(uint64_t items_count) {
  for (int shift = 16; shift <= 20; ++shift) {
    if (items_count <= uint64_t{1} << shift) return shift - 21;
  }
  if (items_count <= uint64_t{1} << 22) return 1;
  return items_count <= uint64_t{1} << 25 ? 2 : 3;
}

uint64_t LookupHash(ByteView key) noexcept { return hash::XXH64(key); }

const LookupKey PartWriter::kNoLookupKey;

PartWriter::PartWriter(int compress_level, const PrepareBlock& prepare, const LookupKey& lookup_key)
    : level_(compress_level), prepare_(prepare), lookup_key_(lookup_key) {}

Status PartWriter::OpenFiles(fs::FileSystem& fs, const std::string& dir) {
  VM_TRY(fs.CreateDirectory(dir));
  VM_ASSIGN_OR_RETURN(items_file_, fs.CreateWriter(fs::Join(dir, "items.bin")));
  VM_ASSIGN_OR_RETURN(lens_file_, fs.CreateWriter(fs::Join(dir, "lens.bin")));
  VM_ASSIGN_OR_RETURN(index_file_, fs.CreateWriter(fs::Join(dir, "index.bin")));
  return Ok();
}

Status PartWriter::Add(ByteView item) {
  if (!block_.empty() && block_.bytes() + item.size() > kMaxBlockSize) {
    FlushBlock();
    if (items_file_ != nullptr && items_out_.size() > kWriteOutSize) VM_TRY(WriteOut());
  }
  block_.Add(item);
  if (lookup_key_) {
    if (const ByteView key = lookup_key_(item); !key.empty()) lookup_hashes_.push_back(LookupHash(key));
  }
  return Ok();
}

void PartWriter::FlushBlock() {
  if (block_.empty()) return;
  if (prepare_) prepare_(block_);
  if (block_.empty()) return;
  const size_t items_start = items_out_.size();
  const size_t lens_start = lens_out_.size();
  BlockHeader header = EncodeBlock(block_, level_, items_out_, lens_out_);
  header.items_offset = items_offset_;
  header.lens_offset = lens_offset_;
  items_offset_ += items_out_.size() - items_start;
  lens_offset_ += lens_out_.size() - lens_start;

  ByteBuffer marshalled;
  MarshalBlockHeader(marshalled, header);
  if (!index_.empty() && index_.size() + marshalled.size() > kMaxBlockSize) FlushIndex();
  if (index_.empty()) index_first_item_ = header.first_item;
  Append(index_, marshalled);
  ++index_headers_;

  if (header_.blocks_count == 0) header_.first_item = header.first_item;
  const ByteView last = block_.Item(block_.size() - 1);
  header_.last_item.assign(last.begin(), last.end());
  header_.items_count += block_.size();
  ++header_.blocks_count;
  block_.Clear();
}

void PartWriter::FlushIndex() {
  if (index_.empty()) return;
  const size_t start = index_out_.size();
  encoding::CompressZstd(index_out_, index_, level_);
  const size_t size = index_out_.size() - start;
  encoding::AppendBytes(metaindex_, index_first_item_);
  AppendBigEndian(metaindex_, index_headers_);
  AppendBigEndian(metaindex_, index_offset_);
  AppendBigEndian(metaindex_, static_cast<uint32_t>(size));
  index_offset_ += size;
  index_.clear();
  index_headers_ = 0;
}

Status PartWriter::WriteOut() {
  VM_TRY(items_file_->Append(items_out_));
  VM_TRY(lens_file_->Append(lens_out_));
  VM_TRY(index_file_->Append(index_out_));
  items_out_.clear();
  lens_out_.clear();
  index_out_.clear();
  return Ok();
}

Result<bool> PartWriter::Finish(fs::FileSystem& fs, const std::string& dir) {
  FlushBlock();
  FlushIndex();
  if (header_.items_count == 0) {
    if (items_file_ != nullptr) {
      items_file_.reset();
      lens_file_.reset();
      index_file_.reset();
      VM_TRY(fs::RemoveUnlistedDirectory(fs, dir));
    }
    return false;
  }
  if (items_file_ == nullptr) VM_TRY(OpenFiles(fs, dir));
  VM_TRY(WriteOut());
  for (fs::FileWriter* file : {items_file_.get(), lens_file_.get(), index_file_.get()}) {
    VM_TRY(file->Sync());
    VM_TRY(file->Close());
  }
  ByteBuffer metaindex;
  encoding::CompressZstd(metaindex, metaindex_, level_);
  VM_TRY(fs::WriteFileSynced(fs, fs::Join(dir, "metaindex.bin"), metaindex));
  VM_TRY(fs::WriteFileSynced(fs, fs::Join(dir, "metadata.json"), AsBytes(MarshalPartHeader(header_))));
  VM_TRY(fs::SyncDirectoryAndParent(fs, dir));
  return true;
}

Result<std::shared_ptr<Part>> Part::Open(fs::FileSystem& fs, const std::string& dir,
                                         std::shared_ptr<Caches> caches) {
  std::shared_ptr<Part> part(new Part(fs, dir, std::move(caches)));
  part->name_ = dir.substr(dir.rfind('/') + 1);
  VM_ASSIGN_OR_RETURN(const ByteBuffer metadata, fs.ReadFile(fs::Join(dir, "metadata.json")));
  auto header = UnmarshalPartHeader(AsText(metadata));
  if (!header.ok()) return std::move(header).error().WithContext("cannot read \"" + fs::Join(dir, "metadata.json") + "\"");
  part->header_ = std::move(header).value();
  VM_ASSIGN_OR_RETURN(const ByteBuffer metaindex, fs.ReadFile(fs::Join(dir, "metaindex.bin")));
  auto rows = UnmarshalMetaindex(metaindex);
  if (!rows.ok()) return std::move(rows).error().WithContext("cannot read \"" + fs::Join(dir, "metaindex.bin") + "\"");
  part->metaindex_ = std::move(rows).value();
  VM_ASSIGN_OR_RETURN(part->items_, fs.OpenReader(fs::Join(dir, "items.bin")));
  VM_ASSIGN_OR_RETURN(part->lens_, fs.OpenReader(fs::Join(dir, "lens.bin")));
  VM_ASSIGN_OR_RETURN(part->index_, fs.OpenReader(fs::Join(dir, "index.bin")));
  part->size_bytes_ = metaindex.size() + part->items_->size() + part->lens_->size() + part->index_->size();
  return part;
}

Part::~Part() {
  if (caches_ != nullptr) {
    caches_->headers.Forget(id_);
    caches_->blocks.Forget(id_);
  }
  if (!dropped_.load(std::memory_order_acquire)) return;
  items_.reset();
  lens_.reset();
  index_.reset();
  if (Status status = fs::RemoveUnlistedDirectory(fs_, dir_); !status.ok()) {
    VM_LOG_ERROR("cannot remove the merged index part \"{}\", which goes at the next start: {}", dir_,
                 status.error().message());
  }
}

Result<std::shared_ptr<const std::vector<BlockHeader>>> Part::ReadHeaders(size_t row_index, bool use_cache) const {
  use_cache = use_cache && caches_ != nullptr;
  if (use_cache) {
    if (auto cached = caches_->headers.Get(id_, row_index)) return cached;
  }
  const MetaindexRow& row = metaindex_[row_index];
  ByteBuffer scratch;
  VM_ASSIGN_OR_RETURN(const ByteView frame, index_->View(row.index_offset, row.index_size, scratch));
  ByteBuffer bytes;
  if (Status status = encoding::DecompressZstd(bytes, frame, kMaxUnpackedSize); !status.ok()) {
    return std::move(status).error().WithContext("cannot decode an index frame of part \"" + dir_ + "\"");
  }
  auto headers = std::make_shared<std::vector<BlockHeader>>();
  size_t size = row.block_headers_count * sizeof(BlockHeader);
  ByteView src = bytes;
  for (uint32_t i = 0; i < row.block_headers_count; ++i) {
    VM_ASSIGN_OR_RETURN(BlockHeader header, UnmarshalBlockHeader(src));
    if (i > 0 && Less(header.first_item, headers->back().first_item)) {
      return Corrupted("block headers are not sorted in part \"" + dir_ + "\"");
    }
    size += header.common_prefix.capacity() + header.first_item.capacity();
    headers->push_back(std::move(header));
  }
  if (!src.empty()) return Corrupted("bytes left over in an index frame of part \"" + dir_ + "\"");
  std::shared_ptr<const std::vector<BlockHeader>> result = std::move(headers);
  if (use_cache) caches_->headers.Put(id_, row_index, result, size);
  return result;
}

Result<std::shared_ptr<const ItemBlock>> Part::ReadBlock(const BlockHeader& header, bool use_cache) const {
  // Blocks that take no bytes, as those of a single item do, have no offset of their own.
  use_cache = use_cache && caches_ != nullptr && header.items_count > 1 && header.items_size > 0;
  if (use_cache) {
    if (auto cached = caches_->blocks.Get(id_, header.items_offset)) return cached;
  }
  ByteBuffer items_scratch;
  ByteBuffer lens_scratch;
  VM_ASSIGN_OR_RETURN(const ByteView items, items_->View(header.items_offset, header.items_size, items_scratch));
  VM_ASSIGN_OR_RETURN(const ByteView lens, lens_->View(header.lens_offset, header.lens_size, lens_scratch));
  auto block = std::make_shared<ItemBlock>();
  if (Status status = DecodeBlock(header, items, lens, *block); !status.ok()) {
    return std::move(status).error().WithContext("cannot decode a block of part \"" + dir_ + "\"");
  }
  std::shared_ptr<const ItemBlock> result = std::move(block);
  if (use_cache) caches_->blocks.Put(id_, header.items_offset, result, result->memory_bytes());
  return result;
}

Status PartCursor::LoadRow(size_t row, size_t header) {
  valid_ = false;
  if (row != row_ || headers_ == nullptr) {
    VM_ASSIGN_OR_RETURN(headers_, part_->ReadHeaders(row, use_cache_));
    row_ = row;
    block_ = nullptr;
  }
  if (block_ == nullptr || header != header_) {
    VM_ASSIGN_OR_RETURN(block_, part_->ReadBlock((*headers_)[header], use_cache_));
    header_ = header;
  }
  item_ = 0;
  valid_ = true;
  gap_begin_.clear();
  return Ok();
}

Status PartCursor::Seek(ByteView key) {
  if (valid_ && SeekNearby(key)) return Ok();
  gap_begin_.clear();
  valid_ = false;
  if (Less(part_->header().last_item, key)) return Ok();
  // The wanted item may be in the block before the first one that starts at or after the key.
  const auto before = [](const auto& entry, ByteView wanted) { return Less(entry.first_item, wanted); };
  const auto& rows = part_->metaindex();
  auto row = static_cast<size_t>(std::lower_bound(rows.begin(), rows.end(), key, before) - rows.begin());
  if (row > 0) --row;
  if (row != row_ || headers_ == nullptr) {
    VM_ASSIGN_OR_RETURN(headers_, part_->ReadHeaders(row, use_cache_));
    row_ = row;
    block_ = nullptr;
  }
  auto header = static_cast<size_t>(std::lower_bound(headers_->begin(), headers_->end(), key, before) -
                                    headers_->begin());
  if (header > 0) --header;
  VM_TRY(LoadRow(row, header));
  item_ = block_->LowerBound(key);
  if (item_ == block_->size()) {
    item_ = block_->size() - 1;
    VM_TRY(Next());
  }
  if (item_ == 0) gap_begin_.assign(key.begin(), key.end());
  return Ok();
}

// Keys that are asked for in their order mostly lie in the block of the last one, a few items further.
bool PartCursor::SeekNearby(ByteView key) {
  if (Less(item(), key)) {
    if (Less(block_->Item(block_->size() - 1), key)) return false;
    item_ = block_->LowerBoundAfter(item_, key);
    return true;
  }
  if (item_ == 0) return !gap_begin_.empty() && !Less(key, gap_begin_);
  if (Less(block_->Item(item_ - 1), key)) return true;
  if (Less(key, block_->Item(0))) return false;
  item_ = block_->LowerBound(key);
  return true;
}

Status PartCursor::Next() {
  if (item_ + 1 < block_->size()) {
    ++item_;
    return Ok();
  }
  if (header_ + 1 < headers_->size()) return LoadRow(row_, header_ + 1);
  if (row_ + 1 < part_->metaindex().size()) return LoadRow(row_ + 1, 0);
  valid_ = false;
  return Ok();
}


Status PartCursor::Next(size_t& common) {
  const std::shared_ptr<const ItemBlock> block = item_ + 1 < block_->size() ? nullptr : block_;  // Keeps `last`.
  const ByteView last = item();
  VM_TRY(Next());
  common = valid_ ? encoding::CommonPrefixSize(last, item()) : 0;
  return Ok();
}

}  // namespace vm::mergeset
