#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "lib/decimal/decimal.h"
#include "lib/net/run_on.h"
#include "select/promql/aggr_incremental.h"
#include "select/promql/eval.h"
#include "select/promql/query.h"
#include "select/promql/rollup_loop.h"

namespace vm::select {
namespace {

/// Two series `foo{b=..., a=x|y}` with samples every 10 s, 0 to 600: the time in seconds and twice that. Remembers what
/// it was asked for.
class FixedSource : public SeriesSource {
 public:
  boost::asio::awaitable<Result<std::unique_ptr<SeriesSet>>> Search(model::SearchQuery query, Deadline) override {
    queries.push_back(query);
    std::vector<TimeSeries> out;
    for (int k = 1; k <= 2; ++k) {
      TimeSeries s;
      s.name.metric_group = "foo";
      s.name.tags = {{"b", "1"}, {"a", k == 1 ? "x" : "y"}};
      for (int64_t t = 0; t <= 600000; t += 10000) {
        if (t < query.time_range.min_timestamp || t > query.time_range.max_timestamp) continue;
        s.timestamps.push_back(t);
        s.values.push_back(value ? value(k, t) : static_cast<double>(k * t / 1000));
      }
      if (!s.values.empty()) out.push_back(std::move(s));
    }
    co_return MakeSeriesSet(std::move(out));
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

  std::function<double(int k, int64_t t)> value;
  std::vector<model::SearchQuery> queries;
};

class EvalTest : public testing::Test {
 protected:
  EvalTest() {
    c_.source = &source_;
    c_.start = c_.end = 600000;
  }
  Result<std::vector<TimeSeries>> Run(const std::string& query) {
    source_.queries.clear();
    const auto expr = ParseQuery(query);
    if (!expr.ok()) return expr.error();
    return net::BlockOn(pool_.executor(), Exec(c_, *expr.value()));
  }
  /// Values of all series one after the other.
  std::vector<double> Values(const std::string& query) {
    const auto got = Run(query);
    std::vector<double> values;
    if (!got.ok()) {
      ADD_FAILURE() << query << ": " << got.error().message();
      return values;
    }
    for (const auto& s : got.value()) {
      EXPECT_EQ(s.timestamps.size(), s.values.size()) << query;
      values.insert(values.end(), s.values.begin(), s.values.end());
    }
    return values;
  }
  std::string ErrorOf(const std::string& query) {
    const auto got = Run(query);
    return got.ok() ? "no error" : got.error().message();
  }
  std::string Names(const std::string& query) {
    const auto got = Run(query);
    if (!got.ok()) return got.error().message();
    std::string text;
    for (const auto& s : got.value()) {
      text += s.name.metric_group;
      AppendTagsText(text, s.name);
      text += ' ';
    }
    return text;
  }

