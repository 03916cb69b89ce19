#include "insert/parse/remotewrite/plain_series.h"

#include "insert/parse/remotewrite/whole_request.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include "lib/model/metric_name.h"

namespace vm::insert {
namespace {

std::string Varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string Field(char tag, const std::string& body) { return tag + Varint(body.size()) + body; }
std::string Label(const std::string& name, const std::string& value) {
  return Field('\x0a', Field('\x0a', name) + Field('\x12', value));
}
std::string Sample(double value, int64_t timestamp) {
  std::string out = "\x09" + std::string(8, 0);
  std::memcpy(out.data() + 1, &value, 8);
  return Field('\x12', out + '\x10' + Varint(static_cast<uint64_t>(timestamp)));
}

struct Read {
  bool is_plain = false;
  PlainSeries series;
  ByteBuffer labels;
};

constexpr PlainSeriesLimits kLimits{40, 256, 4096};

// From and to memory of just the promised size, so that a sanitizer sees what goes beyond it.
Read ReadFrom(const std::string& message, const PlainSeriesLimits& limits = kLimits, size_t readable_after = 0) {
  const auto src = std::make_unique_for_overwrite<uint8_t[]>(message.size() + readable_after);
  std::memcpy(src.get(), message.data(), message.size());
  const auto dst = std::make_unique_for_overwrite<uint8_t[]>(message.size() + kPlainSeriesSlack);
  Read read;
  read.is_plain = ReadPlainSeries(ByteView(src.get(), message.size()), src.get() + message.size() + readable_after, limits,
                                  dst.get(), read.series);
  if (read.is_plain) read.labels.assign(dst.get(), dst.get() + read.series.labels_size);
  return read;
}

TEST(PlainSeriesTest, GivesWhatTheWholeReaderGives) {
  const std::string samples = Sample(1.5, 1'790'000'000'000) + Field('\x12', "\x10\x05") + Sample(-0.0, 1);
  for (const size_t size : {1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 256, 4096}) {
    const std::string text(size, 'v');
    for (const std::string& labels :
         {Label("__name__", text) + Label("instance", "host-1") + Label("job", text), Label("a", text), Label("", text),
          Label("job", "x") + Label(text.substr(0, 256), text) + Label("__name__", "metric"), Label("__name_", text)}) {
      for (const size_t readable_after : {0, 1, 31, 32, 100}) {
        const std::string message = labels + samples;
        const Read read = ReadFrom(message, kLimits, readable_after);
        ASSERT_TRUE(read.is_plain) << size;
        WholeWriteRequest request;
        ASSERT_TRUE(request.UnmarshalTimeSeries(AsBytes(message)).ok());
        ByteBuffer name;
        model::MarshalMetricNameRaw(name, {}, std::as_const(request).labels(request.series()[0]));
        EXPECT_EQ(AsText(read.labels), AsText(ByteView(name).subspan(8)));
        ASSERT_EQ(read.series.samples.size(), 3u);
        for (size_t i = 0; i < 3; ++i) {
          const RemoteSample& want = request.samples(request.series()[0])[i];
          EXPECT_EQ(read.series.samples[i].timestamp, want.timestamp);
          EXPECT_EQ(std::signbit(read.series.samples[i].value), std::signbit(want.value));
          EXPECT_EQ(read.series.samples[i].value, want.value);
        }
        const size_t at = read.series.metric_name_at;
        const bool is_named = labels.find("__name__") != std::string::npos;
        ASSERT_EQ(at != PlainSeries::kNowhere, is_named);
        if (is_named) {
          EXPECT_EQ(read.labels[at], 0);
          EXPECT_EQ(read.labels[at + 1], 0);
        }
      }
    }
  }
}

TEST(PlainSeriesTest, LeavesTheRestToTheWholeReader) {
  const std::string label = Label("a", "b"), sample = Sample(1, 2);
  ASSERT_TRUE(ReadFrom(label + sample).is_plain);
  ASSERT_TRUE(ReadFrom(label).is_plain);
  const std::string turned = Field('\x0a', Field('\x12', "b") + Field('\x0a', "a"));
  const std::string unknown = Field('\x3a', "xyz"), histogram = Field('\x22', ""), exemplar = Field('\x1a', "");
  for (const std::string& message :
       {std::string(), sample, sample + label, label + sample + label, turned + sample, unknown + label, label + unknown,
        label + sample + histogram, label + sample + exemplar, Label("a", "") + sample, label + Label("c", ""),
        Label("__name__", "x") + Label("__name__", "y"), Label(std::string(257, 'n'), "v"), Label("n", std::string(4097, 'v')),
        Field('\x0a', Field('\x0a', "a")), Field('\x0a', Field('\x0a', "a") + Field('\x12', "b") + unknown),
        label + Field('\x12', "\x10" + std::string(9, '\xff') + "\x01")}) {
    EXPECT_FALSE(ReadFrom(message).is_plain) << message;
  }
  std::string many;
  for (int i = 0; i < 41; ++i) many += Label("n" + std::to_string(i), "v");
  EXPECT_FALSE(ReadFrom(many).is_plain);
  EXPECT_TRUE(ReadFrom(many, {0, 256, 4096}).is_plain);
  EXPECT_TRUE(ReadFrom(many, {41, 256, 4096}).is_plain);
}

TEST(PlainSeriesTest, NothingIsReadBeyondACutMessage) {
  const std::string whole = Label("__name__", std::string(200, 'm')) + Label("job", "node") + Sample(1, 2) + Sample(3, 4);
  for (size_t size = 0; size < whole.size(); ++size) {
    const Read read = ReadFrom(whole.substr(0, size));
    WholeWriteRequest request;
    // What is plain is also right.
    if (read.is_plain) {
      EXPECT_TRUE(request.UnmarshalTimeSeries(AsBytes(whole).first(size)).ok()) << size;
    }
  }
}

TEST(WriteRequestTest, ShowsEachSeriesBeforeItIsRead) {
  const std::string first = Label("a", "1") + Sample(1, 1), second = Label("a", "2") + Sample(2, 2);
  const std::string body = Field('\x0a', first) + Field('\x0a', second) + Field('\x0a', first);
  WriteRequest request;
  request.Start(AsBytes(body));
  ByteView message;
  for (const std::string& want : {first, second, first}) {
    const auto next = request.NextSeries(message);
    ASSERT_TRUE(next.ok() && next.value());
    EXPECT_EQ(AsText(message), want);
    if (want == second) continue;
    ASSERT_TRUE(request.ReadSeries(message).ok());
    ASSERT_EQ(request.labels().size(), 1u);
    EXPECT_EQ(request.labels()[0].value, "1");
    ASSERT_EQ(request.samples().size(), 1u);
  }
  EXPECT_FALSE(request.NextSeries(message).value());
}

}  // namespace
}  // namespace vm::insert
