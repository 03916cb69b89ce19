#include "select/graphite/aggregate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "lib/base/still_busy.h"

namespace vm::select::graphite {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Folds the values that are there, from the first one on; NaN when there are none.
template <class Fold>
double FoldValues(std::span<const double> values, const Fold& fold) {
  double result = kNaN;
  bool is_first = true;
  for (const double v : values) {
    if (std::isnan(v)) continue;
    result = is_first ? v : fold(result, v);
    is_first = false;
  }
  return result;
}

double Sum(std::span<const double> values) {
  return FoldValues(values, [](double a, double b) { return a + b; });
}
double First(std::span<const double> values) {
  return FoldValues(values, [](double a, double) { return a; });
}
double Power(std::span<const double> values) {
  return FoldValues(values, [](double a, double b) { return std::pow(a, b); });
}
double Product(std::span<const double> values) {
  return FoldValues(values, [](double a, double b) { return a * b; });
}
/// The first value without the sum of the others.
double Difference(std::span<const double> values) {
  const auto first = std::find_if(values.begin(), values.end(), [](double v) { return !std::isnan(v); });
  if (first == values.end()) return kNaN;
  double sum = 0;
  for (auto at = first + 1; at != values.end(); ++at) {
    if (!std::isnan(*at)) sum += *at;
  }
  return *first - sum;
}
/// The same one after the other, which rounds otherwise.
double RowDifference(std::span<const double> values) {
  return FoldValues(values, [](double a, double b) { return a - b; });
}
double Range(std::span<const double> values) { return Maximum(values) - Minimum(values); }
double Median(std::span<const double> values) { return Percentile(values, 50); }

double AverageWithGaps(std::span<const double> values) {
  if (values.empty()) return kNaN;
  const double sum = Sum(values);
  return (std::isnan(sum) ? 0 : sum) / static_cast<double>(values.size());
}

double StandardDeviation(std::span<const double> values) {
  const double average = Average(values);
  if (std::isnan(average)) return kNaN;
  double sum = 0;
  for (const double v : values) {
    if (!std::isnan(v)) sum += (average - v) * (average - v);
  }
  return std::sqrt(sum / CountValues(values));
}
/// Welford's way, as the reference goes over series.
double RowStandardDeviation(std::span<const double> values) {
  double count = 0, mean = 0, squares = 0;
  for (const double v : values) {
    if (std::isnan(v)) continue;
    ++count;
    const double delta = v - mean;
    mean += delta / count;
    squares += delta * (v - mean);
  }
  return std::sqrt(squares / count);
}

struct NamedAggregate {
  std::string_view name;
  Aggregate of_values;
  Aggregate of_rows;
};

constexpr NamedAggregate kAggregates[] = {
    {"average", Average, Average},
    {"avg", Average, Average},
    {"avg_zero", AverageWithGaps, AverageWithGaps},
    {"median", Median, Median},
    {"sum", Sum, Sum},
    {"total", Sum, Sum},
    {"min", Minimum, Minimum},
    {"max", Maximum, Maximum},
    {"diff", Difference, RowDifference},
    {"pow", Power, Power},
    {"stddev", StandardDeviation, RowStandardDeviation},
    {"count", CountValues, CountValues},
    {"range", Range, Range},
    {"rangeOf", Range, Range},
    {"multiply", Product, Product},
    {"first", First, First},
    {"last", Last, Last},
    {"current", Last, Last},
};

Result<const NamedAggregate*> Find(std::string_view name) {
  for (const NamedAggregate& one : kAggregates) {
    if (one.name == WithoutSeriesSuffix(name)) return &one;
  }
  return Error(ErrorCode::kInvalidInput, "unsupported aggregate function \"" + std::string(name) + "\"");
}

}  // namespace

std::string_view WithoutSeriesSuffix(std::string_view name) {
  constexpr std::string_view kSuffix = "Series";
  if (name.ends_with(kSuffix)) name.remove_suffix(kSuffix.size());
  return name;
}

bool DependsOnOrder(std::string_view name) {
  return name == "diff" || name == "first" || name == "last" || name == "current" || name == "pow";
}

double Average(std::span<const double> values) { return Sum(values) / CountValues(values); }
double Minimum(std::span<const double> values) {
  return FoldValues(values, [](double a, double b) { return b < a ? b : a; });
}
double Maximum(std::span<const double> values) {
  return FoldValues(values, [](double a, double b) { return b > a ? b : a; });
}
double Last(std::span<const double> values) {
  return FoldValues(values, [](double, double b) { return b; });
}
double CountValues(std::span<const double> values) {
  return static_cast<double>(std::count_if(values.begin(), values.end(), [](double v) { return !std::isnan(v); }));
}

double Percentile(std::span<const double> values, double n) {
  const double phi = n / 100;
  if (std::isnan(phi)) return kNaN;
  std::vector<double> present;
  std::copy_if(values.begin(), values.end(), std::back_inserter(present), [](double v) { return !std::isnan(v); });
  if (present.empty()) return kNaN;
  const double last = static_cast<double>(present.size() - 1);
  const double at = phi <= 0 ? 0 : phi >= 1 ? last : std::min(std::floor(phi * last + 0.5), last);
  const auto nth = present.begin() + static_cast<ptrdiff_t>(at);
  std::nth_element(present.begin(), nth, present.end());
  return *nth;
}

Result<Aggregate> FindAggregate(std::string_view name) {
  VM_ASSIGN_OR_RETURN(const NamedAggregate* found, Find(name));
  return found->of_values;
}

double ApplyAggregate(Aggregate aggregate, double x_files_factor, std::span<const double> values) {
  return CountValues(values) >= static_cast<double>(values.size()) * x_files_factor ? aggregate(values) : kNaN;
}

std::vector<double> AggregateRows(std::span<const std::span<const double>> rows, size_t points,
                                  const std::function<double(std::span<const double>)>& aggregate, double x_files_factor) {
  // A few points at a time are turned into columns, so that each row is read once.
  constexpr size_t kColumns = 16;
  const double needed = std::trunc(x_files_factor * static_cast<double>(rows.size()));
  std::vector<double> columns(kColumns * rows.size());
  std::vector<double> result(points, kNaN);
  for (size_t begin = 0; begin < points; begin += kColumns) {
    StillBusy();
    const size_t count = std::min(kColumns, points - begin);
    for (size_t row = 0; row < rows.size(); ++row) {
      for (size_t i = 0; i < count; ++i) {
        columns[i * rows.size() + row] = begin + i < rows[row].size() ? rows[row][begin + i] : kNaN;
      }
    }
    for (size_t i = 0; i < count; ++i) {
      const auto column = std::span<const double>(columns).subspan(i * rows.size(), rows.size());
      const double present = CountValues(column);
      if (present > 0 && present >= needed) result[begin + i] = aggregate(column);
    }
  }
  return result;
}

Result<std::vector<double>> AggregateRows(std::span<const std::span<const double>> rows, size_t points, std::string_view name,
                                          double x_files_factor) {
  VM_ASSIGN_OR_RETURN(const NamedAggregate* found, Find(name));
  // Gaps count as zero there, whatever else is asked for.
  std::vector<double> result = AggregateRows(rows, points, found->of_rows, found->of_rows == AverageWithGaps ? 0 : x_files_factor);
  if (found->of_rows == AverageWithGaps && !rows.empty()) {
    for (double& v : result) v = std::isnan(v) ? 0 : v;
  }
  return result;
}

}  // namespace vm::select::graphite