  FixedSource source_;
  EvalContext c_;
  net::Pool pool_{"test", 1};
};

using V = std::vector<double>;

TEST_F(EvalTest, InstantValues) {
  const std::pair<const char*, V> cases[] = {
      {"1+2*3", {7}},
      {"foo", {600, 1200}},
      {"foo{a=\"x\"} * 0 + 1", {1, 1}},
      {"sum(foo)", {1800}},
      {"rate(foo[1m])", {1, 2}},
      {"increase(foo[1m])", {60, 120}},
      {"topk(1, foo)", {1200}},
      {"foo > 1000", {1200}},
      {"count(foo) by (a)", {1, 1}},
      {"foo / foo", {1, 1}},
      {"time()", {600}},
      {"foo offset 1m", {540, 1080}},
      {"foo @ 300", {300, 600}},
      {"foo @ 300 offset 1m", {240, 480}},
      {"max_over_time(rate(foo[20s])[1m:10s])", {1, 2}},
      {"max_over_time(foo[1m:20s] offset 5s)", {580, 1160}},
      {"quantile_over_time(0.5, foo[50s])", {580, 1160}},
      {"count_over_time(foo[1m] offset 1h)", {}},
  };
  for (const auto& [query, want] : cases) EXPECT_EQ(Values(query), want) << query;
}

TEST_F(EvalTest, ResultsLieOnTheGridOfTheQuery) {
  c_.start = 300000;
  c_.end = 420000;
  c_.step = 60000;
  for (const char* query : {"foo", "foo offset 17s", "foo @ 100", "rollup_candlestick(foo[1m])", "sum(foo) offset 1m", "max_over_time(foo[1m:7s])"}) {
    const auto got = Run(query);
    ASSERT_TRUE(got.ok()) << query << ": " << got.error().message();
    ASSERT_FALSE(got.value().empty()) << query;
    for (const auto& s : got.value()) EXPECT_EQ(s.timestamps, (std::vector<int64_t>{300000, 360000, 420000})) << query;
  }
}

TEST_F(EvalTest, IncrementalAggregatesAreTheOrdinaryOnes) {
  c_.start = 100000;
  c_.end = 650000;
  c_.step = 25000;
  source_.value = [](int k, int64_t t) { return std::sin(static_cast<double>(t) / 1e5) * k + 0.1; };
  for (const char* aggr : {"sum", "min", "max", "avg", "count", "sum2", "geomean", "group", "any"}) {
    for (const char* modifier : {"", " by (a)", " without (a)", " by (a) limit 1"}) {
      if (std::string(aggr) == "any" && *modifier != '\0') continue;
      const std::string incremental = std::string(aggr) + "(avg_over_time(foo[1m]))" + modifier;
      const std::string plain = std::string(aggr) + "((avg_over_time(foo[1m]),))" + modifier;
      ASSERT_TRUE(FindIncrementalAggr(aggr).has_value());
      const V want = Values(plain), got = Values(incremental);
      ASSERT_EQ(got.size(), want.size()) << incremental;
      for (size_t i = 0; i < want.size(); ++i) {
        if (!std::isnan(want[i])) EXPECT_DOUBLE_EQ(got[i], want[i]) << incremental;
        EXPECT_EQ(std::isnan(got[i]), std::isnan(want[i])) << incremental;
      }
    }
  }
}

TEST(IncrementalAggrTest, PartsAreMergedToTheWhole) {
  std::mt19937_64 random(7);
  std::vector<TimeSeries> list(60);
  for (size_t i = 0; i < list.size(); ++i) {
    list[i].name.metric_group = "foo";
    list[i].name.tags = {{"n", std::to_string(i)}, {"a", std::to_string(i % 7)}};
    // Small whole numbers: their sums and products do not depend on the order.
    for (int k = 0; k < 5; ++k) list[i].values.push_back(random() % 4 == 0 ? NAN : static_cast<double>(1 + random() % 2));
  }
  for (const char* name : {"sum", "min", "max", "avg", "count", "sum2", "geomean", "group", "any"}) {
    for (const int limit : {0, 3}) {
      metricsql::AggrFuncExpr expr;
      expr.name = name;
      expr.modifier = {"by", {"a"}};
      expr.limit = limit;
      IncrementalAggr whole(expr);
      std::vector<IncrementalAggr> parts(3, IncrementalAggr(expr));
      for (size_t i = 0; i < list.size(); ++i) {
        whole.Add(i, list[i]);
        parts[random() % parts.size()].Add(i, list[i]);
      }
      parts[1].Merge(std::move(parts[0]));
      parts[1].Merge(std::move(parts[2]));
      const auto want = whole.Finish(), got = parts[1].Finish();
      ASSERT_EQ(want.size(), limit == 0 ? 7u : 3u) << name;
      ASSERT_EQ(got.size(), want.size()) << name;
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_EQ(NameKey(got[i].name), NameKey(want[i].name)) << name;
        for (size_t k = 0; k < 5; ++k) {
          EXPECT_EQ(std::isnan(got[i].values[k]), std::isnan(want[i].values[k])) << name;
          if (!std::isnan(want[i].values[k])) EXPECT_DOUBLE_EQ(got[i].values[k], want[i].values[k]) << name;
        }
      }
    }
  }
}

TEST_F(EvalTest, NamesAreKeptWhereValuesAreOfTheSameKind) {
  EXPECT_EQ(Names("foo{a=\"x\"}"), "foo{a=\"x\", b=\"1\"} foo{a=\"y\", b=\"1\"} ");
  EXPECT_EQ(Names("max_over_time(foo[1m])"), Names("foo"));
  EXPECT_EQ(Names("rate(foo[1m])"), "{a=\"x\", b=\"1\"} {a=\"y\", b=\"1\"} ");
  EXPECT_EQ(Names("rate(foo[1m]) keep_metric_names"), Names("foo"));
  EXPECT_EQ(Names("sum(rate(foo[1m]) keep_metric_names) by (__name__)"), "foo{} ");
  EXPECT_EQ(Names("any(foo) by (b)"), "foo{a=\"x\", b=\"1\"} ");
  EXPECT_EQ(Names("sum(aggr_over_time((\"min_over_time\", \"max_over_time\"), foo[1m])) by (rollup)"),
            "{rollup=\"max_over_time\"} {rollup=\"min_over_time\"} ");
  EXPECT_EQ(Names("absent_over_time(bar{job=\"a\",c!=\"d\"}[1m] offset 1h)"), "{job=\"a\"} ");
}

TEST_F(EvalTest, FetchesWhatTheFunctionNeeds) {
  c_.step = 60000;
  const auto min_time = [&](const char* query) {
    Values(query);
    return source_.queries.empty() ? -1 : source_.queries[0].time_range.min_timestamp;
  };
  EXPECT_EQ(min_time("count_over_time(foo[2m])"), 600000 - 120000);
  EXPECT_EQ(min_time("count_over_time(foo[1s])"), 600000 - 60000);
  EXPECT_EQ(min_time("increase(foo[2m])"), 600000 - 120000 - 300000);
  EXPECT_EQ(min_time("foo"), 600000 - 60000 - 300000);
  EXPECT_EQ(min_time("rate_prometheus(foo[2m])"), 600000 - 120000);
  c_.min_staleness_interval_ms = 1000;
  EXPECT_EQ(min_time("increase(foo[2m])"), 600000 - 120000 - 1000);
  Values("foo offset 1m");
  EXPECT_EQ(source_.queries[0].time_range.max_timestamp, 540000);
}

TEST_F(EvalTest, StalenessMarkersEndSeriesAndAreNoSamples) {
  source_.value = [](int k, int64_t t) { return k == 1 && t >= 590000 ? decimal::StaleNaN() : 7.0; };
  EXPECT_EQ(Values("foo"), V({7}));
  EXPECT_EQ(Values("last_over_time(foo[1m])"), V({7, 7}));
  EXPECT_EQ(Values("count_over_time(foo[1m])"), V({4, 6}));
  EXPECT_EQ(Values("stale_samples_over_time(foo[1m])"), V({2, 0}));
  c_.no_stale_markers = true;
  EXPECT_EQ(Values("count_over_time(foo[1m])"), V({6, 6}));
}

TEST_F(EvalTest, ErrorsSayWhatUsersCanChange) {
  c_.error_context = "error when executing query";
  EXPECT_EQ(ErrorOf("1 + (foo @ foo)"), "`@` modifier must return a single series; it returns 2 series instead");
  EXPECT_EQ(ErrorOf("foo @ (1 > 2)"), "`@` modifier must return a non-NaN value");
  EXPECT_EQ(ErrorOf("1 + abs(foo, 2)"), "cannot evaluate \"abs(foo, 2)\": unexpected number of args; got 2; want 1");
  EXPECT_EQ(ErrorOf("foo + on(b) foo"),
            "error when executing query: cannot evaluate \"foo + on(b) foo\": duplicate time series on the left side of + on(b): "
            "{a=\"x\", b=\"1\"} and {a=\"y\", b=\"1\"}");
  EXPECT_EQ(ErrorOf("rate(foo, 1)"),
            "error when executing query: cannot evaluate args for \"rate(foo, 1)\": unexpected number of args; got 2; want 1");
  EXPECT_EQ(ErrorOf("topk(foo)"), "error when executing query: cannot evaluate \"topk(foo)\": unexpected number of args; got 1; want 2");
  EXPECT_EQ(ErrorOf("rollup(foo, \"sum\")"), "unexpected second arg for rollup(foo, \"sum\"): \"sum\"; want `min`, `max` or `avg`");
  EXPECT_EQ(ErrorOf("quantile_over_time(foo, foo)"),
            "error when executing query: cannot evaluate args for \"quantile_over_time(foo, foo)\": arg #1 must be a scalar");
  EXPECT_EQ(ErrorOf("label_del(foo, \"a\")"), "error when executing query: duplicate output timeseries: foo{b=\"1\"}");
}

TEST_F(EvalTest, LimitsAreErrors) {
  c_.start = 0;
  c_.step = 10000;
  c_.max_memory_bytes = 3000;
  EXPECT_EQ(ErrorOf("rate(foo[1m])"),
            "not enough memory for processing rate(foo[1m]), which returns 122 data points across 2 time series with 61 points in each time "
            "series according to -search.maxMemoryPerQuery=3000; requested memory: 3952 bytes; possible solutions are: reducing the number of "
            "matching time series; increasing `step` query arg (step=10s); increasing -search.maxMemoryPerQuery");
  c_.max_memory_bytes = 0;
  Budget budget("-memory.allowedPercent", 3000);
  c_.rollup_memory = &budget;
  EXPECT_EQ(ErrorOf("rate(foo[1m])"),
            "not enough memory for processing rate(foo[1m]), which returns 122 data points across 2 time series with 61 points in each time "
            "series; total available memory for concurrent requests: 3000 bytes; requested memory: 3952 bytes; possible solutions are: reducing "
            "the number of matching time series; increasing `step` query arg (step=10s); switching to node with more RAM; increasing "
            "-memory.allowedPercent");
  EXPECT_EQ(budget.used_bytes(), 0);
  c_.rollup_memory = nullptr;
  c_.max_points_per_subquery_series = 10;
  EXPECT_EQ(ErrorOf("max_over_time(foo[1m:1s])"),
            "too many points for the given start=-361000, end=601000 and step=1000: 963; the maximum number of points is 10; (see "
            "-search.maxPointsSubqueryPerTimeseries command-line flag)");
  c_.max_response_series = 1;
  EXPECT_NE(ErrorOf("foo").find("the response contains more than -search.maxResponseSeries=1 time series: 2 series;"), std::string::npos);
  c_.max_response_series = 0;
  c_.max_series_per_aggr = 3;
  EXPECT_EQ(ErrorOf("count_values(\"v\", foo)"),
            "cannot evaluate \"count_values(\\\"v\\\", foo)\": more than -search.maxSeriesPerAggrFunc=3 are generated by count_values()");
  std::stop_source stop;
  c_.deadline = Deadline::After(std::chrono::milliseconds(60000), stop.get_token());
  stop.request_stop();
  EXPECT_EQ(ErrorOf("foo"), "the query is canceled");
  c_.deadline = Deadline(Deadline::Clock::now() - std::chrono::seconds(1));
  EXPECT_EQ(ErrorOf("foo"), "timeout exceeded during query execution");
}

TEST_F(EvalTest, CountsWhatItDid) {
  QueryStats stats;
  size_t series = 0;
  c_.stats = &stats;
  c_.series_fetched = &series;
  EXPECT_EQ(Values("sum(avg_over_time(foo[1m]))").size(), 1u);
  // Per series 31 samples of the last five minutes, 6 of them in the window.
  EXPECT_EQ(stats.samples_scanned, 2u * (31 + 6));
  EXPECT_EQ(stats.rollups_count, 1u);
  EXPECT_GT(stats.memory_bytes, 0);
  EXPECT_EQ(series, 2u);
}

TEST_F(EvalTest, RoundsAtTheEnd) {
  c_.round_digits = 1;
  EXPECT_EQ(Values("foo / 7"), V({85.7, 171.4}));
}

/// Some loops handle several windows at once or carry state from one to the next.
TEST(RollupTest, LoopsComputeTheWindowFunction) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 40; ++round) {
    TimeSeries s;
    int64_t t = 0;
    for (int i = 0; i < 600; ++i) {
      t += random() % 200 == 0 ? 900000 : 1 + static_cast<int64_t>(random() % 30000);
      s.timestamps.push_back(t);
      s.values.push_back(round % 4 == 0 ? static_cast<double>(random() % 5) : static_cast<double>(random() % 100000) / 7 - 5000);
      if (round % 10 == 9 && random() % 50 == 0) s.values.back() = decimal::StaleNaN();
    }
    RollupConfig config;
    config.step = std::vector<int64_t>{1000, 20000, 60000, 700000}[random() % 4];
    config.start = 100000;
    config.end = t + 600000;
    config.window = std::vector<int64_t>{30000, 300000, 1200000, 6000000}[random() % 4];
    const std::vector<double> arg(config.PointsCount(), 0.7);
    for (const char* name : {"avg_over_time", "max_over_time", "median_over_time", "min_over_time", "quantile_over_time", "range_over_time",
                             "rate_over_sum", "stddev_over_time", "stdvar_over_time", "sum2_over_time", "sum_over_time"}) {
      const RollupFunction* f = FindRollup(name);
      RollupScratch scratch;
      std::vector<double> got(config.PointsCount()), want;
      const uint64_t scanned = RunRollupLoop(config, f->loop, 0, s.values, s.timestamps, arg, arg, scratch, got.data());
      uint64_t samples = s.values.size();
      const RollupRun run{config, config.window, config.step, s.values, s.timestamps, arg, arg, &scratch.values};
      ForEachWindow(run, [&](const RollupWindow& w) {
        want.push_back(f->window_func(w));
        samples += w.values.size();
      });
      EXPECT_EQ(scanned, samples) << name;
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_TRUE(got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i]))) << name << " point " << i << ": " << got[i] << " " << want[i];
      }
    }
  }
}

TEST(RollupTest, CountValuesNamesAreShortest) {
  RollupConfig config;
  config.start = config.end = 1000;
  config.step = 1000;
  RollupCall call;
  call.function = FindRollup("count_values_over_time");
  call.label = "v";
  TimeSeries s;
  s.name.tags = {{"v", "old"}, {"a", "b"}};
  s.timestamps = {100, 200, 300};
  s.values = {1e7, 0.1, 1e7};
  RollupScratch scratch;
  std::vector<TimeSeries> out;
  RunRollup(config, call, s, scratch, out);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].name.tags, (std::vector<model::Tag>{{"a", "b"}, {"v", "1e+07"}}));
  EXPECT_EQ(out[0].values, V({2}));
}

}  // namespace
}  // namespace vm::select
