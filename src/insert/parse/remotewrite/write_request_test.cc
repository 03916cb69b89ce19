#include "insert/parse/remotewrite/write_request.h"

#include <gtest/gtest.h>
#include <snappy.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "insert/parse/remotewrite/body.h"
#include "insert/parse/remotewrite/whole_request.h"
#include "lib/encoding/zstd.h"

namespace vm::insert {
namespace {

using nlohmann::json;

ByteBuffer FromBase64(std::string_view text) {
  ByteBuffer bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    static constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bits = (bits << 6) | static_cast<uint32_t>(kAlphabet.find(c));
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<uint8_t>(bits >> count));
    }
  }
  return bytes;
}

json SeriesToJson(const WholeWriteRequest& request) {
  json list = json::array();
  for (const RemoteSeries& series : request.series()) {
    json labels = json::array(), samples = json::array();
    for (const auto& label : request.labels(series)) {
      labels.push_back({std::string(label.name), std::string(label.value)});
    }
    for (const RemoteSample& sample : request.samples(series)) {
      samples.push_back({{"value", sample.value}, {"timestamp", sample.timestamp}});
    }
    list.push_back({{"labels", labels}, {"samples", samples}});
  }
  return list;
}

json MetadataToJson(const WholeWriteRequest& request) {
  json list = json::array();
  for (const RemoteMetadata& item : request.metadata()) {
    list.push_back({{"type", item.type},
                    {"metric_family_name", std::string(item.metric_family_name)},
                    {"help", std::string(item.help)},
                    {"unit", std::string(item.unit)},
                    {"account_id", item.account_id},
                    {"project_id", item.project_id}});
  }
  return list;
}

TEST(WriteRequestTest, AgreesWithTheConformanceCases) {
  std::ifstream file(std::string(VM_SHARED_DIR) + "/conformance/ingest.jsonl");
  if (!file) GTEST_SKIP() << "no shared conformance data";
  size_t tried = 0;
  for (std::string line; std::getline(file, line);) {
    const json item = json::parse(line);
    const bool is_request = item["kind"] == "parse" && item["protocol"] == "remote_write";
    const bool is_series = item["kind"] == "remote_write_timeseries";
    if (!is_request && !is_series) continue;
    SCOPED_TRACE(item["id"].get<std::string>());
    ++tried;
    const ByteBuffer body = FromBase64(item["input_base64"].get<std::string>());
    WholeWriteRequest request;
    const Status status = is_request ? request.Unmarshal(body) : request.UnmarshalTimeSeries(body);
    EXPECT_EQ(status.ok(), !item.contains("error"));
    if (item.contains("error")) continue;
    EXPECT_EQ(SeriesToJson(request), item["expected_series"]);
    if (is_request) {
      EXPECT_EQ(MetadataToJson(request), item["expected_metadata"]);
    }
    for (size_t size = 0; size < body.size(); ++size) {
      (void)request.Unmarshal(ByteView(body).first(size)).ok();
    }
  }
  EXPECT_GE(tried, 5u);
}

TEST(WriteRequestTest, RejectsAWrongWireType) {
  WholeWriteRequest request;
  const ByteBuffer body = {0x08, 0x01};  // Field 1 as a varint.
  EXPECT_FALSE(request.Unmarshal(body).ok());
}

TEST(RemoteWriteBodyTest, TriesTheOtherCompression) {
  const std::string text(1000, 'x');
  std::string packed;
  snappy::Compress(text.data(), text.size(), &packed);
  ByteBuffer zstd;
  encoding::CompressZstd(zstd, AsBytes(text), 1);
  for (const bool prefer_zstd : {false, true}) {
    RemoteWriteBodyOptions options;
    options.prefer_zstd = prefer_zstd;
    ByteBuffer dst;
    ASSERT_TRUE(UnpackRemoteWriteBody(dst, AsBytes(packed), options).ok());
    EXPECT_EQ(AsText(dst), text);
    ASSERT_TRUE(UnpackRemoteWriteBody(dst, zstd, options).ok());
    EXPECT_EQ(AsText(dst), text);
  }
}

TEST(RemoteWriteBodyTest, OldContentIsReplaced) {
  RemoteWriteBodyOptions options;
  ByteBuffer dst;
  for (const size_t size : {1000, 10, 100000, 0, 500}) {
    const std::string text(size, static_cast<char>('a' + size % 7));
    std::string packed;
    snappy::Compress(text.data(), text.size(), &packed);
    ByteBuffer zstd;
    encoding::CompressZstd(zstd, AsBytes(text), 1);
    options.prefer_zstd = true;
    ASSERT_TRUE(UnpackRemoteWriteBody(dst, zstd, options).ok());
    EXPECT_EQ(AsText(dst), text);
    zstd.back() ^= 0x55;
    zstd.push_back(1);
    EXPECT_FALSE(UnpackRemoteWriteBody(dst, zstd, options).ok());
    options.prefer_zstd = false;
    ASSERT_TRUE(UnpackRemoteWriteBody(dst, AsBytes(packed), options).ok());
    EXPECT_EQ(AsText(dst), text);
  }
}

