#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "select/promql/transform_histograms.h"
#include "select/promql/transform_sort.h"
#include "select/promql/transform_test_util.h"

namespace vm::select::transform {
namespace {

using nlohmann::json;

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
