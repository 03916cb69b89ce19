#include "select/format/stats_json.h"

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "select/format/json_text.h"

namespace vm::select {
namespace {

std::string Quoted(std::string_view text) {
  std::string quoted;
  AppendJsonString(quoted, text);
  return quoted;
}

std::string Entries(const std::vector<model::TopEntry>& entries) {
  std::string json = "[";
  for (const auto& e : entries) {
    if (json.back() != '[') json += ',';
    json += fmt::format("{{\"name\":{},\"value\":{}}}", Quoted(e.name), e.count);
  }
  return json + "]";
}

/// Entries of metric names, with how often queries ask for those that are tracked.
std::string NameEntries(const model::TsdbStatus& status) {
  std::map<std::string_view, const model::NameUsage*> usages;
  for (const auto& usage : status.query_stats_by_metric_name) usages[usage.name] = &usage;
  std::string json = "[";
  for (const auto& e : status.series_count_by_metric_name) {
    if (json.back() != '[') json += ',';
    json += fmt::format("{{\"name\":{},\"value\":{}", Quoted(e.name), e.count);
    if (const auto found = usages.find(e.name); found != usages.end()) {
      json += fmt::format(",\"requestsCount\":{},\"lastRequestTimestamp\":{}", found->second->requests_count, found->second->last_request_time);
    }
    json += '}';
  }
  return json + "]";
}

}  // namespace

std::string TsdbStatusResponse(const model::TsdbStatus& s, const ResponseInfo& info) {
  return fmt::format(
      "{{\"status\":\"success\",\"isPartial\":{},\"data\":{{\"totalSeries\":{},\"totalLabelValuePairs\":{},\"seriesCountByMetricName\":{},"
      "\"seriesCountByLabelName\":{},\"seriesCountByFocusLabelValue\":{},\"seriesCountByLabelValuePair\":{},"
      "\"labelValueCountByLabelName\":{}}}{}}}",
      info.is_partial, s.total_series, s.total_label_value_pairs, NameEntries(s), Entries(s.series_count_by_label_name),
      Entries(s.series_count_by_focus_label_value), Entries(s.series_count_by_label_value_pair), Entries(s.label_value_count_by_label_name),
      info.trace);
}

std::string UsageStatsResponse(const model::MetricNamesUsageStats& stats, const ResponseInfo& info) {
  std::string records;
  for (const auto& r : stats.records) {
    if (!records.empty()) records += ',';
    records += fmt::format("{{\"metricName\":{},\"queryRequestsCount\":{},\"lastQueryRequestTimestamp\":{}}}", Quoted(r.name), r.requests_count,
                           r.last_request_time);
  }
  return fmt::format(
      "{{\"status\":\"success\",\"statsCollectedSince\":{},\"statsCollectedRecordsTotal\":{},\"trackerMemoryMaxSizeBytes\":{},"
      "\"trackerCurrentMemoryUsageBytes\":{},\"records\":[{}]{}}}",
      stats.collected_since, stats.total_records, stats.max_size_bytes, stats.size_bytes, records, info.trace);
}

}  // namespace vm::select
