#include "insert/parse/vmimport/plain_json_line.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "insert/parse/vmimport/json_lines.h"
#include "lib/model/metric_name.h"

namespace vm::insert {
namespace {

constexpr PlainSeriesLimits kLimits{4, 20, 100};

struct Series {
  std::string labels;  // As they are sent.
  std::vector<double> values;
  std::vector<int64_t> timestamps;

  bool operator==(const Series&) const = default;
};

// From and to memory of just the promised size, so that a sanitizer sees what goes beyond it.
std::optional<Series> ReadPlain(const std::string& line, size_t readable_after = kPlainLineSlack) {
  const auto src = std::make_unique<char[]>(line.size() + readable_after);
  std::copy(line.begin(), line.end(), src.get());
  const auto dst = std::make_unique<uint8_t[]>(line.size() + kPlainSeriesSlack);
  PlainJsonLine plain;
  if (!ReadPlainJsonLine(std::string_view(src.get(), line.size()), src.get() + line.size() + readable_after, kLimits, dst.get(),
                         plain)) {
    return std::nullopt;
  }
  return Series{std::string(AsText(ByteView(dst.get(), plain.labels_size))), plain.values, plain.timestamps};
}

std::optional<Series> ReadWhole(const std::string& line) {
  JsonLinesReader reader;
  reader.Start(line, nullptr);
  const JsonLine* read = reader.Next();
  if (read == nullptr) return std::nullopt;
  std::vector<model::LabelView> labels;
  for (const model::LabelView& label : read->labels) {
    if (!label.value.empty()) labels.push_back(label);
  }
  ByteBuffer name;
  model::MarshalMetricNameRaw(name, {}, labels);
  return Series{std::string(AsText(ByteView(name).subspan(8))), read->values, read->timestamps};
}

const std::string kPlainLines[] = {
    R"({"metric":{"a":"b"},"values":[1],"timestamps":[1]})",
    R"({"metric":{"__name__":"go_gc_duration_seconds","instance":"node-00000.dc1.example.net:9100","a":"{}[],:"},"values":[3.1589e-05],"timestamps":[1795607567465]})",
    R"({"metric":{"job":"x","__name__":"y"},"values":[0,-1.5,1e10,12345678901234567890],"timestamps":[-1,0,1795607567465,2]})",
};

TEST(PlainJsonLineTest, GivesWhatTheWholeReaderGives) {
  for (const std::string& line : kPlainLines) {
    const auto plain = ReadPlain(line);
    ASSERT_TRUE(plain.has_value()) << line;
    EXPECT_EQ(ReadWhole(line), plain) << line;
    EXPECT_FALSE(ReadPlain(line, kPlainLineSlack - 1).has_value());
  }
}

TEST(PlainJsonLineTest, LeavesTheRestToTheWholeReader) {
  for (const char* line :
       {"", "{}", R"({"metric":{},"values":[1],"timestamps":[1]})", R"({"metric":{"a":"b"},"values":[],"timestamps":[]})",
        R"({"metric":{"a":"b"},"values":[1],"timestamps":[1,2]})", R"({"metric":{"a":"b"},"values":[1,null],"timestamps":[1,2]})",
        R"({"metric":{"a":"b"},"values":["Inf"],"timestamps":[1]})", R"({"metric":{"a":"b"},"values":[1],"timestamps":[1.5]})",
        R"({"metric":{"a":"b"},"timestamps":[1],"values":[1]})", R"({"metric":{"a":"b"},"values":[1],"timestamps":[1],"x":1})",
        R"({"metric":{"a":"b"}, "values":[1],"timestamps":[1]})", R"({"metric":{"a":"b"},"values":[1,],"timestamps":[1,2]})",
        R"({"metric":{"a":"x\"y"},"values":[1],"timestamps":[1]})", R"({"metric":{"a":""},"values":[1],"timestamps":[1]})",
        R"({"metric":{"":"b"},"values":[1],"timestamps":[1]})", R"({"metric":{"a":1},"values":[1],"timestamps":[1]})",
        R"({"metric":{"a":"b"},"values":[1],"timestamps":[1]} )", R"({"metric":{"a":"b"},"values":[--1],"timestamps":[1]})",
        R"({"metric":{"a":"1","b":"1","c":"1","d":"1","e":"1"},"values":[1],"timestamps":[1]})",
        R"({"metric":{"a_name_of_21_bytes__x":"1"},"values":[1],"timestamps":[1]})"}) {
    EXPECT_FALSE(ReadPlain(line).has_value()) << line;
  }
}

TEST(PlainJsonLineTest, AgreesOnLinesCutAndChanged) {
  uint32_t state = 7;
  const auto random = [&state](size_t limit) { return (state = state * 1664525 + 1013904223) / 65536 % limit; };
  constexpr std::string_view kBytes = "{}[]:\", \\a_1.-+eN";
  size_t plain_count = 0;
  for (const std::string& line : kPlainLines) {
    for (size_t size = 0; size < line.size(); ++size) EXPECT_FALSE(ReadPlain(line.substr(0, size)).has_value());
    for (int round = 0; round < 5000; ++round) {
      std::string changed = line;
      for (size_t i = 0; i <= random(3); ++i) {
        const size_t at = random(changed.size());
        const char byte = kBytes[random(kBytes.size())];
        switch (random(3)) {
          case 0: changed[at] = byte; break;
          case 1: changed.insert(at, 1, byte); break;
          default: changed.erase(at, 1);
        }
      }
      const auto plain = ReadPlain(changed);
      if (!plain) continue;
      ++plain_count;
      EXPECT_EQ(ReadWhole(changed), plain) << changed;
    }
  }
  EXPECT_GT(plain_count, 500u);
}

TEST(JsonLinesTest, LinesMayBeReadInAnotherWay) {
  JsonLinesReader reader;
  const std::string body = kPlainLines[0] + "\n" + kPlainLines[1] + "\r\n\n" + kPlainLines[0];
  reader.Start(body, nullptr);
  std::string_view line;
  ASSERT_TRUE(reader.NextLine(line));
  EXPECT_EQ(line, kPlainLines[0]);
  ASSERT_TRUE(reader.NextLine(line));
  EXPECT_EQ(line, kPlainLines[1]);
  const JsonLine* const read = reader.Read(line);
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(read->labels.size(), 3u);
  ASSERT_TRUE(reader.NextLine(line));
  EXPECT_FALSE(reader.NextLine(line));
}

}  // namespace
}  // namespace vm::insert
