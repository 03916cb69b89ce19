#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vm::select::transform {

/// Go's math/rand generator: `rand(seed)` must give the same series as the reference. Additive lagged Fibonacci over
/// 64-bit words; normal and exponential values by the ziggurat of Marsaglia and Tsang with single-precision tables.
class GoRandom {
 public:
  explicit GoRandom(int64_t seed);

  /// In [0, 1).
  double Uniform();
  /// Mean 0, deviation 1.
  double Normal();
  /// Rate 1.
  double Exponential();

  /// Words of the register, and how far back the second summand lies.
  static constexpr size_t kLength = 607;
  static constexpr size_t kLag = 273;

 private:
  uint64_t Next63();
  uint32_t Next32() { return static_cast<uint32_t>(Next63() >> 31); }

  std::array<uint64_t, kLength> state_;
  size_t tap_ = 0;
  size_t feed_ = kLength - kLag;
};

}  // namespace vm::select::transform
