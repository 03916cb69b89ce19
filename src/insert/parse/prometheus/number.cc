#include "insert/parse/prometheus/number.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstdint>
#include <limits>
#include <string>

namespace vm::insert {
namespace {

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const char folded = (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
    if (folded != lower[i]) return false;
  }
  return true;
}

std::optional<double> ParseSpecial(std::string_view text) {
  bool is_negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    is_negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (EqualsIgnoringCase(text, "inf") || EqualsIgnoringCase(text, "infinity")) {
    const double infinity = std::numeric_limits<double>::infinity();
    return is_negative ? -infinity : infinity;
  }
  if (EqualsIgnoringCase(text, "nan")) return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

// Digits with or without a fraction, so few of them that the quotient is exact: the usual number. Others take the long way.
std::optional<double> ParsePlain(std::string_view text) {
  constexpr size_t kMaxDigits = 15;
  static constexpr double kPowers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  const bool is_negative = text.front() == '-';
  if (is_negative) text.remove_prefix(1);
  if (text.size() > kMaxDigits + 1) return std::nullopt;
  uint64_t mantissa = 0;
  size_t digits = 0, point = text.size();
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned digit = static_cast<unsigned char>(text[i]) - unsigned{'0'};
    if (digit > 9) {
      if (text[i] != '.' || point != text.size() || i == 0 || i + 1 == text.size()) return std::nullopt;
      point = i;
      continue;
    }
    mantissa = mantissa * 10 + digit;
    ++digits;
  }
  if (digits == 0 || digits > kMaxDigits) return std::nullopt;
  const double value = static_cast<double>(static_cast<int64_t>(mantissa)) / kPowers[digits - std::min(point, digits)];
  return is_negative ? -value : value;
}

}  // namespace

std::optional<double> ParseNumber(std::string_view text) {
  if (text.empty()) return std::nullopt;
  if (const std::optional<double> plain = ParsePlain(text)) return plain;
  const std::string_view digits = text[0] == '-' ? text.substr(1) : text;
  if (digits.empty()) return std::nullopt;
  if (digits[0] != '.' && (digits[0] < '0' || digits[0] > '9')) return ParseSpecial(text);

  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (stop != end) return std::nullopt;
  if (error == std::errc()) return value;
  if (error == std::errc::result_out_of_range) return std::strtod(std::string(text).c_str(), nullptr);
  return std::nullopt;
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

int64_t TruncateToInt64(double value) {
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (!(value >= -kTwoTo63 && value < kTwoTo63)) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

}  // namespace vm::insert
