#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/net/run_on.h"
#include "select/promql/eval.h"
#include "select/promql/transform.h"
#include "select/promql/transform_histograms.h"
#include "select/promql/transform_sort.h"
#include "select/promql/transform_stats.h"

namespace vm::select {
namespace {

using Series = std::vector<TimeSeries>;
using Tags = std::vector<model::Tag>;
using nlohmann::json;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

/// A grid of seconds from 0 on.
EvalContext Grid(size_t points) {
  EvalContext context;
  context.tenant = {1, 2};
  context.start = 0;
  context.step = 1000;
  context.end = (static_cast<int64_t>(points) - 1) * context.step;
  return context;
}

TimeSeries Make(std::string name, Tags tags, std::vector<double> values) {
  TimeSeries series;
  series.name.tenant = {1, 2};
  series.name.metric_group = std::move(name);
  series.name.tags = std::move(tags);
  for (size_t i = 0; i < values.size(); ++i) series.timestamps.push_back(static_cast<int64_t>(i) * 1000);
  series.values = std::move(values);
  return series;
}

/// Arguments of a call as the evaluator passes them: series, numbers, texts.
class Args {
 public:
  explicit Args(size_t points = 1) : points_(points) {}

  Args& Add(Series list) {
    list_.push_back(std::move(list));
    return *this;
  }
  Args& Add(TimeSeries series) {
    Series list;
    list.push_back(std::move(series));
    return Add(std::move(list));
  }
  Args& Add(double number) { return Add(Make("", {}, std::vector<double>(points_, number))); }
  Args& Add(const std::string& text) { return Add(Make(text, {}, std::vector<double>(points_, kNaN))); }

  size_t points() const { return points_; }
  std::vector<Series> Take() { return std::move(list_); }

 private:
  size_t points_;
  std::vector<Series> list_;
};

std::string NumberText(double value) {
  if (std::isnan(value)) return "-";
  char buffer[64];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof(buffer), value).ptr);
}

/// `name{key=value} 1 - 3`, one series a line.
std::string ToText(const Series& list) {
  std::string text;
  for (const TimeSeries& series : list) {
    if (!text.empty()) text += '\n';
    text += series.name.metric_group + '{';
    for (const model::Tag& tag : series.name.tags) {
      if (text.back() != '{') text += ',';
      text += tag.key + '=' + tag.value;
    }
    text += '}';
    for (const double value : series.values) text += ' ' + NumberText(value);
  }
  return text;
}

std::string Apply(const std::string& name, Args args, bool keep_metric_names = false) {
  const TransformFunc function = FindTransform(name);
  if (function == nullptr) return "no such function";
  const EvalContext context = Grid(args.points());
  metricsql::FuncExpr expr;
  expr.name = name;
  expr.keep_metric_names = keep_metric_names;
  TransformCall call{context, expr, args.Take()};
  const auto result = function(call);
  if (!result.ok()) return "error: " + result.error().message();
  for (const TimeSeries& series : result.value()) {
    EXPECT_EQ(series.timestamps.size(), series.values.size()) << name;
  }
  return ToText(result.value());
}

/// The function on one series `m{a=b}`.
std::string ApplyToValues(const std::string& name, std::vector<double> values) {
  Args args(values.size());
  args.Add(Make("m", {{"a", "b"}}, std::move(values)));
  return Apply(name, std::move(args));
}

Result<Series> RunQuery(const EvalContext& context, const std::string& query) {
  auto expr = metricsql::Parse(query);
  if (!expr.ok()) return std::move(expr).error();
  net::Pool pool("test", 1);
  return net::BlockOn(pool.executor(), Exec(context, *expr.value()));
}

// ---- conformance

std::vector<json> ReadCases(const std::string& file) {
  std::vector<json> cases;
  std::ifstream stream(std::filesystem::path(VM_SHARED_DIR) / "conformance" / file);
  for (std::string line; std::getline(stream, line);) cases.push_back(json::parse(line));
  return cases;
}

#define VM_SKIP_WITHOUT_CASES(cases) \
  if ((cases).empty()) GTEST_SKIP() << "no conformance data in " << VM_SHARED_DIR

double ToNumber(const json& value) {
  if (value.is_number()) return value.get<double>();
  const auto text = value.get<std::string>();
  if (text == "Inf") return kInf;
  return text == "-Inf" ? -kInf : kNaN;
}

