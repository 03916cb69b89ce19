#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/model/tenant.h"
#include "lib/model/time_range.h"

namespace vm::select {

/// Tenants that were found in time ranges, for multi-tenant reads. Whole days, a bounded number of them. Thread-safe.
/// Reference: VictoriaMetrics app/vmselect/netstorage/tenant_cache.go.
class TenantCache {
 public:
  using Clock = std::chrono::steady_clock;

  /// `lifetime` 0: keeps nothing.
  explicit TenantCache(std::chrono::milliseconds lifetime) : lifetime_(lifetime) {}

  /// Tenants of a range that holds all days of `range`; nothing when none is known.
  std::optional<std::vector<model::Tenant>> Get(const model::TimeRange& range, Clock::time_point now) VM_EXCLUDES(mutex_);
  /// Keep a list that is not empty.
  void Put(const model::TimeRange& range, const std::vector<model::Tenant>& tenants, Clock::time_point now) VM_EXCLUDES(mutex_);

  uint64_t requests() const noexcept { return requests_; }
  uint64_t misses() const noexcept { return misses_; }
  size_t entries() const VM_EXCLUDES(mutex_);

 private:
  static constexpr size_t kMaxEntries = 1000;
  struct Entry {
    model::TimeRange days;
    std::vector<model::Tenant> tenants;
    Clock::time_point expires;
  };

  const std::chrono::milliseconds lifetime_;
  std::atomic<uint64_t> requests_{0};
  std::atomic<uint64_t> misses_{0};
  mutable Mutex mutex_;
  std::vector<Entry> entries_ VM_GUARDED_BY(mutex_);
};

}  // namespace vm::select
