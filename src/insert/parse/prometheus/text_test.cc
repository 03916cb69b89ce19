#include "insert/parse/prometheus/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "insert/parse/prometheus/number.h"

namespace vm::insert {
namespace {

using nlohmann::json;

std::vector<json> LoadCases(const std::string& kind) {
  std::vector<json> cases;
  std::ifstream file(std::string(VM_SHARED_DIR) + "/conformance/ingest.jsonl");
  for (std::string line; std::getline(file, line);) {
    json item = json::parse(line);
    if (item["kind"] == kind) cases.push_back(std::move(item));
  }
  return cases;
}

double NumberOf(const json& value) {
  if (value.is_number()) return value.get<double>();
  return ParseNumber(value.get<std::string>()).value();
}

void ExpectSameNumber(double got, double want) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got));
  } else {
    EXPECT_EQ(got, want);
  }
}

TEST(ParseNumberTest, FollowsTheTextFormats) {
  EXPECT_EQ(ParseNumber("1.5e+3"), 1500);
  EXPECT_EQ(ParseNumber(".5"), 0.5);
  EXPECT_EQ(ParseNumber("5."), 5);
  EXPECT_EQ(ParseNumber("-5."), -5);
  EXPECT_EQ(ParseNumber("+Inf"), INFINITY);
  EXPECT_EQ(ParseNumber("-infinity"), -INFINITY);
  EXPECT_EQ(ParseNumber("1e999"), INFINITY);
  EXPECT_EQ(ParseNumber("1e-999"), 0);
  EXPECT_TRUE(std::isnan(ParseNumber("NaN").value()));
  for (const char* bad : {"", "-", "+", ".", "+1", "0x10", "1_000", "1e", "nan(1)", "12a", "--1"}) {
    EXPECT_FALSE(ParseNumber(bad).has_value()) << bad;
  }
}

TEST(TruncateToInt64Test, HasAValueForEveryNumber) {
  EXPECT_EQ(TruncateToInt64(-1.9), -1);
  EXPECT_EQ(TruncateToInt64(-9223372036854775808.0), INT64_MIN);
  for (const double number : {9223372036854775808.0, -1e19, 1e300, static_cast<double>(INFINITY), static_cast<double>(NAN)}) {
    EXPECT_EQ(TruncateToInt64(number), INT64_MIN) << number;
  }
}

TEST(PrometheusTextTest, AgreesWithTheConformanceRows) {
  const auto cases = LoadCases("parse");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  size_t tried = 0;
  for (const json& item : cases) {
    if (item["protocol"] != "prometheus" || !item["input"].is_string()) continue;
    SCOPED_TRACE(item["id"].get<std::string>());
    const std::string input = item["input"];
    const int64_t default_timestamp =
        item.value("options", json::object()).value("default_timestamp_ms", int64_t{0});
    PrometheusText text;
    text.Parse(input, nullptr);
    if (!item.contains("expected_rows")) continue;
    ++tried;
    const json& want = item["expected_rows"];
    ASSERT_EQ(text.rows().size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      const TextRow& row = text.rows()[i];
      EXPECT_EQ(row.metric, want[i]["metric"].get<std::string>());
      json tags = json::object();
      for (const auto& label : text.labels(row)) {
        tags[std::string(label.name)] = std::string(label.value);
      }
      if (want[i].contains("tags")) {
        EXPECT_EQ(tags, want[i]["tags"]);
      }
      ExpectSameNumber(row.value, NumberOf(want[i]["value"]));
      EXPECT_EQ(row.timestamp == 0 ? default_timestamp : row.timestamp,
                want[i]["timestamp"].get<int64_t>());
    }
    if (!item.contains("expected_metadata")) continue;
    const json& metadata = item["expected_metadata"];
    ASSERT_EQ(text.metadata().size(), metadata.size());
    for (size_t i = 0; i < metadata.size(); ++i) {
      EXPECT_EQ(text.metadata()[i].metric, metadata[i]["metric"].get<std::string>());
      EXPECT_EQ(text.metadata()[i].type, metadata[i]["type"].get<uint32_t>());
      EXPECT_EQ(text.metadata()[i].help, metadata[i]["help"].get<std::string>());
    }
  }
  EXPECT_GT(tried, 20u);
}

TEST(PrometheusTextTest, AgreesWithTheConformanceMetadataLines) {
  const auto cases = LoadCases("prometheus_metadata_line");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const json& item : cases) {
    if (!item.contains("expected")) continue;
    SCOPED_TRACE(item["id"].get<std::string>());
    const std::string line = item["input"]["line"];
    const json before = item["input"]["previous_metadata"];
    std::deque<std::string> texts;
    PrometheusText text;
    for (const json& entry : before) {
      text.AddMetadata(TextMetadata{.metric = texts.emplace_back(entry["metric"]),
                                    .type = entry["type"],
                                    .help = texts.emplace_back(entry["help"])});
    }
    text.ParseMetadataLine(line, nullptr);
    ASSERT_EQ(text.metadata().size(), item["expected"].size());
    for (size_t i = 0; i < text.metadata().size(); ++i) {
      EXPECT_EQ(text.metadata()[i].metric, item["expected"][i]["metric"].get<std::string>());
      EXPECT_EQ(text.metadata()[i].type, item["expected"][i]["type"].get<uint32_t>());
      EXPECT_EQ(text.metadata()[i].help, item["expected"][i]["help"].get<std::string>());
    }
  }
}

TEST(PrometheusTextTest, FindsTheClosingQuote) {
  EXPECT_EQ(FindClosingQuote("\"\""), 1u);
  EXPECT_EQ(FindClosingQuote("\"\\\"\""), 3u);
  EXPECT_EQ(FindClosingQuote("\"\\\\\""), 3u);
  EXPECT_EQ(FindClosingQuote("foobar\""), std::string_view::npos);
}

TEST(PrometheusTextTest, CutsExemplarsWithLabels) {
  PrometheusText text;
  text.Parse("foo{} 1 # {trace_id=\"x\"} 0.5\nfoo{a=\"b\",} 2 # {trace_id=\"x\"} 0.5\n", nullptr);
  ASSERT_EQ(text.rows().size(), 2u);
  EXPECT_EQ(text.rows()[0].value, 1);
  EXPECT_EQ(text.rows()[1].value, 2);
  EXPECT_EQ(text.labels(text.rows()[1]).size(), 1u);
}

TEST(PrometheusTextTest, ReportsAndCountsBadLines) {
  PrometheusText text;
  std::string message;
  text.Parse("a 1\nbad\nb 2", [&](std::string_view m) { message = m; });
  EXPECT_EQ(text.rows().size(), 2u);
  EXPECT_EQ(text.bad_lines_count(), 1u);
  EXPECT_EQ(message, "cannot unmarshal Prometheus line \"bad\": missing value");
}

TEST(PrometheusTextTest, SurvivesEveryTruncation) {
  const std::string whole = "# HELP a x\\\\y\n# TYPE a counter\na{b=\"c\\\"d\",\"e\"=\"f\"} 1.5 1700000000000 # {x=\"y\"}\n";
  PrometheusText text;
  for (size_t size = 0; size <= whole.size(); ++size) text.Parse(whole.substr(0, size), nullptr);
}

}  // namespace
}  // namespace vm::insert
