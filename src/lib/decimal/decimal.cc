#include "lib/decimal/decimal.h"

#include "lib/decimal/common_exponent.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace vm::decimal {
namespace {

constexpr std::array<int64_t, 19> kInt64Pow10 = [] {
  std::array<int64_t, 19> table{};
  int64_t p = 1;
  for (size_t i = 0; i < table.size(); ++i) {
    table[i] = p;
    if (i + 1 < table.size()) p *= 10;
  }
  return table;
}();

// Greatest magnitude that may be multiplied by 10^i.
constexpr std::array<int64_t, 19> kMaxForUp = [] {
  std::array<int64_t, 19> table{};
  for (size_t i = 0; i < table.size(); ++i) table[i] = INT64_MAX / kInt64Pow10[i];
  return table;
}();

constexpr double kPow10Low[32] = {1e00, 1e01, 1e02, 1e03, 1e04, 1e05, 1e06, 1e07, 1e08, 1e09, 1e10,
                                  1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21,
                                  1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31};
constexpr double kPow10Step[10] = {1e00,  1e32,  1e64,  1e96,  1e128,
                                   1e160, 1e192, 1e224, 1e256, 1e288};
constexpr double kPow10NegativeStep[11] = {1e-00,  1e-32,  1e-64,  1e-96,  1e-128, 1e-160,
                                           1e-192, 1e-224, 1e-256, 1e-288, 1e-320};

int16_t Wrap16(int v) { return static_cast<int16_t>(static_cast<uint16_t>(v)); }

Decimal FromInteger(uint64_t u) {
  constexpr uint64_t kExact = uint64_t{1} << 55;
  int16_t exponent = 0;
  if (u < kExact && u % 10 != 0) return {static_cast<int64_t>(u), 0};
  while (u >= kExact) {
    u /= 10;
    ++exponent;
  }
  if (u % 10 != 0) return {static_cast<int64_t>(u), exponent};
  do {
    u /= 10;
    ++exponent;
  } while (u != 0 && u % 10 == 0);
  return {static_cast<int64_t>(u), exponent};
}

Decimal FromFraction(double f) {
  double precision = 1e12;
  int exponent = 0;
  if (f > 1e6 || f < 1e-6) {
    if (f > 1e6) precision = 1e15;
    int binary = 0;
    std::frexp(f, &binary);
    binary = std::clamp(binary, -1022, 1023);
    constexpr double kLn2OverLn10 = 0.30102999566398119521373889472449302676818988146210854131;
    exponent = static_cast<int>(static_cast<double>(binary) * kLn2OverLn10);
    f *= Pow10(-exponent);
  }
  while (f < precision) {
    double whole = 0;
    const double fraction = std::modf(f, &whole);
    if (fraction * precision < whole) {
      f = whole;
      break;
    }
    if ((1 - fraction) * precision < whole) {
      f = whole + 1;
      break;
    }
    f *= 100;
    exponent -= 2;
  }
  const auto u = static_cast<uint64_t>(f);
  if (u % 10 != 0) return {static_cast<int64_t>(u), Wrap16(exponent)};
  return {static_cast<int64_t>(u / 10), Wrap16(exponent + 1)};
}

Decimal FromPositive(double f) {
  // 2^64: above it the conversion to unsigned is undefined.
  if (f < 18446744073709551616.0) {
    const auto u = static_cast<uint64_t>(f);
    if (static_cast<double>(u) == f) return FromInteger(u);
  }
  return FromFraction(f);
}

}  // namespace

double Pow10(int k) noexcept {
  if (k >= 0 && k <= 308) return kPow10Step[k / 32] * kPow10Low[k % 32];
  if (k < 0 && k >= -323) return kPow10NegativeStep[-k / 32] / kPow10Low[-k % 32];
  return k > 0 ? std::numeric_limits<double>::infinity() : 0;
}

double StaleNaN() noexcept { return std::bit_cast<double>(kStaleNaNBits); }
Decimal FromFloat(double f) noexcept {
  if (f == 0) return {0, 0};
  if (IsStaleNaN(f)) return {kStaleNaNMantissa, 0};
  if (std::isinf(f)) return {f > 0 ? kInfPos : kInfNeg, 0};
  if (f > 0) {
    const Decimal d = FromPositive(f);
    return {std::min(d.mantissa, kMaxMantissa), d.exponent};
  }
  const Decimal d = FromPositive(-f);
  return {std::max(-d.mantissa, kMinMantissa), d.exponent};
}

