#include "select/fanout/merge_stats.h"

#include <gtest/gtest.h>

namespace vm::select {
namespace {

TEST(MergeTsdbStatusTest, AddsSeriesAndTakesTheMostLabelValues) {
  model::TsdbStatus a, b;
  a.total_series = 5;
  b.total_series = 3;
  a.total_label_value_pairs = 7;
  b.total_label_value_pairs = 1;
  a.series_count_by_metric_name = {{"up", 3}, {"foo", 2}};
  b.series_count_by_metric_name = {{"bar", 2}, {"foo", 1}, {"z", 1}};
  a.label_value_count_by_label_name = {{"job", 4}};
  b.label_value_count_by_label_name = {{"job", 6}, {"x", 1}};
  a.query_stats_by_metric_name = {{"up", 10, 1}};
  b.query_stats_by_metric_name = {{"up", 9, 2}};
  const auto merged = MergeTsdbStatus({a, b}, 3);
  EXPECT_EQ(merged.total_series, 8u);
  EXPECT_EQ(merged.total_label_value_pairs, 8u);
  EXPECT_EQ(merged.series_count_by_metric_name, (std::vector<model::TopEntry>{{"foo", 3}, {"up", 3}, {"bar", 2}}));
  EXPECT_EQ(merged.label_value_count_by_label_name, (std::vector<model::TopEntry>{{"job", 6}, {"x", 1}}));
  EXPECT_EQ(merged.query_stats_by_metric_name, (std::vector<model::NameUsage>{{"up", 10, 3}}));
}

TEST(MergeUsageStatsTest, SortsByRequests) {
  model::MetricNamesUsageStats a, b;
  a.collected_since = 5;
  b.collected_since = 7;
  a.total_records = b.total_records = 2;
  a.records = {{"a", 1, 5}, {"b", 1, 1}};
  b.records = {{"b", 9, 1}, {"c", 0, 0}};
  const auto merged = MergeUsageStats({a, b});
  EXPECT_EQ(merged.collected_since, 7u);
  EXPECT_EQ(merged.total_records, 4u);
  EXPECT_EQ(merged.records, (std::vector<model::NameUsage>{{"c", 0, 0}, {"b", 9, 2}, {"a", 1, 5}}));
}

}  // namespace
}  // namespace vm::select
