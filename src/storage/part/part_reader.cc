#include "storage/part/part_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/check.h"
#include "lib/encoding/zstd.h"
#include "storage/part/packed_headers.h"

namespace vm::storage {
namespace {

using model::BlockHeader;
using model::Tsid;

// A metaindex row stands for up to 736 blocks; 1 GiB of them is more than any part holds.
constexpr size_t kMaxMetaindexSize = size_t{1} << 30;

Error InFile(Error error, const std::string& folder, const char* file) {
  return std::move(error).WithContext("cannot read \"" + fs::Join(folder, file) + "\"");
}

}  // namespace

Status PartReader::Init(ByteView metaindex) {
  ByteBuffer plain;
  VM_TRY(encoding::DecompressZstd(plain, metaindex, kMaxMetaindexSize));
  VM_ASSIGN_OR_RETURN(metaindex_, UnmarshalMetaindexRows(plain));
  return Ok();
}

Result<ByteView> PartReader::View(const fs::FileReader* file, const ByteBuffer& memory, uint64_t offset,
                                  size_t size, ByteBuffer& scratch) const {
  const uint64_t have = file != nullptr ? file->size() : memory.size();
  if (offset > have || size > have - offset) {
    return Error(ErrorCode::kCorrupted,
                 fmt::format("{} bytes at offset {} are outside of {} bytes", size, offset, have));
  }
  if (file != nullptr) return file->View(offset, size, scratch);
  return ByteView(memory).subspan(offset, size);
}

PartReader::~PartReader() {
  if (cache_ != nullptr) cache_->Forget(cache_id_);
}

Result<std::shared_ptr<const PartReader>> PartReader::OpenFolder(fs::FileSystem& files, const std::string& path,
                                                                 std::shared_ptr<IndexBlockCache> cache) {
  std::shared_ptr<PartReader> part(new PartReader());
  part->path_ = path;
  part->cache_ = std::move(cache);
  if (part->cache_ != nullptr) part->cache_id_ = part->cache_->NewFile();
  const auto open = [&]() -> Status {
    VM_ASSIGN_OR_RETURN(const ByteBuffer metadata, files.ReadFile(fs::Join(path, kMetadataFile)));
    auto header = ParsePartHeader(AsText(metadata));
    if (!header.ok()) return InFile(std::move(header).error(), path, kMetadataFile);
    part->header_ = std::move(header).value();
    VM_ASSIGN_OR_RETURN(part->timestamps_, files.OpenReader(fs::Join(path, kTimestampsFile)));
    VM_ASSIGN_OR_RETURN(part->values_, files.OpenReader(fs::Join(path, kValuesFile)));
    VM_ASSIGN_OR_RETURN(part->index_, files.OpenReader(fs::Join(path, kIndexFile)));
    VM_ASSIGN_OR_RETURN(const ByteBuffer metaindex, files.ReadFile(fs::Join(path, kMetaindexFile)));
    part->size_bytes_ =
        part->timestamps_->size() + part->values_->size() + part->index_->size() + metaindex.size();
    Status status = part->Init(metaindex);
    if (!status.ok()) return InFile(std::move(status).error(), path, kMetaindexFile);
    return status;
  };
  if (Status s = open(); !s.ok()) {
    return std::move(s).error().WithContext("cannot open part \"" + path + "\"");
  }
  return std::shared_ptr<const PartReader>(std::move(part));
}

Result<std::shared_ptr<const PartReader>> PartReader::FromMemory(PartBuffers buffers) {
  std::shared_ptr<PartReader> part(new PartReader());
  part->path_ = "inmemory";
  part->buffers_ = std::move(buffers);
  part->header_ = part->buffers_.header;
  const PartBuffers& b = part->buffers_;
  part->size_bytes_ = b.timestamps.size() + b.values.size() + b.index.size() + b.metaindex.size();
  VM_TRY(part->Init(b.metaindex));
  return std::shared_ptr<const PartReader>(std::move(part));
}

Status PartReader::StoreTo(fs::FileSystem& files, const std::string& path) const {
  VM_CHECK(index_ == nullptr);
  const int level = IndexLevelForMerge(header_.rows_count, header_.blocks_count);
  ByteBuffer index, plain, rows, metaindex;
  for (MetaindexRow row : metaindex_) {
    VM_ASSIGN_OR_RETURN(const std::vector<BlockHeader> headers, ReadIndexBlock(row));
    plain.clear();
    for (const BlockHeader& header : headers) model::MarshalBlockHeader(plain, header);
    row.index_block_offset = index.size();
    encoding::CompressZstd(index, plain, level);
    row.index_block_size = static_cast<uint32_t>(index.size() - row.index_block_offset);
    MarshalMetaindexRow(rows, row);
  }
  encoding::CompressZstd(metaindex, rows, level);
  VM_TRY(files.CreateDirectory(path));
  const auto write = [&]() -> Status {
    VM_TRY(fs::WriteFileSynced(files, fs::Join(path, kTimestampsFile), buffers_.timestamps));
    VM_TRY(fs::WriteFileSynced(files, fs::Join(path, kValuesFile), buffers_.values));
    VM_TRY(fs::WriteFileSynced(files, fs::Join(path, kIndexFile), index));
    VM_TRY(fs::WriteFileSynced(files, fs::Join(path, kMetaindexFile), metaindex));
    VM_TRY(fs::WriteFileSynced(files, fs::Join(path, kMetadataFile), AsBytes(FormatPartHeader(header_))));
    return fs::SyncDirectoryAndParent(files, path);
  };
  Status status = write();
  // The folder is not listed: what stays of it goes at the next start.
  if (!status.ok()) static_cast<void>(fs::RemoveUnlistedDirectory(files, path));
  return status;
}

Result<std::vector<BlockHeader>> PartReader::ReadIndexBlock(const MetaindexRow& row) const {
  const auto in_part = [&](Error error) {
    return std::move(error).WithContext(fmt::format("cannot read index block at offset {} of part \"{}\"",
                                                    row.index_block_offset, path_));
  };
  ByteBuffer scratch;
  auto frame = View(index_.get(), buffers_.index, row.index_block_offset, row.index_block_size, scratch);
  if (!frame.ok()) return in_part(std::move(frame).error());
  std::vector<BlockHeader> headers;
  if (index_ == nullptr) {
    if (Status s = UnpackBlockHeaders(frame.value(), row.block_headers_count, headers); !s.ok()) {
      return in_part(std::move(s).error());
    }
    return headers;
  }
  ByteBuffer plain;
  // Older writers closed a frame after it had passed 64 KiB.
  if (Status s = encoding::DecompressZstd(plain, frame.value(), 2 * kMaxIndexBlockSize); !s.ok()) {
    return in_part(std::move(s).error());
  }
  if (plain.size() != row.block_headers_count * model::kBlockHeaderSize) {
    return in_part(Error(ErrorCode::kCorrupted, fmt::format("{} bytes do not hold {} block headers", plain.size(),
                                                            row.block_headers_count)));
  }
  headers.reserve(row.block_headers_count);
  ByteView src = plain;
  while (!src.empty()) {
    auto header = model::UnmarshalBlockHeader(src);
    if (!header.ok()) return in_part(std::move(header).error());
    if (!headers.empty() && header.value().tsid < headers.back().tsid) {
      return in_part(Error(ErrorCode::kCorrupted, "block headers are not sorted by tsid"));
    }
    headers.push_back(header.value());
  }
  return headers;
}

Result<IndexBlockCache::Piece> PartReader::GetIndexBlock(size_t row) const {
  if (cache_ != nullptr) {
    if (IndexBlockCache::Piece headers = cache_->Get(cache_id_, row)) return headers;
  }
  VM_ASSIGN_OR_RETURN(std::vector<BlockHeader> read, ReadIndexBlock(metaindex_[row]));
  auto headers = std::make_shared<const std::vector<BlockHeader>>(std::move(read));
  if (cache_ != nullptr) cache_->Put(cache_id_, row, headers, headers->capacity() * sizeof(BlockHeader));
  return IndexBlockCache::Piece(std::move(headers));
}

Status PartReader::ReadBlock(const BlockHeader& header, BlockScratch& scratch, model::EncodedBlock& block) const {
  const auto read = [&]() -> Status {
    VM_ASSIGN_OR_RETURN(block.timestamps_data,
                        View(timestamps_.get(), buffers_.timestamps, header.timestamps_offset,
                             header.timestamps_size, scratch.timestamps));
    VM_ASSIGN_OR_RETURN(block.values_data, View(values_.get(), buffers_.values, header.values_offset,
                                                header.values_size, scratch.values));
    return Ok();
  };
  block.header = header;
  Status status = read();
  if (status.ok()) return status;
  return std::move(status).error().WithContext("cannot read a block of part \"" + path_ + "\"");
}

PartSearch::PartSearch(std::shared_ptr<const PartReader> part)
    : part_(std::move(part)), range_{INT64_MIN, INT64_MAX}, all_(true) {}

PartSearch::PartSearch(std::shared_ptr<const PartReader> part, std::span<const Tsid> tsids, model::TimeRange range)
    : part_(std::move(part)), tsids_(tsids), range_(range), all_(false) {
  const model::TimeRange own{part_->header().min_timestamp, part_->header().max_timestamp};
  if (!own.Overlaps(range_)) tsids_ = {};
}

// Load the next frame that may hold a wanted series and overlaps the time range.
Result<bool> PartSearch::LoadIndexBlock() {
  const auto rows = part_->metaindex();
  if (!all_) {
    if (tsid_ == tsids_.size()) return false;
    // A series may start in the frame before the first one that begins with it or after it.
    const auto at = std::lower_bound(rows.begin() + static_cast<ptrdiff_t>(row_), rows.end(), tsids_[tsid_],
                                     [](const MetaindexRow& row, const Tsid& tsid) { return row.tsid < tsid; });
    const auto index = static_cast<size_t>(at - rows.begin());
    row_ = std::max(row_, index > 0 ? index - 1 : 0);
  }
  while (row_ < rows.size()) {
    const size_t number = row_++;
    const MetaindexRow& row = rows[number];
    if (!range_.Overlaps({row.min_timestamp, row.max_timestamp})) continue;
    if (all_) {
      // A merge reads everything once.
      VM_ASSIGN_OR_RETURN(auto headers, part_->ReadIndexBlock(row));
      headers_ = std::make_shared<const std::vector<BlockHeader>>(std::move(headers));
    } else {
      VM_ASSIGN_OR_RETURN(headers_, part_->GetIndexBlock(number));
    }
    header_ = 0;
    return true;
  }
  return false;
}

Result<bool> PartSearch::NextHeader() {
  while (true) {
    while (headers_ != nullptr && header_ < headers_->size()) {
      const BlockHeader& h = (*headers_)[header_];
      if (!all_) {
        while (tsid_ < tsids_.size() && tsids_[tsid_] < h.tsid) ++tsid_;
        if (tsid_ == tsids_.size()) return false;
        if (h.tsid < tsids_[tsid_]) {
          const auto from = headers_->begin() + static_cast<ptrdiff_t>(header_);
          header_ = static_cast<size_t>(
              std::lower_bound(from, headers_->end(), tsids_[tsid_],
                               [](const BlockHeader& b, const Tsid& tsid) { return b.tsid < tsid; }) -
              headers_->begin());
          continue;
        }
      }
      ++header_;
      if (range_.Overlaps({h.min_timestamp, h.max_timestamp})) return true;
    }
    VM_ASSIGN_OR_RETURN(const bool loaded, LoadIndexBlock());
    if (!loaded) return false;
  }
}

Result<bool> PartSearch::Next() {
  VM_ASSIGN_OR_RETURN(const bool found, NextHeader());
  if (!found) return false;
  VM_TRY(part_->ReadBlock((*headers_)[header_ - 1], scratch_, block_));
  return true;
}

}  // namespace vm::storage
