#include "insert/ship/saturation.h"

#include <algorithm>

namespace vm::insert {

void Saturation::Add(double sample) {
  if (samples_ < kWarmUp) {
    // The mean of the first samples is where the moving average begins.
    average_ = (average_ * static_cast<double>(samples_) + sample) / static_cast<double>(samples_ + 1);
  } else {
    average_ += (sample - average_) * kDecay;
  }
  ++samples_;
}

bool AllowsSlownessRerouting(double saturation, std::span<double> ready) {
  constexpr double kMaxOfOthers = 0.6;
  constexpr double kMinRatio = 1.2;
  if (saturation == 0 || ready.size() < 3) return false;
  std::sort(ready.begin(), ready.end());
  if (ready.front() == 0 || saturation < ready.back()) return false;
  const double others = ready[ready.size() - 1 - std::max<size_t>(1, ready.size() / 10)];
  return others <= kMaxOfOthers && saturation >= kMinRatio * others;
}

}  // namespace vm::insert
