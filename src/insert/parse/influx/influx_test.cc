#include "insert/parse/influx/influx.h"

#include <gtest/gtest.h>

#include "insert/parse/rows/conformance.h"

namespace vm::insert {
namespace {

using nlohmann::json;

TEST(InfluxLinesTest, AgreesWithTheConformanceRows) {
  const auto cases = ConformanceCases("parse", "influx");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const json& item : cases) {
    SCOPED_TRACE(item.dump());
    const json options = item.value("options", json::object());
    const std::string input = item["input"];
    InfluxLines lines;
    const Status status = lines.Parse(input, options.value("skip_invalid_lines", false) || options.value("stream_mode", false), nullptr);
    EXPECT_EQ(status.ok(), !item.value("error", false));
    if (!status.ok() || !item.contains("expected_rows")) continue;
    const json& want = item["expected_rows"];
    ASSERT_EQ(lines.rows().size(), want.size());
    const bool has_precision = options.contains("precision");
    const InfluxTimestamps timestamps(options.value("precision", ""), options.value("trim_timestamp_ms", 0));
    for (size_t i = 0; i < want.size(); ++i) {
      const InfluxRow& row = lines.rows()[i];
      EXPECT_EQ(row.measurement, want[i]["measurement"].get<std::string>());
      EXPECT_EQ(TagsOf(lines.labels(row)), ConformanceTags(want[i]));
      ASSERT_EQ(row.fields_count, want[i]["fields"].size());
      for (size_t k = 0; k < row.fields_count; ++k) {
        EXPECT_EQ(lines.fields(row)[k].key, want[i]["fields"][k][0].get<std::string>());
        ExpectSameNumber(lines.fields(row)[k].value, ConformanceNumber(want[i]["fields"][k][1]));
      }
      if (!want[i]["timestamp"].is_number()) continue;
      EXPECT_EQ(has_precision ? timestamps.ToMs(row.timestamp, 0) : row.timestamp, want[i]["timestamp"].get<int64_t>());
    }
  }
}

TEST(InfluxLinesTest, AgreesWithTheConformanceHelpers) {
  size_t tried = 0;
  for (const char* kind : {"influx_next_unescaped_char", "influx_next_unquoted_char"}) {
    for (const json& item : ConformanceCases(kind)) {
      ++tried;
      SCOPED_TRACE(item.dump());
      const json& input = item["input"];
      const std::string text = input["s"];
      const size_t at = FindInflux(text, input["ch"].get<std::string>()[0], input["has_escape_chars"],
                                   kind == std::string("influx_next_unquoted_char"));
      EXPECT_EQ(at == std::string::npos ? -1 : static_cast<int64_t>(at), item["expected"].get<int64_t>());
    }
  }
  for (const json& item : ConformanceCases("influx_unescape_tag_value")) {
    EXPECT_EQ(UnescapeInflux(item["input"].get<std::string>()), item["expected"].get<std::string>());
  }
  for (const json& item : ConformanceCases("influx_detect_timestamp")) {
    EXPECT_EQ(InfluxTimestamps("", 0).ToMs(item["input"]["ts"], item["input"]["ts_default"]),
              item["expected"].get<int64_t>());
  }
  if (tried == 0) GTEST_SKIP() << "no shared conformance data";
}

TEST(InfluxTimestampsTest, KnowsThePrecisions) {
  const auto ms = [](std::string_view precision, int64_t timestamp, int64_t trim = 0) {
    return InfluxTimestamps(precision, trim).ToMs(timestamp, 1'700'000'012'345);
  };
  EXPECT_EQ(ms("ns", 1'700'000'000'123'456'789), 1'700'000'000'123);
  EXPECT_EQ(ms("u", 1'700'000'000'123'456), 1'700'000'000'123);
  EXPECT_EQ(ms("µ", 5000), 5);
  EXPECT_EQ(ms("ms", 5), 5);
  EXPECT_EQ(ms("s", 5), 5000);
  EXPECT_EQ(ms("m", 5), 300'000);
  EXPECT_EQ(ms("h", 1), 3'600'000);
  EXPECT_EQ(ms("", 0), 1'700'000'012'345);
  EXPECT_EQ(ms("s", 0), 1'700'000'012'000);
  EXPECT_EQ(ms("ms", 12'345, 1000), 12'000);
  EXPECT_EQ(ms("", 99'999'999'999), 99'999'999'999'000);
  EXPECT_EQ(ms("", 100'000'000'000), 100'000'000'000);
}

TEST(InfluxLinesTest, SkipsOrRefusesBadLines) {
  InfluxLines lines;
  std::vector<std::string> messages;
  const std::string body = "ok x=1\n# comment\nbad\nok2,a=b y=\"2\",z=t 5\n";
  EXPECT_TRUE(lines.Parse(body, true, [&](std::string_view message) { messages.emplace_back(message); }).ok());
  ASSERT_EQ(lines.rows().size(), 2u);
  EXPECT_EQ(lines.fields(lines.rows()[1])[0].value, 2);
  EXPECT_EQ(lines.bad_count(), 1u);
  EXPECT_EQ(messages, (std::vector<std::string>{
                          "skipping InfluxDB line \"bad\" because of error: cannot find Whitespace I in \"bad\""}));
  const Status status = lines.Parse(body, false, nullptr);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message(), "incorrect influx line \"bad\": cannot find Whitespace I in \"bad\"");
}

}  // namespace
}  // namespace vm::insert
