#include "select/graphite/eval.h"

#include <gtest/gtest.h>

#include <cmath>

#include "select/graphite/conformance.h"
#include "select/graphite/render.h"

namespace vm::select::graphite {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Evaluates over series that a test gives.
class EvalTest : public testing::Test {
 protected:
  EvalTest() {
    options_.storage_step = 10'000;
    options_.now_ms = 1'000'000;
  }

  /// For the path `path`, over the window of the test.
  void AddSeries(const std::string& path, const std::string& name, std::vector<double> values) {
    const Selection selection{{{"__graphite__", path, false, false}}, {window_.start, window_.end}};
    Series series;
    series.tags = UnmarshalTags(name);
    series.name = series.tags["name"];
    series.values = std::move(values);
    lists_[selection.Key()].push_back(series);
    fetched_.Put(selection, lists_[selection.Key()]);
  }

  /// `name [values]` of each series, or the error.
  std::vector<std::string> Run(const std::string& target) {
    Evaluator evaluator(options_, fetched_);
    auto result = evaluator.Run(target, window_);
    if (!result.ok()) return {"error: " + result.error().message()};
    last_ = result.value();
    std::vector<std::string> texts;
    for (const Series& series : last_) {
      std::string text = series.name + " [";
      EXPECT_EQ(series.values.size(), series.timestamps.size());
      for (const double v : series.values) text += (text.back() == '[' ? "" : " ") + (std::isnan(v) ? "-" : NumberText(v));
      texts.push_back(text + "]");
    }
    return texts;
  }
  using Texts = std::vector<std::string>;

