#include "insert/parse/csv/go_time.h"

#include <array>
#include <chrono>
#include <utility>

namespace vm::insert {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"January", "February", "March",     "April",   "May",      "June",
                                                      "July",    "August",   "September", "October", "November", "December"};
constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// What has been read.
struct Fields {
  int year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0;
  int64_t nanoseconds = 0;
  int zone_seconds = 0;
  bool is_pm = false, is_am = false;
};

/// `min` to `max` digits off the front.
bool TakeNumber(std::string_view& text, size_t min, size_t max, int& value) {
  size_t size = 0;
  int number = 0;
  while (size < max && size < text.size() && IsDigit(text[size])) number = number * 10 + (text[size++] - '0');
  if (size < min) return false;
  value = number;
  text.remove_prefix(size);
  return true;
}

bool TakeFraction(std::string_view& text, Fields& fields) {
  if (text.size() < 2 || (text[0] != '.' && text[0] != ',') || !IsDigit(text[1])) return false;
  int64_t unit = 100'000'000;
  size_t size = 1;
  fields.nanoseconds = 0;
  for (; size < text.size() && IsDigit(text[size]); ++size) {
    fields.nanoseconds += (text[size] - '0') * unit;
    unit /= 10;
  }
  text.remove_prefix(size);
  return true;
}

template <size_t N>
bool TakeName(std::string_view& text, const std::array<std::string_view, N>& names, size_t length, int& index) {
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string_view name = length == 0 ? names[i] : names[i].substr(0, length);
    if (text.size() < name.size()) continue;
    bool is_same = true;
    for (size_t k = 0; k < name.size() && is_same; ++k) is_same = (text[k] | 0x20) == (name[k] | 0x20);
    if (!is_same) continue;
    index = static_cast<int>(i) + 1;
    text.remove_prefix(name.size());
    return true;
  }
  return false;
}

/// "+01:30", "+0130" or "+01"; "Z" when `takes_z`.
bool TakeZone(std::string_view& text, bool takes_z, bool has_minutes, bool has_colon, Fields& fields) {
  if (takes_z && text.starts_with('Z')) {
    text.remove_prefix(1);
    fields.zone_seconds = 0;
    return true;
  }
  if (text.empty() || (text[0] != '+' && text[0] != '-')) return false;
  const int sign = text[0] == '-' ? -1 : 1;
  text.remove_prefix(1);
  int hours = 0, minutes = 0;
  if (!TakeNumber(text, 2, 2, hours)) return false;
  if (has_minutes) {
    if (has_colon) {
      if (!text.starts_with(':')) return false;
      text.remove_prefix(1);
    }
    if (!TakeNumber(text, 2, 2, minutes)) return false;
  }
  if (hours > 24 || minutes > 60) return false;
  fields.zone_seconds = sign * (hours * 3600 + minutes * 60);
  return true;
}

bool TakeZoneName(std::string_view& text) {
  size_t size = 0;
  while (size < text.size() && text[size] >= 'A' && text[size] <= 'Z') ++size;
  if (size < 3 || size > 5) return false;
  text.remove_prefix(size);
  return true;
}

