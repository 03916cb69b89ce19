#include <gtest/gtest.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

#include "select/format/csv.h"
#include "select/format/federate.h"
#include "select/format/go_time.h"
#include "select/format/json.h"
#include "select/format/native.h"

namespace vm::select {
namespace {

// Values with few digits go another way than the others.
TEST(JsonTextTest, WritesTheShortestDecimals) {
  std::mt19937_64 random(3);
  const auto check = [](double value) {
    std::string got;
    AppendJsonFloat(got, value);
    std::array<char, 400> want;
    const char* end = std::to_chars(want.data(), want.data() + want.size(), value, std::chars_format::fixed).ptr;
    ASSERT_EQ(got, std::string_view(want.data(), static_cast<size_t>(end - want.data())));
  };
  for (const double value : {0.1, -0.1, 0.5, 0.05, -0.0001, 0.00001, 1e-300, 99999999999.9999, 999999999999999.9, 123456789012.3457,
                             0.30000000000000004, 1.0 / 3, 4503599627370495.5, -1.005, 2.5e-4, 1234.56789}) {
    check(value);
  }
  for (int i = 0; i < 100'000; ++i) {
    const auto digits = static_cast<double>(static_cast<int64_t>(random()) >> (random() % 62));
    const double value = digits / std::pow(10, random() % 7);
    if (value == std::trunc(value)) continue;
    check(value);
    check(std::nextafter(value, 0));
  }
}

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNaN = std::nan("");

std::string Float(double value) {
  std::string text;
  AppendJsonFloat(text, value);
  return text;
}

TEST(JsonFloatTest, IsFixedAndShortest) {
  EXPECT_EQ(Float(0.1), "0.1");
  EXPECT_EQ(Float(-0.0), "0");
  EXPECT_EQ(Float(1e-7), "0.0000001");
  EXPECT_EQ(Float(1e21), "1000000000000000000000");
  EXPECT_EQ(Float(1e23), "100000000000000000000000");
  EXPECT_EQ(Float(-1.5e22), "-15000000000000000000000");
  EXPECT_EQ(Float(1152921504606846976.0), "1152921504606846976");
  EXPECT_EQ(Float(9223372036854775808.0), "9223372036854776000");
  EXPECT_EQ(Float(1795288387.123), "1795288387.123");
  EXPECT_EQ(Float(kNaN), "NaN");
  EXPECT_EQ(Float(kInf), "+Inf");
  EXPECT_EQ(Float(-kInf), "-Inf");
}

std::string Quoted(std::string_view text) {
  std::string quoted;
  AppendJsonString(quoted, text);
  return quoted;
}

TEST(JsonStringTest, EscapesAsTheTemplatesDo) {
  EXPECT_EQ(Quoted("<q>'\\tz"), R"("\u003cq>\u0027\\tz")");
  EXPECT_EQ(Quoted("a\n\r\t\b\f\x01\x1f\"&"), R"("a\n\r\t\b\f\u0001\u001f\"&")");
  EXPECT_EQ(Quoted("\xff\xc3\xa9"), "\"\xff\xc3\xa9\"");
}

TEST(JsonStringTest, EscapesAsGoDoes) {
  std::string quoted;
  AppendGoJsonString(quoted, "<a>&'\"\xff\xc3\xa9\xe2\x82");
  EXPECT_EQ(quoted, "\"\\u003ca\\u003e\\u0026'\\\"\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"");
}

model::MetricName Name(std::string group, std::vector<model::Tag> tags) {
  model::MetricName name;
  name.metric_group = std::move(group);
  name.tags = std::move(tags);
  return name;
}

TEST(QueryResponseTest, HasTheReferencesBytes) {
  TimeSeries s{Name("foo", {{"instance", "h:1"}, {"job", "a"}}), {1795288387000}, {2}};
  EXPECT_EQ(VectorResponse({s}, {false, 1, 3, ""}),
            R"({"status":"success","isPartial":false,"data":{"resultType":"vector","result":[{"metric":)"
            R"({"__name__":"foo","instance":"h:1","job":"a"},"value":[1795288387,"2"]}]},"stats":{"seriesFetched": "1","executionTimeMsec":3}})");
  s.timestamps = {1795288367000, 1795288374500, 1795288382000};
  s.values = {1, kNaN, 2.5};
  EXPECT_EQ(MatrixResponse({s}, {true, 1, 2, ",\"trace\":{}"}),
            R"({"status":"success","isPartial":true,"data":{"resultType":"matrix","result":[{"metric":)"
            R"({"__name__":"foo","instance":"h:1","job":"a"},"values":[[1795288367,"1"],[1795288382,"2.5"]]}]},)"
            R"("stats":{"seriesFetched": "1","executionTimeMsec":2},"trace":{}})");
}

TEST(ListResponseTest, HasTheReferencesBytes) {
  EXPECT_EQ(StringListResponse({"__name__", "job"}, {}), R"({"status":"success","isPartial":false,"data":["__name__","job"]})");
  EXPECT_EQ(SeriesListResponse({Name("foo", {{"job", "a"}})}, {}),
            R"({"status":"success","isPartial":false,"data":[{"__name__":"foo","job":"a"}]})");
  EXPECT_EQ(SeriesCountResponse(8, {}), R"({"status":"success","isPartial":false,"data":[8]})");
}

TEST(MetadataResponseTest, HasTheReferencesBlanks) {
  model::MetadataRow requests, seconds;
  requests.name = "http_requests_total";
  requests.type = 1;
  requests.help = "How many";
  seconds.name = "m2";
  seconds.type = 4;
  seconds.unit = "s";
  EXPECT_EQ(MetadataResponse({requests, seconds}, {}),
            R"({"status":"success","isPartial":false,"data": {"http_requests_total": [{"type":"counter","help":"How many"}],)"
            R"("m2": [{"type":"gauge histogram","unit":"s","help":""}]}})");
}

class ExportTest : public testing::Test {
 protected:
  ExportBlock Block() { return {name_, timestamps_, values_}; }

  model::MetricName name_ = Name("m", {{"a", "x\"y\\z\n"}, {"b", "c,d"}});
  std::vector<int64_t> timestamps_ = {1795288382000, 1795288382250};
  std::vector<double> values_ = {1, 2.5};
};

TEST_F(ExportTest, WritesJsonLines) {
  values_ = {kNaN, -kInf};
  std::string line;
  AppendJsonExportLine(line, Block());
  EXPECT_EQ(line, R"({"metric":{"__name__":"m","a":"x\"y\\z\n","b":"c,d"},"values":[null,"-Infinity"],"timestamps":[1795288382000,1795288382250]})"
                  "\n");
}

