#include "lib/metrics/metrics.h"

#include <gtest/gtest.h>

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

TEST(ProcessMetricsTest, NamesTheProcess) {
  std::string text;
  WriteProcessMetrics(text);
  EXPECT_NE(text.find("process_resident_memory_bytes "), std::string::npos);
  EXPECT_NE(text.find("process_open_fds "), std::string::npos);
}

}  // namespace
}  // namespace vm::metrics
