#include "insert/parse/prometheus/plain_text_line.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>

#include "insert/parse/prometheus/number.h"
#include "insert/parse/prometheus/text.h"
#include "lib/model/metric_name.h"

namespace vm::insert {
namespace {

constexpr PlainSeriesLimits kLimits{5, 20, 100};

struct Row {
  std::string labels;  // As they are sent.
  double value = 0;
  int64_t timestamp = 0;

  bool operator==(const Row& other) const {
    const bool is_same_value =
        std::isnan(value) ? std::isnan(other.value) : value == other.value && std::signbit(value) == std::signbit(other.value);
    return labels == other.labels && is_same_value && timestamp == other.timestamp;
  }
};

// From and to memory of just the promised size, so that a sanitizer sees what goes beyond it.
std::optional<Row> ReadPlain(const std::string& line, size_t readable_after = kPlainLineSlack) {
  const auto src = std::make_unique<char[]>(line.size() + readable_after);
  std::copy(line.begin(), line.end(), src.get());
  const auto dst = std::make_unique<uint8_t[]>(line.size() + kPlainSeriesSlack);
  PlainTextLine plain;
  if (!ReadPlainTextLine(std::string_view(src.get(), line.size()), src.get() + line.size() + readable_after, kLimits, dst.get(),
                         plain)) {
    return std::nullopt;
  }
  return Row{std::string(AsText(ByteView(dst.get(), plain.labels_size))), plain.value, plain.timestamp};
}

std::optional<Row> ReadWhole(const std::string& line) {
  PrometheusText text;
  text.Parse(line, nullptr);
  if (text.rows().size() != 1) return std::nullopt;
  const TextRow& row = text.rows()[0];
  std::vector<model::LabelView> labels = {{"", row.metric}};
  for (const model::LabelView& label : text.labels(row)) {
    if (!label.value.empty()) labels.push_back(label);
  }
  ByteBuffer name;
  model::MarshalMetricNameRaw(name, {}, labels);
  return Row{std::string(AsText(ByteView(name).subspan(8))), row.value, row.timestamp};
}

const std::string kPlainLines[] = {
    "m 1",
    "m 1 ",
    "m 1.5 1790000000000",
    "m  -0.25   1790000000",
    "m{} 1 0",
    "go_gc{a=\"b\"} 3.1589e-05 1795607537465",
    "go_gc{a=\"b\",instance=\"node-00000.dc1:9100\",long_label_name=\"a value of more than eight bytes\"} 12345678.25",
    "m{a=\"\",b=\"c\"}NaN",
    "m{a=\"b\",c=\"\"} +Inf 999999999999999",
    "m:x.y{a=\"{}=,#\",b=\"\xc3\xa4\"} 1e3",
    "m{a b=\"x\"} 7 2147483647",
    "m 7 2147483648",
    "m{a=\"b\"} 123456789012345",
    "m{a=\"b\"} -1234567890.12345",
    "m{a=\"b\"} 1234567890.1234567 1",
};

TEST(PlainTextLineTest, GivesWhatTheWholeReaderGives) {
  for (const std::string& line : kPlainLines) {
    const auto plain = ReadPlain(line);
    ASSERT_TRUE(plain.has_value()) << line;
    EXPECT_EQ(ReadWhole(line), plain) << line;
    EXPECT_FALSE(ReadPlain(line, kPlainLineSlack - 1).has_value());
  }
}

TEST(PlainTextLineTest, LeavesTheRestToTheWholeReader) {
  for (const char* line :
       {"", "m", "m{", "m{a", "m{a=", "m{a=\"", "m{a=\"b", "m{a=\"b\"", "m{a=\"b\",", "m{a=\"b\"}", "m{a=\"b\"} ", "{a=\"b\"} 1",
        "{\"m\",a=\"b\"} 1", "m{\"a b\"=\"c\"} 1", "m{a=\"b\",} 1", "m{ a=\"b\"} 1", "m{a =\"b\"} 1", "m{a= \"b\"} 1", "m{a=\"b\" } 1",
        "m{a=\"b\", c=\"d\"} 1", "m{=\"b\"} 1", "m{a=\"x\\\"y\"} 1", "m{a=\"x\\\\\"} 1", "m {a=\"b\"} 1", "m\t1", "m 1\t2", "m 1 2 # x", "m 1 # {a=\"b\"} 2",
        "m 1 1.5", "m 1 -5", "m 1 1e3", "m 1 1234567890123456", "m x", "m{__name__=\"b\"} 1", "m{a=\"1\",b=\"1\",c=\"1\",d=\"1\",e=\"1\"} 1",
        "m{a_name_of_21_bytes__x=\"b\"} 1"}) {
    EXPECT_FALSE(ReadPlain(line).has_value()) << line;
  }
  EXPECT_FALSE(ReadPlain("m{a=\"" + std::string(101, 'v') + "\"} 1").has_value());
  EXPECT_TRUE(ReadPlain("m{a=\"" + std::string(100, 'v') + "\"} 1").has_value());
  EXPECT_FALSE(ReadPlain(std::string(101, 'm') + " 1").has_value());
}

TEST(PlainTextLineTest, AgreesOnLinesCutAndChanged) {
  uint32_t state = 7;
  const auto random = [&state](size_t limit) { return (state = state * 1664525 + 1013904223) / 65536 % limit; };
  constexpr std::string_view kBytes = "{}=\", \t\\#a_1.-+eN:\xc3";
  size_t plain_count = 0;
  for (const std::string& line : kPlainLines) {
    for (size_t size = 0; size < line.size(); ++size) {
      const auto plain = ReadPlain(line.substr(0, size));
      if (plain) {
        EXPECT_EQ(ReadWhole(line.substr(0, size)), plain) << line.substr(0, size);
      }
    }
    for (int round = 0; round < 2000; ++round) {
      std::string changed = line;
      for (size_t i = 0; i <= random(3); ++i) {
        const size_t at = random(changed.size());
        const char byte = kBytes[random(kBytes.size())];
        switch (random(3)) {
          case 0: changed[at] = byte; break;
          case 1: changed.insert(at, 1, byte); break;
          default: changed.erase(at, 1);
        }
        if (changed.empty()) changed = "m";
      }
      const auto plain = ReadPlain(changed);
      // The caller passes blanks in front and comments by.
      if (!plain || changed[0] == ' ' || changed[0] == '\t' || changed[0] == '#') continue;
      ++plain_count;
      EXPECT_EQ(ReadWhole(changed), plain) << changed;
    }
  }
  EXPECT_GT(plain_count, 5000u);
}

TEST(ParseNumberTest, TheShortWayGivesTheSameNumbers) {
  uint32_t state = 3;
  const auto random = [&state](uint32_t limit) { return (state = state * 1664525 + 1013904223) / 65536 % limit; };
  for (int i = 0; i < 20000; ++i) {
    std::string text = random(2) == 0 ? "-" : "";
    const uint32_t digits = 1 + random(17), fraction = random(8);
    for (uint32_t d = 0; d < digits; ++d) text += static_cast<char>('0' + random(10));
    if (fraction > 0) text += '.';
    for (uint32_t d = 0; d < fraction; ++d) text += static_cast<char>('0' + random(10));
    const auto number = ParseNumber(text);
    ASSERT_TRUE(number.has_value()) << text;
    EXPECT_EQ(*number, std::strtod(text.c_str(), nullptr)) << text;
  }
  EXPECT_TRUE(std::signbit(ParseNumber("-0").value()));
  EXPECT_FALSE(std::signbit(ParseNumber("0").value()));
  for (const char* bad : {"1.2.3", "..1", "1..", "1.5x", "-.", "."}) EXPECT_FALSE(ParseNumber(bad).has_value()) << bad;
}

TEST(PrometheusTextTest, TakenLinesBecomeNoRows) {
  PrometheusText text;
  std::vector<std::string> shown;
  text.Parse("a 1\n  b 2\r\n# HELP a x\n\nc 3", nullptr, [&](std::string_view line) {
    shown.emplace_back(line);
    return line.starts_with('b');
  });
  EXPECT_EQ(shown, (std::vector<std::string>{"a 1", "b 2", "c 3"}));
  ASSERT_EQ(text.rows().size(), 2u);
  EXPECT_EQ(text.rows()[1].metric, "c");
  text.DropRows();
  EXPECT_TRUE(text.rows().empty());
  EXPECT_EQ(text.metadata().size(), 1u);
}

}  // namespace
}  // namespace vm::insert