TEST_F(ExportTest, WritesExpositionLines) {
  std::string lines;
  AppendPrometheusExportLines(lines, Block());
  EXPECT_EQ(lines, "m{a=\"x\\\"y\\\\z\\n\",b=\"c,d\"} 1 1795288382000\nm{a=\"x\\\"y\\\\z\\n\",b=\"c,d\"} 2.5 1795288382250\n");
}

TEST_F(ExportTest, WritesPromApiItems) {
  values_[0] = kNaN;
  std::string item;
  AppendPromApiItem(item, Block());
  EXPECT_EQ(item, R"({"metric":{"__name__":"m","a":"x\"y\\z\n","b":"c,d"},"values":[[1795288382,"NaN"],[1795288382.25,"2.5"]]})");
}

TEST_F(ExportTest, WritesBigSeriesInPieces) {
  timestamps_.assign(2 * kSamplesPerPiece + 1, 1795288382000);
  values_.assign(timestamps_.size(), 1);
  std::string line, item, piece, of_pieces;
  AppendJsonExportLine(line, Block());
  AppendPromApiItem(item, Block());
  size_t pieces = 1;
  for (JsonExportLine json(Block()); json.AppendPiece(piece); ++pieces) {
    of_pieces += piece;
    piece.clear();
  }
  EXPECT_EQ(of_pieces + piece, line);
  EXPECT_EQ(pieces, 5u);
  EXPECT_EQ(std::count(line.begin(), line.end(), ','), 2 * static_cast<int64_t>(timestamps_.size()) + 3);
  of_pieces.clear();
  piece.clear();
  for (PromApiItem promapi(Block()); promapi.AppendPiece(piece); piece.clear()) of_pieces += piece;
  EXPECT_EQ(of_pieces + piece, item);
  EXPECT_EQ(std::count(item.begin(), item.end(), '['), static_cast<int64_t>(timestamps_.size()) + 1);
}