int16_t MaxUpExponent(int64_t v) noexcept {
  if (v == 0 || IsSpecial(v)) return 1024;
  const int64_t magnitude = v < 0 ? -v : v;
  // As many digits as the free bits hold, log10(2) being 1233 / 4096; at most one too few.
  int free_bits = std::countl_zero(static_cast<uint64_t>(magnitude)) - 1;
  int16_t up = static_cast<int16_t>(free_bits * 1233 >> 12);
  if (up < 18 && magnitude <= kMaxForUp[static_cast<size_t>(up) + 1]) ++up;
  return up;
}

int16_t AppendFloatsToDecimals(std::vector<int64_t>& dst, std::span<const double> values) {
  const auto all = [&](double x) {
    return std::all_of(values.begin(), values.end(), [x](double v) { return v == x; });
  };
  if (values.empty()) return 0;
  if (all(0)) {
    dst.insert(dst.end(), values.size(), 0);
    return 0;
  }
  if (all(1)) {
    dst.insert(dst.end(), values.size(), 1);
    return 0;
  }
  thread_local std::vector<int16_t> exponents;
  exponents.clear();
  const size_t at = dst.size();
  for (const double value : values) {
    const Decimal d = FromFloat(value);
    dst.push_back(d.mantissa);
    exponents.push_back(d.exponent);
  }
  return ToCommonExponent(std::span(dst).subspan(at), exponents);
}

int16_t ToCommonExponent(std::span<int64_t> mantissas, std::span<const int16_t> exponents) {
  int16_t min_exponent = INT16_MAX;
  for (size_t i = 0; i < mantissas.size(); ++i) {
    if (!IsSpecial(mantissas[i])) min_exponent = std::min(min_exponent, exponents[i]);
  }
  bool uniform = min_exponent != INT16_MAX;
  for (size_t i = 0; uniform && i < mantissas.size(); ++i) {
    uniform = exponents[i] == min_exponent || mantissas[i] == 0 || IsSpecial(mantissas[i]);
  }
  if (uniform) return min_exponent;
  // int16 arithmetic wraps on purpose: a block of special values alone gets the exponent -1024.
  int16_t down = 0;
  for (size_t i = 0; i < mantissas.size(); ++i) {
    const int16_t need = Wrap16(Wrap16(exponents[i] - min_exponent) - MaxUpExponent(mantissas[i]));
    down = std::max(down, need);
  }
  const int16_t scale = Wrap16(min_exponent + down);
  for (size_t i = 0; i < mantissas.size(); ++i) {
    int64_t& v = mantissas[i];
    if (IsSpecial(v)) continue;
    int adjust = exponents[i] - scale;
    while (adjust > 0) {
      v = static_cast<int64_t>(static_cast<uint64_t>(v) * 10);
      --adjust;
      if (v == 0) break;
    }
    while (adjust < 0 && v != 0) {
      v /= 10;
      ++adjust;
    }
  }
  return scale;
}

namespace {

double SpecialToFloat(int64_t v) {
  if (v == kInfPos) return std::numeric_limits<double>::infinity();
  if (v == kInfNeg) return -std::numeric_limits<double>::infinity();
  return StaleNaN();
}

/// From -kSmallMantissa / 2 up to below kSmallMantissa / 2: no special values, and SmallToFloat holds.
constexpr uint64_t kSmallMantissa = uint64_t{1} << 51;

/// The exact value, as static_cast gives it, by instructions that exist for vectors everywhere: with the bits of
/// 1.5 * 2^52 in front of it the mantissa is the fraction of a number.
double SmallToFloat(int64_t v) {
  constexpr double kShift = 0x1.8p52;
  return std::bit_cast<double>(std::bit_cast<int64_t>(kShift) + v) - kShift;
}

void SmallToFloats(std::span<const int64_t> mantissas, int16_t exponent, double* out) {
  const size_t count = mantissas.size();
  const double power = Pow10(exponent < 0 ? -exponent : exponent);
  if (exponent == 0) {
    for (size_t i = 0; i < count; ++i) out[i] = SmallToFloat(mantissas[i]);
  } else if (exponent < 0) {
    for (size_t i = 0; i < count; ++i) out[i] = SmallToFloat(mantissas[i]) / power;
  } else {
    for (size_t i = 0; i < count; ++i) out[i] = SmallToFloat(mantissas[i]) * power;
  }
}

}  // namespace

