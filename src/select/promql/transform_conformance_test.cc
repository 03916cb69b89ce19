#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/net/run_on.h"
#include "select/promql/transform_histograms.h"
#include "select/promql/transform_sort.h"
#include "select/promql/transform_stats.h"
#include "select/promql/transform_test_util.h"

namespace vm::select::transform {
namespace {

using nlohmann::json;

Result<Series> RunQuery(const EvalContext& context, const std::string& query) {
  auto expr = metricsql::Parse(query);
  if (!expr.ok()) return std::move(expr).error();
  net::Pool pool("test", 1);
  return net::BlockOn(pool.executor(), Exec(context, *expr.value()));
}


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

/// Whether the query needs nothing but transform functions and plain operators: no rollup, aggregate, matching.
bool NeedsOnlyTransforms(const metricsql::Expr& expr) {
  using namespace metricsql;
  if (expr.kind == ExprKind::kNumber || expr.kind == ExprKind::kString || expr.kind == ExprKind::kDuration) return true;
  if (const auto* func = As<FuncExpr>(&expr)) {
    return !IsRollupFunc(func->name) &&
           std::all_of(func->args.begin(), func->args.end(), [](const auto& arg) { return NeedsOnlyTransforms(*arg); });
  }
  const auto* op = As<BinaryOpExpr>(&expr);
  return op != nullptr && op->group_modifier.op.empty() && NeedsOnlyTransforms(*op->left) &&
         NeedsOnlyTransforms(*op->right);
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
      if (AreClose(series->values[k], values[k])) continue;
      return "point " + std::to_string(k) + " of " + want[i]["metric"].dump();
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
    const auto line = LinearRegression(ToNumbers(c["input"]["values"]), timestamps, timestamps[0] + 100);
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

}  // namespace
}  // namespace vm::select::transform
