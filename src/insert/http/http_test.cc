#include <gtest/gtest.h>
#include <snappy.h>
#include <zlib.h>

#include <utility>

#include "insert/http/body_decoder.h"
#include "insert/http/ingest.h"
#include "insert/http/path.h"
#include "insert/http/whole_ingest.h"
#include "lib/encoding/zstd.h"

namespace vm::insert {
namespace {

InsertPath MustParse(std::string_view path, std::string_view account = "", std::string_view project = "") {
  auto parsed = ParseInsertPath(path, true, account, project);
  EXPECT_TRUE(parsed.ok());
  return parsed.ok() ? std::move(parsed).value() : InsertPath{};
}

TEST(InsertPathTest, TakesTheTenantFromPathOrHeaders) {
  InsertPath path = MustParse("/insert/42:7/prometheus/api/v1/write", "1", "2");
  EXPECT_EQ(path.prefix, "insert");
  EXPECT_EQ(path.tenant, "42:7");
  EXPECT_EQ(path.suffix, "prometheus/api/v1/write");
  EXPECT_EQ(MustParse("//insert//multitenant//a//b").tenant, "multitenant");
  EXPECT_EQ(MustParse("//insert//multitenant//a//b").suffix, "a/b");
  path = MustParse("/insert/prometheus/api/v1/write");
  EXPECT_EQ(path.tenant, "0:0");
  EXPECT_EQ(path.suffix, "prometheus/api/v1/write");
  EXPECT_EQ(MustParse("/insert/prometheus/x", "42", "").tenant, "42:0");
  EXPECT_EQ(MustParse("/insert/prometheus/x", "", "7").tenant, "0:7");
  EXPECT_EQ(MustParse("/insert/prometheus/x", "multitenant", "7").tenant, "multitenant");
  EXPECT_FALSE(ParseInsertPath("/insert", true, "", "").ok());
  EXPECT_FALSE(ParseInsertPath("/insert/", true, "", "").ok());
  EXPECT_FALSE(ParseInsertPath("/insert/42", false, "", "").ok());
}

TEST(TenantTest, ChecksTheNumbers) {
  EXPECT_EQ(ParseTenant("42").value(), (model::Tenant{42, 0}));
  EXPECT_EQ(ParseTenant("42:7").value(), (model::Tenant{42, 7}));
  EXPECT_FALSE(ParseTenant("multitenant").value().has_value());
  for (const char* bad : {"", "a", "1:", "1:2:3", "-1", "4294967296", "1:x"}) {
    EXPECT_FALSE(ParseTenant(bad).ok()) << bad;
  }
}

class IngestTest : public testing::Test {
 protected:
  IngestTest() : placement_(nodes_, 0) {
    context_.placement = &placement_;
    context_.throttles = &throttles_;
  }

  static IngestOutput Text(std::string_view lines, int64_t timestamp, const IngestContext& context) {
    return IngestWhole([&](IngestOutput& output) { return IngestText(lines, timestamp, context, output); }).value();
  }
  static IngestOutput JsonLines(std::string_view lines, const IngestContext& context) {
    return IngestWhole([&](IngestOutput& output) { return IngestJsonLines(lines, context, output); }).value();
  }
  static Result<IngestOutput> RemoteWrite(std::string_view body, const IngestContext& context) {
    return IngestWhole([&](IngestOutput& output) { return IngestRemoteWrite(AsBytes(body), {}, context, output); });
  }

