#include "lib/metrics/metrics.h"

#include <gtest/gtest.h>

#include "lib/metrics/cgroup.h"

namespace vm::metrics {
namespace {

TEST(RegistryTest, WritesCountersAndGaugesSortedByName) {
  Registry registry;
  registry.GetCounter("b_total{path=\"/x\"}").Add(3);
  registry.GetGauge("a").Set(1.5);
  registry.SetGaugeCallback("c", [] { return 7.0; });
  std::string text;
  registry.Write(text);
  EXPECT_EQ(text, "a 1.5\nb_total{path=\"/x\"} 3\nc 7\n");
  registry.RemoveGaugeCallback("c");
  text.clear();
  registry.Write(text);
  EXPECT_EQ(text, "a 1.5\nb_total{path=\"/x\"} 3\n");
}

TEST(HistogramTest, WritesOnlyTheBucketsThatAreNotEmpty) {
  Registry registry;
  Histogram& histogram = registry.GetHistogram("h{x=\"1\"}");
  std::string text;
  registry.Write(text);
  EXPECT_EQ(text, "");
  histogram.Update(0.9);
  histogram.Update(1.0);
  histogram.Update(-1);
  histogram.Update(0);
  histogram.Update(2e18);
  registry.Write(text);
  EXPECT_EQ(text,
            "h_bucket{x=\"1\",vmrange=\"0...1.000e-09\"} 1\n"
            "h_bucket{x=\"1\",vmrange=\"8.799e-01...1.000e+00\"} 2\n"
            "h_bucket{x=\"1\",vmrange=\"1.000e+18...+Inf\"} 1\n"
            "h_sum{x=\"1\"} 2000000000000000000\n"
            "h_count{x=\"1\"} 4\n");
}

TEST(HistogramTest, TakesManyAtOnce) {
  Registry one_by_one, together;
  const double values[] = {0, 1, 10, 1e6, 1e6, -1};
  for (const double value : values) one_by_one.GetHistogram("h").Update(value);
  together.GetHistogram("h").UpdateAll(values);
  std::string want, got;
  one_by_one.Write(want);
  together.Write(got);
  EXPECT_EQ(got, want);
  EXPECT_NE(want.find("h_count 5\n"), std::string::npos) << want;
}

TEST(SummaryTest, WritesQuantilesSumAndCount) {
  Registry registry;
  Summary& plain = registry.GetSummary("s");
  std::string text;
  registry.Write(text);
  EXPECT_EQ(text, "");
  for (int i = 1; i <= 100; ++i) plain.Update(i);
  registry.Write(text);
  EXPECT_EQ(text,
            "s{quantile=\"0.5\"} 51\ns{quantile=\"0.9\"} 90\ns{quantile=\"0.97\"} 97\ns{quantile=\"0.99\"} 99\n"
            "s{quantile=\"1\"} 100\ns_sum 5050\ns_count 100\n");
  Summary& many = registry.GetSummary("t{path=\"/\"}");
  for (int i = 0; i < 5000; ++i) many.Update(i == 77 ? 9 : 2);
  text.clear();
  registry.Write(text);
  EXPECT_NE(text.find("t{path=\"/\",quantile=\"0.5\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("t{path=\"/\",quantile=\"1\"} 9\n"), std::string::npos) << text;
  EXPECT_NE(text.find("t_count{path=\"/\"} 5000\n"), std::string::npos) << text;
}

TEST(RegistryTest, WritesMetadataOnceAName) {
  Registry registry;
  registry.GetCounter("a{x=\"1\"}");
  registry.GetCounter("a{x=\"2\"}");
  registry.SetCounterCallback("b", [] { return 0.5; });
  registry.GetGauge("c");
  std::string text;
  registry.Write(text, true);
  EXPECT_EQ(text,
            "# HELP a\n# TYPE a counter\na{x=\"1\"} 0\na{x=\"2\"} 0\n"
            "# HELP b\n# TYPE b counter\nb 0.5\n# HELP c\n# TYPE c gauge\nc 0\n");
}

TEST(CgroupTest, FindsTheFolderOfTheSecondVersion) {
  EXPECT_EQ(CgroupV2Folder("0::/a/b\n", ""), "/sys/fs/cgroup/a/b");
  EXPECT_EQ(CgroupV2Folder("0::/\n", "22 1 0:5 / /proc rw - proc proc rw\n"), "/sys/fs/cgroup");
  // Both versions at once.
  EXPECT_EQ(CgroupV2Folder("4:memory:/x\n0::/y\n",
                           "40 31 0:37 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
                           "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n"),
            "/sys/fs/cgroup/unified/y");
  EXPECT_EQ(CgroupV2Folder("4:memory:/x\n", ""), "");
  EXPECT_EQ(CgroupV2Folder("", ""), "");
}

TEST(ProcessMetricsTest, NamesTheProcess) {
  std::string text;
  WriteProcessMetrics(text);
  EXPECT_NE(text.find("process_resident_memory_bytes "), std::string::npos);
  EXPECT_NE(text.find("process_open_fds "), std::string::npos);
}

}  // namespace
}  // namespace vm::metrics
