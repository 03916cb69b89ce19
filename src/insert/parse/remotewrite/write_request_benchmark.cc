// A remote-write message as scrapers send it: 2000 series of six labels, one sample each.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <bit>
#include <string>

#include "insert/parse/remotewrite/write_request.h"
#include "lib/encoding/int.h"

namespace vm::insert {
namespace {

void AppendBytesField(ByteBuffer& dst, uint8_t number, ByteView value) {
  dst.push_back(static_cast<uint8_t>(number << 3 | 2));
  encoding::AppendVarUint64(dst, value.size());
  Append(dst, value);
}

ByteBuffer Message(size_t series_count) {
  ByteBuffer message;
  for (size_t i = 0; i < series_count; ++i) {
    const std::pair<std::string, std::string> labels[] = {{"__name__", "node_cpu_seconds_total"},
                                                          {"cpu", std::to_string(i % 64)},
                                                          {"datacenter", "eu-west-1"},
                                                          {"instance", fmt::format("host-{}.example.com:9100", i / 64)},
                                                          {"job", "node"},
                                                          {"mode", "idle"}};
    ByteBuffer series;
    for (const auto& [name, value] : labels) {
      ByteBuffer label;
      AppendBytesField(label, 1, AsBytes(name));
      AppendBytesField(label, 2, AsBytes(value));
      AppendBytesField(series, 1, label);
    }
    ByteBuffer sample{1 << 3 | 1};
    const uint64_t bits = std::bit_cast<uint64_t>(1000.25 + static_cast<double>(i));
    for (int shift = 0; shift < 64; shift += 8) sample.push_back(static_cast<uint8_t>(bits >> shift));
    sample.push_back(2 << 3);
    encoding::AppendVarUint64(sample, 1'790'000'000'000 + i);
    AppendBytesField(series, 2, sample);
    AppendBytesField(message, 1, series);
  }
  return message;
}

void BM_UnmarshalWriteRequest(benchmark::State& state) {
  constexpr size_t kSeries = 2000;
  const ByteBuffer message = Message(kSeries);
  WriteRequest request;
  for (auto _ : state) {
    request.Start(message);
    size_t series_count = 0;
    for (ByteView series; request.NextSeries(series).value();) series_count += request.ReadSeries(series).ok();
    if (series_count != kSeries) {
      state.SkipWithError("the message was not taken");
      break;
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kSeries));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(message.size()));
}
BENCHMARK(BM_UnmarshalWriteRequest);

}  // namespace
}  // namespace vm::insert