std::vector<double> ToNumbers(const json& values) {
  std::vector<double> numbers;
  for (const json& value : values) numbers.push_back(ToNumber(value));
  return numbers;
}

bool AreClose(double got, double want) {
  if (std::isnan(want) || std::isinf(want)) return std::isnan(want) ? std::isnan(got) : got == want;
  return std::fabs(got - want) <= 1e-9 * std::fabs(want);
}

/// Whether the query needs nothing but transform functions and plain operators: no rollup, no aggregate, no matching.
bool NeedsOnlyTransforms(const metricsql::Expr& expr) {
  using namespace metricsql;
  if (expr.kind == ExprKind::kNumber || expr.kind == ExprKind::kString || expr.kind == ExprKind::kDuration) return true;
  if (const auto* func = As<FuncExpr>(&expr)) {
    return !IsRollupFunc(func->name) &&
           std::all_of(func->args.begin(), func->args.end(), [](const auto& arg) { return NeedsOnlyTransforms(*arg); });
  }
  const auto* op = As<BinaryOpExpr>(&expr);
  return op != nullptr && op->group_modifier.op.empty() && NeedsOnlyTransforms(*op->left) && NeedsOnlyTransforms(*op->right);
}

std::string Compare(const Series& got, const json& want, bool in_order) {
  if (got.size() != want.size()) return "wrong number of series";
  const auto labels = [](const TimeSeries& series) {
    json labels = json::object();
    if (!series.name.metric_group.empty()) labels["__name__"] = series.name.metric_group;
    for (const model::Tag& tag : series.name.tags) labels[tag.key] = tag.value;
    return labels;
  };
  for (size_t i = 0; i < want.size(); ++i) {
    const TimeSeries* series = in_order ? &got[i] : nullptr;
    for (const TimeSeries& candidate : got) {
      if (series == nullptr && labels(candidate) == want[i]["metric"]) series = &candidate;
    }
    if (series == nullptr || labels(*series) != want[i]["metric"]) return "no " + want[i]["metric"].dump();
    const auto values = ToNumbers(want[i]["values"]);
    if (values.size() != series->values.size()) return "wrong number of points";
    for (size_t k = 0; k < values.size(); ++k) {
      if (!AreClose(series->values[k], values[k])) return "point " + std::to_string(k) + " of series " + std::to_string(i);
    }
  }
  return "";
}

TEST(TransformConformanceTest, EvaluatesQueries) {
  const auto cases = ReadCases("metricsql_eval.jsonl");
  VM_SKIP_WITHOUT_CASES(cases);
  size_t run = 0;
  for (const json& c : cases) {
    const auto query = c["query"].get<std::string>();
    // Errors have no class. Operators have tests of their own.
    if (!c.value("class", "transform:").starts_with("transform:")) continue;
    if (c.value("unstable_reason", "").find("local time zone") != std::string::npos) continue;
    const auto expr = metricsql::Parse(query);
    if (!expr.ok() || !NeedsOnlyTransforms(*expr.value())) continue;
    ++run;
    EvalContext context;
    context.start = c.value("start_ms", int64_t{1000000});
    context.end = c.value("end_ms", int64_t{2000000});
    context.step = c.value("step_ms", int64_t{200000});
    const auto got = RunQuery(context, query);
    if (c["kind"] == "error") {
      EXPECT_FALSE(got.ok()) << query;
      continue;
    }
    if (!got.ok()) {
      ADD_FAILURE() << query << "\n" << got.error().message();
      continue;
    }
    const std::string difference = Compare(got.value(), c["expected"], c["sorted"].get<bool>());
    EXPECT_EQ(difference, "") << query << "\ngot " << ToText(got.value()) << "\nwant " << c["expected"].dump();
  }
  EXPECT_GT(run, 150u);
  RecordProperty("run", static_cast<int>(run));
  std::cout << "ran " << run << " cases\n";
}


std::vector<json> ReadUnitCases(const std::string& kind) {
  auto cases = ReadCases("promql_unit.jsonl");
  std::erase_if(cases, [&](const json& c) { return c["kind"] != kind; });
  return cases;
}

TEST(TransformConformanceTest, SortsMissingValuesFirst) {
  const auto cases = ReadUnitCases("sort_with_nans");
  VM_SKIP_WITHOUT_CASES(cases);
  for (const json& c : cases) {
    for (const std::string order : {"asc", "desc"}) {
      Series list;
      for (const double value : ToNumbers(c["input"])) list.push_back(Make("", {}, {value}));
      Args args;
      args.Add(std::move(list));
      std::string want;
      for (const double value : ToNumbers(c["expected"][order])) want += "{} " + NumberText(value) + "\n";
      EXPECT_EQ(Apply(order == "asc" ? "sort" : "sort_desc", std::move(args)) + "\n", want) << c["id"];
    }
  }
}