  EvalOptions options_;
  FetchedSeries fetched_;
  Window window_{100'000, 140'000, 0};
  std::map<std::string, SeriesList> lists_;
  SeriesList last_;
};

double NumberOf(const Json& value) {
  if (value.is_number()) return value.get<double>();
  const std::string text = value;
  return text == "NaN" ? kNaN : text == "Inf" ? INFINITY : -INFINITY;
}

TEST(EvalConformanceTest, AgreesWithTheQueriesWithoutData) {
  const size_t tried = ForEachCase("graphite_eval", [](const Json& item) {
    const std::string query = item.contains("query") ? item["query"] : item["input"];
    EvalOptions options;
    options.storage_step = item.value("storage_step_ms", 30'000);
    options.now_ms = item.value("current_time_s", int64_t{150'000}) * 1000;
    const Window window{item.value("start_ms", 120'000), item.value("end_ms", 210'000), 0};
    FetchedSeries fetched;
    Evaluator evaluator(options, fetched);
    auto result = evaluator.Run(query, window);
    if (item.value("error", false)) {
      // To ask for series is an error there: nobody has any.
      EXPECT_TRUE(!result.ok() || !fetched.TakeMissing().empty());
      return;
    }
    ASSERT_TRUE(result.ok()) << result.error().message();
    SeriesList list = std::move(result).value();
    const Json& want = item["expected"];
    ASSERT_EQ(list.size(), want.size());
    // The order means nothing.
    std::vector<Json> wanted(want.begin(), want.end());
    const auto by_name = [](const auto& a, const auto& b) { return a["name"].template get<std::string>() < b["name"].template get<std::string>(); };
    std::stable_sort(wanted.begin(), wanted.end(), by_name);
    std::stable_sort(list.begin(), list.end(), [](const Series& a, const Series& b) { return a.name < b.name; });
    for (size_t k = 0; k < list.size(); ++k) {
      EXPECT_EQ(list[k].name, wanted[k]["name"]);
      EXPECT_EQ(Json(list[k].tags), wanted[k]["tags"]);
      EXPECT_EQ(Json(list[k].timestamps), wanted[k]["timestamps"]);
      const Json& values = wanted[k]["values"];
      if (query.find("randomWalk") != std::string::npos) continue;
      ASSERT_EQ(list[k].values.size(), values.size());
      for (size_t i = 0; i < values.size(); ++i) {
        const double value = NumberOf(values[i]);
        if (std::isnan(value)) EXPECT_TRUE(std::isnan(list[k].values[i])) << i;
        else if (std::isinf(value)) EXPECT_EQ(list[k].values[i], value);
        else EXPECT_NEAR(list[k].values[i], value, std::max(1e-9, std::fabs(value) * 1e-9)) << i;
      }
    }
  });
  if (tried == 0) GTEST_SKIP() << "no shared conformance data";
}

TEST_F(EvalTest, NotesWhatIsMissing) {
  EXPECT_EQ(Run("sumSeries(a.*,timeShift(b,'1h'))|scale(2)"), Texts());
  const auto missing = fetched_.TakeMissing();
  ASSERT_EQ(missing.size(), 2u);
  EXPECT_EQ(missing[0].filters[0].value, "b");
  EXPECT_EQ(missing[0].range, (model::TimeRange{100'000 - 3'600'000, 140'000 - 3'600'000}));
  EXPECT_EQ(missing[1].filters[0].value, "a.*");
  EXPECT_EQ(missing[1].range, (model::TimeRange{100'000, 140'000}));
  EXPECT_TRUE(fetched_.TakeMissing().empty());
  Run("seriesByTag('name=m','a!=~b')");
  EXPECT_EQ(fetched_.TakeMissing()[0].filters[1], (model::TagFilter{"a", "^(?:b).*", true, true}));
}

TEST_F(EvalTest, CombinesSeries) {
  AddSeries("a.*", "a.x;dc=1;host=p", {1, 2, kNaN, 4});
  AddSeries("a.*", "a.y;dc=1;host=q", {10, kNaN, kNaN, 40});
  EXPECT_EQ(Run("sumSeries(a.*)"), (Texts{"sumSeries(a.*) [11 2 - 44]"}));
  EXPECT_EQ(last_[0].tags, (Tags{{"aggregatedBy", "sum"}, {"dc", "1"}, {"name", "sumSeries(a.*)"}}));
  EXPECT_EQ(Run("averageSeries(a.*)"), (Texts{"averageSeries(a.*) [5.5 2 - 22]"}));
  EXPECT_EQ(Run("diffSeries(a.*)"), (Texts{"diffSeries(a.*) [-9 2 - -36]"}));
  EXPECT_EQ(Run("stddevSeries(a.*)"), (Texts{"stddevSeries(a.*) [4.5 0 - 18]"}));
  EXPECT_EQ(Run("aggregate(a.*,'avg_zero')"), (Texts{"avg_zeroSeries(a.*) [5.5 1 0 22]"}));
  EXPECT_EQ(Run("aggregate(a.*,'sum',1)"), (Texts{"sumSeries(a.*) [11 - - 44]"}));
  EXPECT_EQ(Run("groupByNode(a.*,1,'max')"), (Texts{"x [1 2 - 4]", "y [10 - - 40]"}));
  EXPECT_EQ(Run("groupByTags(a.*,'sum','dc')"), (Texts{"sum;dc=1 [11 2 - 44]"}));
  EXPECT_EQ(Run("asPercent(a.*)"), (Texts{"asPercent(a.x,sumSeries(a.*)) [9.090909090909092 100 - 9.090909090909092]",
                                          "asPercent(a.y,sumSeries(a.*)) [90.9090909090909 - - 90.9090909090909]"}));
  EXPECT_EQ(Run("divideSeries(a.*,constantLine(2))")[0].substr(0, 18), "divideSeries(a.x,2");
  EXPECT_EQ(Run("multiplySeriesLists(a.*,a.*)")[0], "multiplySeries(a.x,a.x) [1 4 - 16]");
}

TEST_F(EvalTest, ChangesValues) {
  AddSeries("c", "c", {5, 7, 3, 10});
  EXPECT_EQ(Run("derivative(c)"), (Texts{"derivative(c) [- 2 -4 7]"}));
  EXPECT_EQ(Run("nonNegativeDerivative(c)"), (Texts{"nonNegativeDerivative(c) [- 2 - 7]"}));
  EXPECT_EQ(Run("nonNegativeDerivative(c,9)"), (Texts{"nonNegativeDerivative(c) [- 2 6 -]"}));
  EXPECT_EQ(Run("perSecond(c)"), (Texts{"perSecond(c) [- 0.2 - 0.7]"}));
  EXPECT_EQ(Run("c|integral|scale(0.5)"), (Texts{"scale(integral(c),0.5) [2.5 6 7.5 12.5]"}));
  EXPECT_EQ(Run("summarize(c,'20s','max',true)"), (Texts{"summarize(c,'20s','max',true) [7 10]"}));
  EXPECT_EQ(Run("aliasSub(c,'(.)','<\\1>')"), (Texts{"<c> [5 7 3 10]"}));
  EXPECT_EQ(Run("delay(c,-1)"), (Texts{"delay(c,-1) [7 3 10 -]"}));
}

TEST_F(EvalTest, ChoosesSeries) {
  AddSeries("s", "s1", {1, 1, 1, 9});
  AddSeries("s", "s10", {3, 3, 3, 3});
  AddSeries("s", "s2", {2, 2, 2, 2});
  EXPECT_EQ(Run("highestAverage(s,2)"), (Texts{"s10 [3 3 3 3]", "s1 [1 1 1 9]"}));
  EXPECT_EQ(Run("lowestCurrent(s,1)"), (Texts{"s2 [2 2 2 2]"}));
  EXPECT_EQ(Run("highestMax(s,-1)"), Texts());
  EXPECT_EQ(Run("sortByName(s,true,true)|limit(1)"), (Texts{"s10 [3 3 3 3]"}));
  EXPECT_EQ(Run("exclude(s,'0$')|sortByMinima"), (Texts{"s1 [1 1 1 9]", "s2 [2 2 2 2]"}));
  EXPECT_EQ(Run("fallbackSeries(grep(s,'x'),constantLine(5))"), (Texts{"5 [5 5 5]"}));
  EXPECT_EQ(Run("averageAbove(s,2.5)|alias('q')"), (Texts{"q [1 1 1 9]", "q [3 3 3 3]"}));
}

TEST_F(EvalTest, QueriesMayMakeQueries) {
  AddSeries("h.*.c", "h.a.c", {1, 2, 3, 4});
  AddSeries("h.a.d", "h.a.d", {4, 4, 4, 8});
  EXPECT_EQ(Run("applyByNode(h.*.c,1,'%.d','new %')"), (Texts{"new h.a [4 4 4 8]"}));
  EXPECT_EQ(Run("aliasQuery(h.*.c,'c$','d','last %d %g')"), (Texts{"last 8 8 [1 2 3 4]"}));
  EXPECT_EQ(Run("useSeriesAbove(h.*.c,3,'c$','d')"), (Texts{"h.a.d [4 4 4 8]"}));
  // A query that makes itself.
  EXPECT_EQ(Run("applyByNode(h.*.c,9,'applyByNode(%,9,\"x\")')"), Texts());
}

TEST_F(EvalTest, ErrorsNameTheCall) {
  EXPECT_EQ(Run("foo(a)"), (Texts{"error: unknown function \"foo\""}));
  EXPECT_EQ(Run("mapSeries(a,1)"), (Texts{"error: unsupported function \"mapSeries\""}));
  EXPECT_EQ(Run("scale(a)"), (Texts{"error: cannot evaluate scale(a): unexpected number of args; got 1; want 2"}));
  EXPECT_EQ(Run("scale(a,'x')"), (Texts{"error: cannot evaluate scale(a,'x'): arg \"factor\" at position 1 must be a number; got a string"}));
  EXPECT_EQ(Run("5"), (Texts{"error: expecting a path or a call; got a number: 5"}));
}

TEST_F(EvalTest, LimitsPointsMemoryAndTime) {
  options_.max_points_per_series = 1000;
  EXPECT_NE(Run("summarize(constantLine(1),'1ms')")[0].find("too many points per series: 40001"), std::string::npos);
  EXPECT_NE(Run("timeFunction('a',0.001)")[0].find("too many points per series"), std::string::npos);
  EXPECT_NE(Run("timeStack(constantLine(1),'1d',0,1e9)")[0].find("too many shifts"), std::string::npos);
  EXPECT_NE(Run("timeFunction('a',0)")[0].find("step must be positive"), std::string::npos);
  AddSeries("a", "a", {1, 2, 3, 4});
  options_.hold = [](uint64_t bytes) -> Result<std::shared_ptr<void>> {
    if (bytes > 500) return Error(ErrorCode::kLimitExceeded, "no memory");
    return std::shared_ptr<void>();
  };
  EXPECT_EQ(Run("a"), (Texts{"error: no memory"}));
  options_.hold = nullptr;
  options_.check = [] { return Error(ErrorCode::kCancelled, "gone"); };
  EXPECT_EQ(Run("a"), (Texts{"error: gone"}));
  options_.check = nullptr;
  window_.end = window_.start;  // No step at all.
  EXPECT_EQ(Run("sumSeries(constantLine(1))"), (Texts{"sumSeries(constantLine(1)) []"}));
  EXPECT_EQ(Run("movingAverage(constantLine(1),3)").size(), 1u);
}

TEST_F(EvalTest, LongPathsAreCut) {
  options_.max_path_bytes = 8;
  AddSeries("abcdefghijk", "m", {1, 1, 1, 1});
  EXPECT_EQ(Run("sumSeries(abcdefghijk)"), (Texts{"sumSeries(abcdefgh...) [1 1 1 1]"}));
}

TEST_F(EvalTest, RendersJson) {
  AddSeries("j", "m;a=<", {1, 2.5, kNaN, INFINITY});
  Run("j");
  EXPECT_EQ(RenderResponse(last_), R"([{"target":"m","tags":{"a": "\u003c","name": "m"},"datapoints":[[1,100],[2.5,110],[null,120],[null,130]]}])");
  LimitPoints(last_, window_, 2);
  EXPECT_EQ(last_[0].values[0], 1.75);
  EXPECT_EQ(last_[0].timestamps, (std::vector<int64_t>{100'000, 120'000}));
  EXPECT_EQ(RenderResponse({}), "[]");
}

TEST(SummarizeTest, TakesSamplesThatCameEarly) {
  const std::vector<int64_t> timestamps = {0, 9'000, 21'000};
  const std::vector<double> values = {1, 2, 3};
  const auto result = SummarizeValues(timestamps, values, Average, 0, 40'000, 10'000, 0);
  ASSERT_EQ(result.size(), 4u);
  EXPECT_EQ(result[0], 1.5);
  EXPECT_EQ(result[1], 2);  // The one at 9 s.
  EXPECT_EQ(result[2], 3);
  EXPECT_TRUE(std::isnan(result[3]));
}

}  // namespace
}  // namespace vm::select::graphite