  const std::vector<std::string> nodes_ = {"a:8400"};
  const hash::Rendezvous placement_;
  LimitThrottles throttles_;
  IngestContext context_;
};

TEST_F(IngestTest, TurnsTextIntoRows) {
  context_.tenant = model::Tenant{5, 6};
  context_.extra_labels = {{"env", "x"}};
  const IngestOutput output = Text(
      "# TYPE m counter\nm{a=\"b\",empty=\"\"} 1.5 1700000000\nbad\nm 2\n", 123, context_);
  EXPECT_EQ(output.rows_count, 2u);
  EXPECT_EQ(output.invalid_lines_count, 1u);
  EXPECT_EQ(output.metadata_count, 1u);
  EXPECT_EQ(output.tenant_rows.at(model::Tenant{5, 6}), 2u);
  ASSERT_EQ(output.samples.size(), 1u);
  ByteView rows = output.samples[0].data;
  const auto first = model::TakeMetricRow(rows);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first.value().timestamp, 1700000000000);
  EXPECT_EQ(first.value().value, 1.5);
  const auto name = model::MetricName::UnmarshalRaw(first.value().metric_name_raw);
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name.value().tenant, (model::Tenant{5, 6}));
  EXPECT_EQ(name.value().metric_group, "m");
  EXPECT_EQ(name.value().tags, (std::vector<model::Tag>{{"a", "b"}, {"env", "x"}}));
  const auto second = model::TakeMetricRow(rows);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second.value().timestamp, 123);
  EXPECT_TRUE(rows.empty());
  ASSERT_EQ(output.metadata.size(), 1u);
  ByteView metadata = output.metadata[0].data;
  EXPECT_EQ(model::TakeMetadataRow(metadata).value().type, 1u);
}

TEST_F(IngestTest, CountsSeriesBeyondTheLimits) {
  context_.tenant = model::Tenant{};
  context_.prepare.max_labels_per_series = 2;
  const IngestOutput output = Text("m{a=\"1\",b=\"2\"} 1\nm{a=\"1\"} 1\n", 1, context_);
  EXPECT_EQ(output.too_many_labels_count, 1u);
  EXPECT_EQ(output.warnings.size(), 1u);
  EXPECT_EQ(output.samples.at(0).rows_count, 1u);
}

TEST_F(IngestTest, TakesTheTenantOfEachSeriesFromItsLabels) {
  const IngestOutput output =
      Text("m{vm_account_id=\"5\"} 1\nm{vm_account_id=\"7\"} 1\nm 1\n", 1, context_);
  EXPECT_EQ(output.tenant_rows.size(), 3u);
}

TEST_F(IngestTest, RejectsAWrongRemoteWriteBody) {
  EXPECT_FALSE(RemoteWrite("garbage", context_).ok());
}

TEST_F(IngestTest, ReadsARemoteWriteBody) {
  context_.tenant = model::Tenant{};
  ByteBuffer body;
  // One series m with one sample of 1 at 1000.
  ASSERT_TRUE(FromHex("0a1d 0a0d 0a085f5f6e616d655f5f 12016d 120c 09000000000000f03f 10e807", body));
  std::string packed;
  snappy::Compress(reinterpret_cast<const char*>(body.data()), body.size(), &packed);
  const auto output = RemoteWrite(packed, context_);
  ASSERT_TRUE(output.ok()) << output.error().message();
  EXPECT_EQ(output.value().rows_count, 1u);
  ASSERT_EQ(output.value().samples.size(), 1u);
  ByteView rows = output.value().samples[0].data;
  const auto row = model::TakeMetricRow(rows);
  ASSERT_TRUE(row.ok());
  EXPECT_EQ(row.value().timestamp, 1000);
  EXPECT_EQ(row.value().value, 1);
}