TEST(TransformConformanceTest, FixesBrokenBuckets) {
  const auto cases = ReadUnitCases("fix_broken_buckets");
  VM_SKIP_WITHOUT_CASES(cases);
  for (const json& c : cases) {
    std::vector<std::vector<double>> counts;
    for (const double value : ToNumbers(c["input"])) counts.push_back({value});
    FixBrokenBuckets(counts);
    std::vector<double> got;
    for (const auto& bucket : counts) got.push_back(bucket[0]);
    EXPECT_EQ(got, ToNumbers(c["expected"])) << c["id"];
  }
}

/// Lines of `name{label="value"} value timestamp`.
Series ParseLines(const std::string& text) {
  Series list;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t open = line.find('{');
    const size_t close = line.find('}');
    Tags tags;
    std::istringstream labels(line.substr(open + 1, close - open - 1));
    for (std::string label; std::getline(labels, label, ',');) {
      const size_t equals = label.find('=');
      tags.push_back({label.substr(0, equals), label.substr(equals + 2, label.size() - equals - 3)});
    }
    list.push_back(Make(line.substr(0, open), tags, {std::stod(line.substr(close + 1))}));
  }
  return list;
}

TEST(TransformConformanceTest, ConvertsVmrangeBuckets) {
  const auto cases = ReadUnitCases("vmrange_buckets_to_le");
  VM_SKIP_WITHOUT_CASES(cases);
  for (const json& c : cases) {
    const auto got = VmrangeBucketsToLe(ParseLines(c["input"].get<std::string>()));
    EXPECT_EQ(ToText(got), ToText(ParseLines(c["expected"].get<std::string>()))) << c["id"];
  }
}

TEST(TransformConformanceTest, OrdersNaturally) {
  const auto prefixes = ReadUnitCases("numeric_prefix");
  const auto orders = ReadUnitCases("numeric_less");
  VM_SKIP_WITHOUT_CASES(orders);
  for (const json& c : prefixes) {
    EXPECT_EQ(NumericPrefix(c["input"].get<std::string>()), c["expected"].get<std::string>()) << c["id"];
  }
  for (const json& c : orders) {
    const auto a = c["input"]["a"].get<std::string>();
    const auto b = c["input"]["b"].get<std::string>();
    EXPECT_EQ(NumericLess(a, b), c["expected"].get<bool>()) << c["id"];
  }
}

TEST(TransformConformanceTest, FitsALine) {
  const auto cases = ReadUnitCases("linear_regression");
  VM_SKIP_WITHOUT_CASES(cases);
  for (const json& c : cases) {
    const auto timestamps = c["input"]["timestamps"].get<std::vector<int64_t>>();
    const auto line = transform::LinearRegression(ToNumbers(c["input"]["values"]), timestamps, timestamps[0] + 100);
    EXPECT_DOUBLE_EQ(line.value, c["expected"]["v"].get<double>()) << c["id"];
    EXPECT_DOUBLE_EQ(line.slope_per_second, c["expected"]["k"].get<double>()) << c["id"];
  }
}

TEST(TransformConformanceTest, KnowsEveryFunctionOfTheCatalogue) {
  std::ifstream stream(std::filesystem::path(VM_SHARED_DIR) / "conformance" / "metricsql_functions.json");
  if (!stream) GTEST_SKIP() << "no conformance data in " << VM_SHARED_DIR;
  size_t count = 0;
  const json catalogue = json::parse(stream);
  for (const json& function : catalogue["functions"]) {
    if (function["class"] != "transform" || !function["known_to_evaluator"].get<bool>()) continue;
    ++count;
    EXPECT_NE(FindTransform(function["name"].get<std::string>()), nullptr) << function["name"];
  }
  EXPECT_GT(count, 100u);
  EXPECT_EQ(FindTransform("sum"), nullptr);
  EXPECT_EQ(FindTransform("ABS"), nullptr);
}

// ---- math

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

// ---- labels

std::string ApplyToLabels(const std::string& name, Tags tags, const std::vector<std::string>& texts) {
  Args args;
  args.Add(Make("m.x", std::move(tags), {1}));
  for (const std::string& text : texts) args.Add(text);
  return Apply(name, std::move(args));
}

