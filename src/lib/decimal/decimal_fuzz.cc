// Any floats convert to one exponent and back; cuts for lossless blocks really keep the values.
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "lib/decimal/decimal.h"
#include "lib/decimal/lossless.h"

namespace {

using namespace vm::decimal;  // NOLINT: one small program, nothing includes it

void Require(bool condition) {
  if (!condition) std::abort();
}

bool Same(double a, double b) {
  return a == b || std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<double> values(size / 8);
  if (values.empty()) return 0;
  std::memcpy(values.data(), data, values.size() * 8);
  std::erase_if(values, [](double f) { return std::isnan(f) && !IsStaleNaN(f); });
  if (values.empty()) return 0;
  const size_t n = LosslessPrefix(values);
  Require(n >= 1 && n <= values.size());
  std::vector<int64_t> mantissas;
  int16_t exponent = AppendFloatsToDecimals(mantissas, std::span(values).first(n));
  std::vector<double> back;
  AppendDecimalsToFloats(back, mantissas, exponent);
  for (size_t i = 0; i < n; ++i) {
    const Decimal alone = FromFloat(values[i]);
    Require(!Same(ToFloat(alone.mantissa, alone.exponent), values[i]) || Same(back[i], values[i]));
  }
  std::vector<int64_t> rest;
  const int16_t rest_exponent = AppendFloatsToDecimals(rest, std::span(values).subspan(n));
  const bool lossless = CalibrationIsLossless(mantissas, exponent, rest, rest_exponent);
  if (rest.empty()) return 0;
  exponent = CalibrateScale(mantissas, exponent, rest, rest_exponent);
  if (lossless) {
    for (size_t i = 0; i < n; ++i) Require(Same(ToFloat(mantissas[i], exponent), back[i]));
  }
  return 0;
}
