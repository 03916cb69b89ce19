// Raw rows -> part in memory, merges, and search in a part; rows as a scrape of node_exporter gives them.
#include <benchmark/benchmark.h>

#include <random>

#include "lib/fs/fault_file_system.h"
#include "storage/part/merge.h"
#include "storage/part/raw_rows.h"

namespace vm::storage {
namespace {

using PartPtr = std::shared_ptr<const PartReader>;

constexpr int64_t kStart = 1'795'000'000'000;
constexpr int64_t kScrapeMs = 15'000;

model::Tsid Series(uint64_t id) {
  model::Tsid tsid;
  // Sorted order is not the order in which series arrive.
  tsid.metric_group_id = (id % 500) * 0x9e3779b97f4a7c15;
  tsid.instance_id = static_cast<uint32_t>(id / 500);
  tsid.metric_id = model::MetricId{1'000'000 + id};
  return tsid;
}

/// `scrapes` of all series, one after the other: a third counters, a third gauges with digits, a third constants.
std::vector<RawRow> Rows(size_t series, size_t first_scrape, size_t scrapes) {
  std::mt19937_64 random(first_scrape);
  std::vector<RawRow> rows;
  rows.reserve(series * scrapes);
  for (size_t scrape = first_scrape; scrape < first_scrape + scrapes; ++scrape) {
    for (size_t id = 0; id < series; ++id) {
      double value = 1;
      if (id % 3 == 0) value = static_cast<double>(scrape * 1000 + random() % 1000);
      if (id % 3 == 1) value = static_cast<double>(random() % 100'000) / 1000;
      const int64_t timestamp = kStart + static_cast<int64_t>(scrape) * kScrapeMs + static_cast<int64_t>(id % 100);
      rows.push_back({Series(id), timestamp, value});
    }
  }
  return rows;
}

PartPtr Build(size_t series, size_t first_scrape, size_t scrapes) {
  auto rows = Rows(series, first_scrape, scrapes);
  return PartReader::FromMemory(BuildPart(rows).value()).value();
}

void CountRows(benchmark::State& state, uint64_t rows) {
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * rows));
}

/// A shard of rows becomes a part: many series with few rows each, or few with many.
void BuildPartFromRows(benchmark::State& state) {
  const auto series = static_cast<size_t>(state.range(0));
  const size_t scrapes = 100'000 / series;
  const std::vector<RawRow> rows = Rows(series, 0, scrapes);
  for (auto _ : state) benchmark::DoNotOptimize(BuildPart(rows).value().values.size());
  CountRows(state, rows.size());
}
BENCHMARK(BuildPartFromRows)->Arg(100)->Arg(5'000)->Arg(50'000);

/// More rows than a core's cache holds, one of each of a million series.
void BuildPartOfManySeries(benchmark::State& state) {
  std::vector<std::vector<RawRow>> rows;
  rows.push_back(Rows(1'000'000, 0, 1));
  rows.push_back(Rows(200'000, 1, 1));
  SeriesOrder order(1 << 30);
  SeriesOrder* const known = state.range(0) != 0 ? &order : nullptr;
  BuildPart(rows, nullptr, known).value();
  for (auto _ : state) benchmark::DoNotOptimize(BuildPart(rows, nullptr, known).value().values.size());
  CountRows(state, 1'200'000);
}
BENCHMARK(BuildPartOfManySeries)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

void Merge(benchmark::State& state, const std::vector<PartPtr>& parts) {
  uint64_t rows = 0;
  for (const PartPtr& part : parts) rows += part->header().rows_count;
  for (auto _ : state) {
    PartBuffers buffers;
    const auto writer = PartWriter::ToMemory(buffers, 1);
    MergeStats stats;
    if (!MergeParts(parts, *writer, {}, {}, stats).ok() || !writer->Finish(0).ok()) state.SkipWithError("no merge");
    benchmark::DoNotOptimize(buffers.values.size());
  }
  CountRows(state, rows);
}

/// Full blocks that follow each other: copied as they are.
void MergeFullBlocks(benchmark::State& state) {
  std::vector<PartPtr> parts;
  for (size_t i = 0; i < 8; ++i) parts.push_back(Build(20, i * 8192, 8192));
  Merge(state, parts);
}
BENCHMARK(MergeFullBlocks);

/// Parts as they come from memory: few rows of each series, one part after the other.
void MergeSmallBlocks(benchmark::State& state) {
  const auto scrapes = static_cast<size_t>(state.range(0));
  std::vector<PartPtr> parts;
  for (size_t i = 0; i < 15; ++i) parts.push_back(Build(10'000 / scrapes, i * scrapes, scrapes));
  Merge(state, parts);
}
BENCHMARK(MergeSmallBlocks)->Arg(1)->Arg(10)->Arg(500);

/// Parts that cover the same time.
void MergeOverlappingBlocks(benchmark::State& state) {
  std::vector<PartPtr> parts;
  for (size_t i = 0; i < 4; ++i) {
    std::vector<RawRow> rows = Rows(20, 0, 2000);
    for (RawRow& row : rows) row.timestamp += static_cast<int64_t>(i) * 1000;
    parts.push_back(PartReader::FromMemory(BuildPart(rows).value()).value());
  }
  Merge(state, parts);
}
BENCHMARK(MergeOverlappingBlocks);

/// Every hundredth series of a part in files with many, without and with a cache of index blocks.
void SearchSomeSeries(benchmark::State& state) {
  constexpr size_t kSeries = 50'000;
  fs::FaultFileSystem files;
  if (!Build(kSeries, 0, 2)->StoreTo(files, "/part").ok()) state.SkipWithError("no part");
  const auto cache = state.range(0) != 0 ? std::make_shared<IndexBlockCache>(100 << 20) : nullptr;
  const PartPtr part = PartReader::OpenFolder(files, "/part", cache).value();
  std::vector<model::Tsid> tsids;
  for (size_t id = 0; id < kSeries; id += 100) tsids.push_back(Series(id));
  std::sort(tsids.begin(), tsids.end());
  size_t blocks = 0;
  for (auto _ : state) {
    PartSearch search(part, tsids, {0, kStart * 2});
    while (search.Next().value()) ++blocks;
  }
  if (blocks != tsids.size() * state.iterations()) state.SkipWithError("blocks are missing");
  CountRows(state, tsids.size());
}
BENCHMARK(SearchSomeSeries)->Arg(0)->Arg(1);

}  // namespace
}  // namespace vm::storage
