#include "select/promql/transform_stats.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vm::select::transform {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

bool AreEqual(std::span<const double> values) {
  return std::adjacent_find(values.begin(), values.end(), [](double a, double b) { return a != b; }) == values.end();
}

}  // namespace

std::vector<double> SortedValues(std::span<const double> values) {
  std::vector<double> sorted;
  sorted.reserve(values.size());
  for (const double value : values) {
    if (!std::isnan(value)) sorted.push_back(value);
  }
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

double QuantileSorted(double phi, std::span<const double> sorted) {
  if (sorted.empty() || std::isnan(phi)) return kNaN;
  if (phi < 0) return -kInf;
  if (phi > 1) return kInf;
  const double rank = phi * static_cast<double>(sorted.size() - 1);
  const double floor = std::floor(rank);
  const double weight = rank - floor;
  const auto low = static_cast<size_t>(floor);
  const size_t high = std::min(sorted.size() - 1, low + 1);
  return sorted[low] * (1 - weight) + sorted[high] * weight;
}

double Quantile(double phi, std::span<const double> values) { return QuantileSorted(phi, SortedValues(values)); }

double Mean(std::span<const double> values) {
  double sum = 0;
  double count = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return sum / count;
}

double Stdvar(std::span<const double> values) {
  if (values.empty()) return kNaN;
  if (values.size() == 1) return 0;
  double mean = 0;
  double count = 0;
  double sum = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    ++count;
    const double next = mean + (value - mean) / count;
    sum += (value - mean) * (value - next);
    mean = next;
  }
  return count == 0 ? kNaN : sum / count;
}

double Stddev(std::span<const double> values) { return std::sqrt(Stdvar(values)); }

double MedianAbsoluteDeviation(std::span<const double> values) {
  const double median = Quantile(0.5, values);
  std::vector<double> distances;
  distances.reserve(values.size());
  for (const double value : values) distances.push_back(std::fabs(value - median));
  return Quantile(0.5, distances);
}

Line LinearRegression(std::span<const double> values, std::span<const int64_t> timestamps, int64_t value_timestamp) {
  if (values.empty()) return {kNaN, kNaN};
  if (AreEqual(values)) return {values[0], 0};
  // Below this the points lie at one time and have no slope.
  constexpr double kMinTimeSpread = 1e-6;
  double sum_v = 0;
  double sum_t = 0;
  double sum_tv = 0;
  double sum_tt = 0;
  double count = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double v = values[i];
    if (std::isnan(v)) continue;
    const double t = static_cast<double>(timestamps[i] - value_timestamp) / 1e3;
    sum_v += v;
    sum_t += t;
    sum_tv += t * v;
    sum_tt += t * t;
    ++count;
  }
  if (count == 0) return {kNaN, kNaN};
  const double spread = sum_tt - sum_t * sum_t / count;
  const double slope = std::fabs(spread) >= kMinTimeSpread ? (sum_tv - sum_t * sum_v / count) / spread : 0;
  return {sum_v / count - slope * sum_t / count, slope};
}

}  // namespace vm::select::transform
