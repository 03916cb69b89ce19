#include <gtest/gtest.h>

#include <random>

#include "select/promql/transform_sort.h"
#include "select/promql/transform_test_util.h"

namespace vm::select::transform {
namespace {

TEST(TransformMathTest, HandlesMissingAndInfiniteValues) {
  const std::vector<double> values = {-1.5, 0, 2.5, kNaN, kInf, -kInf};
  const std::pair<const char*, const char*> cases[] = {
      {"abs", "{a=b} 1.5 0 2.5 - inf inf"},
      {"ceil", "m{a=b} -1 0 3 - inf -inf"},
      {"floor", "m{a=b} -2 0 2 - inf -inf"},
      {"round", "m{a=b} -2 0 3 - - -"},
      {"sgn", "{a=b} -1 0 1 0 1 -1"},
      {"ln", "{a=b} - -inf 0.9162907318741551 - inf -"},
      {"sqrt", "{a=b} - 0 1.5811388300841898 - inf -"},
      {"acosh", "{a=b} - - 1.566799236972411 - inf -"},
      {"exp", "{a=b} 0.22313016014842982 1 12.182493960703473 - inf 0"},
  };
  for (const auto& [name, want] : cases) {
    EXPECT_EQ(ApplyToValues(name, values), want) << name;
  }
}

TEST(TransformMathTest, KeepsNamesWhenAsked) {
  Args args;
  args.Add(Make("m", {}, {4}));
  EXPECT_EQ(Apply("sqrt", std::move(args), true), "m{} 2");
}

TEST(TransformMathTest, CountsArguments) {
  EXPECT_EQ(Apply("abs", Args()), "error: unexpected number of args; got 0; want 1");
  EXPECT_EQ(Apply("round", Args()), "error: unexpected number of args: 0; want 1 or 2");
  EXPECT_EQ(Apply("clamp", Args()), "error: unexpected number of args; got 0; want 3");
  EXPECT_EQ(Apply("pi", Args().Add(1)), "error: unexpected number of args; got 1; want 0");
  EXPECT_EQ(Apply("clamp_min", Args().Add(1).Add(Series{})), "error: arg #2 must be a scalar");
  EXPECT_EQ(Apply("clamp", Args().Add(1).Add(1).Add(Series(2))), "error: arg #3 must be a scalar");
}

std::string Round(double value, double nearest) {
  Args args;
  args.Add(value).Add(nearest);
  return Apply("round", std::move(args));
}

TEST(TransformMathTest, RoundsToMultiples) {
  EXPECT_EQ(Round(1.234, 0.01), "{} 1.23");
  EXPECT_EQ(Round(-1.235, 0.01), "{} -1.23");
  EXPECT_EQ(Round(1234, 100), "{} 1200");
  EXPECT_EQ(Round(0.3, 0.1), "{} 0.3");
  EXPECT_EQ(Round(-1.2, 0.5), "{} -1");
  EXPECT_EQ(Round(5, 0), "{} -");
  EXPECT_EQ(Round(5, kNaN), "{} -");
  EXPECT_EQ(Round(5, kInf), "{} -");
}

TEST(TransformMathTest, ClampsAndMasks) {
  const std::vector<double> values = {1, 5, 9, kNaN};
  const auto call = [&](const std::string& name, std::vector<double> numbers) {
    Args args(values.size());
    args.Add(Make("m", {}, values));
    for (const double number : numbers) args.Add(number);
    return Apply(name, std::move(args));
  };
  EXPECT_EQ(call("clamp", {2, 6}), "m{} 2 5 6 -");
  EXPECT_EQ(call("clamp", {6, 2}), "m{} 6 2 2 -");
  EXPECT_EQ(call("clamp_min", {5}), "m{} 5 5 9 -");
  EXPECT_EQ(call("clamp_max", {5}), "m{} 1 5 5 -");
  EXPECT_EQ(call("clamp_max", {kNaN}), "m{} 1 5 9 -");
  EXPECT_EQ(call("bitmap_and", {5}), "{} 1 5 1 -");
  EXPECT_EQ(call("bitmap_or", {2}), "{} 3 7 11 -");
  EXPECT_EQ(call("bitmap_xor", {-1}), "{} 18446744073709551616 18446744073709551616 18446744073709551616 -");
  EXPECT_EQ(call("bitmap_and", {kNaN}), "{} - - - -");
}

TEST(TransformMathTest, BitmapsTakeAnyNumber) {
  const auto call = [&](double value) {
    Args args;
    args.Add(value).Add(-1);
    return Apply("bitmap_and", std::move(args));
  };
  EXPECT_EQ(call(-1), "{} 18446744073709551616");
  EXPECT_EQ(call(1e19), "{} 1e+19");
  EXPECT_EQ(call(1e30), "{} 9223372036854775808");
  EXPECT_EQ(call(kInf), "{} 9223372036854775808");
}

TEST(TransformSeriesTest, UnitesSeries) {
  const auto series = [](const std::string& name, double value) { return Make(name, {{"a", "b"}}, {value}); };
  EXPECT_EQ(Apply("union", Args()), "{} -");
  EXPECT_EQ(Apply("union", Args().Add(1).Add(1)), "{} 1\n{} 1");
  EXPECT_EQ(Apply("", Args().Add(series("x", 1)).Add(Series{series("y", 2), series("x", 3)})), "x{a=b} 1\ny{a=b} 2");
  EXPECT_EQ(Apply("union", Args().Add(series("x", 1)).Add(1).Add(2)), "x{a=b} 1\n{} 1");
}

TEST(TransformSeriesTest, LimitsAndSkips) {
  const Series list = {Make("x", {}, {1}), Make("y", {}, {kNaN}), Make("z", {}, {3})};
  const auto call = [&](double limit, double offset) {
    return Apply("limit_offset", Args().Add(limit).Add(offset).Add(list));
  };
  EXPECT_EQ(call(1, 0), "x{} 1");
  EXPECT_EQ(call(1, 1), "z{} 3");
  EXPECT_EQ(call(1e300, 0), "x{} 1\nz{} 3");
  EXPECT_EQ(call(1, 1e300), "");
  EXPECT_EQ(call(0, 0), "");
  EXPECT_EQ(call(-1, 0), "error: limit cannot be negative; got -1");
  EXPECT_EQ(call(1, -1), "error: offset cannot be negative; got -1");
  EXPECT_EQ(Apply("drop_empty_series", Args().Add(list)), "x{} 1\nz{} 3");
}

TEST(TransformSeriesTest, TellsWhatIsAbsent) {
  EXPECT_EQ(Apply("absent", Args(2).Add(Series())), "{} 1 1");
  EXPECT_EQ(Apply("absent", Args(3).Add(Series{Make("x", {}, {1, kNaN, kNaN}), Make("y", {}, {kNaN, kNaN, 2})})),
            "{} - 1 -");
}

TEST(TransformSeriesTest, AbsentHasTheLabelsOfTheSelector) {
  const auto call = [](const std::string& query) {
    const auto expr = metricsql::Parse(query);
    EXPECT_TRUE(expr.ok()) << query;
    const EvalContext context = Grid(1);
    TransformCall call{context, *metricsql::As<metricsql::FuncExpr>(expr.value().get()), {Series()}};
    return ToText(FindTransform("absent")(call).value());
  };
  EXPECT_EQ(call(R"(absent(m{a="b",c!="d",e=~"f.+",g="h"}))"), "{a=b,g=h} 1");
  EXPECT_EQ(call(R"(absent({a="b" or c="d"}))"), "{} 1");
  EXPECT_EQ(call(R"(absent(m{a="b"} + 1))"), "{} 1");
}

TEST(TransformSortTest, SortsByValues) {
  const Series list = {Make("a", {}, {2, 5}), Make("b", {}, {1, kNaN}), Make("c", {}, {1, 5}), Make("d", {}, {9, 1}),
                       Make("e", {}, {kNaN, 5})};
  EXPECT_EQ(Apply("sort", Args(2).Add(list)), "b{} 1 -\nd{} 9 1\ne{} - 5\nc{} 1 5\na{} 2 5");
  EXPECT_EQ(Apply("sort_desc", Args(2).Add(list)), "b{} 1 -\ne{} - 5\na{} 2 5\nc{} 1 5\nd{} 9 1");
}

TEST(TransformSortTest, NaturalOrderIsAnOrder) {
  std::mt19937 random(7);
  const auto text = [&] {
    std::string text;
    for (auto n = random() % 7; n > 0; --n) text += "019.-+ab"[random() % 8];
    return text;
  };
  for (int i = 0; i < 20000; ++i) {
    const std::string a = text(), b = text(), c = text();
    EXPECT_FALSE(NumericLess(a, a)) << a;
    EXPECT_FALSE(NumericLess(a, b) && NumericLess(b, a)) << a << ' ' << b;
    EXPECT_FALSE(NumericLess(a, b) && NumericLess(b, c) && !NumericLess(a, c)) << a << ' ' << b << ' ' << c;
  }
  // Numbers beyond the range of doubles are equal and do no harm.
  EXPECT_FALSE(NumericLess(std::string(400, '1'), std::string(401, '1')));
  EXPECT_TRUE(NumericLess(std::string(400, '1') + "a", std::string(401, '1') + "b"));
}

TEST(TransformSortTest, SortsByLabels) {
  Series list;
  for (const char* value : {"a10", "a2", "", "a2"}) {
    list.push_back(Make("", {{"l", value}}, {static_cast<double>(list.size())}));
  }
  const auto call = [&](const std::string& name) { return Apply(name, Args().Add(list).Add("zz").Add("l")); };
  EXPECT_EQ(call("sort_by_label"), "{l=} 2\n{l=a10} 0\n{l=a2} 1\n{l=a2} 3");
  EXPECT_EQ(call("sort_by_label_desc"), "{l=a2} 1\n{l=a2} 3\n{l=a10} 0\n{l=} 2");
  EXPECT_EQ(call("sort_by_label_numeric"), "{l=} 2\n{l=a2} 1\n{l=a2} 3\n{l=a10} 0");
  EXPECT_EQ(call("sort_by_label_numeric_desc"), "{l=a10} 0\n{l=a2} 1\n{l=a2} 3\n{l=} 2");
  EXPECT_EQ(Apply("sort_by_label", Args().Add(1)), "error: expecting at least 2 args; got 1 args");
}

TEST(TransformTimeTest, SplitsDates) {
  const auto call = [](const std::string& name, double value) {
    const std::string text = Apply(name, Args().Add(Make("m", {}, {value})));
    return text.substr(text.find(' ') + 1);
  };
  // 2024-02-29 13:07:09.
  const double leap_day = 1709212029;
  const std::pair<const char*, const char*> cases[] = {
      {"year", "2024"}, {"month", "2"}, {"day_of_month", "29"}, {"day_of_year", "60"}, {"day_of_week", "4"},
      {"days_in_month", "29"}, {"hour", "13"}, {"minute", "7"},
  };
  for (const auto& [name, want] : cases) {
    EXPECT_EQ(call(name, leap_day), want) << name;
    EXPECT_EQ(call(name, leap_day + 0.9), want) << name;
    EXPECT_EQ(call(name, kNaN), "-") << name;
  }
  // 1969-12-31 23:59:59, 1900-03-01, a day of February 2000, 0000-12-31, then what only Go's calendar defines.
  EXPECT_EQ(call("hour", -1) + call("minute", -1) + call("day_of_week", -1) + call("year", -1), "235931969");
  EXPECT_EQ(call("day_of_year", -2203891200), "60");
  EXPECT_EQ(call("days_in_month", 951782400), "29");
  EXPECT_EQ(call("year", -62135596801), "0");
  EXPECT_EQ(call("day_of_year", -62135596801), "366");
  EXPECT_EQ(call("year", 9.2e18), "291536396232");
  EXPECT_EQ(call("year", -9.2e18), "-291536392293");
  EXPECT_EQ(call("year", kInf) + call("hour", kInf) + call("minute", kInf), "2922770265961530");
}

TEST(TransformTimeTest, KnowsTheGrid) {
  EXPECT_EQ(Apply("time", Args(3)), "{} 0 1 2");
  EXPECT_EQ(Apply("start", Args(3)), "{} 0 0 0");
  EXPECT_EQ(Apply("end", Args(3)), "{} 2 2 2");
  EXPECT_EQ(Apply("step", Args(3)), "{} 1 1 1");
  EXPECT_EQ(Apply("minute", Args(3)), "{} 0 0 0");
  EXPECT_EQ(Apply("hour", Args().Add(1).Add(2)), "error: too many args; got 2; want up to 1");
}

TEST(TransformLimitsTest, StopsWhenTheTimeIsOver) {
  EvalContext context = Grid(1);
  context.deadline = Deadline(Deadline::Clock::now() - std::chrono::seconds(1));
  const auto call = [&](const std::string& name, Args args) {
    metricsql::FuncExpr expr;
    TransformCall call{context, expr, args.Take()};
    const auto result = FindTransform(name)(call);
    return result.ok() ? "" : result.error().message().substr(0, 16);
  };
  const std::string want = "timeout exceeded";
  EXPECT_EQ(call("range_mad", Args().Add(1)), want);
  EXPECT_EQ(call("range_quantile", Args().Add(1).Add(1)), want);
  EXPECT_EQ(call("histogram_quantile", Args().Add(1).Add(Buckets(kBuckets))), want);
  EXPECT_EQ(call("label_transform", Args().Add(1).Add("a").Add("b").Add("c")), want);
  EXPECT_EQ(call("buckets_limit", Args().Add(3).Add(Buckets(kBuckets))), want);
}

TEST(TransformLimitsTest, RefusesToMultiplySeriesWithoutEnd) {
  EvalContext context = Grid(1);
  context.end = context.step * ((int64_t{64} << 20) - 1);
  metricsql::FuncExpr expr;
  Args args;
  args.Add("phi").Add(0.1).Add(0.2).Add(0.3).Add(Buckets(kBuckets));
  TransformCall call{context, expr, args.Take()};
  const auto result = FindTransform("histogram_quantiles")(call);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().message(), "201326592 points would be generated; the limit is 134217728");
}

}  // namespace
}  // namespace vm::select::transform
