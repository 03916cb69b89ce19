#include "select/promql/rollup_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <random>

#include "lib/base/budget.h"
#include "lib/net/run_on.h"
#include "select/promql/names.h"
#include "select/promql/query.h"

namespace vm::select {
namespace {

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;

/// `foo{i="0"}` to `foo{i="3"}` with a sample each 15 s since 1970. The last two begin late or end early.
class SteadySource : public SeriesSource {
 public:
  boost::asio::awaitable<Result<std::unique_ptr<SeriesSet>>> Search(model::SearchQuery query, Deadline) override {
    queries.push_back(query);
    std::vector<TimeSeries> out;
    for (int i = 0; i < 4; ++i) {
      TimeSeries s;
      s.name.metric_group = "foo";
      s.name.tags = {{"z", z_by_index ? std::to_string(9 - i) : "same"}, {"i", std::to_string(i)}};
      const int64_t from = std::max(query.time_range.min_timestamp, i == 2 ? late : 0);
      const int64_t to = std::min(query.time_range.max_timestamp, i == 3 ? early : std::numeric_limits<int64_t>::max());
      for (int64_t t = (from + 14'999) / 15'000 * 15'000; t <= to; t += 15'000) {
        s.timestamps.push_back(t);
        s.values.push_back(ValueAt(i, t));
      }
      if (!s.values.empty()) out.push_back(std::move(s));
    }
    co_return MakeSeriesSet(std::move(out));
  }
  double ValueAt(int i, int64_t t) const {
    const double wave = std::sin(static_cast<double>(t) / 1e6 + i) * 10 + static_cast<double>(t / 15'000 * (i + 1) % 1000);
    return scale * wave;
  }
  bool is_partial() const noexcept override { return partial; }
  Result<std::shared_ptr<void>> Hold(uint64_t bytes) override {
    if (budget == nullptr) return std::shared_ptr<void>();
    auto share = std::make_shared<BudgetShare>(*budget);
    VM_TRY(share->Take(static_cast<int64_t>(bytes)));
    return std::shared_ptr<void>(share);
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

  int64_t late = 0, early = std::numeric_limits<int64_t>::max();
  double scale = 1;
  bool z_by_index = false;
  bool partial = false;
  Budget* budget = nullptr;
  std::vector<model::SearchQuery> queries;
};

class RollupCacheTest : public testing::Test {
 protected:
  RollupCacheTest() {
    c_.source = &source_;
    c_.step = kMinute;
    SetRange(kDay, kDay + kHour);
    Open();
  }
  void Open(std::string fingerprint = "") {
    RollupCacheOptions options;
    options.max_bytes = 1 << 20;
    options.fingerprint = std::move(fingerprint);
    options.now_ms = [this] { return now_; };
    options.registry = &registry_;
    cache_.reset();
    cache_ = std::make_unique<RollupCache>(options);
    c_.cache = cache_.get();
  }
  void SetRange(int64_t start, int64_t end) {
    c_.start = start;
    c_.end = end;
  }
  std::vector<TimeSeries> Run(const std::string& query) {
    source_.queries.clear();
    const auto expr = ParseQuery(query);
    if (!expr.ok()) {
      ADD_FAILURE() << expr.error().message();
      return {};
    }
    auto got = net::BlockOn(pool_.executor(), Exec(c_, *expr.value()));
    if (!got.ok()) {
      ADD_FAILURE() << query << ": " << got.error().message();
      return {};
    }
    return std::move(got).value();
  }
  std::vector<TimeSeries> RunWithoutCache(const std::string& query) {
    c_.cache = nullptr;
    auto got = Run(query);
    c_.cache = cache_.get();
    return got;
  }
  /// The query gives the same with the cache and without it; returns how many searches it took with the cache.
  size_t ExpectEqual(const std::string& query) {
    const auto got = Run(query);
    const size_t searches = source_.queries.size();
    const auto want = RunWithoutCache(query);
    EXPECT_EQ(got.size(), want.size()) << query;
    for (size_t i = 0; i < std::min(got.size(), want.size()); ++i) {
      EXPECT_EQ(got[i].name.tags, want[i].name.tags) << query;
      EXPECT_EQ(got[i].timestamps, want[i].timestamps) << query;
      EXPECT_EQ(got[i].values.size(), want[i].values.size()) << query;
      for (size_t k = 0; k < std::min(got[i].values.size(), want[i].values.size()); ++k) {
        const double a = got[i].values[k], b = want[i].values[k];
        const bool is_equal = (std::isnan(a) && std::isnan(b)) || std::fabs(a - b) <= 1e-12 * std::max(1.0, std::fabs(b));
        EXPECT_TRUE(is_equal) << query << " at " << got[i].timestamps[k] << ": " << a << ", without the cache " << b;
        if (!is_equal) return searches;
      }
    }
    return searches;
  }
  uint64_t Count(const std::string& what) { return registry_.GetCounter("vm_rollup_result_cache_" + what + "_total").Get(); }

  metrics::Registry registry_;
  SteadySource source_;
  int64_t now_ = 100 * kDay;
  std::unique_ptr<RollupCache> cache_;
  EvalContext c_;
  net::Pool pool_{"test", 1};
};

TEST_F(RollupCacheTest, AsksOnlyForWhatIsNew) {
  EXPECT_EQ(ExpectEqual("rate(foo[5m])"), 1u);
  EXPECT_EQ(ExpectEqual("rate(foo[5m])"), 0u);
  SetRange(kDay + 10 * kMinute, kDay + 50 * kMinute);
  EXPECT_EQ(ExpectEqual("rate(foo[5m])"), 0u);
  SetRange(kDay + 10 * kMinute, kDay + kHour + 20 * kMinute);
  Run("rate(foo[5m])");
  ASSERT_EQ(source_.queries.size(), 1u);
  EXPECT_GT(source_.queries[0].time_range.min_timestamp, kDay + 40 * kMinute);
  EXPECT_EQ(ExpectEqual("rate(foo[5m])"), 0u);
  SetRange(kDay - kMinute, kDay + kHour);
  EXPECT_EQ(ExpectEqual("rate(foo[5m])"), 1u);
  EXPECT_EQ(Count("requests"), 6u);
  EXPECT_EQ(Count("full_hits"), 3u);
  EXPECT_EQ(Count("partial_hits"), 1u);
  EXPECT_EQ(Count("miss"), 2u);
}

TEST_F(RollupCacheTest, SeriesMayComeAndGo) {
  source_.late = kDay + kHour + 5 * kMinute;
  source_.early = kDay + 30 * kMinute;
  for (const auto* query : {"max_over_time(foo[3m])", "count(max_over_time(foo[3m])) by (i)"}) {
    SetRange(kDay, kDay + kHour);
    EXPECT_EQ(ExpectEqual(query), 1u);
    SetRange(kDay, kDay + 2 * kHour);
    EXPECT_EQ(ExpectEqual(query), 1u);
    EXPECT_EQ(ExpectEqual(query), 0u);
    EXPECT_EQ(Run(query).size(), 4u);
  }
}

TEST_F(RollupCacheTest, OverlappingRangesGiveWhatIsThereWithoutTheCache) {
  const char* const queries[] = {
      "foo", "foo[5m]", "rate(foo[5m])", "sum(rate(foo[5m])) by (i)", "avg(foo)", "increase(foo[10m] offset 5m)", "max_over_time(foo[90s])",
      "quantile_over_time(0.9, foo[10m])", "topk(2, rate(foo[5m]))", "rollup(foo[5m])", "rollup_candlestick(foo[5m])",
      "sum(foo) / count(foo)", "max_over_time(rate(foo[1m])[10m:1m])", "foo @ end()", "foo - foo offset 10m", "count_values(\"v\", foo > bool 500)",
      "deriv(foo[10m])", "absent_over_time(foo{i=\"9\"}[5m])", "aggr_over_time((\"min_over_time\",\"max_over_time\"), foo[5m])",
      "aggr_over_time((\"min_over_time\",\"rate\"), foo[5m])", "changes(foo)",
      "foo{i=\"1\"} or foo{i=\"2\"}", "sort_desc(last_over_time(foo[4m]))", "holt_winters(foo[10m], 0.3, 0.7)", "foo > 500"};
  std::mt19937 random(7);
  source_.late = kDay + 3 * kHour;
  source_.early = kDay + 5 * kHour;
  size_t searches = 0, runs = 0;
  for (int round = 0; round < 12; ++round) {
    const auto from = static_cast<int64_t>(random() % 300), length = static_cast<int64_t>(1 + random() % 200);
    SetRange(kDay + from * kMinute, kDay + (from + length) * kMinute);
    now_ = kDay + (50 + 40 * round) * kMinute;
    for (const auto* query : queries) {
      searches += ExpectEqual(query);
      ++runs;
    }
  }
  EXPECT_LT(searches, 2 * runs);
  EXPECT_GT(Count("partial_hits"), 20u);
  EXPECT_GT(Count("full_hits"), 20u);
}

TEST_F(RollupCacheTest, WhatIsRecentIsReadAgain) {
  now_ = kDay + 30 * kMinute;
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  // The last point that is kept lies at 30m - 1m - 5m.
  Run("foo");
  ASSERT_EQ(source_.queries.size(), 1u);
  EXPECT_EQ(source_.queries[0].time_range.min_timestamp, kDay + 25 * kMinute - c_.SilenceMs() - c_.step);
  SetRange(kDay + 26 * kMinute, kDay + kHour);
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  // Samples that come late and not too late are seen.
  now_ = kDay + 32 * kMinute;
  SetRange(kDay, kDay + kHour);
  source_.scale = 2;
  const auto got = Run("foo");
  const auto want = RunWithoutCache("foo");
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got[0].values.size(); ++i) EXPECT_EQ(got[0].values[i] == want[0].values[i], i > 24) << i;
}

TEST_F(RollupCacheTest, KeysHoldAllThatResultsDependOn) {
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  const auto expect_new = [&](const char* what) {
    EXPECT_EQ(ExpectEqual("foo"), 1u) << what;
    EXPECT_EQ(ExpectEqual("foo"), 0u) << what;
  };
  c_.tenant = {1, 2};
  expect_new("tenant");
  c_.is_multitenant = true;
  expect_new("all tenants");
  c_.step = 2 * kMinute;
  expect_new("step");
  c_.lookback_delta = 40'000;
  expect_new("lookback");
  c_.enforced_filters = {{{"job", "a"}}};
  expect_new("filters");
  c_.enforced_filters = {{{"job", "a", true}}};
  expect_new("negative filters");
  c_.enforced_filters = {{{"job", "a", true, true}}};
  expect_new("regexp filters");
  c_.enforced_filters = {{{"joba", "", true, true}}};
  expect_new("the same text in other filters");
  EXPECT_EQ(ExpectEqual("foo[1m]"), 1u);
  EXPECT_EQ(ExpectEqual("foo[2m]"), 1u);
  EXPECT_EQ(ExpectEqual("rate(foo[2m])"), 1u);
}

TEST_F(RollupCacheTest, OnlyGridsOfWholeStepsAreKept) {
  SetRange(kDay + 1, kDay + kHour + 1);
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  SetRange(kDay, kDay + kHour);
  EXPECT_EQ(ExpectEqual("foo offset 7s"), 1u);
  EXPECT_EQ(ExpectEqual("foo offset 7s"), 1u);
  SetRange(kDay, kDay);
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  SetRange(kDay, kDay + kHour);
  // What the argument is, is known only when it has been evaluated.
  EXPECT_EQ(ExpectEqual("quantile_over_time(scalar(foo{i=\"0\"}) > bool 500, foo[5m])"), 2u);
  EXPECT_EQ(ExpectEqual("quantile_over_time(scalar(foo{i=\"0\"}) > bool 500, foo[5m])"), 1u);
}

TEST_F(RollupCacheTest, WhatHangsOnTheEndsOfTheRangeIsNotKept) {
  for (const auto* query : {"rollup_increase(foo[5m])", "rollup_rate(foo[5m])", "aggr_over_time((\"min_over_time\",\"increase\"), foo[5m])"}) {
    EXPECT_EQ(ExpectEqual(query), 1u) << query;
    EXPECT_EQ(ExpectEqual(query), 1u) << query;
  }
  EXPECT_EQ(Count("requests"), 0u);
}

TEST_F(RollupCacheTest, ResultsAreSortedBySortedTags) {
  // The source has the tag z first, by which the order is another one.
  source_.z_by_index = true;
  const auto order = [](const std::vector<TimeSeries>& list) {
    std::string text;
    for (const auto& s : list) text += s.name.tags[0].value;
    return text;
  };
  EXPECT_EQ(order(RunWithoutCache("foo")), "3210");
  EXPECT_EQ(order(Run("foo")), "0123");
  EXPECT_EQ(order(Run("foo")), "0123");
  SetRange(kDay, kDay);
  EXPECT_EQ(order(Run("foo")), "3210");
  EXPECT_EQ(order(Run("sum_over_time(foo[3h])")), "0123");
}

TEST_F(RollupCacheTest, PartialAnswersAreNotKept) {
  source_.partial = true;
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  source_.partial = false;
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  EXPECT_EQ(ExpectEqual("foo"), 0u);
}

TEST_F(RollupCacheTest, ResetForgetsAll) {
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  cache_->Reset();
  source_.scale = 3;
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  EXPECT_EQ(ExpectEqual("foo"), 0u);
  EXPECT_EQ(Count("resets"), 1u);
  std::string text;
  registry_.Write(text);
  EXPECT_NE(text.find("vm_cache_entries{type=\"promql/rollupResult\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("vm_cache_size_max_bytes{type=\"promql/rollupResult\"} 1048576\n"), std::string::npos) << text;
}

TEST_F(RollupCacheTest, ResultsAreChargedToTheQuery) {
  Run("foo");
  Budget budget("-search.maxMemoryPerQuery", 1'000'000);
  source_.budget = &budget;
  {
    const auto list = Run("foo");
    EXPECT_EQ(source_.queries.size(), 0u);
    EXPECT_GT(budget.used_bytes(), static_cast<int64_t>(4 * 61 * sizeof(double)));
    EXPECT_LT(budget.used_bytes(), 10'000);
  }
  EXPECT_EQ(budget.used_bytes(), 0);
  Budget little("-search.maxMemoryPerQuery", 1000);
  source_.budget = &little;
  const auto expr = ParseQuery("foo");
  const auto got = net::BlockOn(pool_.executor(), Exec(c_, *expr.value()));
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), ErrorCode::kLimitExceeded);
  EXPECT_EQ(little.used_bytes(), 0);
}

TEST_F(RollupCacheTest, BigResultsAreNotKept) {
  c_.step = 1000;
  SetRange(kDay, kDay + 3 * kHour);
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  EXPECT_EQ(registry_.GetCounter("vm_too_big_rollup_results_total").Get(), 2u);
}

TEST_F(RollupCacheTest, OutlivesTheProcess) {
  const auto dir = std::filesystem::temp_directory_path() / ("vm_rollup_cache_test." + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  const std::string path = dir / "results.bin";
  auto& fs = fs::RealFileSystem();
  Open("a");
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  cache_->SaveTo(fs, path);
  std::filesystem::copy(path, path + ".copy");
  Open("a");
  cache_->LoadFrom(fs, path);
  EXPECT_FALSE(fs.Exists(path));
  EXPECT_EQ(ExpectEqual("foo"), 0u);
  Open("b");
  cache_->LoadFrom(fs, path + ".copy");
  EXPECT_FALSE(fs.Exists(path + ".copy"));
  EXPECT_EQ(ExpectEqual("foo"), 1u);
  std::filesystem::remove_all(dir);
}

TEST_F(RollupCacheTest, LongWindowsAtOneTimeReadOnlyTheirEnds) {
  now_ = kDay + 2 * kHour + kMinute;  // Older than the offset below.
  for (const auto* query : {"sum_over_time(foo[4h])", "sum(count_over_time(foo[4h])) by (i)", "max_over_time(foo[4h])", "min(min_over_time(foo[4h]))",
                            "count_gt_over_time(foo[4h], 300)", "increase_pure(foo[4h] offset 2m)", "avg_over_time(foo[4h])"}) {
    SetRange(kDay + kHour, kDay + kHour);
    ExpectEqual(query);
    for (const int64_t at : {3, 7, 20}) {
      SetRange(kDay + kHour + at * kMinute, kDay + kHour + at * kMinute);
      ExpectEqual(query);
      // An extreme that was in what is old has to be searched for.
      if (std::string_view(query).starts_with('m')) continue;
      Run(query);
      ASSERT_FALSE(source_.queries.empty());
      for (const auto& asked : source_.queries) {
        EXPECT_LT(asked.time_range.max_timestamp - asked.time_range.min_timestamp, kHour) << query;
      }
    }
    SetRange(kDay + kHour, kDay + kHour);  // Earlier than what is kept, and later than it is good for.
    ExpectEqual(query);
    SetRange(kDay + 2 * kHour, kDay + 2 * kHour);
    ExpectEqual(query);
  }
}

TEST_F(RollupCacheTest, AnExtremeThatLeavesTheWindowIsSearchedForAgain) {
  now_ = 100 * kDay;
  source_.early = kDay;  // foo{i="3"} ends: what is old may hold its highest value.
  for (int64_t at = 0; at < 60; at += 3) {
    SetRange(kDay + at * kMinute, kDay + at * kMinute);
    for (const auto* query : {"max_over_time(foo[3h])", "min_over_time(foo[3h])", "sum_over_time(foo[3h])", "max(max_over_time(foo[3h]))"}) {
      ExpectEqual(query);
    }
  }
  EXPECT_GT(Count("partial_hits"), 30u);
}

TEST_F(RollupCacheTest, ShortWindowsAndOtherFunctionsAreReadAtOnce) {
  SetRange(kDay, kDay);
  for (const auto* query : {"sum_over_time(foo[2h])", "stddev_over_time(foo[4h])", "min(max_over_time(foo[4h]))", "avg(sum_over_time(foo[4h]))"}) {
    EXPECT_EQ(ExpectEqual(query), 1u) << query;
    EXPECT_EQ(ExpectEqual(query), 1u) << query;
  }
  EXPECT_EQ(Count("requests"), 0u);
}

TEST_F(RollupCacheTest, RatesOverLongWindowsAreIncreasesBySecond) {
  // As in the reference, and not quite the same as a rate: the sample before the window counts.
  SetRange(kDay, kDay);
  for (const auto& [rate, increase] : {std::pair("rate(foo[4h])", "increase(foo[4h]) / 14400"),
                                       std::pair("sum(rate(foo[4h]))", "sum(increase(foo[4h])) / 14400")}) {
    const auto got = Run(rate);
    const auto want = RunWithoutCache(increase);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].values, want[i].values) << rate;
  }
}

TEST_F(RollupCacheTest, OffsetsBesideAnInstantAreKept) {
  SetRange(2 * kDay, 2 * kDay);
  const std::string at = " offset 30m @ " + std::to_string((kDay + kHour) / 1000);
  for (const std::string func : {"avg_over_time", "sum_over_time", "count_over_time"}) ExpectEqual(func + "(foo[4h]" + at + ")");
}

TimeSeries Named(std::string name, std::vector<double> values) {
  TimeSeries s;
  s.name.tags = {{"a", std::move(name)}};
  s.values = std::move(values);
  return s;
}

TEST(JoinFrontTest, PutsValuesBefore) {
  std::vector<TimeSeries> front, rest;
  front.push_back(Named("x", {1, 2}));
  front.push_back(Named("y", {3, 4}));
  rest.push_back(Named("z", {5}));
  rest.push_back(Named("x", {6}));
  ASSERT_TRUE(JoinFront(std::move(front), rest, 2, 3));
  ASSERT_EQ(rest.size(), 3u);
  EXPECT_EQ(rest[1].values, (std::vector<double>{1, 2, 6}));
  EXPECT_TRUE(std::isnan(rest[0].values[0]) && std::isnan(rest[0].values[1]));
  EXPECT_EQ(rest[0].values[2], 5);
  EXPECT_EQ(rest[2].name.tags[0].value, "y");
  EXPECT_EQ(rest[2].values[1], 4);
  EXPECT_TRUE(std::isnan(rest[2].values[2]));
}

TEST(JoinFrontTest, RefusesSeriesOfTheSameName) {
  for (const bool is_front : {false, true}) {
    std::vector<TimeSeries> front, rest;
    front.push_back(Named("x", {1, 2}));
    rest.push_back(Named("x", {5}));
    (is_front ? front : rest).push_back(Named("x", is_front ? std::vector<double>{1, 2} : std::vector<double>{5}));
    EXPECT_FALSE(JoinFront(std::move(front), rest, 2, 3));
  }
}

}  // namespace
}  // namespace vm::select