TEST(TransformLabelsTest, SetsCopiesAndRemoves) {
  const Tags tags = {{"a", "1"}, {"b", "2"}};
  const std::tuple<const char*, std::vector<std::string>, const char*> cases[] = {
      {"label_set", {"a", "x", "c", "3"}, "m.x{a=x,b=2,c=3} 1"},
      {"label_set", {"a", "", "__name__", "n"}, "n{b=2} 1"},
      {"label_set", {"zz", ""}, "m.x{a=1,b=2} 1"},
      {"label_set", {}, "m.x{a=1,b=2} 1"},
      {"label_set", {"a"}, "error: the number of string args must be even; got 1"},
      {"label_del", {"a", "zz"}, "m.x{b=2} 1"},
      {"label_del", {"__name__"}, "{a=1,b=2} 1"},
      {"label_del", {}, "m.x{a=1,b=2} 1"},
      {"label_keep", {"a"}, "{a=1} 1"},
      {"label_keep", {"a", "__name__"}, "m.x{a=1} 1"},
      {"label_keep", {}, "{} 1"},
      {"label_copy", {"a", "c"}, "m.x{a=1,b=2,c=1} 1"},
      {"label_copy", {"zz", "a"}, "m.x{a=1,b=2} 1"},
      {"label_copy", {"__name__", "a", "a", "b"}, "m.x{a=m.x,b=m.x} 1"},
      {"label_move", {"a", "b"}, "m.x{b=1} 1"},
      {"label_move", {"a", "a"}, "m.x{a=1,b=2} 1"},
      {"label_move", {"__name__", "n"}, "{a=1,b=2,n=m.x} 1"},
      {"label_move", {"a", "__name__"}, "1{b=2} 1"},
      {"label_map", {"a", "1", "one"}, "m.x{a=one,b=2} 1"},
      {"label_map", {"a", "1", ""}, "m.x{b=2} 1"},
      {"label_map", {"a", "2", "x"}, "m.x{a=1,b=2} 1"},
      {"label_map", {"c", "", "new"}, "m.x{a=1,b=2,c=new} 1"},
      {"label_map", {"a", "1", "x", "1", "y"}, "m.x{a=y,b=2} 1"},
      {"label_map", {"a", "1"}, "error: the number of string args must be even; got 1"},
      {"label_join", {"c", "-", "a", "b"}, "m.x{a=1,b=2,c=1-2} 1"},
      {"label_join", {"a", "-", "a", "zz", "b"}, "m.x{a=1--2,b=2} 1"},
      {"label_join", {"a", "-"}, "m.x{b=2} 1"},
      {"label_join", {"a"}, "error: not enough args; got 2; want at least 3"},
      {"label_uppercase", {"__name__"}, "M.X{a=1,b=2} 1"},
      {"label_lowercase", {}, "error: not enough args; got 1; want at least 2"},
  };
  for (const auto& [name, texts, want] : cases) EXPECT_EQ(ApplyToLabels(name, tags, texts), want) << name;
}

