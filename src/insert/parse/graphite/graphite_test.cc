#include "insert/parse/graphite/graphite.h"

#include <gtest/gtest.h>

#include "insert/parse/rows/conformance.h"

namespace vm::insert {
namespace {

TEST(GraphiteTest, AgreesWithTheConformanceRows) {
  const auto cases = ConformanceCases("parse", "graphite");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const auto& item : cases) {
    SCOPED_TRACE(item["id"].get<std::string>());
    GraphiteOptions options;
    options.sanitize_metric_name = item.value("options", nlohmann::json::object()).value("sanitize_metric_name", false);
    const std::string input = item["input"];
    ParsedRows rows;
    ParseGraphite(rows, input, options, nullptr);
    ExpectRows(rows, item["expected_rows"]);
    if (item.value("invalid", false)) EXPECT_GT(rows.bad_count, 0u);
  }
}

TEST(GraphiteTest, AgreesWithTheConformanceNames) {
  const auto cases = ConformanceCases("graphite_metric_and_tags");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const auto& item : cases) {
    SCOPED_TRACE(item.dump());
    const std::string input = item["input"];
    ParsedRows rows;
    ParsedRow row;
    const Status status = ParseGraphiteMetric(rows, row, input, {});
    EXPECT_EQ(status.ok(), !item.value("error", false));
    if (!status.ok()) continue;
    EXPECT_EQ(row.metric, item["expected"]["metric"].get<std::string>());
    EXPECT_EQ(TagsOf(rows.LabelsOf(row)), ConformanceTags(item["expected"]));
  }
}

TEST(GraphiteTest, SaysWhatIsWrong) {
  ParsedRows rows;
  std::vector<std::string> messages;
  ParseGraphite(rows, "\r\na\nb x 1\n\tc;d=e 1 y\nok 1 2", {},
                [&](std::string_view message) { messages.emplace_back(message); });
  EXPECT_EQ(messages, (std::vector<std::string>{
                          "cannot unmarshal Graphite line \"a\": cannot find separator between value and timestamp",
                          "cannot unmarshal Graphite line \"b x 1\": cannot unmarshal metric value from \"x\"",
                          "cannot unmarshal Graphite line \"c;d=e 1 y\": cannot unmarshal timestamp from \"y\""}));
  EXPECT_EQ(rows.bad_count, 3u);
  ASSERT_EQ(rows.rows.size(), 1u);
  EXPECT_EQ(rows.rows[0].metric, "ok");
}

TEST(GraphiteTest, TakesTimesOfAnySize) {
  ParsedRows rows;
  ParseGraphite(rows, "a 1 1e300\nb 1 NaN\nc 1 -Inf", {}, nullptr);
  ASSERT_EQ(rows.rows.size(), 3u);
  for (const ParsedRow& row : rows.rows) EXPECT_EQ(row.timestamp, INT64_MIN);
}

}  // namespace
}  // namespace vm::insert
