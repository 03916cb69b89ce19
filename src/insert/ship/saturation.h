#pragma once

#include <cstddef>
#include <span>

namespace vm::insert {

/// Moving average of how much of its time a node spends taking rows: 1 when the next packet leaves as soon as the last one
/// is acknowledged. Not thread-safe.
class Saturation {
 public:
  void Add(double sample);
  /// 0 until there have been 11 samples.
  double Get() const noexcept { return samples_ > kWarmUp ? average_ : 0; }

 private:
  static constexpr size_t kWarmUp = 10;
  static constexpr double kDecay = 2.0 / 181;

  double average_ = 0;
  size_t samples_ = 0;
};

/// Whether rows of a node with a full buffer may go to other nodes: it is the slowest of at least three, clearly slower than
/// the others, and they have time left. `ready` are the figures of all ready nodes, this one included.
/// Rules: wire protocol, "Rerouting".
bool AllowsSlownessRerouting(double saturation, std::span<double> ready);

}  // namespace vm::insert
