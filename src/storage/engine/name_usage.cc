#include "storage/engine/name_usage.h"

#include <algorithm>

#include "lib/encoding/int.h"
#include "lib/regex/regex.h"

namespace vm::storage {
namespace {

/// What an entry costs beside its name: a map node with its counters.
constexpr uint64_t kEntryOverhead = 96;
/// Longer names are not saved.
constexpr size_t kMaxSavedName = 32 << 10;

}  // namespace

void NameUsageTracker::AddName(model::Tenant tenant, std::string_view metric_group) {
  MutexLock lock(mutex_);
  if (bytes_ > max_bytes_) return;
  Names& names = tenants_[tenant];
  if (names.find(metric_group) != names.end()) return;
  names.emplace(metric_group, Usage());
  bytes_ += metric_group.size() + kEntryOverhead;
  ++count_;
}

void NameUsageTracker::AddQueries(model::Tenant tenant, std::string_view metric_group, uint64_t count, int64_t now_ms) {
  MutexLock lock(mutex_);
  const auto names = tenants_.find(tenant);
  if (names == tenants_.end()) return;
  const auto it = names->second.find(metric_group);
  if (it == names->second.end()) return;
  it->second.last_request_time = static_cast<uint64_t>(now_ms / 1000);
  it->second.requests_count += count;
}

Result<model::MetricNamesUsageStats> NameUsageTracker::Stats(const std::optional<model::Tenant>& tenant, size_t limit,
                                                             int64_t le, const std::string& pattern) const {
  std::optional<regex::Regex> regex;
  if (!pattern.empty()) {
    auto compiled = regex::Regex::Compile(".*(?:" + pattern + ").*");
    if (!compiled.ok()) return std::move(compiled).error().WithContext("cannot parse match_pattern");
    regex = std::move(compiled).value();
  }
  model::MetricNamesUsageStats stats;
  std::map<std::string, Usage, std::less<>> found;
  {
    MutexLock lock(mutex_);
    stats.collected_since = collected_since_;
    stats.total_records = count_;
    stats.size_bytes = bytes_;
    stats.max_size_bytes = max_bytes_;
    for (const auto& [owner, names] : tenants_) {
      if (tenant && owner != *tenant) continue;
      for (const auto& [name, usage] : names) {
        if (le >= 0 && usage.requests_count > static_cast<uint64_t>(le)) continue;
        if (regex && !regex->Match(name)) continue;
        Usage& sum = found[name];
        sum.requests_count += usage.requests_count;
        sum.last_request_time = std::max(sum.last_request_time, usage.last_request_time);
      }
    }
  }
  for (auto& [name, usage] : found) {
    if (stats.records.size() >= limit) break;
    stats.records.push_back({name, usage.last_request_time, usage.requests_count});
  }
  return stats;
}

std::vector<model::NameUsage> NameUsageTracker::Find(model::Tenant tenant,
                                                     const std::vector<model::TopEntry>& names) const {
  std::vector<model::NameUsage> found;
  MutexLock lock(mutex_);
  const auto known = tenants_.find(tenant);
  if (known == tenants_.end()) return found;
  for (const model::TopEntry& name : names) {
    const auto it = known->second.find(name.name);
    if (it == known->second.end()) continue;
    found.push_back({name.name, it->second.last_request_time, it->second.requests_count});
  }
  return found;
}

void NameUsageTracker::Reset(int64_t now_ms) {
  MutexLock lock(mutex_);
  tenants_.clear();
  collected_since_ = static_cast<uint64_t>(now_ms / 1000);
  bytes_ = 0;
  count_ = 0;
}

Status NameUsageTracker::ForEachRecord(const std::function<Status(ByteView)>& write) const {
  MutexLock lock(mutex_);
  // The first one has the start of the collection instead of figures.
  ByteBuffer record;
  const auto append = [&](model::Tenant tenant, std::string_view name, uint64_t time, uint64_t count) {
    record.clear();
    AppendBigEndian(record, tenant.account_id);
    AppendBigEndian(record, tenant.project_id);
    AppendBigEndian(record, time);
    AppendBigEndian(record, count);
    AppendBigEndian(record, static_cast<uint32_t>(name.size()));
    Append(record, name);
    return write(record);
  };
  VM_TRY(append({}, "", collected_since_, UINT64_MAX));
  for (const auto& [tenant, names] : tenants_) {
    for (const auto& [name, usage] : names) {
      if (name.size() > kMaxSavedName) continue;
      VM_TRY(append(tenant, name, usage.last_request_time, usage.requests_count));
    }
  }
  return Ok();
}

Status NameUsageTracker::AddRecord(ByteView& src) {
  model::Tenant tenant;
  VM_ASSIGN_OR_RETURN(tenant.account_id, encoding::TakeUint<uint32_t>(src));
  VM_ASSIGN_OR_RETURN(tenant.project_id, encoding::TakeUint<uint32_t>(src));
  VM_ASSIGN_OR_RETURN(const uint64_t time, encoding::TakeUint<uint64_t>(src));
  VM_ASSIGN_OR_RETURN(const uint64_t count, encoding::TakeUint<uint64_t>(src));
  VM_ASSIGN_OR_RETURN(const uint32_t size, encoding::TakeUint<uint32_t>(src));
  if (size > src.size()) return Error(ErrorCode::kCorrupted, "a saved metric name is cut off");
  const std::string name(AsText(src.first(size)));
  src = src.subspan(size);
  MutexLock lock(mutex_);
  if (count == UINT64_MAX) {
    collected_since_ = time;
    return Ok();
  }
  if (bytes_ > max_bytes_ || !tenants_[tenant].emplace(name, Usage{time, count}).second) return Ok();
  bytes_ += name.size() + kEntryOverhead;
  ++count_;
  return Ok();
}

uint64_t NameUsageTracker::size_bytes() const {
  MutexLock lock(mutex_);
  return bytes_;
}

uint64_t NameUsageTracker::entries() const {
  MutexLock lock(mutex_);
  return count_;
}

}  // namespace vm::storage
