#include "select/http/tenant_cache.h"

#include <algorithm>

namespace vm::select {
namespace {

constexpr int64_t kDayMs = 24 * 3600 * 1000;

model::TimeRange WholeDays(const model::TimeRange& range) {
  return {range.min_timestamp - range.min_timestamp % kDayMs, range.max_timestamp - range.max_timestamp % kDayMs + kDayMs - 1};
}

}  // namespace

std::optional<std::vector<model::Tenant>> TenantCache::Get(const model::TimeRange& range, Clock::time_point now) {
  if (lifetime_.count() == 0) return std::nullopt;
  ++requests_;
  const model::TimeRange days = WholeDays(range);
  MutexLock lock(mutex_);
  std::erase_if(entries_, [&](const Entry& e) { return e.expires <= now; });
  for (const auto& e : entries_) {
    if (e.days.min_timestamp <= days.min_timestamp && e.days.max_timestamp >= days.max_timestamp) return e.tenants;
  }
  ++misses_;
  return std::nullopt;
}

void TenantCache::Put(const model::TimeRange& range, const std::vector<model::Tenant>& tenants, Clock::time_point now) {
  if (lifetime_.count() == 0 || tenants.empty()) return;
  MutexLock lock(mutex_);
  if (entries_.size() >= kMaxEntries) entries_.erase(entries_.begin());
  entries_.push_back({WholeDays(range), tenants, now + lifetime_});
}

size_t TenantCache::entries() const {
  MutexLock lock(mutex_);
  return entries_.size();
}

}  // namespace vm::select