// Series of the usual form are read on their own way; rows, order, nodes and limits do not depend on that.
TEST_F(IngestTest, UsualAndUnusualSeriesOfRemoteWriteKeepTheirOrder) {
  const auto field = [](char tag, const std::string& body) { return tag + std::string(1, static_cast<char>(body.size())) + body; };
  const auto label = [&](const std::string& name, const std::string& value) {
    return field('\x0a', field('\x0a', name) + field('\x12', value));
  };
  const std::string one("\x09\0\0\0\0\0\0\xf0\x3f\x10\x07", 11);  // 1 at 7.
  const std::string sample = field('\x12', one);
  std::string message;
  for (int i = 0; i < 12; ++i) {
    const std::string name = label("__name__", "m" + std::to_string(i)), job = label("job", "a");
    if (i % 4 == 0) message += field('\x0a', name + job + sample + sample);
    if (i % 4 == 1) message += field('\x0a', sample + name + job);                      // Samples first.
    if (i % 4 == 2) message += field('\x0a', name + job + label("empty", "") + sample);  // A label to be left out.
    if (i % 4 == 3) message += field('\x0a', name + job + label("a", "") + label("b", "1") + label("c", "2") + sample);  // Too many.
  }
  message += field('\x1a', std::string("\x08\x01\x12\x02m1", 6));  // Metadata.
  std::string packed;
  snappy::Compress(message.data(), message.size(), &packed);
  const std::vector<std::string> three = {"127.0.0.1:18501", "127.0.0.1:18502", "127.0.0.1:18503"};
  const hash::Rendezvous placement(three, 0);
  context_.placement = &placement;
  context_.tenant = model::Tenant{5, 6};
  context_.prepare.max_labels_per_series = 3;
  const auto read = [&](const IngestContext& context) {
    auto output = RemoteWrite(packed, context);
    EXPECT_TRUE(output.ok());
    return std::move(output).value();
  };
  const IngestOutput output = read(context_);
  EXPECT_EQ(output.rows_count, 15u);
  EXPECT_EQ(output.too_many_labels_count, 3u);
  EXPECT_EQ(output.metadata_count, 1u);
  EXPECT_EQ(output.tenant_rows.at(model::Tenant{5, 6}), 12u);
  size_t rows_count = 0;
  for (const NodeBatch& batch : output.samples) {
    ByteView rows = batch.data;
    int last = -1;
    while (!rows.empty()) {
      const auto row = model::TakeMetricRow(rows);
      ASSERT_TRUE(row.ok());
      const auto name = model::MetricName::UnmarshalRaw(row.value().metric_name_raw);
      ASSERT_TRUE(name.ok());
      EXPECT_EQ(name.value().tenant, (model::Tenant{5, 6}));
      EXPECT_EQ(name.value().tags, (std::vector<model::Tag>{{"job", "a"}}));
      const int number = std::stoi(name.value().metric_group.substr(1));
      EXPECT_GE(number, last);
      last = number;
      EXPECT_EQ(row.value().timestamp, 7);
      EXPECT_EQ(row.value().value, 1);
      ++rows_count;
    }
  }
  EXPECT_EQ(rows_count, 12u);
  // The same by the long way, which labels to be sorted take; these are in order.
  IngestContext sorting = context_;
  sorting.prepare.sort_labels = true;
  const IngestOutput same = read(sorting);
  ASSERT_EQ(same.samples.size(), output.samples.size());
  for (size_t i = 0; i < same.samples.size(); ++i) {
    EXPECT_EQ(same.samples[i].node, output.samples[i].node);
    EXPECT_EQ(same.samples[i].data, output.samples[i].data);
  }
}

