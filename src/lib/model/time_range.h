#pragma once

#include <cstdint>
#include <string>

namespace vm::model {

inline constexpr int64_t kMsecPerDay = 24 * 3600 * 1000;

/// Unix milliseconds, both ends included.
struct TimeRange {
  int64_t min_timestamp = 0;
  int64_t max_timestamp = 0;

  bool operator==(const TimeRange&) const = default;
  bool Overlaps(const TimeRange& other) const {
    return min_timestamp <= other.max_timestamp && other.min_timestamp <= max_timestamp;
  }
  bool Contains(int64_t timestamp) const {
    return min_timestamp <= timestamp && timestamp <= max_timestamp;
  }
};

/// The day of a timestamp, counted from 1970. Requires timestamp >= 0.
constexpr uint64_t DateOf(int64_t timestamp) noexcept {
  return static_cast<uint64_t>(timestamp) / kMsecPerDay;
}

/// First and last day of a time range, both included.
struct DateRange {
  uint64_t min_date = 0;
  uint64_t max_date = 0;

  bool operator==(const DateRange&) const = default;
};

/// An upside-down time range gives its first day alone.
constexpr DateRange DatesOf(const TimeRange& range) noexcept {
  const uint64_t min_date = DateOf(range.min_timestamp);
  const uint64_t max_date = DateOf(range.max_timestamp);
  return {min_date, max_date < min_date ? min_date : max_date};
}

/// `2024-09-06`; day 0 stands for "[entire retention period]". For log lines and traces.
std::string DateToString(uint64_t date);
/// `2024-09-06T23:59:59.999Z`, without trailing zeros of the milliseconds.
std::string TimestampToString(int64_t timestamp);
/// `[first..last]`; the zero range stands for "[entire retention period]".
std::string TimeRangeToString(const TimeRange& range);

}  // namespace vm::model
