#include <gtest/gtest.h>

#include "insert/parse/opentsdb/put.h"
#include "insert/parse/opentsdb/telnet.h"
#include "insert/parse/rows/conformance.h"

namespace vm::insert {
namespace {

TEST(OpentsdbTelnetTest, AgreesWithTheConformanceRows) {
  const auto cases = ConformanceCases("parse", "opentsdb");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const auto& item : cases) {
    SCOPED_TRACE(item.dump());
    const std::string input = item["input"];
    ParsedRows rows;
    ParseOpentsdbTelnet(rows, input, nullptr);
    ExpectRows(rows, item["expected_rows"]);
    if (item.value("invalid", false)) EXPECT_GT(rows.bad_count, 0u);
  }
}

TEST(OpentsdbPutTest, AgreesWithTheConformanceRows) {
  const auto cases = ConformanceCases("parse", "opentsdbhttp");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const auto& item : cases) {
    SCOPED_TRACE(item.dump());
    const std::string input = item["input"];
    ParsedRows rows;
    JsonDocument document;
    const Status status = ParseOpentsdbPut(rows, document, input, nullptr);
    if (!status.ok()) {
      EXPECT_TRUE(item.value("invalid", false) || item.value("error", false));
      continue;
    }
    ExpectRows(rows, item["expected_rows"]);
    if (item.value("invalid", false)) EXPECT_GT(rows.bad_count, 0u);
  }
}

TEST(OpentsdbTest, TakesTimesOfAnySize) {
  ParsedRows rows;
  ParseOpentsdbTelnet(rows, "put a 1e300 1\nput b NaN 1", nullptr);
  ASSERT_EQ(rows.rows.size(), 2u);
  for (const ParsedRow& row : rows.rows) EXPECT_EQ(row.timestamp, INT64_MIN);
  JsonDocument document;
  ASSERT_TRUE(ParseOpentsdbPut(rows, document, "[{\"metric\":\"a\",\"timestamp\":\"-Inf\",\"value\":1}]", nullptr).ok());
  ASSERT_EQ(rows.rows.size(), 1u);
  EXPECT_EQ(rows.rows[0].timestamp, INT64_MIN);
}

TEST(OpentsdbTimestampTest, TellsSecondsFromMilliseconds) {
  EXPECT_EQ(OpentsdbTimestampMs(0xffffffff), 4294967295000);
  EXPECT_EQ(OpentsdbTimestampMs(1700000000123), 1700000000123);
  EXPECT_EQ(OpentsdbTimestampMs(5), 5000);
  // The sign is none of the bits that are looked at.
  EXPECT_EQ(OpentsdbTimestampMs(INT64_MIN), 0);
  EXPECT_EQ(OpentsdbTimestampMs(INT64_MIN + 1), 1000);
}

}  // namespace
}  // namespace vm::insert
