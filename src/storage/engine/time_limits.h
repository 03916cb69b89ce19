#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/model/time_range.h"

namespace vm::storage {

/// Day number of a timestamp, as in index records. Requires timestamp >= 0.
inline uint64_t DateOf(int64_t timestamp) {
  return static_cast<uint64_t>(timestamp / model::kMsecPerDay);
}

/// Last timestamp that fits the storage: past it a month cannot be computed.
inline constexpr int64_t kMaxTimestamp = 9222422399999;

/// Timestamps that may be stored at `now_ms`. Day 0 is excluded: date 0 means the global index.
inline model::TimeRange AcceptedTimestamps(int64_t now_ms, int64_t retention_ms,
                                           int64_t max_backfill_age_ms,
                                           int64_t future_retention_ms) {
  const int64_t now = now_ms / 1000 * 1000;
  int64_t age = retention_ms;
  if (max_backfill_age_ms > 0) age = std::min(age, max_backfill_age_ms);
  const int64_t future = std::max(future_retention_ms, 2 * model::kMsecPerDay);
  return {std::max(now - age, model::kMsecPerDay), std::min(now + future, kMaxTimestamp)};
}

/// First and last millisecond of the UTC month that holds `timestamp`.
model::TimeRange MonthOf(int64_t timestamp);

}  // namespace vm::storage
