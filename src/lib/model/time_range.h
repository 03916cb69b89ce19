#pragma once

#include <cstdint>

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
};

}  // namespace vm::model