TEST(TransformLabelsTest, ReplacesByRegularExpression) {
  const Tags tags = {{"a", "foo-bar-foo"}};
  const std::tuple<const char*, std::vector<std::string>, const char*> cases[] = {
      {"label_replace", {"b", "$1", "a", "(f.*)-foo"}, "m.x{a=foo-bar-foo,b=foo-bar} 1"},
      {"label_replace", {"b", "$1", "a", "(f.*)-bar"}, "m.x{a=foo-bar-foo} 1"},
      {"label_replace", {"b", "${1}x$2y$$", "a", "(foo).*(foo)"}, "m.x{a=foo-bar-foo,b=foox$} 1"},
      {"label_replace", {"b", "$1x", "a", "(foo).*"}, "m.x{a=foo-bar-foo} 1"},
      {"label_replace", {"b", "${n}!", "a", "(?P<n>foo).*"}, "m.x{a=foo-bar-foo,b=foo!} 1"},
      {"label_replace", {"b", "$", "a", ".*"}, "m.x{a=foo-bar-foo,b=$} 1"},
      {"label_replace", {"b", "${1", "a", ".*"}, "m.x{a=foo-bar-foo,b=${1} 1"},
      {"label_replace", {"b", "$01$9", "a", "(.*)"}, "m.x{a=foo-bar-foo} 1"},
      {"label_replace", {"a", "", "a", ".*"}, "m.x{} 1"},
      {"label_replace", {"b", "none", "zz", ""}, "m.x{a=foo-bar-foo,b=none} 1"},
      {"label_replace", {"__name__", "$1", "__name__", "(.).+"}, "m{a=foo-bar-foo} 1"},
      {"label_replace", {"b", "x", "a", "("}, "error: cannot compile regex \"(\": error parsing regexp: missing closing ): `^(?:()$`"},
      {"label_replace", {"b", "x", "a", "+"},
       "error: cannot compile regex \"+\": error parsing regexp: missing argument to repetition operator: `+`"},
      {"label_replace", {"b", "x", "a"}, "error: unexpected number of args; got 4; want 5"},
      {"label_replace", {"b", "${n}!", "a", "(?<n>foo).*[(?<]?"}, "m.x{a=foo-bar-foo,b=foo!} 1"},
      {"label_replace", {"b", "x", "a", "\\C"},
       "error: cannot compile regex \"\\\\C\": error parsing regexp: invalid escape sequence: `\\C`"},
      {"label_transform", {"a", "foo", "x"}, "m.x{a=x-bar-x} 1"},
      {"label_transform", {"a", "o*", "x"}, "m.x{a=xfx-xbxaxrx-xfx} 1"},
      {"label_transform", {"a", "^f", "x"}, "m.x{a=xoo-bar-foo} 1"},
      {"label_transform", {"a", ".+", ""}, "m.x{} 1"},
      {"label_transform", {"a", "(f)|o", "[$1]"}, "m.x{a=[f][][]-bar-[f][][]} 1"},
      {"label_transform", {"a", "\\b", "|"}, "m.x{a=|foo|-|bar|-|foo|} 1"},
      {"label_transform", {"a", "b|", "x"}, "m.x{a=xfxoxox-xaxrx-xfxoxox} 1"},
      {"label_transform", {"zz", "q", "x"}, "m.x{a=foo-bar-foo} 1"},
      {"label_transform", {"zz", "$", "x"}, "m.x{a=foo-bar-foo,zz=x} 1"},
      {"label_match", {"a", "foo.*"}, "m.x{a=foo-bar-foo} 1"},
      {"label_match", {"a", "foo"}, ""},
      {"label_match", {"zz", ""}, "m.x{a=foo-bar-foo} 1"},
      {"label_mismatch", {"a", "foo.*"}, ""},
      {"label_mismatch", {"a", "["},
       "error: cannot compile regexp \"[\": error parsing regexp: missing closing ]: `[)$`"},
  };
  for (const auto& [name, texts, want] : cases) EXPECT_EQ(ApplyToLabels(name, tags, texts), want) << name;
}

TEST(TransformLabelsTest, ADotMatchesNoLineFeed) {
  EXPECT_EQ(ApplyToLabels("label_match", {{"a", "x\ny"}}, {"a", "x.y"}), "");
  EXPECT_EQ(ApplyToLabels("label_match", {{"a", "x\ny"}}, {"a", "(?s)x.y"}), "m.x{a=x\ny} 1");
}

TEST(TransformLabelsTest, MapsCaseOfUnicodeText) {
  EXPECT_EQ(ApplyToLabels("label_uppercase", {{"a", "straße ǆ éя"}}, {"a"}), "m.x{a=STRAßE Ǆ ÉЯ} 1");
  EXPECT_EQ(ApplyToLabels("label_lowercase", {{"a", "ÀΣЯ Ω"}}, {"a"}), "m.x{a=àσя ω} 1");
  EXPECT_EQ(ApplyToLabels("label_lowercase", {{"a", "A\xff" "B"}}, {"a"}), "m.x{a=a\xef\xbf\xbd" "b} 1");
}

TEST(TransformLabelsTest, RefusesValuesThatGrowWithoutEnd) {
  std::string all;
  for (int i = 0; i < 2000; ++i) all += "$0";
  const std::string value(64, 'x');
  EXPECT_EQ(ApplyToLabels("label_replace", {{"a", value}}, {"a", all, "a", ".*"}).substr(0, 46),
            "error: the value of label \"a\" would be 65536 b");
  const std::string half(40000, 'x');
  EXPECT_EQ(ApplyToLabels("label_join", {{"a", half}}, {"b", "", "a", "a"}),
            "error: the value of label \"b\" would be 80000 bytes long; the limit is 65535");
}

