#include "lib/decimal/lossless.h"

#include <bit>
#include <vector>

#include "lib/decimal/decimal.h"

namespace vm::decimal {
namespace {

// Equal as numbers, or the same bits: the staleness marker is a NaN.
bool SameFloat(double a, double b) {
  return a == b || std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

bool ReadsTheSame(std::span<const int64_t> before, int16_t before_exponent,
                  std::span<const int64_t> after, int16_t after_exponent) {
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] == 0 && after[i] == 0) continue;
    if (!SameFloat(ToFloat(before[i], before_exponent), ToFloat(after[i], after_exponent))) return false;
  }
  return true;
}

bool IsLossless(std::span<const double> values) {
  thread_local std::vector<int64_t> mantissas;
  mantissas.clear();
  const int16_t exponent = AppendFloatsToDecimals(mantissas, values);
  for (size_t i = 0; i < values.size(); ++i) {
    if (SameFloat(ToFloat(mantissas[i], exponent), values[i])) continue;
    const Decimal alone = FromFloat(values[i]);
    if (SameFloat(ToFloat(alone.mantissa, alone.exponent), values[i])) return false;
  }
  return true;
}

}  // namespace

bool CalibrationIsLossless(std::span<const int64_t> a, int16_t a_exponent, std::span<const int64_t> b,
                           int16_t b_exponent) {
  if (a_exponent == b_exponent || a.empty() || b.empty()) return true;
  thread_local std::vector<int64_t> a_after, b_after;
  a_after.assign(a.begin(), a.end());
  b_after.assign(b.begin(), b.end());
  const int16_t exponent = CalibrateScale(a_after, a_exponent, b_after, b_exponent);
  return ReadsTheSame(a, a_exponent, a_after, exponent) &&
         ReadsTheSame(b, b_exponent, b_after, exponent);
}

size_t LosslessPrefix(std::span<const double> values) {
  if (values.size() < 2 || IsLossless(values)) return values.size();
  // One value is always lossless. Losing digits stays lost when more values join, so halving finds the cut;
  // `good` has been checked itself in any case.
  size_t good = 1;
  size_t bad = values.size();
  while (bad - good > 1) {
    const size_t middle = good + (bad - good) / 2;
    (IsLossless(values.first(middle)) ? good : bad) = middle;
  }
  return good;
}

}  // namespace vm::decimal
