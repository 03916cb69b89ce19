#include "lib/model/block.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/decimal/decimal.h"
#include "lib/encoding/int.h"

namespace vm::model {
namespace {

using encoding::MarshalType;

// Plain deltas can be anything; zstd data and constants are trusted, as by the reference.
bool MustCheckTimestamps(MarshalType type) {
  return type == MarshalType::kNearestDelta2 || type == MarshalType::kNearestDelta;
}

Status CheckTimestamps(std::span<const int64_t> timestamps, const BlockHeader& header) {
  if (timestamps.front() < header.min_timestamp) {
    return Error(ErrorCode::kCorrupted, fmt::format("timestamp {} is below min_timestamp {}",
                                                    timestamps.front(), header.min_timestamp));
  }
  for (size_t i = 1; i < timestamps.size(); ++i) {
    if (timestamps[i] < timestamps[i - 1]) {
      return Error(ErrorCode::kCorrupted, fmt::format("timestamp #{} is below its predecessor: {} < {}", i,
                                                      timestamps[i], timestamps[i - 1]));
    }
  }
  if (timestamps.back() > header.max_timestamp) {
    return Error(ErrorCode::kCorrupted, fmt::format("timestamp {} is above max_timestamp {}",
                                                    timestamps.back(), header.max_timestamp));
  }
  return Ok();
}

Status CheckSizes(const EncodedBlock& block) {
  if (block.timestamps_data.size() != block.header.timestamps_size ||
      block.values_data.size() != block.header.values_size) {
    return Error(ErrorCode::kCorrupted,
                 fmt::format("block data of {} and {} bytes do not match their header: {} and {}",
                             block.timestamps_data.size(), block.values_data.size(),
                             block.header.timestamps_size, block.header.values_size));
  }
  return Ok();
}

}  // namespace

Status DecodeBlock(const EncodedBlock& block, DecodedBlock& out) {
  const BlockHeader& h = block.header;
  out.tsid = h.tsid;
  out.scale = h.scale;
  out.precision_bits = h.precision_bits;
  out.timestamps.clear();
  out.mantissas.clear();
  if (Status s = encoding::UnmarshalInt64Array(out.timestamps, block.timestamps_data, h.timestamps_type,
                                               h.min_timestamp, h.rows_count);
      !s.ok()) {
    return std::move(s).error().WithContext("cannot decode timestamps of a block");
  }
  if (h.precision_bits < 64) {
    if (h.max_timestamp < h.min_timestamp) {
      return Error(ErrorCode::kCorrupted, fmt::format("min_timestamp {} is above max_timestamp {}",
                                                      h.min_timestamp, h.max_timestamp));
    }
    encoding::EnsureNonDecreasing(out.timestamps, h.min_timestamp, h.max_timestamp);
  } else if (MustCheckTimestamps(h.timestamps_type)) {
    VM_TRY(CheckTimestamps(out.timestamps, h));
  }
  if (Status s = encoding::UnmarshalInt64Array(out.mantissas, block.values_data, h.values_type,
                                               h.first_value, h.rows_count);
      !s.ok()) {
    return std::move(s).error().WithContext("cannot decode values of a block");
  }
  return Ok();
}

BlockHeader EncodeBlock(const Tsid& tsid, std::span<const int64_t> timestamps,
                        std::span<const int64_t> mantissas, int16_t scale, uint8_t precision_bits,
                        ByteBuffer& timestamps_data, ByteBuffer& values_data) {
  VM_CHECK(!timestamps.empty() && timestamps.size() == mantissas.size());
  VM_CHECK(timestamps.size() <= kMaxRowsPerBlock);
  BlockHeader h;
  h.tsid = tsid;
  h.rows_count = static_cast<uint32_t>(timestamps.size());
  h.scale = scale;
  h.precision_bits = precision_bits;
  const size_t timestamps_at = timestamps_data.size();
  const size_t values_at = values_data.size();
  h.values_type = encoding::MarshalInt64Array(values_data, mantissas, precision_bits, h.first_value);
  h.timestamps_type =
      encoding::MarshalInt64Array(timestamps_data, timestamps, precision_bits, h.min_timestamp);
  h.max_timestamp = timestamps.back();
  h.timestamps_size = static_cast<uint32_t>(timestamps_data.size() - timestamps_at);
  h.values_size = static_cast<uint32_t>(values_data.size() - values_at);
  return h;
}

void AppendSamplesInRange(DecodedBlock& block, const TimeRange& range,
                          std::vector<int64_t>& timestamps, std::vector<double>& values) {
  auto& ts = block.timestamps;
  if (ts.empty()) return;
  if (timestamps.empty() && ts.front() >= range.min_timestamp && ts.back() <= range.max_timestamp) {
    timestamps.swap(ts);
    decimal::AppendDecimalsToFloats(values, block.mantissas, block.scale);
    return;
  }
  const auto from = std::lower_bound(ts.begin(), ts.end(), range.min_timestamp);
  const auto to = std::upper_bound(from, ts.end(), range.max_timestamp);
  if (from == to) return;
  timestamps.insert(timestamps.end(), from, to);
  const auto at = static_cast<size_t>(from - ts.begin());
  decimal::AppendDecimalsToFloats(
      values, std::span(block.mantissas).subspan(at, static_cast<size_t>(to - from)), block.scale);
}

void MarshalBlock(ByteBuffer& dst, const EncodedBlock& block) {
  MarshalBlockHeader(dst, block.header);
  encoding::AppendBytes(dst, block.timestamps_data);
  encoding::AppendBytes(dst, block.values_data);
}

Result<EncodedBlock> UnmarshalBlock(ByteView src) {
  EncodedBlock block;
  VM_ASSIGN_OR_RETURN(block.header, UnmarshalBlockHeader(src));
  VM_ASSIGN_OR_RETURN(block.timestamps_data, encoding::TakeBytes(src));
  VM_ASSIGN_OR_RETURN(block.values_data, encoding::TakeBytes(src));
  if (!src.empty()) {
    return Error(ErrorCode::kCorrupted, fmt::format("cannot unmarshal block: {} bytes left over", src.size()));
  }
  VM_TRY(CheckSizes(block));
  return block;
}

void MarshalMetricBlock(ByteBuffer& dst, const MetricBlock& metric_block) {
  encoding::AppendBytes(dst, metric_block.metric_name);
  MarshalBlock(dst, metric_block.block);
}

Result<MetricBlock> UnmarshalMetricBlock(ByteView src) {
  MetricBlock metric_block;
  VM_ASSIGN_OR_RETURN(metric_block.metric_name, encoding::TakeBytes(src));
  VM_ASSIGN_OR_RETURN(metric_block.block, UnmarshalBlock(src));
  return metric_block;
}

void MarshalPortableBlock(ByteBuffer& dst, const EncodedBlock& block) {
  const BlockHeader& h = block.header;
  encoding::AppendVarInt64(dst, h.min_timestamp);
  encoding::AppendVarInt64(dst, h.max_timestamp);
  encoding::AppendVarInt64(dst, h.first_value);
  encoding::AppendVarUint64(dst, h.rows_count);
  encoding::AppendVarInt64(dst, h.scale);
  dst.push_back(static_cast<uint8_t>(h.timestamps_type));
  dst.push_back(static_cast<uint8_t>(h.values_type));
  dst.push_back(h.precision_bits);
  encoding::AppendBytes(dst, block.timestamps_data);
  encoding::AppendBytes(dst, block.values_data);
}

Result<EncodedBlock> UnmarshalPortableBlock(ByteView src) {
  EncodedBlock block;
  BlockHeader& h = block.header;
  VM_ASSIGN_OR_RETURN(h.min_timestamp, encoding::TakeVarInt64(src));
  VM_ASSIGN_OR_RETURN(h.max_timestamp, encoding::TakeVarInt64(src));
  VM_ASSIGN_OR_RETURN(h.first_value, encoding::TakeVarInt64(src));
  VM_ASSIGN_OR_RETURN(const uint64_t rows, encoding::TakeVarUint64(src));
  VM_ASSIGN_OR_RETURN(const int64_t scale, encoding::TakeVarInt64(src));
  if (rows > UINT32_MAX || scale < INT16_MIN || scale > INT16_MAX) {
    return Error(ErrorCode::kCorrupted,
                 fmt::format("cannot unmarshal portable block: rows {} or scale {} out of range", rows, scale));
  }
  h.rows_count = static_cast<uint32_t>(rows);
  h.scale = static_cast<int16_t>(scale);
  VM_ASSIGN_OR_RETURN(const uint8_t timestamps_type, encoding::TakeUint<uint8_t>(src));
  VM_ASSIGN_OR_RETURN(const uint8_t values_type, encoding::TakeUint<uint8_t>(src));
  VM_ASSIGN_OR_RETURN(h.precision_bits, encoding::TakeUint<uint8_t>(src));
  h.timestamps_type = static_cast<MarshalType>(timestamps_type);
  h.values_type = static_cast<MarshalType>(values_type);
  VM_ASSIGN_OR_RETURN(block.timestamps_data, encoding::TakeBytes(src));
  VM_ASSIGN_OR_RETURN(block.values_data, encoding::TakeBytes(src));
  if (!src.empty()) {
    return Error(ErrorCode::kCorrupted,
                 fmt::format("cannot unmarshal portable block: {} bytes left over", src.size()));
  }
  h.timestamps_size = static_cast<uint32_t>(std::min<size_t>(block.timestamps_data.size(), UINT32_MAX));
  h.values_size = static_cast<uint32_t>(std::min<size_t>(block.values_data.size(), UINT32_MAX));
  VM_TRY(CheckBlockHeader(h));
  return block;
}

}  // namespace vm::model
