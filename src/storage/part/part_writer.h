#pragma once

#include <memory>
#include <string>

#include "lib/base/result.h"
#include "lib/fs/file_system.h"
#include "lib/model/block.h"
#include "storage/part/metaindex.h"
#include "storage/part/part_header.h"

namespace vm::storage {

/// zstd level of index.bin and metaindex.bin of a part built straight from raw rows.
inline constexpr int kRawRowsLevel = -5;

/// The level for a merge of `rows` rows into about `blocks` blocks.
int IndexLevelForMerge(uint64_t rows, uint64_t blocks) noexcept;

/// A part in memory: the files as they would be written, but for the frames of the index, see packed_headers.h.
struct PartBuffers {
  ByteBuffer timestamps;
  ByteBuffer values;
  ByteBuffer index;
  ByteBuffer metaindex;
  PartHeader header;
};

/// Writes one part from front to back: blocks in (TSID, min_timestamp) order, then Finish. A part that
/// was not finished is not listed anywhere and is removed at the next start. Not thread-safe.
///
/// Format: docs/format/part.md. Reference: VictoriaMetrics lib/storage/block_stream_writer.go.
class PartWriter {
 public:
  /// Write into the new folder `path`. After an error there is no such folder; after an error of Add or Finish the
  /// caller removes it.
  static Result<std::unique_ptr<PartWriter>> ToFolder(fs::FileSystem& files, const std::string& path,
                                                      int index_level);
  /// Write into `buffers`, which must outlive the writer. `index_level` is for the metaindex alone.
  static std::unique_ptr<PartWriter> ToMemory(PartBuffers& buffers, int index_level);
  ~PartWriter();
  PartWriter(const PartWriter&) = delete;
  PartWriter& operator=(const PartWriter&) = delete;

  /// Append a block; offsets in its header are replaced. Timestamps equal to those of the block before are
  /// shared. Requires order and at least one row.
  Status Add(const model::EncodedBlock& block);

  /// Write what is left and make it durable. Returns the totals. Requires at least one block.
  Result<PartHeader> Finish(int64_t min_dedup_interval);

  uint64_t rows_count() const noexcept { return header_.rows_count; }

 private:
  struct Sinks;
  PartWriter(std::unique_ptr<Sinks> sinks, int index_level);
  Status FlushIndexBlock();

  std::unique_ptr<Sinks> sinks_;
  const int index_level_;
  PartHeader header_;
  MetaindexRow row_;
  ByteBuffer index_block_;  // Block headers that wait for their frame.
  ByteBuffer metaindex_;    // Rows that wait for Finish.
  ByteBuffer compressed_;
  ByteBuffer previous_timestamps_;
  uint64_t previous_timestamps_offset_ = 0;
  uint64_t timestamps_offset_ = 0;
  uint64_t values_offset_ = 0;
  uint64_t index_offset_ = 0;
};

}  // namespace vm::storage
