#include "select/format/json_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace vm::select {
namespace {

// Shortest digits, then zeros: to_chars in fixed notation would print the exact digits instead.
void AppendHugeFloat(std::string& dst, double value) {
  std::array<char, 32> buf;
  const char* end = std::to_chars(buf.data(), buf.data() + buf.size(), value, std::chars_format::scientific).ptr;
  const std::string_view text(buf.data(), static_cast<size_t>(end - buf.data()));
  const size_t e = text.find('e');
  size_t exponent = 0;
  std::from_chars(text.data() + e + 2, end, exponent);
  const size_t start = dst.size();
  for (const char c : text.substr(0, e)) {
    if (c != '.') dst += c;
  }
  const size_t digits = dst.size() - start - (value < 0 ? 1 : 0);
  dst.append(exponent + 1 - digits, '0');
}

/// Most values have a few digits behind the point. With at most 15 digits in all, the number that divides to exactly this
/// value is its shortest form: two decimals of 15 digits never share a double. False: there is none.
bool AppendShortDecimal(std::string& dst, double value) {
  constexpr double kMaxDigits = 1e15;
  double power = 1;
  for (int places = 1; places <= 4; ++places) {
    power *= 10;
    const double scaled = value * power;
    if (!(std::fabs(scaled) < kMaxDigits)) return false;
    const auto digits = static_cast<int64_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    if (static_cast<double>(digits) / power != value) continue;
    std::array<char, 24> buf;
    char* at = buf.data() + buf.size();
    uint64_t rest = static_cast<uint64_t>(digits < 0 ? -digits : digits);
    for (int i = 0; i < places; ++i, rest /= 10) *--at = static_cast<char>('0' + rest % 10);
    *--at = '.';
    do {
      *--at = static_cast<char>('0' + rest % 10);
      rest /= 10;
    } while (rest > 0);
    if (digits < 0) *--at = '-';
    dst.append(at, static_cast<size_t>(buf.data() + buf.size() - at));
    return true;
  }
  return false;
}

void AppendUnicodeEscape(std::string& dst, unsigned char c) {
  static constexpr char kHex[] = "0123456789abcdef";
  dst += "\\u00";
  dst += kHex[c >> 4];
  dst += kHex[c & 15];
}

void AppendEscaped(std::string& dst, char c) {
  switch (c) {
    case '"': dst += "\\\""; break;
    case '\\': dst += "\\\\"; break;
    case '\n': dst += "\\n"; break;
    case '\r': dst += "\\r"; break;
    case '\t': dst += "\\t"; break;
    case '\b': dst += "\\b"; break;
    case '\f': dst += "\\f"; break;
    default: AppendUnicodeEscape(dst, static_cast<unsigned char>(c));
  }
}

constexpr std::array<bool, 256> EscapedBytes(std::string_view special) {
  std::array<bool, 256> table{};
  for (size_t c = 0; c < 0x20; ++c) table[c] = true;
  for (const char c : special) table[static_cast<unsigned char>(c)] = true;
  return table;
}

// Copies runs of plain bytes and escapes the others.
template <class Plain>
void AppendQuoted(std::string& dst, std::string_view value, const Plain& is_escaped) {
  dst += '"';
  size_t copied = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    if (!is_escaped[static_cast<unsigned char>(value[i])]) continue;
    dst += value.substr(copied, i - copied);
    AppendEscaped(dst, value[i]);
    copied = i + 1;
  }
  dst += value.substr(copied);
  dst += '"';
}

// Length of the UTF-8 sequence at the front, 0 when it is none.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool is_overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool is_surrogate = first == 0xed && byte(1) >= 0xa0;
  const bool is_too_big = first == 0xf4 && byte(1) >= 0x90;
  return is_overlong || is_surrogate || is_too_big ? 0 : length;
}

// As Go replaces them before quoting: what is not UTF-8, and the line separators of JavaScript.
std::string ReplaceRunes(std::string_view value) {
  std::string dst;
  for (size_t i = 0; i < value.size();) {
    const size_t length = Utf8Length(value.substr(i));
    dst += length == 0 ? std::string_view("\xef\xbf\xbd") : value.substr(i, length);
    i += std::max<size_t>(length, 1);
  }
  return dst;
}

}  // namespace

void AppendInt(std::string& dst, int64_t value) {
  std::array<char, 24> buf;
  dst.append(buf.data(), std::to_chars(buf.data(), buf.data() + buf.size(), value).ptr);
}

void AppendJsonFloat(std::string& dst, double value) {
  constexpr double kInt64End = 9223372036854775808.0;
  if (std::isnan(value)) {
    dst += "NaN";
  } else if (std::isinf(value)) {
    dst += value > 0 ? "+Inf" : "-Inf";
  } else if (value >= kInt64End || value < -kInt64End) {
    AppendHugeFloat(dst, value);
  } else if (const auto whole = static_cast<int64_t>(value); static_cast<double>(whole) == value) {
    AppendInt(dst, whole);
  } else if (!AppendShortDecimal(dst, value)) {
    // A small one has up to 323 zeros behind its point.
    std::array<char, 400> buf;
    dst.append(buf.data(), std::to_chars(buf.data(), buf.data() + buf.size(), value, std::chars_format::fixed).ptr);
  }
}

void AppendJsonTimestamp(std::string& dst, int64_t timestamp_ms) {
  AppendJsonFloat(dst, static_cast<double>(timestamp_ms) / 1e3);
}

void AppendJsonString(std::string& dst, std::string_view value) {
  static constexpr auto kEscaped = EscapedBytes("\"\\<'");
  AppendQuoted(dst, value, kEscaped);
}

void AppendGoJsonString(std::string& dst, std::string_view value) {
  static constexpr auto kEscaped = EscapedBytes("\"\\<>&");
  AppendQuoted(dst, ReplaceRunes(value), kEscaped);
}

void AppendJsonMetric(std::string& dst, const model::MetricName& name) {
  dst += '{';
  if (!name.metric_group.empty()) {
    dst += "\"__name__\":";
    AppendJsonString(dst, name.metric_group);
  }
  for (const auto& tag : name.tags) {
    if (dst.back() != '{') dst += ',';
    AppendJsonString(dst, tag.key);
    dst += ':';
    AppendJsonString(dst, tag.value);
  }
  dst += '}';
}

}  // namespace vm::select
