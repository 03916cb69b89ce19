#include "storage/part/part_writer.h"

#include <algorithm>

#include "lib/encoding/zstd.h"
#include "storage/part/packed_headers.h"

namespace vm::storage {
namespace {

class MemoryWriter : public fs::FileWriter {
 public:
  explicit MemoryWriter(ByteBuffer& dst) : dst_(dst) {}
  Status Append(ByteView bytes) override {
    vm::Append(dst_, bytes);
    return Ok();
  }
  Status Sync() override { return Ok(); }
  Status Close() override { return Ok(); }

 private:
  ByteBuffer& dst_;
};

}  // namespace

struct PartWriter::Sinks {
  std::unique_ptr<fs::FileWriter> timestamps, values, index, metaindex;
  // Where metadata.json goes.
  fs::FileSystem* files = nullptr;
  std::string path;
  PartBuffers* buffers = nullptr;
  std::vector<model::BlockHeader> headers;  // In memory: those that wait for their frame.
};

int IndexLevelForMerge(uint64_t rows, uint64_t blocks) noexcept {
  const uint64_t rows_per_block = blocks == 0 ? 0 : rows / blocks;
  if (rows_per_block <= 10) return -5;
  if (rows_per_block <= 50) return -2;
  if (rows_per_block <= 200) return -1;
  if (rows_per_block <= 500) return 1;
  if (rows_per_block <= 1000) return 2;
  return 3;
}

PartWriter::PartWriter(std::unique_ptr<Sinks> sinks, int index_level)
    : sinks_(std::move(sinks)), index_level_(index_level) {}
PartWriter::~PartWriter() = default;

Result<std::unique_ptr<PartWriter>> PartWriter::ToFolder(fs::FileSystem& files, const std::string& path,
                                                         int index_level) {
  VM_TRY(files.CreateDirectory(path));
  auto sinks = std::make_unique<Sinks>();
  const auto open = [&]() -> Status {
    VM_ASSIGN_OR_RETURN(sinks->timestamps, files.CreateWriter(fs::Join(path, kTimestampsFile)));
    VM_ASSIGN_OR_RETURN(sinks->values, files.CreateWriter(fs::Join(path, kValuesFile)));
    VM_ASSIGN_OR_RETURN(sinks->index, files.CreateWriter(fs::Join(path, kIndexFile)));
    VM_ASSIGN_OR_RETURN(sinks->metaindex, files.CreateWriter(fs::Join(path, kMetaindexFile)));
    return Ok();
  };
  if (Status status = open(); !status.ok()) {
    // The folder is not listed: what stays of it goes at the next start.
    static_cast<void>(fs::RemoveUnlistedDirectory(files, path));
    return std::move(status).error();
  }
  sinks->files = &files;
  sinks->path = path;
  return std::unique_ptr<PartWriter>(new PartWriter(std::move(sinks), index_level));
}

std::unique_ptr<PartWriter> PartWriter::ToMemory(PartBuffers& buffers, int index_level) {
  buffers = PartBuffers();
  auto sinks = std::make_unique<Sinks>();
  sinks->timestamps = std::make_unique<MemoryWriter>(buffers.timestamps);
  sinks->values = std::make_unique<MemoryWriter>(buffers.values);
  sinks->index = std::make_unique<MemoryWriter>(buffers.index);
  sinks->metaindex = std::make_unique<MemoryWriter>(buffers.metaindex);
  sinks->buffers = &buffers;
  return std::unique_ptr<PartWriter>(new PartWriter(std::move(sinks), index_level));
}

Status PartWriter::Add(const model::EncodedBlock& block) {
  model::BlockHeader h = block.header;
  VM_CHECK(h.rows_count > 0);
  if (row_.block_headers_count == kMaxIndexBlockSize / model::kBlockHeaderSize) VM_TRY(FlushIndexBlock());
  h.timestamps_size = static_cast<uint32_t>(block.timestamps_data.size());
  h.values_size = static_cast<uint32_t>(block.values_data.size());
  if (!block.timestamps_data.empty() && Equal(block.timestamps_data, previous_timestamps_)) {
    h.timestamps_offset = previous_timestamps_offset_;
  } else {
    h.timestamps_offset = timestamps_offset_;
    VM_TRY(sinks_->timestamps->Append(block.timestamps_data));
    timestamps_offset_ += block.timestamps_data.size();
    // Also when empty: an empty array ends a run of shared timestamps.
    previous_timestamps_.assign(block.timestamps_data.begin(), block.timestamps_data.end());
    previous_timestamps_offset_ = h.timestamps_offset;
  }
  h.values_offset = values_offset_;
  VM_TRY(sinks_->values->Append(block.values_data));
  values_offset_ += block.values_data.size();

  if (row_.block_headers_count == 0) row_.tsid = h.tsid;
  ++row_.block_headers_count;
  row_.min_timestamp = std::min(row_.min_timestamp, h.min_timestamp);
  row_.max_timestamp = std::max(row_.max_timestamp, h.max_timestamp);
  if (sinks_->buffers != nullptr) {
    sinks_->headers.push_back(h);
  } else {
    model::MarshalBlockHeader(index_block_, h);
  }

  header_.rows_count += h.rows_count;
  ++header_.blocks_count;
  header_.min_timestamp = std::min(header_.min_timestamp, h.min_timestamp);
  header_.max_timestamp = std::max(header_.max_timestamp, h.max_timestamp);
  return Ok();
}

Status PartWriter::FlushIndexBlock() {
  if (row_.block_headers_count == 0) return Ok();
  compressed_.clear();
  if (sinks_->buffers != nullptr) {
    PackBlockHeaders(compressed_, sinks_->headers);
    sinks_->headers.clear();
  } else {
    encoding::CompressZstd(compressed_, index_block_, index_level_);
    index_block_.clear();
  }
  VM_TRY(sinks_->index->Append(compressed_));
  row_.index_block_offset = index_offset_;
  row_.index_block_size = static_cast<uint32_t>(compressed_.size());
  index_offset_ += compressed_.size();
  MarshalMetaindexRow(metaindex_, row_);
  row_ = MetaindexRow();
  return Ok();
}

Result<PartHeader> PartWriter::Finish(int64_t min_dedup_interval) {
  VM_CHECK(header_.blocks_count > 0);
  VM_TRY(FlushIndexBlock());
  compressed_.clear();
  encoding::CompressZstd(compressed_, metaindex_, index_level_);
  VM_TRY(sinks_->metaindex->Append(compressed_));
  header_.min_dedup_interval = min_dedup_interval;
  for (auto* sink : {&sinks_->timestamps, &sinks_->values, &sinks_->index, &sinks_->metaindex}) {
    VM_TRY((*sink)->Sync());
    VM_TRY((*sink)->Close());
  }
  if (sinks_->buffers != nullptr) {
    sinks_->buffers->header = header_;
    return header_;
  }
  fs::FileSystem& files = *sinks_->files;
  VM_TRY(fs::WriteFileSynced(files, fs::Join(sinks_->path, kMetadataFile), AsBytes(FormatPartHeader(header_))));
  VM_TRY(fs::SyncDirectoryAndParent(files, sinks_->path));
  return header_;
}

}  // namespace vm::storage
