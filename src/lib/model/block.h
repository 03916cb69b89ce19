#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/block_header.h"
#include "lib/model/time_range.h"

namespace vm::model {

/// A block as it lies in a part and travels to vmselect. The data are views of the owner's bytes.
struct EncodedBlock {
  BlockHeader header;
  ByteView timestamps_data;
  ByteView values_data;
};

/// Samples of one series in time order, with values as decimal mantissas under one scale.
struct DecodedBlock {
  Tsid tsid;
  std::vector<int64_t> timestamps;  // Unix milliseconds, never decreasing.
  std::vector<int64_t> mantissas;
  int16_t scale = 0;
  uint8_t precision_bits = 64;
};

/// Decode `block`. Errors: kCorrupted, naming what is broken.
Status DecodeBlock(const EncodedBlock& block, DecodedBlock& out);

/// Encode up to kMaxRowsPerBlock rows. The data are appended to the two buffers; offsets stay 0.
/// Requires equal, non-zero lengths and sorted timestamps.
BlockHeader EncodeBlock(const Tsid& tsid, std::span<const int64_t> timestamps,
                        std::span<const int64_t> mantissas, int16_t scale, uint8_t precision_bits,
                        ByteBuffer& timestamps_data, ByteBuffer& values_data);

/// Append the samples of `block` inside `range`, values as floats. The timestamps of `block` may be taken away.
void AppendSamplesInRange(DecodedBlock& block, const TimeRange& range,
                          std::vector<int64_t>& timestamps, std::vector<double>& values);

/// Header, then both arrays with their lengths: the wire form.
void MarshalBlock(ByteBuffer& dst, const EncodedBlock& block);
/// Decode all of `src`; sizes in the header must be those of the data. Errors: kCorrupted.
Result<EncodedBlock> UnmarshalBlock(ByteView src);

/// What vmstorage streams to vmselect: the marshalled name, then the block.
struct MetricBlock {
  ByteView metric_name;
  EncodedBlock block;
};
void MarshalMetricBlock(ByteBuffer& dst, const MetricBlock& metric_block);
Result<MetricBlock> UnmarshalMetricBlock(ByteView src);

/// The form of native export: no TSID, variable-length numbers.
void MarshalPortableBlock(ByteBuffer& dst, const EncodedBlock& block);
/// Decode all of `src`. Errors: kCorrupted.
Result<EncodedBlock> UnmarshalPortableBlock(ByteView src);

}  // namespace vm::model
