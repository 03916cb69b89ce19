#pragma once

#include <cstdint>
#include <span>
#include <vector>

/// Statistics over the values of one series; NaN stands for no value and is left out.
namespace vm::select::transform {

/// Values that are no NaN, ascending.
std::vector<double> SortedValues(std::span<const double> values);
/// Requires ascending values without NaN. NaN when there are none or phi is NaN; -Inf and +Inf for phi outside 0..1.
double QuantileSorted(double phi, std::span<const double> sorted);
double Quantile(double phi, std::span<const double> values);

double Mean(std::span<const double> values);
/// Population variance. A single point has none: 0, even if it has no value.
double Stdvar(std::span<const double> values);
double Stddev(std::span<const double> values);
/// Median of the distances from the median.
double MedianAbsoluteDeviation(std::span<const double> values);

struct Line {
  double value;             // At the given time.
  double slope_per_second;
};
/// Least squares through the points. Requires as many timestamps (ms) as values.
Line LinearRegression(std::span<const double> values, std::span<const int64_t> timestamps, int64_t value_timestamp);

}  // namespace vm::select::transform
