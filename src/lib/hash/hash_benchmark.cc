// The hashes that each row pays: of its name, and the choice of its node.
#include <benchmark/benchmark.h>

#include "lib/hash/rendezvous.h"
#include "lib/hash/xxhash.h"

namespace vm::hash {
namespace {

/// Names of 165 bytes, as those of node_exporter are on average.
const ByteBuffer kName(165, 'x');

void BM_XXH64(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(XXH64(kName));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kName.size()));
}
BENCHMARK(BM_XXH64);

void BM_XXH3_128(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(XXH3_128(kName, 42));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kName.size()));
}
BENCHMARK(BM_XXH3_128);

/// With so many nodes.
void BM_PickNode(benchmark::State& state) {
  std::vector<std::string> nodes;
  for (int64_t i = 0; i < state.range(0); ++i) nodes.push_back("vmstorage-" + std::to_string(i) + ":8400");
  const Rendezvous rendezvous(nodes, 0);
  uint64_t h = 1;
  for (auto _ : state) {
    h = Mix(h);
    benchmark::DoNotOptimize(rendezvous.Pick(h));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_PickNode)->Arg(2)->Arg(16)->Arg(100);

}  // namespace
}  // namespace vm::hash
