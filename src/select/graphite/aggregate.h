#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace vm::select::graphite {

/// One value of many; NaN means none. Of values in time, or of one point of many series.
using Aggregate = double (*)(std::span<const double> values);

/// `sum`, `average` and so on, with or without `Series` behind it. Errors: kInvalidInput.
Result<Aggregate> FindAggregate(std::string_view name);

double Average(std::span<const double> values);
double Minimum(std::span<const double> values);
double Maximum(std::span<const double> values);
double Last(std::span<const double> values);
double CountValues(std::span<const double> values);
/// The value below which `n` per cent of the values are.
double Percentile(std::span<const double> values, double n);

/// NaN when fewer than a part of `x_files_factor` of `values` are there.
double ApplyAggregate(Aggregate aggregate, double x_files_factor, std::span<const double> values);

/// The same point by point over series: `rows` have `points` values each. Points where fewer than a part of `x_files_factor` of the
/// rows have a value get NaN.
std::vector<double> AggregateRows(std::span<const std::span<const double>> rows, size_t points,
                                  const std::function<double(std::span<const double>)>& aggregate, double x_files_factor);
/// With the aggregate `name`. Errors: kInvalidInput.
Result<std::vector<double>> AggregateRows(std::span<const std::span<const double>> rows, size_t points, std::string_view name,
                                          double x_files_factor);

/// Whether the order of series matters to the aggregate.
bool DependsOnOrder(std::string_view name);
std::string_view WithoutSeriesSuffix(std::string_view name);

}  // namespace vm::select::graphite
