#include <gtest/gtest.h>

#include "select/promql/transform_test_util.h"

namespace vm::select::transform {
namespace {

TEST(TransformRangesTest, ChangesSeriesWithGaps) {
  const std::vector<double> values = {kNaN, 1, kNaN, kNaN, 4, 2, kNaN};
  const std::pair<const char*, const char*> cases[] = {
      {"keep_last_value", "m{a=b} - 1 1 1 4 2 2"},
      {"keep_next_value", "m{a=b} 1 1 4 4 4 2 -"},
      {"interpolate", "m{a=b} - 1 2 3 4 2 -"},
      {"running_sum", "{a=b} - 1 1 1 5 7 7"},
      {"running_min", "{a=b} - 1 1 1 1 1 1"},
      {"running_max", "{a=b} - 1 1 1 4 4 4"},
      {"running_avg", "{a=b} - 1 1 1 1.75 1.8 1.8"},
      {"range_sum", "{a=b} 7 7 7 7 7 7 7"},
      {"range_min", "{a=b} 1 1 1 1 1 1 1"},
      {"range_max", "{a=b} 4 4 4 4 4 4 4"},
      {"range_avg", "{a=b} 1.8 1.8 1.8 1.8 1.8 1.8 1.8"},
      {"range_first", "m{a=b} 1 1 1 1 1 1 1"},
      {"range_last", "m{a=b} 2 2 2 2 2 2 2"},
      {"range_mad", "m{a=b} 1 1 1 1 1 1 1"},
      {"range_normalize", "m{a=b} - 0 - - 1 0.3333333333333333 -"},
      {"remove_resets", "m{a=b} - 1 - - 4 6 -"},
  };
  for (const auto& [name, want] : cases) EXPECT_EQ(ApplyToValues(name, values), want) << name;
}

TEST(TransformRangesTest, InterpolatesTowardsInfinity) {
  EXPECT_EQ(ApplyToValues("interpolate", {1, kNaN, kNaN, kInf}), "m{a=b} 1 inf inf inf");
  EXPECT_EQ(ApplyToValues("interpolate", {kInf, kNaN, kNaN, 5}), "m{a=b} inf - 5 5");
  EXPECT_EQ(ApplyToValues("interpolate", {kInf, kNaN, -kInf, kNaN, kNaN, -kInf}), "m{a=b} inf - -inf - - -inf");
}

TEST(TransformRangesTest, LeavesSeriesWithoutValuesAlone) {
  for (const char* name : {"keep_last_value", "keep_next_value", "interpolate", "range_first", "range_last",
                           "remove_resets", "range_mad", "range_stddev", "range_stdvar", "range_zscore",
                           "range_linear_regression"}) {
    EXPECT_EQ(ApplyToValues(name, {kNaN, kNaN}), "m{a=b} - -") << name;
    EXPECT_EQ(Apply(name, Args().Add(Series())), "") << name;
  }
  EXPECT_EQ(ApplyToValues("range_sum", {kNaN, kNaN}), "{a=b} - -");
  EXPECT_EQ(ApplyToValues("range_normalize", {kNaN, kNaN}), "");
  EXPECT_EQ(ApplyToValues("range_stdvar", {kNaN}), "m{a=b} 0");
}

TEST(TransformRangesTest, ComputesDeviations) {
  const std::vector<double> values = {2, 4, kNaN, 6, 8};
  EXPECT_EQ(ApplyToValues("range_stdvar", values), "m{a=b} 5 5 5 5 5");
  EXPECT_EQ(ApplyToValues("range_stddev", values),
            "m{a=b} 2.23606797749979 2.23606797749979 2.23606797749979 2.23606797749979 2.23606797749979");
  EXPECT_EQ(ApplyToValues("range_zscore", {1, 3}), "m{a=b} -1 1");
  EXPECT_EQ(ApplyToValues("range_zscore", {3, 3}), "m{a=b} - -");
  EXPECT_EQ(ApplyToValues("range_linear_regression", {0, 0.5, kNaN, 1.5}), "m{a=b} 0 0.5 1 1.5");
  EXPECT_EQ(ApplyToValues("range_linear_regression", {4, 4, 4}), "m{a=b} 4 4 4");
}

std::string ApplyWithNumber(const std::string& name, double number, std::vector<double> values) {
  Args args(values.size());
  args.Add(number).Add(Make("m", {}, std::move(values)));
  return Apply(name, std::move(args));
}

TEST(TransformRangesTest, TrimsAndTakesQuantiles) {
  EXPECT_EQ(ApplyWithNumber("range_quantile", 0.5, {5, kNaN, 1, 2}), "m{} 2 2 2 2");
  EXPECT_EQ(ApplyWithNumber("range_quantile", 0.25, {5, kNaN, 1, 2}), "m{} 1.5 1.5 1.5 1.5");
  EXPECT_EQ(ApplyWithNumber("range_quantile", -1, {5, 1}), "m{} -inf -inf");
  EXPECT_EQ(ApplyWithNumber("range_quantile", 2, {5, 1}), "m{} inf inf");
  EXPECT_EQ(ApplyWithNumber("range_quantile", kNaN, {5, 1}), "m{} 5 5");
  EXPECT_EQ(ApplyWithNumber("range_quantile", 0, {5, 1, kInf}), "m{} 1 1 1");
  EXPECT_EQ(ApplyWithNumber("range_quantile", 0.5, {kNaN}), "m{} -");
  EXPECT_EQ(ApplyWithNumber("range_trim_spikes", 0.5, {1, 2, kNaN, 3, 4, 100}), "m{} - 2 - 3 4 -");
  EXPECT_EQ(ApplyWithNumber("range_trim_outliers", 2, {1, 2, kNaN, 3, 100}), "m{} 1 2 - 3 -");
  EXPECT_EQ(ApplyWithNumber("range_trim_zscore", -1, {1, 2, kNaN, 3, 100}), "m{} 1 2 - 3 -");
  EXPECT_EQ(Apply("range_quantile", Args().Add(Series()).Add(1)), "error: arg #1 must be a scalar");
}

TEST(TransformRangesTest, RemovesResets) {
  EXPECT_EQ(ApplyToValues("remove_resets", {100, 95, kNaN, 120, 119, 139, 50}), "m{a=b} 100 100 - 125 125 145 195");
  EXPECT_EQ(ApplyToValues("remove_resets", {-1, -2}), "m{a=b} -1 -3");
}

TEST(TransformRangesTest, SmoothsExponentially) {
  const auto call = [](std::vector<double> values, double factor) {
    Args args(values.size());
    args.Add(Make("m", {}, std::move(values))).Add(factor);
    return Apply("smooth_exponential", std::move(args));
  };
  EXPECT_EQ(call({kNaN, kInf, 8, kNaN, 4, kInf, 8}, 0.5), "m{} - inf 8 - 6 6 7");
  EXPECT_EQ(call({8, 4}, 7), "m{} 8 4");
  EXPECT_EQ(call({8, 4}, -7), "m{} 8 8");
  EXPECT_EQ(call({8, 4}, kNaN), "m{} 8 4");
  EXPECT_EQ(call({kInf, kInf}, 0.5), "m{} inf inf");
  EXPECT_EQ(call({}, 0.5), "m{}");
}

}  // namespace
}  // namespace vm::select::transform