// The same for lines: the last one of each body takes the long way too, since nothing may be read behind it.
TEST_F(IngestTest, UsualAndUnusualLinesKeepTheirOrder) {
  const std::vector<std::string> three = {"127.0.0.1:18501", "127.0.0.1:18502", "127.0.0.1:18503"};
  const hash::Rendezvous placement(three, 0);
  context_.placement = &placement;
  context_.tenant = model::Tenant{5, 6};
  context_.prepare.max_labels_per_series = 3;
  std::string text = "# HELP m0 Something.\n", json_lines;
  for (int i = 0; i < 30; ++i) {
    const std::string number = std::to_string(i);
    text += "m" + number + "{a=\"b\",c=\"" + std::string(static_cast<size_t>(i), 'x') + "\"} " + number + " 1790000000000\n";
    text += "m" + number + "{a = \"b\", c=\"x\\n\"} 1\n";                   // Blanks and an escape.
    text += "m" + number + "{a=\"1\",b=\"2\",c=\"3\"} 1\nbad{\nm" + number + " 7\r\n";  // Too many labels; broken; no labels.
    json_lines += R"({"metric":{"__name__":"m)" + number + R"(","a":"b"},"values":[1,2],"timestamps":[1790000000000,1]})" + "\n";
    json_lines += R"({"metric":{"__name__":"m)" + number + R"(","a":"\n", "c":""},"values":[null],"timestamps":[7]})" + "\nbad\n";
    json_lines += std::string(R"({"metric":{"a":"1","b":"2","c":"3","d":"4"},"values":[1],"timestamps":[7]})") + "\r\n";
  }
  IngestContext sorting = context_;
  sorting.prepare.sort_labels = true;  // Takes the long way; the labels are in order.
  const auto expect_same = [](const IngestOutput& got, const IngestOutput& want) {
    EXPECT_EQ(got.rows_count, want.rows_count);
    EXPECT_EQ(got.invalid_lines_count, want.invalid_lines_count);
    EXPECT_EQ(got.too_many_labels_count, want.too_many_labels_count);
    EXPECT_EQ(got.tenant_rows, want.tenant_rows);
    EXPECT_EQ(got.errors, want.errors);
    ASSERT_EQ(got.samples.size(), want.samples.size());
    for (size_t i = 0; i < got.samples.size(); ++i) {
      EXPECT_EQ(got.samples[i].node, want.samples[i].node);
      EXPECT_EQ(got.samples[i].rows_count, want.samples[i].rows_count);
      EXPECT_EQ(got.samples[i].data, want.samples[i].data);
    }
  };
  const IngestOutput of_text = Text(text, 123, context_);
  expect_same(of_text, Text(text, 123, sorting));
  EXPECT_EQ(of_text.rows_count, 120u);
  EXPECT_EQ(of_text.invalid_lines_count, 30u);
  EXPECT_EQ(of_text.too_many_labels_count, 30u);
  EXPECT_EQ(of_text.metadata_count, 1u);
  EXPECT_EQ(of_text.samples.size(), 3u);
  const IngestOutput of_json = JsonLines(json_lines, context_);
  expect_same(of_json, JsonLines(json_lines, sorting));
  EXPECT_EQ(of_json.rows_count, 120u);
  EXPECT_EQ(of_json.too_many_labels_count, 30u);
  EXPECT_EQ(of_json.samples.size(), 3u);
}

