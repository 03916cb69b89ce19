#include "select/promql/transform_calendar.h"

namespace vm::select::transform {
namespace {

constexpr int64_t kDaysPer400Years = 146097;
constexpr int64_t kDaysPer100Years = 36524;
constexpr int64_t kDaysPer4Years = 1461;
constexpr int kDaysBeforeMonth[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

/// Go counts unsigned seconds from the first of January of this year; the days from there to 1970.
uint64_t GoDays() {
  constexpr int64_t kFirstYear = -292277022399;
  static const uint64_t days = -static_cast<uint64_t>(DaysBeforeYear(kFirstYear));
  return days;
}

uint64_t GoSeconds(int64_t unix_seconds) { return static_cast<uint64_t>(unix_seconds) + GoDays() * kSecondsPerDay; }

}  // namespace

bool IsLeapYear(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

int DaysInMonth(int64_t year, int month) {
  if (month == 2 && IsLeapYear(year)) return 29;
  return kDaysBeforeMonth[month] - kDaysBeforeMonth[month - 1];
}

int64_t DaysOf(int64_t unix_seconds) {
  return static_cast<int64_t>(GoSeconds(unix_seconds) / kSecondsPerDay - GoDays());
}

int64_t SecondOfDay(int64_t unix_seconds) { return static_cast<int64_t>(GoSeconds(unix_seconds) % kSecondsPerDay); }

CivilDate DateOf(int64_t days) {
  // Days of the 400-year cycle that begins with 2001-01-01, then of its centuries, 4-year spans and years. The last
  // century and the last year of a span are a day longer.
  constexpr int64_t kDaysTo2001 = 11323;
  int64_t rest = days - kDaysTo2001;
  const int64_t cycles = FloorDivide(rest, kDaysPer400Years);
  rest -= cycles * kDaysPer400Years;
  const int64_t centuries = rest / kDaysPer100Years < 4 ? rest / kDaysPer100Years : 3;
  rest -= centuries * kDaysPer100Years;
  const int64_t spans = rest / kDaysPer4Years;
  rest -= spans * kDaysPer4Years;
  const int64_t years = rest / 365 < 4 ? rest / 365 : 3;
  rest -= years * 365;

  CivilDate date;
  date.year = 2001 + 400 * cycles + 100 * centuries + 4 * spans + years;
  date.day_of_year = static_cast<int>(rest) + 1;
  date.month = 1;
  date.day = date.day_of_year;
  while (date.day > DaysInMonth(date.year, date.month)) date.day -= DaysInMonth(date.year, date.month++);
  return date;
}

int DayOfWeek(int64_t days) {
  constexpr int64_t kThursday = 4;  // 1970-01-01.
  const int64_t day = (days + kThursday) % 7;
  return static_cast<int>(day < 0 ? day + 7 : day);
}

int64_t DaysBeforeYear(int64_t year) {
  const int64_t past = year - 1;
  constexpr int64_t kDaysBefore1970 = 719162;
  return past * 365 + FloorDivide(past, 4) - FloorDivide(past, 100) + FloorDivide(past, 400) - kDaysBefore1970;
}

}  // namespace vm::select::transform
