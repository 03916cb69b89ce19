// Names of series as vminsert sends and vmstorage keeps them; labels as a scrape of node_exporter gives them.
#include <benchmark/benchmark.h>

#include "lib/model/metric_name.h"
#include "lib/model/rows.h"

namespace vm::model {
namespace {

std::vector<ByteBuffer> RawNames() {
  std::vector<ByteBuffer> names;
  for (int i = 0; i < 1000; ++i) {
    const std::string instance = "node-" + std::to_string(10000 + i) + ".dc4.example.net:9100";
    const std::string cpu = std::to_string(i % 64);
    const std::vector<LabelView> labels = {{"__name__", "node_cpu_seconds_total"},
                                           {"cpu", cpu},
                                           {"datacenter", "dc4"},
                                           {"instance", instance},
                                           {"job", "node"},
                                           {"mode", "softirq"}};
    MarshalMetricNameRaw(names.emplace_back(), {0, 0}, labels);
  }
  return names;
}

std::vector<MetricName> Names() {
  std::vector<MetricName> names;
  for (const ByteBuffer& raw : RawNames()) {
    names.push_back(MetricName::UnmarshalRaw(raw).value());
    names.back().SortTags();
  }
  return names;
}

void BM_UnmarshalRawAndSort(benchmark::State& state) {
  const auto raw = RawNames();
  size_t i = 0;
  for (auto _ : state) {
    auto name = MetricName::UnmarshalRaw(raw[i++ % raw.size()]);
    name.value().SortTags();
    benchmark::DoNotOptimize(name);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_UnmarshalRawAndSort);

void BM_Marshal(benchmark::State& state) {
  const auto names = Names();
  ByteBuffer bytes;
  size_t i = 0;
  for (auto _ : state) {
    bytes.clear();
    names[i++ % names.size()].Marshal(bytes);
    benchmark::DoNotOptimize(bytes.data());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Marshal);

void BM_Unmarshal(benchmark::State& state) {
  std::vector<ByteBuffer> marshalled;
  for (const MetricName& name : Names()) name.Marshal(marshalled.emplace_back());
  MetricName name;
  size_t i = 0;
  for (auto _ : state) {
    const Status status = MetricName::UnmarshalTo(marshalled[i++ % marshalled.size()], name);
    benchmark::DoNotOptimize(status.ok());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Unmarshal);

void BM_TakeMetricRows(benchmark::State& state) {
  const auto raw = RawNames();
  ByteBuffer packet;
  for (const ByteBuffer& name : raw) AppendMetricRow(packet, {name, 1'795'000'000'000, 1.5});
  std::vector<MetricRow> rows;
  for (auto _ : state) {
    ByteView rest = packet;
    const Status status = TakeMetricRows(rest, raw.size(), rows);
    benchmark::DoNotOptimize(status.ok());
    benchmark::DoNotOptimize(rows.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(raw.size()));
}
BENCHMARK(BM_TakeMetricRows);

}  // namespace
}  // namespace vm::model
