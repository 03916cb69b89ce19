#include "insert/parse/csv/csv.h"

#include <gtest/gtest.h>

#include "insert/parse/csv/go_time.h"
#include "insert/parse/rows/conformance.h"

namespace vm::insert {
namespace {

using nlohmann::json;

TEST(CsvTest, AgreesWithTheConformanceRows) {
  const auto cases = ConformanceCases("parse", "csv");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const json& item : cases) {
    SCOPED_TRACE(item.dump());
    const json options = item["options"];
    const auto columns = ParseCsvFormat(options["format"].get<std::string>());
    ASSERT_TRUE(columns.ok()) << columns.error().message();
    const std::string input = item["input"];
    ParsedRows rows;
    ParseCsv(rows, input, columns.value(), options.value("detect_header", false), nullptr);
    ExpectRows(rows, item["expected_rows"]);
    if (item.value("invalid", false)) EXPECT_GT(rows.bad_count, 0u);
  }
}

TEST(CsvTest, AgreesWithTheConformanceFormats) {
  const auto cases = ConformanceCases("csv_format");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const json& item : cases) {
    SCOPED_TRACE(item.dump());
    const auto columns = ParseCsvFormat(item["input"].get<std::string>());
    EXPECT_EQ(columns.ok(), !item.value("error", false));
    if (!columns.ok()) continue;
    json got = json::array();
    for (const CsvColumn& column : columns.value()) {
      json entry = json::object();
      if (column.kind == CsvColumnKind::kTime) entry["time"] = column.time_format == CsvTimeFormat::kUnixSeconds ? "unix_s" : "?";
      if (column.kind == CsvColumnKind::kLabel) entry["label"] = column.name;
      if (column.kind == CsvColumnKind::kMetric) entry["metric"] = column.name;
      got.push_back(entry);
    }
    EXPECT_EQ(got, item["expected"]);
  }
}

TEST(CsvTest, AgreesWithTheConformanceTimes) {
  size_t tried = 0;
  for (const char* format : {"unix_s", "unix_ms", "unix_ns", "rfc3339"}) {
    const auto columns = ParseCsvFormat(std::string("1:time:") + format + ",2:metric:m");
    ASSERT_TRUE(columns.ok());
    for (const json& item : ConformanceCases(std::string("csv_time_") + format)) {
      ++tried;
      SCOPED_TRACE(item.dump());
      const std::string input = item["input"];
      const auto got = ParseCsvTime(columns.value()[0], input);
      EXPECT_EQ(got.has_value(), !item.value("error", false));
      if (got) EXPECT_EQ(*got, item["expected"].get<int64_t>());
    }
  }
  if (tried == 0) GTEST_SKIP() << "no shared conformance data";
}

TEST(CsvTest, AgreesWithTheConformanceCells) {
  const auto cases = ConformanceCases("csv_scan");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const json& item : cases) {
    SCOPED_TRACE(item.dump());
    const std::string input = item["input"];
    std::deque<std::string> texts;
    json got = json::array();
    std::string error;
    for (std::string_view rest = input; !rest.empty();) {
      std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.empty()) continue;
      CsvCells cells(line, texts);
      json row = json::array();
      for (std::string_view cell; cells.Next(cell);) row.push_back(std::string(cell));
      error += cells.error();
      got.push_back(row);
    }
    EXPECT_EQ(error.empty(), !item.value("error", false));
    if (error.empty()) EXPECT_EQ(got, item["expected"]);
  }
  for (const json& item : ConformanceCases("csv_quoted_field")) {
    SCOPED_TRACE(item.dump());
    const std::string input = item["input"];
    std::deque<std::string> texts;
    std::string_view rest = input;
    const auto quoted = TakeCsvQuoted(rest, texts);
    EXPECT_EQ(quoted.ok(), !item.value("error", false));
    if (!quoted.ok()) continue;
    EXPECT_EQ(quoted.value(), item["expected"]["result"].get<std::string>());
    EXPECT_EQ(rest, item["expected"]["tail"].get<std::string>());
  }
}

TEST(GoTimeTest, ReadsLayouts) {
  const auto read = [](std::string_view layout, std::string_view text) { return ParseGoTime(layout, text).value_or(-1); };
  EXPECT_EQ(read("2006-01-02 15:04:05", "2020-03-11 18:23:46"), 1583951026000);
  EXPECT_EQ(read("2006-01-02 15:04:05", "2020-03-11 18:23:46.5"), 1583951026500);
  EXPECT_EQ(read("2006-01-02 15:04:05.000", "2020-03-11 18:23:46.123"), 1583951026123);
  EXPECT_EQ(read("2006-01-02 15:04:05.999", "2020-03-11 18:23:46"), 1583951026000);
  EXPECT_EQ(read("02/Jan/2006:15:04:05 -0700", "11/Mar/2020:19:23:46 +0100"), 1583951026000);
  EXPECT_EQ(read("Mon, 02 Jan 2006 15:04:05 MST", "Wed, 11 Mar 2020 18:23:46 GMT"), 1583951026000);
  EXPECT_EQ(read("January 2, 2006 3:04 PM", "March 11, 2020 6:23 pm"), 1583950980000);
  EXPECT_EQ(read("1/_2/06 15h", "3/ 1/69 05h"), -26420400000);
  EXPECT_EQ(read("2006-002", "2020-366"), 1609372800000);
  EXPECT_EQ(read("2006-01-02T15:04:05Z07:00", "2020-03-11T18:23:46-00:30"), 1583952826000);
  EXPECT_EQ(ParseRfc3339("2020-03-11T18:23:46.123456Z"), 1583951026123);
  for (const char* bad : {"", "2020-13-01 00:00:00", "2020-02-30 00:00:00", "2020-01-01 24:00:00", "2020-01-01 00:60:00",
                          "2020-01-01", "2020-01-01 00:00:00x", "x"}) {
    EXPECT_FALSE(ParseGoTime("2006-01-02 15:04:05", bad)) << bad;
  }
}

}  // namespace
}  // namespace vm::insert