TEST(RemoteWriteBodyTest, SaysWhatABodyAnnounces) {
  const std::string text(1000, 'x');
  std::string packed;
  snappy::Compress(text.data(), text.size(), &packed);
  ByteBuffer zstd;
  encoding::CompressZstd(zstd, AsBytes(text), 1);
  EXPECT_EQ(AnnouncedBodySize(AsBytes(packed)), 1000u);
  EXPECT_EQ(AnnouncedBodySize(zstd), 1000u);
  EXPECT_EQ(AnnouncedBodySize(ByteView(zstd).first(zstd.size() - 1)), std::nullopt);
  ByteBuffer two = zstd;
  Append(two, ByteView(zstd));  // A second frame may hold anything.
  EXPECT_EQ(AnnouncedBodySize(two), std::nullopt);
  EXPECT_EQ(AnnouncedBodySize({}), std::nullopt);
  ByteBuffer skipped = {0x53, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x'};
  Append(skipped, zstd);
  EXPECT_EQ(AnnouncedBodySize(skipped), std::nullopt);
  const ByteBuffer endless(11, 0xff);
  EXPECT_EQ(AnnouncedBodySize(endless), std::nullopt);
}

TEST(RemoteWriteBodyTest, ChecksTheAnnouncedLengthBeforeUnpacking) {
  RemoteWriteBodyOptions options;
  options.max_size_bytes = 100;
  ByteBuffer dst;
  // A length of 4 GiB - 1 in the header, then nothing.
  const ByteBuffer liar = {0xff, 0xff, 0xff, 0xff, 0x0f};
  const Status status = UnpackRemoteWriteBody(dst, liar, options);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message().find("-maxInsertRequestSize=100"), std::string::npos);
  options.max_size_bytes = size_t{8} << 30;
  EXPECT_FALSE(UnpackRemoteWriteBody(dst, liar, options).ok());

  ByteBuffer zstd;
  encoding::CompressZstd(zstd, ByteBuffer(10'000), 1);
  options.max_size_bytes = 9'999;
  options.prefer_zstd = true;
  const Status bomb = UnpackRemoteWriteBody(dst, zstd, options);
  ASSERT_FALSE(bomb.ok());
  EXPECT_NE(bomb.error().message().find("-maxInsertRequestSize=9999"), std::string::npos) << bomb.error().message();
}

// The usual form is read by a shortcut; everything else must give the same.
TEST(WriteRequestTest, UnusualFormsOfAMessageAreRead) {
  const auto length_of = [](size_t n) {
    std::string out;
    for (; n >= 0x80; n >>= 7) out += static_cast<char>(n | 0x80);
    return out + static_cast<char>(n);
  };
  const auto field = [&](char tag, const std::string& body) { return tag + length_of(body.size()) + body; };
  const std::string unknown = "\x3a\x03xyz";             // Field 7, bytes.
  const std::string value = std::string("\x09") + std::string("\0\0\0\0\0\0\xf8\x3f", 8);  // 1.5
  const std::string time = "\x10\x90\x4e";               // 10000
  for (const size_t size : {1, 127, 128, 16383, 16384}) {
    const std::string text(size, 'v');
    const std::string name = field('\x0a', "name"), content = field('\x12', text);
    for (const std::string& label : {name + content, content + name, unknown + name + content, name + content + unknown,
                                     name + name + content}) {
      for (const std::string& sample : {value + time, time + value, value + unknown + time, value + time + unknown}) {
        for (const std::string& series : {field('\x0a', label) + field('\x12', sample),
                                          field('\x12', sample) + field('\x0a', label),
                                          unknown + field('\x0a', label) + unknown + field('\x12', sample)}) {
          WholeWriteRequest request;
          ASSERT_TRUE(request.UnmarshalTimeSeries(AsBytes(series)).ok());
          ASSERT_EQ(request.series().size(), 1u);
          const RemoteSeries& got = request.series()[0];
          ASSERT_EQ(got.labels_count, 1u);
          ASSERT_EQ(got.samples_count, 1u);
          EXPECT_EQ(request.labels(got)[0].name, "name");
          EXPECT_EQ(request.labels(got)[0].value, text);
          EXPECT_EQ(request.samples(got)[0].value, 1.5);
          EXPECT_EQ(request.samples(got)[0].timestamp, 10000);
        }
      }
    }
  }
  // Zeros are left out; negative times take ten bytes.
  WholeWriteRequest request;
  const std::string label = field('\x0a', field('\x0a', "a") + field('\x12', "b"));
  ASSERT_TRUE(request.UnmarshalTimeSeries(AsBytes(label + field('\x12', ""))).ok());
  EXPECT_EQ(request.samples(request.series()[0])[0].timestamp, 0);
  const std::string minus_one = "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
  ASSERT_TRUE(request.UnmarshalTimeSeries(AsBytes(label + field('\x12', value + minus_one))).ok());
  EXPECT_EQ(request.samples(request.series()[0])[0].timestamp, -1);
  // Cut anywhere, it is refused or gives less, and nothing is read outside.
  const std::string whole = label + field('\x12', value + time);
  for (size_t n = 0; n < whole.size(); ++n) {
    const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n));
    (void)request.UnmarshalTimeSeries(AsBytes(std::string_view(cut.data(), cut.size())));
    EXPECT_LE(request.series().size(), 0u) << n;
  }
}

}  // namespace
}  // namespace vm::insert
