// Arrays of a block -> bytes and back, by what they hold; varints alone.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "lib/encoding/int.h"
#include "lib/encoding/int64_array.h"

namespace vm::encoding {
namespace {

enum Kind : int64_t { kConst, kSteady, kJitter, kCounter, kGauge };

std::vector<int64_t> Values(Kind kind, size_t count) {
  std::mt19937_64 random(kind);
  std::vector<int64_t> values;
  int64_t counter = 1'000'000;
  for (size_t i = 0; i < count; ++i) {
    const auto n = static_cast<int64_t>(i);
    switch (kind) {
      case kConst: values.push_back(42); break;
      case kSteady: values.push_back(1'795'000'000'000 + n * 15'000); break;
      case kJitter: values.push_back(1'795'000'000'000 + n * 15'000 + static_cast<int64_t>(random() % 20)); break;
      case kCounter: values.push_back(counter += static_cast<int64_t>(random() % 2000)); break;
      case kGauge: values.push_back(static_cast<int64_t>(random() % 100'000)); break;
    }
  }
  return values;
}

void CountValues(benchmark::State& state, size_t count) {
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * count));
}

void Marshal(benchmark::State& state) {
  const auto values = Values(static_cast<Kind>(state.range(0)), static_cast<size_t>(state.range(1)));
  ByteBuffer bytes;
  for (auto _ : state) {
    bytes.clear();
    int64_t first = 0;
    benchmark::DoNotOptimize(MarshalInt64Array(bytes, values, 64, first));
    benchmark::DoNotOptimize(bytes.data());
  }
  CountValues(state, values.size());
}

void Unmarshal(benchmark::State& state) {
  const auto values = Values(static_cast<Kind>(state.range(0)), static_cast<size_t>(state.range(1)));
  ByteBuffer bytes;
  int64_t first = 0;
  const MarshalType type = MarshalInt64Array(bytes, values, 64, first);
  std::vector<int64_t> back;
  for (auto _ : state) {
    back.clear();
    if (!UnmarshalInt64Array(back, bytes, type, first, values.size()).ok()) state.SkipWithError("bad bytes");
    benchmark::DoNotOptimize(back.data());
  }
  CountValues(state, values.size());
}

void Shapes(benchmark::internal::Benchmark* benchmark) {
  for (const int64_t kind : {kConst, kSteady, kJitter, kCounter, kGauge}) {
    for (const int64_t count : {8, 240, 8192}) benchmark->Args({kind, count});
  }
}
BENCHMARK(Marshal)->Apply(Shapes);
BENCHMARK(Unmarshal)->Apply(Shapes);

/// Numbers of up to so many bits.
std::vector<uint64_t> Numbers(size_t bits) {
  std::mt19937_64 random(bits);
  std::vector<uint64_t> numbers(4096);
  for (uint64_t& number : numbers) number = random() >> (64 - bits);
  return numbers;
}

void AppendVarInts(benchmark::State& state) {
  const auto numbers = Numbers(static_cast<size_t>(state.range(0)));
  ByteBuffer bytes;
  for (auto _ : state) {
    bytes.clear();
    for (const uint64_t number : numbers) AppendVarUint64(bytes, number);
    benchmark::DoNotOptimize(bytes.data());
  }
  CountValues(state, numbers.size());
}
BENCHMARK(AppendVarInts)->Arg(7)->Arg(14)->Arg(32)->Arg(64);

void TakeVarInts(benchmark::State& state) {
  const auto numbers = Numbers(static_cast<size_t>(state.range(0)));
  ByteBuffer bytes;
  for (const uint64_t number : numbers) AppendVarUint64(bytes, number);
  for (auto _ : state) {
    uint64_t sum = 0;
    for (ByteView left = bytes; !left.empty();) sum += TakeVarUint64(left).value();
    benchmark::DoNotOptimize(sum);
  }
  CountValues(state, numbers.size());
}
BENCHMARK(TakeVarInts)->Arg(7)->Arg(14)->Arg(32)->Arg(64);

}  // namespace
}  // namespace vm::encoding
