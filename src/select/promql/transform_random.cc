#include "select/promql/transform_random.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>

#include "select/promql/transform_util.h"

namespace vm::select::transform {
namespace {

constexpr size_t kLength = GoRandom::kLength;
constexpr size_t kLag = GoRandom::kLag;
constexpr int64_t kModulus = 2147483647;

/// Lehmer's generator x = 48271 x mod (2^31 - 1), which fills the register.
int64_t NextSeed(int64_t x) {
  constexpr int64_t kA = 48271;
  constexpr int64_t kQ = 44488;
  constexpr int64_t kR = 3399;
  x = kA * (x % kQ) - kR * (x / kQ);
  return x < 0 ? x + kModulus : x;
}

using Register = std::array<uint64_t, kLength>;

/// Three steps of Lehmer's generator per word; the upper ones shifted by `high` and `low` bits.
Register FillRegister(int64_t seed, int high, int low) {
  constexpr int kDiscarded = 20;
  int64_t x = seed;
  for (int i = 0; i < kDiscarded; ++i) x = NextSeed(x);
  Register words;
  for (uint64_t& word : words) {
    x = NextSeed(x);
    word = static_cast<uint64_t>(x) << high;
    x = NextSeed(x);
    word ^= static_cast<uint64_t>(x) << low;
    x = NextSeed(x);
    word ^= static_cast<uint64_t>(x);
  }
  return words;
}

/// Polynomials modulo x^607 - x^334 - 1, the characteristic polynomial of y[n] = y[n-607] + y[n-273].
using Polynomial = std::array<uint64_t, kLength>;

Polynomial Square(const Polynomial& p) {
  std::array<uint64_t, 2 * kLength> product{};
  for (size_t i = 0; i < kLength; ++i) {
    product[2 * i] += p[i] * p[i];
    for (size_t j = i + 1; j < kLength; ++j) product[i + j] += 2 * p[i] * p[j];
  }
  for (size_t i = 2 * kLength - 1; i >= kLength; --i) {
    product[i - kLag] += product[i];
    product[i - kLength] += product[i];
  }
  Polynomial result;
  std::copy_n(product.begin(), kLength, result.begin());
  return result;
}

Polynomial TimesX(const Polynomial& p) {
  Polynomial result;
  std::copy_n(p.begin(), kLength - 1, result.begin() + 1);
  result[0] = p[kLength - 1];
  result[kLength - kLag] += p[kLength - 1];
  return result;
}

/// The register that Go mixes into every seed: it has run for 7.8e12 steps from a fixed seed. Computed instead of
/// stored: x^steps modulo the characteristic polynomial gives each word as a sum over the first ones.
Register MakeWarmedUpRegister() {
  constexpr uint64_t kSteps = 7'800'000'000'000;
  constexpr size_t kFeed = kLength - kLag;
  Polynomial power{};
  power[0] = 1;
  for (int bit = std::bit_width(kSteps); bit-- > 0;) {
    power = Square(power);
    if (((kSteps >> bit) & 1) != 0) power = TimesX(power);
  }
  // outputs[k] is y[k - 606]; the register holds the last 607 of them, the newest one at the feed.
  const Register start = FillRegister(1, 20, 10);
  std::array<uint64_t, 2 * kLength> outputs;
  for (size_t k = 0; k < kLength; ++k) outputs[k] = start[(kFeed + kLength - 1 - k) % kLength];
  for (size_t k = kLength; k < outputs.size(); ++k) outputs[k] = outputs[k - kLength] + outputs[k - kLag];
  Register result;
  for (size_t k = 0; k < kLength; ++k) {
    uint64_t word = 0;
    for (size_t i = 0; i < kLength; ++i) word += power[i] * outputs[i + k];
    const uint64_t age = kLength - 1 - k;  // In steps before the last one.
    result[(kFeed + kLength * 2 - kSteps % kLength + age) % kLength] = word;
  }
  return result;
}

/// Tables of the ziggurat: the density is covered by kLayers layers of equal area.
template <size_t kLayers>
struct Ziggurat {
  std::array<uint32_t, kLayers> limits;  // Below this a draw lies inside the layer for sure.
  std::array<float, kLayers> widths;
  std::array<float, kLayers> densities;

