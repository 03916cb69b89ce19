#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace vm::decimal {

/// Mantissas that stand for something else; never scaled.
inline constexpr int64_t kInfPos = INT64_MAX;
inline constexpr int64_t kInfNeg = INT64_MIN;
inline constexpr int64_t kStaleNaNMantissa = INT64_MAX - 1;
inline constexpr int64_t kMaxMantissa = INT64_MAX - 2;
inline constexpr int64_t kMinMantissa = INT64_MIN + 1;

constexpr bool IsSpecial(int64_t v) { return v >= kStaleNaNMantissa || v == kInfNeg; }

/// Prometheus' staleness marker: a NaN with these bits.
inline constexpr uint64_t kStaleNaNBits = 0x7ff0000000000002u;
double StaleNaN() noexcept;
inline bool IsStaleNaN(double f) noexcept { return std::bit_cast<uint64_t>(f) == kStaleNaNBits; }

/// 10^k from tables: they decide the last digits of a conversion, and pow() would round differently.
/// 0 or infinity outside -323..308.
double Pow10(int k) noexcept;

/// value = mantissa x 10^exponent.
struct Decimal {
  int64_t mantissa;
  int16_t exponent;
};

/// Nearest decimal as the format defines it (about 12 to 16 digits).
/// Requires that `f` is no NaN but the staleness marker: other NaNs are never stored.
/// Reference: VictoriaMetrics lib/decimal/decimal.go, FromFloat.
Decimal FromFloat(double f) noexcept;
double ToFloat(int64_t mantissa, int16_t exponent) noexcept;

/// Append the mantissas of `values` under one common exponent, which is returned.
int16_t AppendFloatsToDecimals(std::vector<int64_t>& dst, std::span<const double> values);

/// Append the floats of `mantissas` x 10^exponent.
void AppendDecimalsToFloats(std::vector<double>& dst, std::span<const int64_t> mantissas,
                            int16_t exponent);

/// Bring two arrays to the common exponent that is returned. Digits may be lost, as in the reference.
int16_t CalibrateScale(std::span<int64_t> a, int16_t a_exponent, std::span<int64_t> b,
                       int16_t b_exponent);

/// Round half away from zero to `digits` digits after the point (negative: before it). The staleness marker stays, and
/// so does everything for |digits| >= 100.
double RoundToDecimalDigits(double f, int digits) noexcept;

/// Keep `digits` significant decimal digits; anything outside 1..17 keeps all of them.
double RoundToSignificantFigures(double f, int digits) noexcept;

/// How many decimal digits |v| may grow by; 1024 for zero and special mantissas.
int16_t MaxUpExponent(int64_t v) noexcept;

}  // namespace vm::decimal
