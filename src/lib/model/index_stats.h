#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vm::model {

/// A name with how many there are of it, for example series of a metric name.
struct TopEntry {
  std::string name;
  uint64_t count = 0;

  bool operator==(const TopEntry&) const = default;
};

/// When and how often queries asked for a metric name.
struct NameUsage {
  std::string name;
  uint64_t last_request_time = 0;  // Unix seconds; 0: never.
  uint64_t requests_count = 0;

  bool operator==(const NameUsage&) const = default;
};

/// What the index of one day holds. Lists are sorted by count, greatest first, then by name.
/// Reference: VictoriaMetrics lib/storage/index_db.go, TSDBStatus.
struct TsdbStatus {
  uint64_t total_series = 0;
  uint64_t total_label_value_pairs = 0;
  std::vector<TopEntry> series_count_by_metric_name;
  std::vector<TopEntry> series_count_by_label_name;
  std::vector<TopEntry> series_count_by_focus_label_value;
  std::vector<TopEntry> series_count_by_label_value_pair;
  std::vector<TopEntry> label_value_count_by_label_name;
  std::vector<NameUsage> query_stats_by_metric_name;  // Of the names of the first list.

  bool operator==(const TsdbStatus&) const = default;
};

/// Which metric names queries ask for. Records are sorted by name.
struct MetricNamesUsageStats {
  uint64_t collected_since = 0;  // Unix seconds.
  uint64_t total_records = 0;
  uint64_t size_bytes = 0;
  uint64_t max_size_bytes = 0;
  std::vector<NameUsage> records;

  bool operator==(const MetricNamesUsageStats&) const = default;
};

}  // namespace vm::model
