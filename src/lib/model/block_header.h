#pragma once

#include <cstdint>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/encoding/int64_array.h"
#include "lib/model/tsid.h"

namespace vm::model {

/// Rows a writer puts into one block at most.
inline constexpr uint32_t kMaxRowsPerBlock = 8 * 1024;
/// Encoded bytes of one array of a block at most.
inline constexpr uint32_t kMaxBlockDataSize = 2 * 64 * 1024;
/// Bytes a marshaled BlockHeader takes, always.
inline constexpr size_t kBlockHeaderSize = 89;

/// Where one block of one series lies inside a part, and how to decode it.
///
/// A plain value: copy freely, no locking, no I/O. Written to index.bin, and
/// sent from vmstorage to vmselect in front of each block.
struct BlockHeader {
  Tsid tsid;
  int64_t min_timestamp = 0;       // Unix milliseconds, first row of the block.
  int64_t max_timestamp = 0;       // Unix milliseconds, last row of the block.
  int64_t first_value = 0;         // Decimal mantissa; multiply by 10^scale.
  uint64_t timestamps_offset = 0;  // Bytes from the start of timestamps.bin.
  uint64_t values_offset = 0;      // Bytes from the start of values.bin.
  uint32_t timestamps_size = 0;    // Bytes.
  uint32_t values_size = 0;        // Bytes.
  uint32_t rows_count = 0;         // 1 .. 2 * kMaxRowsPerBlock.
  int16_t scale = 0;               // Power of ten of every value in the block.
  encoding::MarshalType timestamps_type = encoding::MarshalType::kConst;
  encoding::MarshalType values_type = encoding::MarshalType::kConst;
  uint8_t precision_bits = 64;  // 1 .. 64, where 64 is lossless.

  bool operator==(const BlockHeader&) const = default;
};

/// Append the kBlockHeaderSize bytes of `header` to `dst`.
void MarshalBlockHeader(ByteBuffer& dst, const BlockHeader& header);

/// Decode the header at the front of `src`.
///
/// On success `src` is advanced by kBlockHeaderSize; on error it is left as it
/// was. Errors: kCorrupted when `src` is too short or a field is out of range.
///
/// Format: docs/format/part.md, "Block header".
/// Reference: VictoriaMetrics lib/storage/block_header.go, Unmarshal.
Result<BlockHeader> UnmarshalBlockHeader(ByteView& src);

/// Check the ranges of a header that came in another form (the portable block).
Status CheckBlockHeader(const BlockHeader& header);

}  // namespace vm::model
