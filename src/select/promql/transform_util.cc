#include "select/promql/transform_util.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "select/promql/stats.h"

namespace vm::select::transform {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Take underscores out; false when one does not stand between two digits (a base prefix counts as a digit).
bool StripUnderscores(std::string_view text, bool is_hex, std::string& dst) {
  char previous = '^';
  size_t i = 0;
  if (is_hex) {
    dst += text.substr(0, 2);
    previous = '0';
    i = 2;
  }
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '_') {
      if (previous != '0') return false;
      previous = '_';
      continue;
    }
    const bool digit = is_hex ? IsHexDigit(c) : IsDigit(c);
    if (previous == '_' && !digit) return false;
    previous = digit ? '0' : '!';
    dst.push_back(c);
  }
  return previous != '_';
}

/// Digits, an optional point, an optional exponent (required for hexadecimal numbers), and nothing else.
bool IsFloatSyntax(std::string_view text, bool is_hex) {
  size_t i = 0;
  size_t digits = 0;
  bool point = false;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !point) {
      point = true;
    } else if (is_hex ? IsHexDigit(text[i]) : IsDigit(text[i])) {
      ++digits;
    } else {
      break;
    }
  }
  if (digits == 0) return false;
  if (i == text.size()) return !is_hex;
  const char mark = static_cast<char>(text[i] | 0x20);
  if (mark != (is_hex ? 'p' : 'e')) return false;
  ++i;
  if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
  return i < text.size() && std::all_of(text.begin() + static_cast<std::ptrdiff_t>(i), text.end(), IsDigit);
}

}  // namespace

Error Invalid(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

std::string Quoted(std::string_view text) {
  std::string dst;
  metricsql::AppendGoQuoted(dst, text);
  return dst;
}

Status CheckArgsCount(const TransformCall& call, size_t count) {
  if (call.args.size() == count) return Ok();
  return Invalid("unexpected number of args; got " + std::to_string(call.args.size()) + "; want " +
                 std::to_string(count));
}

Status CheckArgsAtLeast(const TransformCall& call, size_t count) {
  if (call.args.size() >= count) return Ok();
  return Invalid("not enough args; got " + std::to_string(call.args.size()) + "; want at least " +
                 std::to_string(count));
}

Result<std::span<const double>> ScalarArg(const SeriesList& arg, size_t number) {
  if (arg.size() != 1) return Invalid("arg #" + std::to_string(number) + " must be a scalar");
  return std::span<const double>(arg[0].values);
}

Result<double> NumberArg(const SeriesList& arg, size_t number) {
  VM_ASSIGN_OR_RETURN(const auto values, ScalarArg(arg, number));
  return values.empty() ? 0.0 : values[0];
}

Result<int64_t> IntArg(const SeriesList& arg, size_t number) {
  VM_ASSIGN_OR_RETURN(const double value, NumberArg(arg, number));
  return BoundedInt(value);
}

SeriesList OneSeries(TimeSeries series) {
  SeriesList list;
  list.push_back(std::move(series));
  return list;
}

std::string_view LabelValue(const model::MetricName& name, std::string_view label) {
  if (label == kNameLabel) return name.metric_group;
  for (const model::Tag& tag : name.tags) {
    if (tag.key == label) return tag.value;
  }
  return {};
}

std::string& MutableLabel(model::MetricName& name, std::string_view label) {
  if (label == kNameLabel) return name.metric_group;
  for (model::Tag& tag : name.tags) {
    if (tag.key == label) return tag.value;
  }
  return name.tags.emplace_back(model::Tag{std::string(label), {}}).value;
}

void SetLabel(model::MetricName& name, std::string_view label, std::string value) {
  if (value.empty()) {
    RemoveTag(name, label);
  } else {
    MutableLabel(name, label) = std::move(value);
  }
}

std::optional<double> ParseGoFloat(std::string_view text) {
  std::string_view rest = text;
  const bool has_sign = !rest.empty() && (rest[0] == '+' || rest[0] == '-');
  const double sign = has_sign && rest[0] == '-' ? -1 : 1;
  if (has_sign) rest.remove_prefix(1);
  if (rest.empty()) return std::nullopt;
  if (!IsDigit(rest[0]) && rest[0] != '.') {
    const std::string word = metricsql::ToLower(rest);
    if (word == "inf" || word == "infinity") return sign * kInf;
    if (word == "nan" && !has_sign) return kNaN;
    return std::nullopt;
  }
  const bool is_hex = rest.size() > 2 && rest[0] == '0' && (rest[1] | 0x20) == 'x';
  std::string stripped;
  if (rest.find('_') != std::string_view::npos) {
    if (!StripUnderscores(rest, is_hex, stripped)) return std::nullopt;
    rest = stripped;
  }
  const std::string_view digits = is_hex ? rest.substr(2) : rest;
  if (!IsFloatSyntax(digits, is_hex)) return std::nullopt;
  double value = 0;
  const auto format = is_hex ? std::chars_format::hex : std::chars_format::general;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value, format);
  if (ec == std::errc::result_out_of_range) {
    // Too small is 0 or a denormal in Go, only too large is an error; from_chars tells them not apart.
    value = std::strtod(std::string(rest).c_str(), nullptr);
    if (std::isinf(value)) return std::nullopt;
  } else if (ec != std::errc() || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return sign * value;
}

int64_t GoInt64(double value) {
  if (!(value >= -kTwoTo63 && value < kTwoTo63)) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

uint64_t GoUint64(double value) {
  if (value >= kTwoTo63 && value < 2 * kTwoTo63) return static_cast<uint64_t>(value);
  return static_cast<uint64_t>(GoInt64(value));
}

}  // namespace vm::select::transform