std::string Field(char tag, const std::string& body) {
  std::string size;
  for (size_t rest = body.size(); size.empty() || rest > 0; rest >>= 7) {
    size += static_cast<char>((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  }
  return tag + size + body;
}

// Few bytes of a body may stand for many of rows; they are handed over in between, in every protocol.
TEST_F(IngestTest, PausesBeforeRowsBecomeMany) {
  const std::string long_value(1000, 'v');
  context_.tenant = model::Tenant{5, 6};
  context_.extra_labels = {{"x", long_value}};
  IngestContext plain = context_;
  plain.extra_labels.clear();

  std::string lines, csv, graphite, telnet, put, points, fields, attributes, v2_points, zabbix;
  std::string values, timestamps, csv_format = "1:metric:m";
  for (int i = 1; i <= 300; ++i) {
    const std::string number = std::to_string(i), comma = i == 1 ? "" : ",";
    lines += "m" + number + " 1\n";
    csv += number + "\n";
    graphite += "m." + number + " 1 1\n";
    telnet += "put m" + number + " 1 1 a=b\n";
    put += comma + R"({"metric":"m","timestamp":1,"value":1,"tags":{"a":")" + number + "\"}}";
    points += comma + "[" + number + ",1]";
    v2_points += comma + R"({"timestamp":)" + number + R"(,"value":1})";
    fields += comma + "f" + number + "=1";
    zabbix += R"({"host":{"host":"h","name":"n"},"item_tags":[],"groups":[],"name":"m","clock":1,"ns":0,"value":1,"type":0})" "\n";
    attributes += comma + "\"n" + number + "\":1";
    values += comma + number;
    timestamps += comma + number;
  }
  const std::string series = R"({"metric":{"__name__":"m","x":")" + long_value + R"("},"values":[)" + values + R"(],"timestamps":[)" + timestamps + "]}";
  const std::string blank_series = series + " ";
  const std::string label = Field('\x0a', Field('\x0a', "__name__") + Field('\x12', "m")) +
                            Field('\x0a', Field('\x0a', "x") + Field('\x12', long_value));
  const auto pack = [](const std::string& message) {
    std::string packed;
    const std::string body = Field('\x0a', message);
    snappy::Compress(body.data(), body.size(), &packed);
    return packed;
  };
  std::string samples;
  for (int i = 0; i < 300; ++i) samples += Field('\x12', std::string("\x10") + static_cast<char>(i % 100));
  // One span of 298 buckets of 1 each (deltas 1, 0, 0, ...), without a schema.
  const std::string span = Field('\x5a', std::string("\x10\xaa\x02", 3)), deltas = Field('\x62', "\x02" + std::string(297, '\0'));
  const std::string of_samples = pack(label + samples), of_histograms = pack(label + Field('\x22', span + deltas));
  const std::string datadog_v1 = R"({"series":[{"metric":"m","tags":["x:)" + long_value + R"("],"points":[)" + points + "]}]}";
  const std::string datadog_v2 = R"({"series":[{"metric":"m","tags":["x:)" + long_value + R"("],"points":[)" + v2_points + "]}]}";
  // 50 points become quantiles and totals each.
  std::string sketch_points;
  for (int i = 0; i < 50; ++i) sketch_points += Field('\x3a', "\x08\x05\x10\x02");
  const std::string sketches = Field('\x0a', Field('\x0a', "m") + Field('\x12', long_value) + sketch_points);
  const std::string influx = "m,x=" + long_value + " " + fields + "\n";
  const std::string newrelic = R"([{"Events":[{"x":")" + long_value + "\"," + attributes + "}]}]";
  const std::string opentsdb = "[" + put + "]";
  std::string quantiles;
  for (int i = 0; i < 298; ++i) quantiles += Field('\x32', "");
  const std::string attribute = Field('\x3a', Field('\x0a', "x") + Field('\x12', Field('\x0a', long_value)));
  const auto otlp = [&](char kind, const std::string& all_points) {
    return Field('\x0a', Field('\x12', Field('\x12', Field('\x0a', "m") + Field(kind, all_points))));
  };
  std::string gauges;
  for (int i = 0; i < 300; ++i) gauges += Field('\x0a', attribute);
  const std::string otlp_gauge = otlp('\x2a', gauges), otlp_summary = otlp('\x5a', Field('\x0a', attribute + quantiles));
  ByteBuffer native, rows, name;
  ASSERT_TRUE(FromHex("0000000000000000" "fffffffffffffffe", native));
  for (int i = 0; i < 300; ++i) {
    const std::string native_name = "m\x01x\x01" + long_value + "\x01";
    AppendBigEndian<uint32_t>(native, static_cast<uint32_t>(native_name.size()));
    Append(native, native_name);
    ByteBuffer block;
    ASSERT_TRUE(FromHex("00000014" "80f0bdf8bf68" "80f0bdf8bf68" "06" "01" "00" "03" "03" "40" "00" "00", block));
    Append(native, block);
  }
  const model::LabelView row_labels[] = {{"", "m"}, {"x", long_value}};
  model::MarshalMetricNameRaw(name, {5, 6}, row_labels);
  for (int i = 0; i < 300; ++i) model::AppendMetricRow(rows, {name, i, 1});
  const auto columns = ParseCsvFormat(csv_format).value();
  const InfluxOptions influx_options;
  const ZabbixOptions zabbix_options;
  const GraphiteOptions graphite_options;
  OtlpOptions otlp_options;
  otlp_options.promote_scope = false;
  NativeReader reader;

  using Begin = std::function<Steps(IngestContext context, IngestOutput& output)>;
  const std::vector<std::pair<const char*, Begin>> protocols = {
      {"text", [&](IngestContext c, IngestOutput& o) { return IngestText(lines, 1, c, o); }},
      {"csv", [&](IngestContext c, IngestOutput& o) { return IngestCsv(csv, columns, false, 1, 1, c, o); }},
      {"graphite", [&](IngestContext c, IngestOutput& o) { return IngestGraphite(graphite, graphite_options, 1, 1, c, o); }},
      {"telnet", [&](IngestContext c, IngestOutput& o) { return IngestOpentsdbTelnet(telnet, 1, 1, c, o); }},
      {"put", [&](IngestContext c, IngestOutput& o) { return IngestOpentsdbPut(opentsdb, 1, 1, c, o); }},
      {"json", [&](IngestContext, IngestOutput& o) { return IngestJsonLines(blank_series, plain, o); }},
      {"json, plain", [&](IngestContext, IngestOutput& o) { return IngestJsonLines(series, plain, o); }},
      {"samples", [&](IngestContext c, IngestOutput& o) { return IngestRemoteWrite(AsBytes(of_samples), {}, c, o); }},
      {"samples, plain", [&](IngestContext, IngestOutput& o) { return IngestRemoteWrite(AsBytes(of_samples), {}, plain, o); }},
      {"histograms", [&](IngestContext, IngestOutput& o) { return IngestRemoteWrite(AsBytes(of_histograms), {}, plain, o); }},
      {"datadog v1", [&](IngestContext, IngestOutput& o) { return IngestDatadog(AsBytes(datadog_v1), DatadogFormat::kV1, true, 1, plain, o); }},
      {"datadog v2", [&](IngestContext, IngestOutput& o) { return IngestDatadog(AsBytes(datadog_v2), DatadogFormat::kV2Json, true, 1, plain, o); }},
      {"sketches", [&](IngestContext, IngestOutput& o) { return IngestDatadogSketches(AsBytes(sketches), true, plain, o); }},
      {"zabbix", [&](IngestContext c, IngestOutput& o) { return IngestZabbix(zabbix, zabbix_options, c, o); }},
      {"influx", [&](IngestContext, IngestOutput& o) { return IngestInflux(influx, InfluxTimestamps("", 1), "", true, 1, influx_options, plain, o); }},
      {"newrelic", [&](IngestContext, IngestOutput& o) { return IngestNewrelic(newrelic, 1, plain, o); }},
      {"otlp gauge", [&](IngestContext, IngestOutput& o) { return IngestOtlp(AsBytes(otlp_gauge), false, otlp_options, plain, o); }},
      {"otlp summary", [&](IngestContext, IngestOutput& o) { return IngestOtlp(AsBytes(otlp_summary), false, otlp_options, plain, o); }},
      {"native", [&](IngestContext, IngestOutput& o) { return IngestNative(reader, native, plain, o); }},
      {"rows", [&](IngestContext, IngestOutput& o) { return IngestMetricRows(rows, plain, o); }},
  };
  constexpr size_t kMaxTurn = 20'000;
  plain.max_turn_bytes = context_.max_turn_bytes = kMaxTurn;
  for (const auto& [what, begin] : protocols) {
    SCOPED_TRACE(what);
    IngestOutput output;
    Steps steps = begin(context_, output);
    size_t turns = 0, rows_count = 0;
    for (bool has_more = true; has_more; ++turns) {
      const auto next = steps.Next();
      ASSERT_TRUE(next.ok()) << next.error().message();
      has_more = next.value();
      size_t bytes = 0;
      for (const NodeBatch& batch : std::exchange(output.samples, {})) {
        bytes += batch.data.size();
        rows_count += batch.rows_count;
      }
      EXPECT_LE(bytes, kMaxTurn + 1200);
    }
    const size_t want = std::string_view(what) == "sketches" ? 50 * 9 : 300;
    EXPECT_EQ(rows_count, want);
    EXPECT_EQ(output.rows_count, want);
    EXPECT_EQ(output.tenant_rows.at(model::Tenant{5, 6}), want);
    EXPECT_GE(turns, 14u);
  }
}

