#include "select/graphite/time.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>

#include "select/promql/transform_util.h"

namespace vm::select::graphite {
namespace {

constexpr int64_t kDayMs = 24 * 3600 * 1000;

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

std::string Quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

int64_t Cut(int64_t time_ms) { return std::clamp(time_ms, -kMaxTimeMs, kMaxTimeMs); }

std::optional<int> TakeNumber(std::string_view& text, size_t min_digits, size_t max_digits) {
  int value = 0;
  size_t size = 0;
  while (size < max_digits && size < text.size() && text[size] >= '0' && text[size] <= '9') value = value * 10 + (text[size++] - '0');
  if (size < min_digits) return std::nullopt;
  text.remove_prefix(size);
  return value;
}

/// Milliseconds of a date in the form `layout`, where Y is a year of four digits, y of two, m a month, d a day, H, M and S a time.
/// `rest` gets what follows; without it nothing may.
std::optional<int64_t> ParseLayout(std::string_view text, std::string_view layout, std::string_view* rest = nullptr) {
  int year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0;
  for (const char c : layout) {
    std::optional<int> number;
    switch (c) {
      case 'Y': number = TakeNumber(text, 4, 4); year = number.value_or(0); break;
      case 'y': number = TakeNumber(text, 2, 2); year = number.value_or(0) + (number.value_or(0) >= 69 ? 1900 : 2000); break;
      case 'm': number = TakeNumber(text, 2, 2); month = number.value_or(0); break;
      case 'd': number = TakeNumber(text, 2, 2); day = number.value_or(0); break;
      case 'H': number = TakeNumber(text, 1, 2); hour = number.value_or(0); break;
      case 'M': number = TakeNumber(text, 2, 2); minute = number.value_or(0); break;
      case 'S': number = TakeNumber(text, 2, 2); second = number.value_or(0); break;
      default:
        if (!text.starts_with(c)) return std::nullopt;
        text.remove_prefix(1);
        continue;
    }
    if (!number) return std::nullopt;
  }
  if (rest != nullptr) *rest = text;
  else if (!text.empty()) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000;
}

std::optional<int64_t> ParseRfc3339(std::string_view text) {
  std::string_view rest;
  auto time = ParseLayout(text, "Y-m-dTH:M:S", &rest);
  if (!time) return std::nullopt;
  if (rest.starts_with('.') || rest.starts_with(',')) {
    rest.remove_prefix(1);
    int64_t scale = 100;
    size_t digits = 0;
    for (; !rest.empty() && rest[0] >= '0' && rest[0] <= '9'; rest.remove_prefix(1), scale /= 10, ++digits) *time += (rest[0] - '0') * scale;
    if (digits == 0) return std::nullopt;
  }
  if (rest == "Z") return time;
  if (!rest.starts_with('+') && !rest.starts_with('-')) return std::nullopt;
  const int64_t sign = rest[0] == '-' ? -1 : 1;
  rest.remove_prefix(1);
  const auto hours = TakeNumber(rest, 2, 2);
  if (!hours || !rest.starts_with(':')) return std::nullopt;
  rest.remove_prefix(1);
  const auto minutes = TakeNumber(rest, 2, 2);
  if (!minutes || !rest.empty() || *hours > 24 || *minutes > 60) return std::nullopt;
  return *time - sign * (*hours * 60 + *minutes) * 60'000;
}

std::string_view Trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

int64_t FloorTo(int64_t time_ms, int64_t unit_ms) {
  const int64_t rest = time_ms % unit_ms;
  return time_ms - (rest < 0 ? rest + unit_ms : rest);
}

}  // namespace

Result<int64_t> ParseTime(std::string_view text, int64_t now_ms) {
  if (text == "now") return now_ms;
  if (text == "today") return now_ms - now_ms % kDayMs;
  if (text == "yesterday") return now_ms - now_ms % kDayMs - kDayMs;
  if (const auto time = ParseRfc3339(text)) return Cut(*time);
  for (const std::string_view layout : {"H:M_Ymd", "H:MYmd", "Ymd", "H:M Ymd", "Y-m-d", "m/d/y"}) {
    if (const auto time = ParseLayout(text, layout)) return Cut(*time);
  }
  const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
  if (error == std::errc() && end == digits.data() + digits.size() && !digits.empty() && !text.starts_with("+-")) {
    return std::clamp(seconds, -kMaxTimeMs / 1000, kMaxTimeMs / 1000) * 1000;
  }
  if (const auto interval = ParseInterval(text); interval.ok()) return Cut(now_ms + interval.value());
  return Bad("unsupported time " + Quoted(text));
}

Result<int64_t> ParseInterval(std::string_view text) {
  text = Trimmed(text);
  const size_t unit_at = std::min(text.find_first_not_of("-+.0123456789"), text.size());
  const std::optional<double> number = transform::ParseGoFloat(text.substr(0, unit_at));
  if (!number) return Bad("cannot parse interval " + Quoted(text));
  const std::string_view unit = Trimmed(text.substr(unit_at));
  if (unit.empty()) return Bad("missing suffix for interval " + Quoted(text) + "; expecting s, min, h, d, w, mon or y suffix");
  double ms = 0;
  if (unit.starts_with("ms")) ms = 1;
  else if (unit.starts_with("s")) ms = 1000;
  else if (unit.starts_with("mo")) ms = 30.0 * kDayMs;
  else if (unit.starts_with("m")) ms = 60 * 1000;
  else if (unit.starts_with("h")) ms = 3600 * 1000;
  else if (unit.starts_with("d")) ms = kDayMs;
  else if (unit.starts_with("w")) ms = 7.0 * kDayMs;
  else if (unit.starts_with("y")) ms = 365.0 * kDayMs;
  else return Bad("unsupported interval " + Quoted(text));
  const double bound = static_cast<double>(kMaxTimeMs);
  return static_cast<int64_t>(std::clamp(*number * ms, -bound, bound));
}

Result<int64_t> AlignToUnit(int64_t time_ms, std::string_view unit) {
  const std::chrono::sys_days day{std::chrono::days(FloorTo(time_ms, kDayMs) / kDayMs)};
  const std::chrono::year_month_day date(day);
  const auto ms_of = [](std::chrono::sys_days days) { return int64_t{days.time_since_epoch().count()} * kDayMs; };
  if (unit.starts_with("ms")) return time_ms;
  if (unit.starts_with("s")) return FloorTo(time_ms, 1000);
  if (unit.starts_with("min")) return FloorTo(time_ms, 60'000);
  if (unit.starts_with("h")) return FloorTo(time_ms, 3600'000);
  if (unit.starts_with("d")) return FloorTo(time_ms, kDayMs);
  if (unit.starts_with("w")) {
    int first = 1;  // Monday.
    if (unit.back() >= '0' && unit.back() <= '9') first = unit.back() - '0';
    int days = static_cast<int>(std::chrono::weekday(day).c_encoding()) - first;
    if (days < 0) days += 7;
    return ms_of(day - std::chrono::days(days));
  }
  // The day before the first one, and a month before that for years: so does the reference.
  if (unit.starts_with("mon")) return ms_of(std::chrono::sys_days(date.year() / date.month() / 1) - std::chrono::days(1));
  if (unit.starts_with("y")) {
    return ms_of(std::chrono::sys_days((date.year() - std::chrono::years(1)) / std::chrono::December / 1) - std::chrono::days(1));
  }
  return Bad("unsupported interval " + Quoted(unit));
}

}  // namespace vm::select::graphite
