#include "select/http/top_queries.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "select/format/json_text.h"

namespace vm::select {
namespace {

struct Key {
  model::Tenant tenant;
  bool is_multitenant;
  std::string_view query;
  int64_t range_seconds;

  auto operator<=>(const Key&) const = default;
};

/// All runs of one query.
struct Totals {
  int64_t count = 0;
  double duration_seconds = 0;
  int64_t memory_bytes = 0;

  double AverageDuration() const { return duration_seconds / static_cast<double>(count); }
  int64_t AverageMemory() const { return memory_bytes / count; }
};

using Items = std::vector<std::pair<Key, Totals>>;

std::string Quoted(std::string_view text) {
  std::string quoted;
  AppendJsonString(quoted, text);
  return quoted;
}

/// A list of the `top_n` greatest by `measure`, each written by `write`.
template <class Measure, class Write>
std::string TopList(Items items, size_t top_n, const Measure& measure, const Write& write) {
  std::stable_sort(items.begin(), items.end(), [&](const auto& a, const auto& b) { return measure(a.second) > measure(b.second); });
  std::string json = "[";
  for (size_t i = 0; i < std::min(top_n, items.size()); ++i) {
    if (i > 0) json += ',';
    json += "{" + write(items[i].first, items[i].second) + "}";
  }
  return json + "]";
}

std::string QueryJson(const Key& key) { return fmt::format("\"query\":{},\"timeRangeSeconds\":{}", Quoted(key.query), key.range_seconds); }

std::string TenantQueryJson(const Key& key) {
  return fmt::format("\"accountID\":{},\"projectID\":{},{}", key.tenant.account_id, key.tenant.project_id, QueryJson(key));
}

}  // namespace

std::string GoDurationText(int64_t ms) {
  if (ms == 0) return "0s";
  if (ms < 1000) return fmt::format("{}ms", ms);
  std::string seconds;
  AppendJsonFloat(seconds, static_cast<double>(ms % 60000) / 1000);
  if (ms < 60000) return seconds + "s";
  if (ms < 3600000) return fmt::format("{}m{}s", ms / 60000, seconds);
  return fmt::format("{}h{}m{}s", ms / 3600000, ms / 60000 % 60, seconds);
}

TopQueries::TopQueries(const ApiOptions& options)
    : capacity_(std::max<size_t>(1, options.stats_last_queries)),
      last_queries_(static_cast<int64_t>(options.stats_last_queries)),
      min_duration_ms_(options.stats_min_duration_ms),
      min_memory_(options.stats_min_memory) {}

void TopQueries::Add(QueryRecord record) {
  if (last_queries_ == 0 || record.duration_seconds * 1000 < static_cast<double>(min_duration_ms_)) return;
  if (record.tenant && record.memory_bytes < min_memory_) return;
  MutexLock lock(mutex_);
  if (records_.size() < capacity_) {
    records_.push_back(std::move(record));
    return;
  }
  records_[next_] = std::move(record);
  next_ = (next_ + 1) % capacity_;
}

std::string TopQueries::ToJson(std::optional<model::Tenant> tenant, size_t top_n, int64_t max_lifetime_ms, int64_t now_ms) const {
  MutexLock lock(mutex_);
  std::map<Key, Totals> by_query;
  for (const auto& r : records_) {
    const model::Tenant owner = r.tenant.value_or(model::Tenant());
    if (now_ms - r.registered_ms > max_lifetime_ms || (tenant && owner != *tenant)) continue;
    Totals& totals = by_query[Key{owner, !r.tenant.has_value(), r.query, r.range_seconds}];
    ++totals.count;
    totals.duration_seconds += r.duration_seconds;
    totals.memory_bytes += r.memory_bytes;
  }
  const Items items(by_query.begin(), by_query.end());
  std::string json = fmt::format(
      "{{\"topN\":\"{}\",\"maxLifetime\":\"{}\",\"search.queryStats.lastQueriesCount\":{},\"search.queryStats.minQueryDuration\":\"{}\","
      "\"search.queryStats.minQueryMemoryUsage\":\"{}\"",
      top_n, GoDurationText(max_lifetime_ms), last_queries_, GoDurationText(min_duration_ms_), min_memory_);
  json += ",\"topByCount\":" + TopList(
      items, top_n, [](const Totals& t) { return t.count; },
      [](const Key& k, const Totals& t) { return fmt::format("{},\"count\":{},\"multiTenant\":{}", TenantQueryJson(k), t.count, k.is_multitenant); });
  json += ",\"topByAvgDuration\":" + TopList(
      items, top_n, [](const Totals& t) { return t.AverageDuration(); },
      [](const Key& k, const Totals& t) {
        return fmt::format("{},\"avgDurationSeconds\":{:.3f},\"count\":{},\"multiTenant\": {}", TenantQueryJson(k), t.AverageDuration(), t.count,
                           k.is_multitenant);
      });
  json += ",\"topBySumDuration\":" + TopList(
      items, top_n, [](const Totals& t) { return t.duration_seconds; },
      [](const Key& k, const Totals& t) {
        return fmt::format("{},\"sumDurationSeconds\":{:.3f},\"count\":{},\"multiTenant\":{}", TenantQueryJson(k), t.duration_seconds, t.count,
                           k.is_multitenant);
      });
  json += ",\"topByAvgMemoryUsage\":" + TopList(
      items, top_n, [](const Totals& t) { return t.AverageMemory(); },
      [](const Key& k, const Totals& t) { return fmt::format("{},\"avgMemoryBytes\":{},\"count\":{}", QueryJson(k), t.AverageMemory(), t.count); });
  return json + "}";
}

}  // namespace vm::select