bool TakeLiteral(std::string_view& text, char c) {
  if (c == ' ') {  // Blanks stand for any number of them.
    while (text.starts_with(' ')) text.remove_prefix(1);
    return true;
  }
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

/// The element at the front of a layout, longest first where one begins another.
constexpr std::string_view kElements[] = {
    "January", "Jan",   "Monday", "Mon",  "MST",  "2006",   "Z07:00", "Z0700", "Z07", "-07:00", "-0700",
    "-07",     "__2",   "002",    "_2",   "01",   "02",     "03",     "04",    "05",  "06",     "15",
    "PM",      "pm",    "1",      "2",    "3",    "4",      "5"};

/// ".000" or ".999" and no digit behind it; its length, or 0.
size_t FractionSize(std::string_view layout) {
  if (layout.size() < 2 || (layout[0] != '.' && layout[0] != ',') || (layout[1] != '0' && layout[1] != '9')) return 0;
  size_t size = 1;
  while (size < layout.size() && layout[size] == layout[1]) ++size;
  return size < layout.size() && IsDigit(layout[size]) ? 0 : size;
}

bool TakeElement(std::string_view element, std::string_view& text, Fields& fields) {
  int ignored = 0;
  if (element == "2006") return TakeNumber(text, 4, 4, fields.year);
  if (element == "06") {
    if (!TakeNumber(text, 2, 2, fields.year)) return false;
    fields.year += fields.year >= 69 ? 1900 : 2000;
    return true;
  }
  if (element == "January") return TakeName(text, kMonths, 0, fields.month);
  if (element == "Jan") return TakeName(text, kMonths, 3, fields.month);
  if (element == "01") return TakeNumber(text, 2, 2, fields.month);
  if (element == "1") return TakeNumber(text, 1, 2, fields.month);
  if (element == "Monday") return TakeName(text, kDays, 0, ignored);
  if (element == "Mon") return TakeName(text, kDays, 3, ignored);
  if (element == "02") return TakeNumber(text, 2, 2, fields.day);
  if (element == "2" || element == "_2") {
    if (element == "_2" && text.starts_with(' ')) text.remove_prefix(1);
    return TakeNumber(text, 1, 2, fields.day);
  }
  if (element == "002" || element == "__2") {
    for (int i = 0; i < 2 && element == "__2" && text.starts_with(' '); ++i) text.remove_prefix(1);
    fields.month = 1;
    return TakeNumber(text, element == "002" ? 3 : 1, 3, fields.day);
  }
  if (element == "15") return TakeNumber(text, 2, 2, fields.hour) && fields.hour < 24;
  if (element == "03" || element == "3") {
    return TakeNumber(text, element == "03" ? 2 : 1, 2, fields.hour) && fields.hour <= 12;
  }
  if (element == "04") return TakeNumber(text, 2, 2, fields.minute) && fields.minute < 60;
  if (element == "4") return TakeNumber(text, 1, 2, fields.minute) && fields.minute < 60;
  if (element == "05" || element == "5") {
    if (!TakeNumber(text, element == "05" ? 2 : 1, 2, fields.second) || fields.second >= 60) return false;
    return true;
  }
  if (element == "PM" || element == "pm") {
    if (text.size() < 2 || (text[1] | 0x20) != 'm') return false;
    fields.is_pm = (text[0] | 0x20) == 'p';
    fields.is_am = (text[0] | 0x20) == 'a';
    text.remove_prefix(2);
    return fields.is_pm || fields.is_am;
  }
  if (element == "MST") return TakeZoneName(text);
  const bool takes_z = element[0] == 'Z';
  return TakeZone(text, takes_z, element.size() > 3, element.find(':') != std::string_view::npos, fields);
}

std::optional<int64_t> Milliseconds(const Fields& fields) {
  using namespace std::chrono;
  int hour = fields.hour;
  if (fields.is_pm && hour < 12) hour += 12;
  if (fields.is_am && hour == 12) hour = 0;
  if (fields.month < 1 || fields.month > 12 || fields.day < 1) return std::nullopt;
  // A day of the year is given as a day of January.
  const bool is_day_of_year = fields.month == 1 && fields.day > 31;
  const year_month_day date{year(fields.year), month(static_cast<unsigned>(fields.month)),
                            day(is_day_of_year ? 1 : static_cast<unsigned>(fields.day))};
  if (!date.ok()) return std::nullopt;
  int64_t days = sys_days(date).time_since_epoch().count();
  if (is_day_of_year) {
    if (fields.day > (year(fields.year).is_leap() ? 366 : 365)) return std::nullopt;
    days += fields.day - 1;
  }
  const int64_t seconds = days * 86400 + hour * 3600 + fields.minute * 60 + fields.second - fields.zone_seconds;
  return seconds * 1000 + fields.nanoseconds / 1'000'000;
}

}  // namespace

std::optional<int64_t> ParseGoTime(std::string_view layout, std::string_view text) {
  Fields fields;
  bool is_after_seconds = false;
  while (!layout.empty()) {
    if (const size_t size = FractionSize(layout); size > 0) {
      const bool is_optional = layout[1] == '9';
      if (!TakeFraction(text, fields) && !is_optional) return std::nullopt;
      layout.remove_prefix(size);
      is_after_seconds = false;
      continue;
    }
    // A fraction behind the seconds is taken although the layout has none.
    if (std::exchange(is_after_seconds, false)) TakeFraction(text, fields);
    std::string_view element;
    for (const std::string_view candidate : kElements) {
      if (!layout.starts_with(candidate)) continue;
      // "Janet" and "Months" are no elements.
      if (candidate == "Jan" && layout.size() > 3 && layout[3] >= 'a' && layout[3] <= 'z') continue;
      if (candidate == "Mon" && layout.size() > 3 && layout[3] >= 'a' && layout[3] <= 'z') continue;
      element = candidate;
      break;
    }
    if (element.empty()) {
      if (!TakeLiteral(text, layout.front())) return std::nullopt;
      layout.remove_prefix(1);
      continue;
    }
    if (!TakeElement(element, text, fields)) return std::nullopt;
    is_after_seconds = element == "05" || element == "5";
    layout.remove_prefix(element.size());
  }
  if (is_after_seconds) TakeFraction(text, fields);
  if (!text.empty()) return std::nullopt;
  return Milliseconds(fields);
}

std::optional<int64_t> ParseRfc3339(std::string_view text) { return ParseGoTime("2006-01-02T15:04:05Z07:00", text); }

}  // namespace vm::insert