TEST_F(ExportTest, WritesCsv) {
  setenv("TZ", "UTC", 1);
  tzset();
  const auto fields = SplitCsvFields(
      "__name__,__value__,__timestamp__,__timestamp__:unix_s,__timestamp__:unix_ns,__timestamp__:rfc3339,"
      "__timestamp__:custom:02.01.2006 15h04,a,b,none,__timestamp__:x");
  std::string text;
  AppendCsvHeader(text, {"a", "b"});
  EXPECT_EQ(text, "a,b\n");
  text.clear();
  AppendCsvLines(text, Block(), fields);
  EXPECT_EQ(text,
            "m,1,1795288382000,1795288382,1795288382000000000,2026-11-21T19:13:02Z,21.11.2026 19h13,\"x\\\"y\\\\z\\n\",\"c,d\",,"
            "Unsupported timeFormat=x\n"
            "m,2.5,1795288382250,1795288382,1795288382250000000,2026-11-21T19:13:02.25Z,21.11.2026 19h13,\"x\\\"y\\\\z\\n\",\"c,d\",,"
            "Unsupported timeFormat=x\n");
}

TEST_F(ExportTest, FederatesTheLastSample) {
  name_ = Name("m.\xc3\xa9", {{"a.b", "v"}});
  std::string raw, underscores, utf8, stale;
  AppendFederateLine(raw, Block(), FederateNamesFor("", "curl"));
  AppendFederateLine(underscores, Block(), FederateNamesFor("", "Prometheus/2.53"));
  AppendFederateLine(utf8, Block(), FederateNamesFor("text/plain;escaping=allow-utf-8", "Prometheus/3.0"));
  EXPECT_EQ(raw, "m.\xc3\xa9{a.b=\"v\"} 2.5 1795288382250\n");
  EXPECT_EQ(underscores, "m__{a_b=\"v\"} 2.5 1795288382250\n");
  EXPECT_EQ(utf8, "{\"m.\xc3\xa9\",\"a.b\"=\"v\"} 2.5 1795288382250\n");
  values_.back() = kNaN;
  AppendFederateLine(stale, Block(), FederateNames::kRaw);
  EXPECT_EQ(stale, "");
}

std::string Hex(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex += kHex[(c >> 4) & 15];
    hex += kHex[c & 15];
  }
  return hex;
}

TEST(NativeTest, HasTheReferencesBytes) {
  const std::vector<int64_t> timestamps = {1795288448000}, values = {3};
  ByteBuffer timestamps_data, values_data;
  model::EncodedBlock block;
  block.header = model::EncodeBlock({}, timestamps, values, 0, 64, timestamps_data, values_data);
  block.timestamps_data = timestamps_data;
  block.values_data = values_data;
  std::string body;
  AppendNativeHeader(body, {0, 0x00000343ff126600 / 2});
  AppendNativeBlock(body, Name("bar", {{"x", "<q>'\\tz"}}), block);
  EXPECT_EQ(Hex(body),
            "000000000000000000000343ff126600"
            "0000000e6261720178013c713e275c747a01"
            "0000001480f0bdf8bf6880f0bdf8bf68060100030340"
            "0000");
}

TEST(GoTimeTest, KnowsTheReferenceTime) {
  setenv("TZ", "UTC", 1);
  tzset();
  const auto format = [](std::string_view layout) {
    std::string text;
    AppendGoTime(text, 1795288382250, layout);
    return text;
  };
  EXPECT_EQ(format("Mon Jan _2 15:04:05 2006"), "Sat Nov 21 19:13:02 2026");
  EXPECT_EQ(format("Monday, 02-Jan-06 15:04:05 MST"), "Saturday, 21-Nov-26 19:13:02 UTC");
  EXPECT_EQ(format("2006-01-02T15:04:05Z07:00"), "2026-11-21T19:13:02Z");
  EXPECT_EQ(format("3:04PM .000 -0700"), "7:13PM .250 +0000");
  EXPECT_EQ(format("2006-002"), "2026-325");
}

}  // namespace
}  // namespace vm::select