// Threads with other duties do no more than a megabyte of rows, and no histograms.
TEST_F(IngestTest, ShortTurnsAreShort) {
  context_.tenant = model::Tenant{};
  const auto label = [](const std::string& name, const std::string& value) {
    return Field('\x0a', Field('\x0a', name) + Field('\x12', value));
  };
  const std::string sample = Field('\x12', "\x10\x05");
  const auto first_turn = [&](const std::string& message, IngestOutput& output) {
    std::string packed;
    snappy::Compress(message.data(), message.size(), &packed);
    output.is_short_turn = true;
    Steps steps = IngestRemoteWrite(AsBytes(packed), {}, context_, output);
    const auto has_more = steps.Next();
    EXPECT_TRUE(has_more.ok() && has_more.value());
    size_t bytes = 0;
    for (const NodeBatch& batch : std::exchange(output.samples, {})) bytes += batch.data.size();
    output.is_short_turn = false;
    EXPECT_FALSE(steps.Next().value());
    return bytes;
  };
  std::string samples;
  for (int i = 0; i < 1000; ++i) samples += sample;
  IngestOutput of_samples;
  const size_t bytes = first_turn(Field('\x0a', label("a", std::string(4000, 'v')) + samples), of_samples);
  EXPECT_GE(bytes, size_t{1} << 20);
  EXPECT_LE(bytes, (size_t{1} << 20) + 4100);
  EXPECT_EQ(of_samples.tenant_rows.at({}), 1000u);

  IngestOutput of_histograms;
  const std::string histogram = Field('\x22', "\x08\x05");
  EXPECT_GT(first_turn(Field('\x0a', label("a", "b") + sample) + Field('\x0a', label("__name__", "h") + histogram), of_histograms), 0u);
  EXPECT_EQ(of_histograms.tenant_rows.at({}), 3u);
  ASSERT_EQ(of_histograms.samples.size(), 1u);
  EXPECT_EQ(of_histograms.samples[0].rows_count, 2u);  // Sum and count.
}

