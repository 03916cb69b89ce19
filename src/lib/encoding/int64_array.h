#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::encoding {

/// How an array of int64 is encoded. DO NOT RENUMBER: stored and sent.
enum class MarshalType : uint8_t {
  kZstdNearestDelta2 = 1,
  kDeltaConst = 2,
  kConst = 3,
  kZstdNearestDelta = 4,
  kNearestDelta2 = 5,
  kNearestDelta = 6,
};

/// Append the encoding of `values` and return its type; `first_value` is set to values[0].
///
/// Requires a non-empty array and precision_bits in 1..64, where 64 is lossless.
/// Format: docs/format/part.md, "Arrays". Reference: VictoriaMetrics lib/encoding/encoding.go.
MarshalType MarshalInt64Array(ByteBuffer& dst, std::span<const int64_t> values,
                              uint8_t precision_bits, int64_t& first_value);

/// Append `count` decoded values to `dst`. Errors: kCorrupted; `dst` keeps its old content then.
Status UnmarshalInt64Array(std::vector<int64_t>& dst, ByteView src, MarshalType type,
                           int64_t first_value, size_t count);

/// The plain delta forms, as the tests of the format name them. Append and return the first value.
int64_t MarshalInt64NearestDelta(ByteBuffer& dst, std::span<const int64_t> values,
                                 uint8_t precision_bits);
/// Requires at least two values.
int64_t MarshalInt64NearestDelta2(ByteBuffer& dst, std::span<const int64_t> values,
                                  uint8_t precision_bits);

/// One lossy difference: `next - prev` with low bits cleared as `precision_bits` allows, and the number
/// of cleared bits to carry to the next call.
struct DeltaStep {
  int64_t delta;
  uint8_t trailing_zeros;
};
DeltaStep NearestDelta(int64_t next, int64_t prev, uint8_t precision_bits,
                       uint8_t prev_trailing_zeros) noexcept;

/// Low bits of `v` that `precision_bits` allow to clear: the start value of the carried number above.
uint8_t TrailingZeros(int64_t v, uint8_t precision_bits) noexcept;

bool IsConst(std::span<const int64_t> values) noexcept;
bool IsDeltaConst(std::span<const int64_t> values) noexcept;
/// Whether the array looks like a gauge rather than a counter.
bool IsGauge(std::span<const int64_t> values) noexcept;

/// Force `values` into [min, max], starting at min, ending at max and never decreasing.
void EnsureNonDecreasing(std::span<int64_t> values, int64_t min, int64_t max);

}  // namespace vm::encoding
