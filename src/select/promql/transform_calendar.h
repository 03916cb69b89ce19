#pragma once

#include <cstdint>

namespace vm::select::transform {

inline constexpr int64_t kSecondsPerDay = 86400;

/// A UTC date of the Gregorian calendar, also before it was invented.
struct CivilDate {
  int64_t year;
  int month;        // 1..12
  int day;          // 1..31
  int day_of_year;  // 1..366
};

bool IsLeapYear(int64_t year);
/// Requires month 1..12.
int DaysInMonth(int64_t year, int month);

/// Days since 1970-01-01, rounded down. Times before Go's first year (-292277022399) wrap around to the far end, as
/// there.
int64_t DaysOf(int64_t unix_seconds);
/// Seconds since the midnight before, consistent with DaysOf.
int64_t SecondOfDay(int64_t unix_seconds);
CivilDate DateOf(int64_t days);
/// 0 is Sunday.
int DayOfWeek(int64_t days);
/// Days from 1970-01-01 to January 1 of `year`.
int64_t DaysBeforeYear(int64_t year);

}  // namespace vm::select::transform