std::string Decode(std::string_view encoding, ByteView body, size_t piece_size) {
  auto decoder = BodyDecoder::Make(encoding);
  EXPECT_TRUE(decoder.ok());
  ByteBuffer out;
  while (!body.empty()) {
    const size_t size = std::min(piece_size, body.size());
    ByteView piece = body.first(size);
    for (bool has_more = true; has_more;) {
      const size_t before = out.size();
      auto more = decoder.value()->Feed(out, piece);
      EXPECT_TRUE(more.ok());
      has_more = more.ok() && more.value();
      EXPECT_TRUE(encoding.empty() || out.size() - before <= 256 << 10);
    }
    EXPECT_TRUE(piece.empty());
    body = body.subspan(size);
  }
  EXPECT_TRUE(decoder.value()->Finish(out).ok());
  return std::string(AsText(out));
}

TEST(BodyDecoderTest, UndoesEveryEncodingInPieces) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i) + "\n";
  ByteBuffer zlib(compressBound(text.size()));
  uLongf size = zlib.size();
  ASSERT_EQ(compress(zlib.data(), &size, AsBytes(text).data(), text.size()), Z_OK);
  zlib.resize(size);
  ByteBuffer zstd;
  encoding::CompressZstd(zstd, AsBytes(text), 1);
  std::string packed;
  snappy::Compress(text.data(), text.size(), &packed);
  for (const size_t piece : {7u, 1000u, 1000000u}) {
    EXPECT_EQ(Decode("", AsBytes(text), piece), text);
    EXPECT_EQ(Decode("deflate", zlib, piece), text);
    EXPECT_EQ(Decode("zstd", zstd, piece), text);
    EXPECT_EQ(Decode("snappy", AsBytes(packed), piece), text);
  }
  EXPECT_FALSE(BodyDecoder::Make("br").ok());
}

TEST(BodyDecoderTest, RefusesBrokenAndTruncatedGzip) {
  ByteBuffer out;
  auto broken = BodyDecoder::Make("gzip");
  ByteView piece = AsBytes("no gzip at all");
  EXPECT_FALSE(broken.value()->Feed(out, piece).ok());
  auto cut = BodyDecoder::Make("gzip");
  const ByteBuffer head = {0x1f, 0x8b, 0x08, 0x00};
  piece = head;
  EXPECT_TRUE(cut.value()->Feed(out, piece).ok());
  EXPECT_FALSE(cut.value()->Finish(out).ok());
  ByteBuffer zstd;
  encoding::CompressZstd(zstd, AsBytes("some text"), 1);
  for (const size_t size : {size_t{0}, zstd.size() - 1, zstd.size()}) {
    auto decoder = BodyDecoder::Make("zstd");
    piece = ByteView(zstd).first(size);
    EXPECT_TRUE(decoder.value()->Feed(out, piece).ok());
    EXPECT_EQ(decoder.value()->Finish(out).ok(), size == 0 || size == zstd.size());
  }
}

}  // namespace
}  // namespace vm::insert
