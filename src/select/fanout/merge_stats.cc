#include "select/fanout/merge_stats.h"

#include <algorithm>
#include <map>
#include <string>

namespace vm::select {
namespace {

using model::NameUsage;
using model::TopEntry;
using model::TsdbStatus;

using Counts = std::map<std::string, uint64_t>;

std::vector<TopEntry> TopOf(const Counts& counts, size_t top_n) {
  std::vector<TopEntry> entries;
  for (const auto& [name, count] : counts) entries.push_back({name, count});
  std::stable_sort(entries.begin(), entries.end(), [](const TopEntry& a, const TopEntry& b) { return a.count > b.count; });
  if (entries.size() > top_n) entries.resize(top_n);
  return entries;
}

template <class Join>
std::vector<TopEntry> MergeLists(const std::vector<TsdbStatus>& statuses, std::vector<TopEntry> TsdbStatus::*list, size_t top_n, const Join& join) {
  Counts counts;
  for (const auto& status : statuses) {
    for (const auto& entry : status.*list) {
      uint64_t& count = counts[entry.name];
      count = join(count, entry.count);
    }
  }
  return TopOf(counts, top_n);
}

uint64_t Sum(uint64_t a, uint64_t b) { return a + b; }
uint64_t Max(uint64_t a, uint64_t b) { return std::max(a, b); }

/// By name.
class UsageMerger {
 public:
  void Add(const std::vector<NameUsage>& usages) {
    for (const auto& usage : usages) {
      NameUsage& merged = by_name_[usage.name];
      merged.name = usage.name;
      merged.requests_count += usage.requests_count;
      merged.last_request_time = std::max(merged.last_request_time, usage.last_request_time);
    }
  }
  std::vector<NameUsage> Take() {
    std::vector<NameUsage> usages;
    for (auto& [name, usage] : by_name_) usages.push_back(std::move(usage));
    return usages;
  }

 private:
  std::map<std::string, NameUsage> by_name_;
};

}  // namespace

TsdbStatus MergeTsdbStatus(std::vector<TsdbStatus> statuses, size_t top_n) {
  TsdbStatus merged;
  UsageMerger usages;
  for (const auto& status : statuses) {
    merged.total_series += status.total_series;
    merged.total_label_value_pairs += status.total_label_value_pairs;
    usages.Add(status.query_stats_by_metric_name);
  }
  for (const auto list : {&TsdbStatus::series_count_by_metric_name, &TsdbStatus::series_count_by_label_name,
                          &TsdbStatus::series_count_by_focus_label_value, &TsdbStatus::series_count_by_label_value_pair}) {
    merged.*list = MergeLists(statuses, list, top_n, Sum);
  }
  merged.label_value_count_by_label_name = MergeLists(statuses, &TsdbStatus::label_value_count_by_label_name, top_n, Max);
  merged.query_stats_by_metric_name = usages.Take();
  return merged;
}

model::MetricNamesUsageStats MergeUsageStats(std::vector<model::MetricNamesUsageStats> stats) {
  model::MetricNamesUsageStats merged;
  UsageMerger usages;
  for (const auto& s : stats) {
    merged.collected_since = std::max(merged.collected_since, s.collected_since);
    merged.total_records += s.total_records;
    merged.size_bytes += s.size_bytes;
    merged.max_size_bytes += s.max_size_bytes;
    usages.Add(s.records);
  }
  merged.records = usages.Take();
  std::stable_sort(merged.records.begin(), merged.records.end(),
                   [](const NameUsage& a, const NameUsage& b) { return a.requests_count < b.requests_count; });
  return merged;
}

}  // namespace vm::select
