#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

/// Statistics that rollups and aggregates share. Formulas and their order of operations are the reference's: answers
/// must agree in all but the last digits.
namespace vm::select {

/// The values that are no NaN, in `dst`.
void CopyValues(std::vector<double>& dst, std::span<const double> values);

/// The `phi` quantile. NaN when there are no values or phi is NaN; -Inf and +Inf for phi outside 0..1. Reorders `values`,
/// which hold no NaN: it selects instead of sorting.
double SelectQuantile(double phi, std::span<double> values);
/// The same for values in ascending order.
double SortedQuantile(double phi, std::span<const double> values);
/// The same for values with NaN, which are left out; `scratch` is overwritten.
double Quantile(double phi, std::span<const double> values, std::vector<double>& scratch);

/// Bounds outside of which a value is an outlier: quartiles widened by 1.5 times their distance.
struct OutlierBounds {
  double lower;
  double upper;
};
OutlierBounds InterquartileBounds(std::span<const double> values, std::vector<double>& scratch);

/// Population variance of what is no NaN. A single value has none: 0, even if it is NaN.
double Stdvar(std::span<const double> values);
/// Median distance from the median.
double MedianDeviation(std::span<const double> values, std::vector<double>& scratch);
/// The most frequent value, the smallest of several; `previous` when there are none. Sorts `values`, which hold no NaN.
/// `previous` counts as one more value before the others when it is no NaN.
double Mode(double previous, std::span<double> values);

struct Line {
  double value;  // At `timestamp`.
  double slope_per_second;
};
/// Least squares line. NaN without values; a constant is a line without slope.
Line LinearRegression(std::span<const double> values, std::span<const int64_t> timestamps, int64_t timestamp);

/// Counts of non-negative values in ranges that grow by 10^(1/18), labelled as `vmrange` is.
/// Reference: github.com/VictoriaMetrics/metrics histogram.go.
class VmrangeHistogram {
 public:
  void Add(double value);
  void Reset();
  /// Call `visit(std::string_view range, uint64_t count)` for ranges with values, lowest first.
  template <class Visit>
  void VisitNonZero(Visit visit) const {
    if (lower_ > 0) visit(kLowerRange, lower_);
    for (size_t i = first_; i < last_; ++i) {
      if (counts_[i] > 0) visit(std::string_view(Ranges()[i]), counts_[i]);
    }
    if (upper_ > 0) visit(kUpperRange, upper_);
  }

 private:
  static constexpr int kMinExponent = -9;
  static constexpr int kMaxExponent = 18;
  static constexpr size_t kPerDecade = 18;
  static constexpr size_t kRangesCount = kPerDecade * (kMaxExponent - kMinExponent);
  static constexpr std::string_view kLowerRange = "0...1.000e-09";
  static constexpr std::string_view kUpperRange = "1.000e+18...+Inf";
  static const std::array<std::string, kRangesCount>& Ranges();

  std::array<uint64_t, kRangesCount> counts_{};
  size_t first_ = kRangesCount;  // Counts outside of first_..last_ are 0.
  size_t last_ = 0;
  uint64_t lower_ = 0;
  uint64_t upper_ = 0;
};

/// Shortest text that reads back as `value`, never with an exponent.
void AppendFixed(std::string& dst, double value);

/// Go's int(value): what does not fit is the nearest limit, NaN the lowest.
int64_t BoundedInt(double value);

}  // namespace vm::select
