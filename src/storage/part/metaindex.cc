#include "storage/part/metaindex.h"

#include <fmt/format.h>

#include "lib/encoding/int.h"

namespace vm::storage {

void MarshalMetaindexRow(ByteBuffer& dst, const MetaindexRow& row) {
  model::MarshalTsid(dst, row.tsid);
  AppendBigEndian(dst, row.block_headers_count);
  encoding::AppendInt64(dst, row.min_timestamp);
  encoding::AppendInt64(dst, row.max_timestamp);
  AppendBigEndian(dst, row.index_block_offset);
  AppendBigEndian(dst, row.index_block_size);
}

Result<std::vector<MetaindexRow>> UnmarshalMetaindexRows(ByteView src) {
  if (src.empty() || src.size() % kMetaindexRowSize != 0) {
    return Error(ErrorCode::kCorrupted,
                 fmt::format("cannot unmarshal metaindex rows: {} bytes are no positive multiple of {}",
                             src.size(), kMetaindexRowSize));
  }
  std::vector<MetaindexRow> rows;
  rows.reserve(src.size() / kMetaindexRowSize);
  while (!src.empty()) {
    MetaindexRow row;
    VM_ASSIGN_OR_RETURN(row.tsid, model::UnmarshalTsid(src));
    row.block_headers_count = TakeBigEndian<uint32_t>(src);
    row.min_timestamp = encoding::UnZigZag64(TakeBigEndian<uint64_t>(src));
    row.max_timestamp = encoding::UnZigZag64(TakeBigEndian<uint64_t>(src));
    row.index_block_offset = TakeBigEndian<uint64_t>(src);
    row.index_block_size = TakeBigEndian<uint32_t>(src);
    if (row.block_headers_count == 0 || row.index_block_size > 2 * kMaxIndexBlockSize) {
      return Error(ErrorCode::kCorrupted,
                   fmt::format("cannot unmarshal metaindex row #{}: {} block headers in {} bytes", rows.size(),
                               row.block_headers_count, row.index_block_size));
    }
    if (!rows.empty() && row.tsid < rows.back().tsid) {
      return Error(ErrorCode::kCorrupted, fmt::format("metaindex row #{} is not sorted by tsid", rows.size()));
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace vm::storage
