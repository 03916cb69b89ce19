#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/model/tenant.h"
#include "select/http/options.h"

namespace vm::select {

/// A query that has been evaluated.
struct QueryRecord {
  std::optional<model::Tenant> tenant;  // Nothing: multi-tenant.
  std::string query;
  int64_t range_seconds = 0;
  int64_t registered_ms = 0;  // Unix time of its end.
  double duration_seconds = 0;
  int64_t memory_bytes = 0;
};

/// The last queries, for `/api/v1/status/top_queries`. Thread-safe.
class TopQueries {
 public:
  explicit TopQueries(const ApiOptions& options);

  /// Keep the query unless it was too quick or too cheap to matter.
  void Add(QueryRecord record) VM_EXCLUDES(mutex_);
  /// The heaviest queries of the last `max_lifetime_ms` by four measures; with `tenant` only its own.
  std::string ToJson(std::optional<model::Tenant> tenant, size_t top_n, int64_t max_lifetime_ms, int64_t now_ms) const
      VM_EXCLUDES(mutex_);

 private:
  const size_t capacity_;
  const int64_t last_queries_;
  const int64_t min_duration_ms_;
  const int64_t min_memory_;
  mutable Mutex mutex_;
  std::vector<QueryRecord> records_ VM_GUARDED_BY(mutex_);
  size_t next_ VM_GUARDED_BY(mutex_) = 0;
};

/// `10m0s`, `1ms`: as Go prints durations of whole milliseconds.
std::string GoDurationText(int64_t ms);

}  // namespace vm::select
