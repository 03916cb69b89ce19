#include <gtest/gtest.h>

#include <cmath>

#include "lib/net/run_on.h"
#include "select/promql/eval.h"
#include "select/promql/rollup.h"

namespace vm::select {
namespace {

/// Two series `foo{a=x|y}` with samples every 10 s: 10, 20, 30 ... and twice that.
class FixedSource : public SeriesSource {
 public:
  boost::asio::awaitable<Result<std::vector<TimeSeries>>> FetchSeries(model::SearchQuery query, Deadline) override {
    std::vector<TimeSeries> out;
    for (int k = 1; k <= 2; ++k) {
      TimeSeries s;
      s.name.metric_group = "foo";
      s.name.tags = {{"a", k == 1 ? "x" : "y"}};
      for (int64_t t = 0; t <= 600000; t += 10000) {
        if (t < query.time_range.min_timestamp || t > query.time_range.max_timestamp) continue;
        s.timestamps.push_back(t);
        s.values.push_back(static_cast<double>(k * t / 1000));
      }
      out.push_back(std::move(s));
    }
    co_return std::move(out);
  }
  boost::asio::awaitable<Result<std::vector<model::MetricName>>> FetchMetricNames(model::SearchQuery, Deadline) override {
    co_return std::vector<model::MetricName>();
  }
  boost::asio::awaitable<Result<std::vector<std::string>>> FetchLabelNames(model::SearchQuery, size_t, Deadline) override {
    co_return std::vector<std::string>();
  }
  boost::asio::awaitable<Result<std::vector<std::string>>> FetchLabelValues(model::SearchQuery, std::string, size_t, Deadline) override {
    co_return std::vector<std::string>();
  }
};

Result<std::vector<TimeSeries>> RunQuery(const std::string& query) {
  FixedSource source;
  EvalContext c;
  c.source = &source;
  c.start = c.end = 600000;
  const auto expr = metricsql::Parse(query);
  if (!expr.ok()) return expr.error();
  net::Pool pool("test", 1);
  return net::BlockOn(pool.executor(), Exec(c, *expr.value()));
}

TEST(EvalTest, InstantValues) {
  const std::pair<const char*, std::vector<double>> cases[] = {
      {"1+2*3", {7}},          {"foo", {600, 1200}},        {"foo{a=\"x\"} * 0 + 1", {1, 1}},
      {"sum(foo)", {1800}},    {"rate(foo[1m])", {1, 2}},   {"increase(foo[1m])", {60, 120}},
      {"topk(1, foo)", {1200}}, {"foo > 1000", {1200}},     {"count(foo) by (a)", {1, 1}},
      {"foo / foo", {1, 1}},   {"time()", {600}},
  };
  for (const auto& [query, want] : cases) {
    const auto got = RunQuery(query);
    ASSERT_TRUE(got.ok()) << query << ": " << got.error().message();
    ASSERT_EQ(got.value().size(), want.size()) << query;
    for (size_t i = 0; i < want.size(); ++i) EXPECT_DOUBLE_EQ(got.value()[i].values[0], want[i]) << query;
  }
}

TEST(EvalTest, WrongArgs) {
  const auto got = RunQuery("abs(foo, 1, 2)");
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().message(), "cannot evaluate \"abs(foo, 1, 2)\": unexpected number of args; got 3; want 1");
}

}  // namespace
}  // namespace vm::select
