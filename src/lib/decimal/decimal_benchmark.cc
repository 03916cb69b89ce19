// Floats of a block -> decimals with one exponent and back.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "lib/decimal/common_exponent.h"
#include "lib/decimal/decimal.h"

namespace vm::decimal {
namespace {

enum Kind : int64_t { kIntegers, kDigits, kRandom };

std::vector<double> Floats(Kind kind) {
  std::mt19937_64 random(kind);
  std::vector<double> values(8192);
  for (double& value : values) {
    switch (kind) {
      case kIntegers: value = static_cast<double>(random() % 1'000'000); break;
      case kDigits: value = static_cast<double>(random() % 100'000) / 1000; break;
      case kRandom: value = std::uniform_real_distribution<double>(0, 1)(random); break;
    }
  }
  return values;
}

void CountValues(benchmark::State& state, size_t count) {
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * count));
}

void FloatsToDecimals(benchmark::State& state) {
  const auto values = Floats(static_cast<Kind>(state.range(0)));
  std::vector<int64_t> mantissas;
  for (auto _ : state) {
    mantissas.clear();
    benchmark::DoNotOptimize(AppendFloatsToDecimals(mantissas, values));
    benchmark::DoNotOptimize(mantissas.data());
  }
  CountValues(state, values.size());
}
BENCHMARK(FloatsToDecimals)->Arg(kIntegers)->Arg(kDigits)->Arg(kRandom);

void DecimalsToFloats(benchmark::State& state) {
  std::vector<int64_t> mantissas;
  const int16_t exponent = AppendFloatsToDecimals(mantissas, Floats(static_cast<Kind>(state.range(0))));
  std::vector<double> values;
  for (auto _ : state) {
    values.clear();
    AppendDecimalsToFloats(values, mantissas, exponent);
    benchmark::DoNotOptimize(values.data());
  }
  CountValues(state, mantissas.size());
}
BENCHMARK(DecimalsToFloats)->Arg(kIntegers)->Arg(kDigits)->Arg(kRandom);

/// One exponent for values that have each their own: what each block of raw rows goes through.
void CommonExponents(benchmark::State& state) {
  std::vector<int64_t> mantissas;
  std::vector<int16_t> exponents;
  for (const double value : Floats(static_cast<Kind>(state.range(0)))) {
    const Decimal decimal = FromFloat(value);
    mantissas.push_back(decimal.mantissa);
    exponents.push_back(decimal.exponent);
  }
  for (auto _ : state) {
    std::vector<int64_t> scaled = mantissas;
    benchmark::DoNotOptimize(ToCommonExponent(scaled, exponents));
    benchmark::DoNotOptimize(scaled.data());
  }
  CountValues(state, mantissas.size());
}
BENCHMARK(CommonExponents)->Arg(kIntegers)->Arg(kDigits)->Arg(kRandom);

}  // namespace
}  // namespace vm::decimal
