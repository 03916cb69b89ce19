#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vm::decimal {

/// Whether CalibrateScale on these two arrays leaves every value reading back as the same float.
/// Does not change its arguments. A merge that must not lose digits asks this before it joins blocks.
bool CalibrationIsLossless(std::span<const int64_t> a, int16_t a_exponent, std::span<const int64_t> b,
                           int16_t b_exponent);

/// How many values from the front of `values` may share one exponent without changing a value that is exact
/// when converted alone. At least 1; 0 only for an empty array.
/// The reference always takes the whole array and turns 1, 2, 16, 2^64-1 into 0, 0, 10, 2^64-1.
size_t LosslessPrefix(std::span<const double> values);

}  // namespace vm::decimal