double ToFloat(int64_t mantissa, int16_t exponent) noexcept {
  if (IsSpecial(mantissa)) return SpecialToFloat(mantissa);
  const double f = static_cast<double>(mantissa);
  return exponent < 0 ? f / Pow10(-exponent) : f * Pow10(exponent);
}

double RoundToDecimalDigits(double f, int digits) noexcept {
  if (IsStaleNaN(f) || digits <= -100 || digits >= 100) return f;
  const double power = Pow10(digits);
  return std::round(f * power) / power;
}

double RoundToSignificantFigures(double f, int digits) noexcept {
  if (digits <= 0 || digits >= 18 || !std::isfinite(f) || f == 0) return f;
  Decimal d = FromFloat(std::fabs(f));
  const int64_t limit = kInt64Pow10[static_cast<size_t>(digits)];
  int64_t last_digit = 0;
  while (d.mantissa > limit) {
    last_digit = d.mantissa % 10;
    d.mantissa /= 10;
    ++d.exponent;
  }
  if (last_digit >= 5) ++d.mantissa;
  return ToFloat(f < 0 ? -d.mantissa : d.mantissa, d.exponent);
}

void AppendDecimalsToFloats(std::vector<double>& dst, std::span<const int64_t> mantissas,
                            int16_t exponent) {
  const size_t at = dst.size();
  dst.resize(at + mantissas.size());
  double* out = dst.data() + at;
  uint64_t any = 0, any_large = 0;
  for (const int64_t v : mantissas) {
    any |= static_cast<uint64_t>(v);
    any_large |= static_cast<uint64_t>(v) + (kSmallMantissa / 2);
  }
  if (any == 0) {
    std::fill_n(out, mantissas.size(), 0.0);
    return;
  }
  if (any_large < kSmallMantissa) {
    SmallToFloats(mantissas, exponent, out);
    return;
  }
  if (exponent == 0) {
    for (size_t i = 0; i < mantissas.size(); ++i) {
      const int64_t v = mantissas[i];
      out[i] = IsSpecial(v) ? SpecialToFloat(v) : static_cast<double>(v);
    }
    return;
  }
  const double power = Pow10(exponent < 0 ? -exponent : exponent);
  for (size_t i = 0; i < mantissas.size(); ++i) {
    const int64_t v = mantissas[i];
    if (IsSpecial(v)) [[unlikely]] {
      out[i] = SpecialToFloat(v);
    } else {
      const double f = static_cast<double>(v);
      out[i] = exponent < 0 ? f / power : f * power;
    }
  }
}

int16_t CalibrateScale(std::span<int64_t> a, int16_t a_exponent, std::span<int64_t> b,
                       int16_t b_exponent) {
  if (a_exponent == b_exponent) return a_exponent;
  if (a.empty()) return b_exponent;
  if (b.empty()) return a_exponent;
  if (a_exponent < b_exponent) {
    std::swap(a, b);
    std::swap(a_exponent, b_exponent);
  }
  int16_t up = Wrap16(a_exponent - b_exponent);
  int16_t down = 0;
  for (const int64_t v : a) down = std::max(down, Wrap16(up - MaxUpExponent(v)));
  up = Wrap16(up - down);
  const int64_t factor = up >= 0 && up <= 18 ? kInt64Pow10[static_cast<size_t>(up)] : 1;
  if (up > 0) {
    for (int64_t& v : a) {
      if (!IsSpecial(v)) {
        v = static_cast<int64_t>(static_cast<uint64_t>(v) * static_cast<uint64_t>(factor));
      }
    }
  }
  if (down > 0) {
    for (int64_t& v : b) {
      if (!IsSpecial(v)) v = down > 18 ? 0 : v / kInt64Pow10[static_cast<size_t>(down)];
    }
  }
  return Wrap16(b_exponent + down);
}

}  // namespace vm::decimal