TEST(TransformLabelsTest, ReadsLabelsAsNumbers) {
  const auto call = [](const std::string& value) {
    Args args(2);
    args.Add(Make("m", {{"a", value}}, {5, kNaN})).Add("a");
    const std::string text = Apply("label_value", std::move(args), true);
    return text.substr(text.find('}') + 2);
  };
  EXPECT_EQ(call("12.5"), "12.5 -");
  EXPECT_EQ(call("-Inf"), "-inf -");
  EXPECT_EQ(call("0x1p-2"), "0.25 -");
  EXPECT_EQ(call("1_000"), "1000 -");
  EXPECT_EQ(call("1e-400"), "0 -");
  for (const char* bad : {"", " 1", "1 ", "1_", "_1", "1__0", "0x10", "1e400", "1e", "+nan", "infin", "1.2.3", "0b1"}) {
    EXPECT_EQ(call(bad), "- -") << bad;
  }
}

TEST(TransformLabelsTest, SplitsGraphiteNames) {
  const auto call = [](std::vector<double> positions) {
    Args args;
    args.Add(Make("a.bb.c", {}, {1}));
    for (const double position : positions) args.Add(position);
    return Apply("label_graphite_group", std::move(args));
  };
  EXPECT_EQ(call({0, 2}), "a.c{} 1");
  EXPECT_EQ(call({1, 3}), "bb.{} 1");
  EXPECT_EQ(call({-1, 1e30, kNaN}), "..{} 1");
  EXPECT_EQ(call({}), "error: unexpected number of args: 1; want at least 2 args");
}

TEST(TransformLabelsTest, ComparesLabels) {
  const auto call = [](const std::vector<std::string>& labels) {
    Args args;
    args.Add(Series{Make("x", {{"a", "x"}, {"b", "x"}}, {1}), Make("y", {{"a", "x"}}, {2}), Make("z", {}, {3})});
    for (const std::string& label : labels) args.Add(label);
    return Apply("labels_equal", std::move(args));
  };
  EXPECT_EQ(call({"a", "b"}), "x{a=x,b=x} 1\nz{} 3");
  EXPECT_EQ(call({"a", "b", "__name__"}), "x{a=x,b=x} 1");
  EXPECT_EQ(call({"a"}), "error: unexpected number of args; got 2; want at least 3");
}

TEST(TransformLabelsTest, DropsCommonLabels) {
  const auto call = [](Series first, Series second) {
    Args args;
    args.Add(std::move(first)).Add(std::move(second));
    return Apply("drop_common_labels", std::move(args));
  };
  EXPECT_EQ(call({Make("m", {{"a", "1"}, {"b", "2"}}, {1})}, {Make("m", {{"a", "1"}, {"b", "3"}}, {2})}),
            "{b=2} 1\n{b=3} 2");
  EXPECT_EQ(call({Make("m", {{"a", "1"}}, {1})}, {Make("n", {}, {2})}), "m{a=1} 1\nn{} 2");
  EXPECT_EQ(call({Make("m", {{"a", "1"}}, {1})}, {}), "{} 1");
  EXPECT_EQ(call({}, {}), "");
  EXPECT_EQ(Apply("drop_common_labels", Args()), "error: not enough args; got 0; want at least 1");
}

TEST(TransformLabelsTest, TakesOnlyTextsAsLabels) {
  const auto call = [](const std::string& name) {
    Args args;
    args.Add(1).Add(2).Add(3).Add(4).Add(5);
    return Apply(name, std::move(args));
  };
  EXPECT_EQ(call("label_replace"), "error: arg #2 must be a string");
  EXPECT_EQ(call("label_set"), "error: arg #1 must be a string");
  EXPECT_EQ(call("label_del"), "error: arg #2 must be a string");
  EXPECT_EQ(call("labels_equal"), "error: cannot get label name: arg #2 must be a string");
  EXPECT_EQ(call("label_map"), "error: cannot read label name: arg #2 must be a string");
  EXPECT_EQ(call("sort_by_label"), "error: cannot parse label #1 for sorting: arg #2 must be a string");
}

// ---- ranges

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
  EXPECT_EQ(ApplyWithNumber("range_quantile", kNaN, {5, 1}), "m{} - -");
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

// ---- histograms

Series Buckets(const std::vector<std::pair<std::string, double>>& buckets, const std::string& label = "le") {
  Series list;
  for (const auto& [bound, count] : buckets) list.push_back(Make("h", {{label, bound}}, {count}));
  return list;
}

