#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/index_stats.h"
#include "lib/model/tenant.h"

namespace vm::storage {

/// Counts which metric names queries ask for. Names are known from the time they are first written; when
/// `max_bytes` are used no more are taken. Thread-safe.
/// Reference: VictoriaMetrics lib/storage/metricnamestats.
class NameUsageTracker {
 public:
  NameUsageTracker(uint64_t max_bytes, int64_t now_ms) : max_bytes_(max_bytes) { Reset(now_ms); }

  /// A series of that name was written.
  void AddName(model::Tenant tenant, std::string_view metric_group) VM_EXCLUDES(mutex_);
  /// A query read so many series of that name.
  void AddQueries(model::Tenant tenant, std::string_view metric_group, uint64_t count, int64_t now_ms) VM_EXCLUDES(mutex_);
  /// Names asked for at most `le` times (below 0: any), matching the unanchored regexp `pattern`, sorted, at most
  /// `limit`. Without a tenant all are added up. Errors: kInvalidInput for a bad pattern.
  Result<model::MetricNamesUsageStats> Stats(const std::optional<model::Tenant>& tenant, size_t limit, int64_t le,
                                             const std::string& pattern) const VM_EXCLUDES(mutex_);
  /// The figures of `names`; unknown ones are left out.
  std::vector<model::NameUsage> Find(model::Tenant tenant, const std::vector<model::TopEntry>& names) const
      VM_EXCLUDES(mutex_);
  void Reset(int64_t now_ms) VM_EXCLUDES(mutex_);

  /// Pass everything to `write` in pieces that AddRecord takes. Stops at the first error.
  Status ForEachRecord(const std::function<Status(ByteView)>& write) const VM_EXCLUDES(mutex_);
  /// Take one piece off the front of `src`. Errors: kCorrupted.
  Status AddRecord(ByteView& src) VM_EXCLUDES(mutex_);

  uint64_t max_bytes() const noexcept { return max_bytes_; }
  uint64_t size_bytes() const VM_EXCLUDES(mutex_);
  uint64_t entries() const VM_EXCLUDES(mutex_);

 private:
  struct Usage {
    uint64_t last_request_time = 0;
    uint64_t requests_count = 0;
  };
  using Names = std::map<std::string, Usage, std::less<>>;

  const uint64_t max_bytes_;
  mutable Mutex mutex_;
  std::map<model::Tenant, Names> tenants_ VM_GUARDED_BY(mutex_);
  uint64_t collected_since_ VM_GUARDED_BY(mutex_) = 0;
  uint64_t bytes_ VM_GUARDED_BY(mutex_) = 0;
  uint64_t count_ VM_GUARDED_BY(mutex_) = 0;
};

}  // namespace vm::storage
