#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/tsid.h"

namespace vm::storage {

/// Uncompressed bytes of one frame of index.bin at most; compressed ones may be twice that when read.
inline constexpr size_t kMaxIndexBlockSize = 64 * 1024;
inline constexpr size_t kMetaindexRowSize = 64;

/// One frame of index.bin: which series it starts with and where it lies.
struct MetaindexRow {
  model::Tsid tsid;
  uint32_t block_headers_count = 0;
  int64_t min_timestamp = INT64_MAX;
  int64_t max_timestamp = INT64_MIN;
  uint64_t index_block_offset = 0;
  uint32_t index_block_size = 0;  // Compressed bytes.

  bool operator==(const MetaindexRow&) const = default;
};

void MarshalMetaindexRow(ByteBuffer& dst, const MetaindexRow& row);

/// Decode the uncompressed content of metaindex.bin: at least one row, sorted by TSID. Errors: kCorrupted.
/// Format: docs/format/part.md, "Metaindex row".
Result<std::vector<MetaindexRow>> UnmarshalMetaindexRows(ByteView src);

}  // namespace vm::storage