const std::vector<std::pair<std::string, double>> kBuckets = {{"+Inf", 10}, {"1", 2}, {"2", 6}, {"4", 8}};

TEST(TransformHistogramsTest, FindsQuantiles) {
  const auto call = [](double phi, const Series& buckets) {
    Args args;
    args.Add(phi).Add(buckets);
    return Apply("histogram_quantile", std::move(args));
  };
  EXPECT_EQ(call(0.2, Buckets(kBuckets)), "{} 1");
  EXPECT_EQ(call(0.5, Buckets(kBuckets)), "{} 1.75");
  EXPECT_EQ(call(0.9, Buckets(kBuckets)), "{} 4");
  EXPECT_EQ(call(0, Buckets(kBuckets)), "{} 0");
  EXPECT_EQ(call(-1, Buckets(kBuckets)), "{} -inf");
  EXPECT_EQ(call(2, Buckets(kBuckets)), "{} inf");
  EXPECT_EQ(call(kNaN, Buckets(kBuckets)), "{} -");
  EXPECT_EQ(call(0.5, Buckets({{"1", 0}, {"+Inf", 0}})), "{} -");
  EXPECT_EQ(call(0.5, Buckets({{"+Inf", 10}})), "{} -");
  EXPECT_EQ(call(0.5, Buckets({{"1", 2}, {"1.0", 4}})), "{} 0.5");
  EXPECT_EQ(call(0.5, Buckets({{"x", 2}, {"NaN", 2}})), "");
  EXPECT_EQ(call(0.5, Buckets({{"1", 2}}, "other")), "");
  EXPECT_EQ(call(0.5, {}), "");
}

TEST(TransformHistogramsTest, GivesBounds) {
  const auto call = [](const std::string& name, double number) {
    Args args;
    args.Add(number).Add(Buckets(kBuckets)).Add("bound");
    return Apply(name, std::move(args));
  };
  EXPECT_EQ(call("histogram_quantile", 0.5), "{} 1.75\n{bound=lower} 1\n{bound=upper} 2");
  EXPECT_EQ(call("histogram_quantile", 0.9), "{} 4\n{bound=lower} 4\n{bound=upper} inf");
  EXPECT_EQ(call("histogram_quantile", -1), "{} -inf\n{bound=lower} -inf\n{bound=upper} 2");
  EXPECT_EQ(call("histogram_quantile", 2), "{} inf\n{bound=lower} 10\n{bound=upper} inf");
  EXPECT_EQ(call("histogram_share", 3), "{} 0.7\n{bound=lower} 0.6\n{bound=upper} 0.8");
  EXPECT_EQ(call("histogram_share", 2), "{} 0.6\n{bound=lower} 0.6\n{bound=upper} 0.6");
  EXPECT_EQ(call("histogram_share", 5), "{} 0.8\n{bound=lower} 0.8\n{bound=upper} 1");
  EXPECT_EQ(call("histogram_share", -1), "{} 0\n{bound=lower} 0\n{bound=upper} 0");
  EXPECT_EQ(call("histogram_share", kInf), "{} 1\n{bound=lower} 1\n{bound=upper} 1");
  EXPECT_EQ(call("histogram_share", kNaN), "{} -\n{bound=lower} -\n{bound=upper} -");
}

TEST(TransformHistogramsTest, ChecksArguments) {
  EXPECT_EQ(Apply("histogram_quantile", Args().Add(1)), "error: unexpected number of args; got 1; want 2...3");
  EXPECT_EQ(Apply("histogram_quantile", Args().Add(Series()).Add(1)),
            "error: cannot parse phi: arg #1 must be a scalar");
  EXPECT_EQ(Apply("histogram_share", Args().Add(1).Add(Series()).Add(1)),
            "error: cannot parse boundsLabel (arg #3): arg #3 must be a string");
  EXPECT_EQ(Apply("histogram_quantiles", Args().Add(1).Add(1)),
            "error: unexpected number of args: 2; expecting at least 3 args");
  EXPECT_EQ(Apply("histogram_fraction", Args().Add(2).Add(1).Add(Series())),
            "error: lower le cannot be greater than upper le; got lower le: 2.000000, upper le: 1.000000");
  EXPECT_EQ(Apply("histogram_fraction", Args().Add(kInf).Add(kInf).Add(Series())),
            "error: lower le cannot be greater than upper le; got lower le: +Inf, upper le: +Inf");
  EXPECT_EQ(Apply("buckets_limit", Args().Add(-1).Add(Series())), "error: limit must be greater than 0; got -1");
}

