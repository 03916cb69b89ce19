// Bodies of remote write: the unpacked size is bounded, the ranges of series stay within their lists, and a series that is read
// in one pass is what the whole reader makes of it.
#include <bit>
#include <cstdlib>
#include <utility>

#include "insert/parse/remotewrite/body.h"
#include "insert/parse/remotewrite/plain_series.h"
#include "insert/parse/remotewrite/whole_request.h"
#include "insert/parse/remotewrite/write_request.h"

namespace {

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it

constexpr size_t kMaxBodySize = 1 << 20;

void Require(bool condition) {
  if (!condition) std::abort();
}

/// Reads every view, so that a sanitizer sees one that points elsewhere.
void Walk(const WholeWriteRequest& request) {
  size_t sum = 0;
  for (const auto& series : request.series()) {
    for (const auto& label : request.labels(series)) {
      for (const char c : label.name) sum += static_cast<unsigned char>(c);
      for (const char c : label.value) sum += static_cast<unsigned char>(c);
    }
    for (const auto& sample : request.samples(series)) sum += static_cast<size_t>(sample.timestamp);
  }
  for (const auto& item : request.metadata()) {
    for (const char c : item.metric_family_name) sum += static_cast<unsigned char>(c);
    for (const char c : item.help) sum += static_cast<unsigned char>(c);
  }
  static volatile size_t sink;  // Nothing is optimized away.
  sink = sum;
}

void ReadBothWays(ByteView message) {
  WholeWriteRequest request;
  const bool is_ok = request.UnmarshalTimeSeries(message).ok();
  if (is_ok) Walk(request);
  ByteBuffer labels(message.size() + kPlainSeriesSlack);
  PlainSeries plain;
  if (!ReadPlainSeries(message, message.data() + message.size(), {40, 256, 4096}, labels.data(), plain)) return;
  Require(is_ok && request.series().size() == (plain.samples.empty() ? 0u : 1u));
  if (plain.samples.empty()) return;
  const RemoteSeries& series = request.series()[0];
  ByteBuffer name;
  model::MarshalMetricNameRaw(name, {}, std::as_const(request).labels(series));
  Require(Equal(ByteView(name).subspan(8), ByteView(labels).first(plain.labels_size)));
  const auto samples = request.samples(series);
  Require(samples.size() == plain.samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    Require(samples[i].timestamp == plain.samples[i].timestamp);
    Require(std::bit_cast<uint64_t>(samples[i].value) == std::bit_cast<uint64_t>(plain.samples[i].value));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView src(data + 1, size - 1);
  WholeWriteRequest request;
  switch (data[0] % 3) {
    case 0:
      if (request.Unmarshal(src).ok()) Walk(request);
      break;
    case 1: ReadBothWays(src); break;
    default: {
      RemoteWriteBodyOptions options;
      options.prefer_zstd = data[0] >= 128;
      options.max_size_bytes = kMaxBodySize;
      ByteBuffer body;
      if (!UnpackRemoteWriteBody(body, src, options).ok()) break;
      Require(body.size() <= kMaxBodySize);
      if (request.Unmarshal(body).ok()) Walk(request);
    }
  }
  return 0;
}
