#include "insert/parse/vmimport/json_lines.h"

#include <gtest/gtest.h>

#include "insert/parse/rows/conformance.h"

namespace vm::insert {
namespace {

TEST(JsonLinesTest, AgreesWithTheConformanceRows) {
  const auto cases = ConformanceCases("parse", "vmimport");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const auto& item : cases) {
    SCOPED_TRACE(item["id"].get<std::string>());
    const std::string input = item["input"];
    JsonLinesReader reader;
    reader.Start(input, nullptr);
    for (const auto& want : item["expected_rows"]) {
      const JsonLine* line = reader.Next();
      ASSERT_NE(line, nullptr);
      EXPECT_EQ(TagsOf(line->labels), ConformanceTags(want));
      EXPECT_EQ(line->timestamps, want["timestamps"].get<std::vector<int64_t>>());
      ASSERT_EQ(line->values.size(), want["values"].size());
      for (size_t i = 0; i < line->values.size(); ++i) {
        ExpectSameNumber(line->values[i], ConformanceNumber(want["values"][i]));
      }
    }
    EXPECT_EQ(reader.Next(), nullptr);
    if (item.value("invalid", false)) EXPECT_GT(reader.bad_count(), 0u);
  }
}

TEST(JsonLinesTest, SkipsBadLinesBetweenGoodOnes) {
  JsonLinesReader reader;
  std::vector<std::string> messages;
  const std::string body =
      "{\"metric\":{\"a\":\"b\"},\"values\":[1],\"timestamps\":[1]}\r\n\n{}\n"
      "{\"metric\":{\"a\":\"b\"},\"values\":[1,2],\"timestamps\":[1]}\n"
      "{\"metric\":{\"c\":\"d\",\"\":\"e\"},\"values\":[\"-Inf\",NaN],\"timestamps\":[1,2]}";
  reader.Start(body, [&](std::string_view message) { messages.emplace_back(message); });
  const JsonLine* line = reader.Next();
  ASSERT_NE(line, nullptr);
  EXPECT_EQ(line->labels[0].name, "a");
  line = reader.Next();
  ASSERT_NE(line, nullptr);
  ASSERT_EQ(line->labels.size(), 1u);
  EXPECT_EQ(line->labels[0].value, "d");
  EXPECT_EQ(line->values[0], -INFINITY);
  EXPECT_TRUE(std::isnan(line->values[1]));
  EXPECT_EQ(reader.Next(), nullptr);
  EXPECT_EQ(messages,
            (std::vector<std::string>{
                "skipping json line \"{}\" because of error: missing `metric` object",
                "skipping json line \"{\"metric\":{\"a\":\"b\"},\"values\":[1,2],\"timestamps\":[1]}\" because of error: "
                "`timestamps` array size must match `values` array size; got 1; want 2"}));
}

}  // namespace
}  // namespace vm::insert
