// Text exposition as exporters write it: six labels, a number, a timestamp.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <string>

#include "insert/parse/prometheus/number.h"
#include "insert/parse/prometheus/text.h"

namespace vm::insert {
namespace {

std::string Body(size_t lines) {
  std::string body = "# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.\n# TYPE node_cpu_seconds_total counter\n";
  for (size_t i = 0; i < lines; ++i) {
    body += fmt::format("node_cpu_seconds_total{{instance=\"host-{}.example.com:9100\",job=\"node\",cpu=\"{}\",mode=\"idle\","
                        "datacenter=\"eu-west-1\"}} {}.{} 1790000000{:03}\n",
                        i / 64, i % 64, 1000 + 37 * i, i % 100, i % 1000);
  }
  return body;
}

void BM_ParseText(benchmark::State& state) {
  constexpr size_t kLines = 2000;
  const std::string body = Body(kLines);
  PrometheusText text;
  for (auto _ : state) {
    text.Parse(body, [](std::string_view) {});
    benchmark::DoNotOptimize(text.rows().data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kLines));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}
BENCHMARK(BM_ParseText);

void BM_ParseNumber(benchmark::State& state) {
  const std::string_view numbers[] = {"0", "17", "1234567.25", "1.7e+09", "-0.00012345678901234", "NaN"};
  for (auto _ : state) {
    for (const std::string_view number : numbers) benchmark::DoNotOptimize(ParseNumber(number));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(std::size(numbers)));
}
BENCHMARK(BM_ParseNumber);

}  // namespace
}  // namespace vm::insert
