#include <benchmark/benchmark.h>

#include <random>

#include "select/promql/aggr.h"
#include "select/promql/aggr_incremental.h"
#include "select/promql/rollup.h"

namespace vm::select {
namespace {

constexpr int64_t kScrapeMs = 15000;
constexpr size_t kSamples = 5760;  // A day.

/// A counter with a reset now and then, scraped with some jitter.
TimeSeries MakeSamples(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> growth(0, 50);
  std::uniform_int_distribution<int64_t> jitter(-200, 200);
  TimeSeries s;
  s.name.metric_group = "requests_total";
  s.name.tags = {{"job", "job" + std::to_string(seed % 10)}, {"instance", "host" + std::to_string(seed)}};
  double value = 0;
  for (size_t i = 0; i < kSamples; ++i) {
    value = random() % 2000 == 0 ? 0 : value + growth(random);
    s.timestamps.push_back(1'700'000'000'000 + static_cast<int64_t>(i) * kScrapeMs + jitter(random));
    s.values.push_back(value);
  }
  return s;
}

RollupConfig DayByMinutes(const TimeSeries& s, int64_t window_ms) {
  RollupConfig config;
  config.step = 60000;
  config.start = s.timestamps.front() / config.step * config.step;
  config.end = config.start + 86'400'000;
  config.window = window_ms;
  return config;
}

/// One function over a day of samples, a point a minute. The argument is the window in minutes.
void RunFunction(benchmark::State& state, const char* name) {
  const TimeSeries s = MakeSamples(1);
  const RollupConfig config = DayByMinutes(s, state.range(0) * 60000);
  const RollupFunction* f = FindRollup(name);
  const std::vector<double> arg(config.PointsCount(), 0.9);
  std::vector<double> out(config.PointsCount());
  RollupScratch scratch;
  for (auto _ : state) {
    benchmark::DoNotOptimize(RunRollupLoop(config, f->loop, f->scanned_per_call, s.values, s.timestamps, arg, arg, scratch, out.data()));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * out.size()));
}
BENCHMARK_CAPTURE(RunFunction, rate, "rate")->Arg(5)->Arg(60);
BENCHMARK_CAPTURE(RunFunction, increase, "increase")->Arg(5);
BENCHMARK_CAPTURE(RunFunction, default_rollup, "default_rollup")->Arg(5);
BENCHMARK_CAPTURE(RunFunction, avg_over_time, "avg_over_time")->Arg(5)->Arg(60);
BENCHMARK_CAPTURE(RunFunction, max_over_time, "max_over_time")->Arg(5)->Arg(60);
BENCHMARK_CAPTURE(RunFunction, stddev_over_time, "stddev_over_time")->Arg(60);
BENCHMARK_CAPTURE(RunFunction, quantile_over_time, "quantile_over_time")->Arg(5)->Arg(60);

void RemoveResets(benchmark::State& state) {
  const TimeSeries s = MakeSamples(1);
  TimeSeries copy = s;
  for (auto _ : state) {
    copy.values = s.values;
    RemoveCounterResets(copy.values, copy.timestamps, 0);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kSamples));
}
BENCHMARK(RemoveResets);

std::vector<TimeSeries> MakeGrid(size_t series, size_t points) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> value(0, 100);
  std::vector<TimeSeries> list;
  for (size_t i = 0; i < series; ++i) {
    TimeSeries& s = list.emplace_back();
    s.name.tags = {{"job", "job" + std::to_string(i % 10)}, {"instance", "host" + std::to_string(i)}};
    for (size_t p = 0; p < points; ++p) s.values.push_back(value(random));
  }
  return list;
}

/// `sum(...) by (job)` folded series by series.
void SumBy(benchmark::State& state) {
  const auto list = MakeGrid(1000, 1440);
  metricsql::AggrFuncExpr expr;
  expr.name = "sum";
  expr.modifier = {"by", {"job"}};
  for (auto _ : state) {
    IncrementalAggr aggr(expr);
    for (size_t i = 0; i < list.size(); ++i) aggr.Add(i, list[i]);
    benchmark::DoNotOptimize(aggr.Finish());
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * list.size() * 1440));
}
BENCHMARK(SumBy);

void Aggregate(benchmark::State& state, const char* name, double k) {
  const auto list = MakeGrid(1000, 120);
  metricsql::AggrFuncExpr expr;
  expr.name = name;
  expr.modifier = {"by", {"job"}};
  EvalContext context;
  context.end = 119 * context.step;
  std::vector<TimeSeries> arg;
  arg.push_back(MakeGridSeries(context, k));
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<std::vector<TimeSeries>> args = {arg, list};
    state.ResumeTiming();
    benchmark::DoNotOptimize(EvalAggr(context, expr, std::move(args)));
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * list.size() * 120));
}
BENCHMARK_CAPTURE(Aggregate, topk, "topk", 3.0);
BENCHMARK_CAPTURE(Aggregate, quantile, "quantile", 0.9);

}  // namespace
}  // namespace vm::select