TEST(TransformHistogramsTest, ComputesManyQuantilesAndFractions) {
  EXPECT_EQ(Apply("histogram_quantiles", Args().Add("phi").Add(0.2).Add(0.5).Add(Buckets(kBuckets))),
            "{phi=0.2} 1\n{phi=0.5} 1.75");
  EXPECT_EQ(Apply("histogram_fraction", Args().Add(-kInf).Add(3).Add(Buckets(kBuckets))), "{} 0.7");
  EXPECT_EQ(Apply("histogram_fraction", Args().Add(2).Add(kInf).Add(Buckets(kBuckets))), "{} 0.4");
}

TEST(TransformHistogramsTest, ComputesMoments) {
  // Two at 0.5, four at 1.5, two at 3: mean 1.625.
  EXPECT_EQ(Apply("histogram_avg", Args().Add(Buckets(kBuckets))), "{} 1.625");
  EXPECT_EQ(Apply("histogram_stdvar", Args().Add(Buckets(kBuckets))), "{} 0.796875");
  EXPECT_EQ(Apply("histogram_stddev", Args().Add(Buckets(kBuckets))), "{} 0.8926785535678563");
  EXPECT_EQ(Apply("histogram_avg", Args().Add(Buckets({{"1", 0}}))), "{} -");
  EXPECT_EQ(Apply("histogram_stddev", Args().Add(Buckets({{"+Inf", 4}}))), "{} -");
}

TEST(TransformHistogramsTest, ReadsVmranges) {
  const auto list = Buckets({{"1...2", 2}, {"4...6", 3}, {"9...8...7", 1}, {"NaN...1", 1}, {"2...4", 0}}, "vmrange");
  EXPECT_EQ(Apply("prometheus_buckets", Args().Add(list)),
            "h{le=1} 0\nh{le=2} 2\nh{le=4} 2\nh{le=6} 5\nh{le=+Inf} 5");
  EXPECT_EQ(Apply("histogram_quantile", Args().Add(0.4).Add(list)), "{} 2");
}

TEST(TransformHistogramsTest, LimitsBuckets) {
  const auto call = [](double limit, const Series& list) {
    return Apply("buckets_limit", Args().Add(limit).Add(list));
  };
  const auto list = Buckets({{"10", 9}, {"30", 10}, {"70", 20}, {"120", 50}, {"200", 52}, {"300", 98}, {"inf", 100}});
  EXPECT_EQ(call(2, list), "h{le=10} 9\nh{le=300} 98\nh{le=inf} 100");
  EXPECT_EQ(call(7, list), ToText(list));
  EXPECT_EQ(call(1e30, list), ToText(list));
  const auto empty_ends = Buckets({{"1", 0}, {"2", 1}, {"3", 2}, {"4", 3}, {"5", 3}, {"6", 3}});
  EXPECT_EQ(call(3, empty_ends), "h{le=2} 1\nh{le=3} 2\nh{le=4} 3");
  EXPECT_EQ(call(3, Buckets({{"x", 1}, {"1", 1}})), "h{le=1} 1");
}

// ---- selection and order

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
  EXPECT_EQ(Apply("sort", Args().Add(list)), "b{} 1 -\nd{} 9 1\ne{} - 5\nc{} 1 5\na{} 2 5");
  EXPECT_EQ(Apply("sort_desc", Args().Add(list)), "b{} 1 -\ne{} - 5\na{} 2 5\nc{} 1 5\nd{} 9 1");
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

// ---- time

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
  EXPECT_EQ(call("year", kInf), "292277026596");
}

TEST(TransformTimeTest, KnowsTheGrid) {
  EXPECT_EQ(Apply("time", Args(3)), "{} 0 1 2");
  EXPECT_EQ(Apply("start", Args(3)), "{} 0 0 0");
  EXPECT_EQ(Apply("end", Args(3)), "{} 2 2 2");
  EXPECT_EQ(Apply("step", Args(3)), "{} 1 1 1");
  EXPECT_EQ(Apply("minute", Args(3)), "{} 0 0 0");
  EXPECT_EQ(Apply("hour", Args().Add(1).Add(2)), "error: too many args; got 2; want up to 1");
}

}  // namespace
}  // namespace vm::select