  Ziggurat(double tail, double area, double draws, double (*density)(double), double (*inverse)(double)) {
    double x = tail;
    double previous = tail;
    const double base = area / density(tail);
    limits[0] = static_cast<uint32_t>(x / base * draws);
    limits[1] = 0;
    widths[0] = static_cast<float>(base / draws);
    widths[kLayers - 1] = static_cast<float>(x / draws);
    densities[0] = 1;
    densities[kLayers - 1] = static_cast<float>(density(x));
    for (size_t i = kLayers - 2; i >= 1; --i) {
      x = inverse(area / x + density(x));
      limits[i + 1] = static_cast<uint32_t>(x / previous * draws);
      previous = x;
      densities[i] = static_cast<float>(density(x));
      widths[i] = static_cast<float>(x / draws);
    }
  }
};

constexpr double kNormalTail = 3.442619855899;
constexpr double kExponentialTail = 7.69711747013104972;

const Ziggurat<128>& NormalTables() {
  static const Ziggurat<128> tables(
      kNormalTail, 9.91256303526217e-3, 2147483648.0, [](double x) { return std::exp(-0.5 * x * x); },
      [](double y) { return std::sqrt(-2 * std::log(y)); });
  return tables;
}

const Ziggurat<256>& ExponentialTables() {
  static const Ziggurat<256> tables(
      kExponentialTail, 3.949659822581572e-3, 4294967296.0, [](double x) { return std::exp(-x); },
      [](double y) { return -std::log(y); });
  return tables;
}

template <auto kDraw>
Result<SeriesList> Rand(TransformCall& call) {
  if (call.args.size() > 1) {
    return Invalid("unexpected number of args; got " + std::to_string(call.args.size()) + "; want 0 or 1");
  }
  int64_t seed = 0;
  if (call.args.empty()) {
    seed = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
               .count();
  } else {
    VM_ASSIGN_OR_RETURN(const double number, NumberArg(call.args[0], 1));
    seed = GoInt64(number);
  }
  GoRandom random(seed);
  TimeSeries series = MakeGridSeries(call.context, 0);
  for (double& value : series.values) value = (random.*kDraw)();
  return OneSeries(std::move(series));
}

constexpr Entry kFunctions[] = {
    {"rand", Rand<&GoRandom::Uniform>},
    {"rand_exponential", Rand<&GoRandom::Exponential>},
    {"rand_normal", Rand<&GoRandom::Normal>},
};

}  // namespace

GoRandom::GoRandom(int64_t seed) {
  static const Register warmed_up = MakeWarmedUpRegister();
  constexpr int64_t kSeedForZero = 89482311;
  seed %= kModulus;
  if (seed < 0) seed += kModulus;
  if (seed == 0) seed = kSeedForZero;
  state_ = FillRegister(seed, 40, 20);
  for (size_t i = 0; i < kLength; ++i) state_[i] ^= warmed_up[i];
}

uint64_t GoRandom::Next63() {
  tap_ = tap_ == 0 ? kLength - 1 : tap_ - 1;
  feed_ = feed_ == 0 ? kLength - 1 : feed_ - 1;
  state_[feed_] += state_[tap_];
  return state_[feed_] & INT64_MAX;
}

double GoRandom::Uniform() {
  while (true) {
    const double value = static_cast<double>(Next63()) / 9223372036854775808.0;
    if (value < 1) return value;
  }
}

double GoRandom::Normal() {
  const auto& tables = NormalTables();
  while (true) {
    const auto draw = static_cast<int32_t>(Next32());
    const size_t layer = static_cast<uint32_t>(draw) & 127;
    const double x = static_cast<double>(draw) * static_cast<double>(tables.widths[layer]);
    const uint32_t distance = draw < 0 ? -static_cast<uint32_t>(draw) : static_cast<uint32_t>(draw);
    if (distance < tables.limits[layer]) return x;
    if (layer == 0) {
      while (true) {
        const double a = -std::log(Uniform()) * (1.0 / kNormalTail);
        const double b = -std::log(Uniform());
        if (b + b >= a * a) return draw > 0 ? kNormalTail + a : -kNormalTail - a;
      }
    }
    const float height = tables.densities[layer] +
                         static_cast<float>(Uniform()) * (tables.densities[layer - 1] - tables.densities[layer]);
    if (height < static_cast<float>(std::exp(-0.5 * x * x))) return x;
  }
}

double GoRandom::Exponential() {
  const auto& tables = ExponentialTables();
  while (true) {
    const uint32_t draw = Next32();
    const size_t layer = draw & 255;
    const double x = static_cast<double>(draw) * static_cast<double>(tables.widths[layer]);
    if (draw < tables.limits[layer]) return x;
    if (layer == 0) return kExponentialTail - std::log(Uniform());
    const float height = tables.densities[layer] +
                         static_cast<float>(Uniform()) * (tables.densities[layer - 1] - tables.densities[layer]);
    if (height < static_cast<float>(std::exp(-x))) return x;
  }
}

std::span<const Entry> RandomFunctions() { return kFunctions; }

}  // namespace vm::select::transform
