#include <gtest/gtest.h>
#include <snappy.h>
#include <zlib.h>

#include "insert/http/body_decoder.h"
#include "insert/http/ingest.h"
#include "insert/http/path.h"
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

  const std::vector<std::string> nodes_ = {"a:8400"};
  const hash::Rendezvous placement_;
  LimitThrottles throttles_;
  IngestContext context_;
};

TEST_F(IngestTest, TurnsTextIntoRows) {
  context_.tenant = model::Tenant{5, 6};
  context_.extra_labels = {{"env", "x"}};
  const IngestOutput output = IngestText(
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
  const IngestOutput output = IngestText("m{a=\"1\",b=\"2\"} 1\nm{a=\"1\"} 1\n", 1, context_);
  EXPECT_EQ(output.too_many_labels_count, 1u);
  EXPECT_EQ(output.warnings.size(), 1u);
  EXPECT_EQ(output.samples.at(0).rows_count, 1u);
}

TEST_F(IngestTest, TakesTheTenantOfEachSeriesFromItsLabels) {
  const IngestOutput output =
      IngestText("m{vm_account_id=\"5\"} 1\nm{vm_account_id=\"7\"} 1\nm 1\n", 1, context_);
  EXPECT_EQ(output.tenant_rows.size(), 3u);
}

TEST_F(IngestTest, RejectsAWrongRemoteWriteBody) {
  EXPECT_FALSE(IngestRemoteWrite(AsBytes("garbage"), {}, context_).ok());
}

TEST_F(IngestTest, ReadsARemoteWriteBody) {
  context_.tenant = model::Tenant{};
  ByteBuffer body;
  // One series m with one sample of 1 at 1000.
  ASSERT_TRUE(FromHex("0a1d 0a0d 0a085f5f6e616d655f5f 12016d 120c 09000000000000f03f 10e807", body));
  std::string packed;
  snappy::Compress(reinterpret_cast<const char*>(body.data()), body.size(), &packed);
  const auto output = IngestRemoteWrite(AsBytes(packed), {}, context_);
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
    auto output = IngestRemoteWrite(AsBytes(packed), {}, context);
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
  const IngestOutput of_text = IngestText(text, 123, context_);
  expect_same(of_text, IngestText(text, 123, sorting));
  EXPECT_EQ(of_text.rows_count, 120u);
  EXPECT_EQ(of_text.invalid_lines_count, 30u);
  EXPECT_EQ(of_text.too_many_labels_count, 30u);
  EXPECT_EQ(of_text.metadata_count, 1u);
  EXPECT_EQ(of_text.samples.size(), 3u);
  const IngestOutput of_json = IngestJsonLines(json_lines, context_);
  expect_same(of_json, IngestJsonLines(json_lines, sorting));
  EXPECT_EQ(of_json.rows_count, 120u);
  EXPECT_EQ(of_json.too_many_labels_count, 30u);
  EXPECT_EQ(of_json.samples.size(), 3u);
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
