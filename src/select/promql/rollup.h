#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/metricsql/ast.h"
#include "select/promql/series.h"

namespace vm::select {

/// The samples that one value is computed from, and what surrounds them. NaN stands for no sample.
struct RollupWindow {
  std::span<const double> values;  // Samples in (end - window, end].
  std::span<const int64_t> timestamps;
  double prev_value = 0;  // Last sample before the window, unless it is too old.
  int64_t prev_timestamp = 0;
  double real_prev_value = 0;  // Last sample before the window, older ones too.
  double real_next_value = 0;  // First sample after the window.
  int64_t end = 0;
  int64_t window = 0;
  size_t index = 0;  // Of the point on the grid.
  std::span<const double> arg0;  // Values of the scalar arguments on the grid.
  std::span<const double> arg1;
  std::vector<double>* scratch = nullptr;
};

/// The grid and the windows of a rollup.
struct RollupConfig {
  int64_t start = 0;
  int64_t end = 0;
  int64_t step = 0;
  int64_t window = 0;  // 0: none given.
  int64_t lookback_delta = 0;  // 0: not limited.
  int64_t min_staleness_interval = 0;
  bool may_adjust_window = false;
  bool is_default_rollup = false;

  size_t PointsCount() const { return static_cast<size_t>((end - start) / step + 1); }
};

struct RollupRun;
using WindowFunc = double (*)(const RollupWindow& window);
/// Write a value per grid point; return the number of samples in all windows.
using RollupLoop = uint64_t (*)(const RollupRun& run, double* out);

/// Which arguments a rollup function takes.
enum class RollupArgs : uint8_t {
  kSeries,              // f(q)
  kSeriesScalar,        // f(q, x)
  kSeriesTwoScalars,    // f(q, x, y)
  kScalarSeries,        // f(x, q)
  kSeriesTag,           // f(q[, "tag"])
  kNamesSeries,         // aggr_over_time(names, q)
  kLabelSeries,         // count_values_over_time("label", q)
  kLabelScalarsSeries,  // quantiles_over_time("label", phi..., q)
};

/// Properties of a rollup function. Spec: metricsql.md 9.1.
struct RollupFunction {
  std::string_view name;
  RollupArgs args = RollupArgs::kSeries;
  WindowFunc window_func = nullptr;  // Null for those with several outputs.
  RollupLoop loop = nullptr;         // `window_func` over all windows.
  bool keeps_name = false;
  bool may_adjust_window = false;
  bool needs_silence = false;  // Samples long before the window matter.
  bool removes_resets = false;
  uint8_t scanned_per_call = 0;  // 0: all samples of the window.
};

/// Null when there is no such function.
const RollupFunction* FindRollup(std::string_view lower_case_name);
/// A function that `aggr_over_time` may run; null when there is none. `iqr_over_time` is known only here.
const RollupFunction* FindAggrOverTimeFunction(std::string_view name);

/// Change of the samples before the windows are cut.
enum class SampleTransform : uint8_t { kNone, kDelta, kDeriv, kInterval };

/// One output series per source series.
struct RollupColumn {
  std::string tag_value;  // Of the tag `rollup`; empty: no tag.
  RollupLoop loop = nullptr;
};

/// A call of a rollup function with its arguments, ready to run over series.
struct RollupCall {
  const RollupFunction* function = nullptr;
  bool keep_name = false;
  std::vector<double> arg0;
  std::vector<double> arg1;
  std::string label;        // Of the functions with a label.
  std::vector<double> phis;  // quantiles_over_time
  // Filled by AddRollupColumns.
  std::vector<RollupColumn> columns;
  bool removes_resets = false;
  SampleTransform transform = SampleTransform::kNone;
};

/// Take the arguments of `expr` (null: none, as for `default_rollup`), whose evaluated values are `args`; the one that
/// holds the samples is empty. Errors: kInvalidInput.
Result<RollupCall> MakeRollupCall(const RollupFunction& function, const metricsql::FuncExpr* expr,
                                  std::span<const std::vector<TimeSeries>> args);
/// Find out what the call puts out. `text` is the whole expression in error messages. Errors: kInvalidInput.
Status AddRollupColumns(RollupCall& call, const metricsql::FuncExpr* expr, const std::string& text);

/// Scratch memory of a rollup; one per thread.
struct RollupScratch {
  std::vector<double> values;
  std::vector<double> spare;  // Memory for the values of the next output series.
};

/// Append the series that `call` makes of `samples` to `dst`; their timestamps are left empty. Uses the samples up.
/// Returns the number of samples scanned. Requires AddRollupColumns.
uint64_t RunRollup(const RollupConfig& config, const RollupCall& call, TimeSeries& samples, RollupScratch& scratch,
                   std::vector<TimeSeries>& dst);

/// One function over prepared samples, `config.PointsCount()` values into `out`: for tests and benchmarks.
uint64_t RunRollupLoop(const RollupConfig& config, RollupLoop loop, uint8_t scanned_per_call, std::span<const double> values,
                       std::span<const int64_t> timestamps, std::span<const double> arg0, std::span<const double> arg1,
                       RollupScratch& scratch, double* out);

/// Make a counter that grows only. Gaps longer than `staleness_interval` (0: none) start anew.
void RemoveCounterResets(std::span<double> values, std::span<const int64_t> timestamps, int64_t staleness_interval);
/// Replace values by the difference to the next one; by the slope to the next one.
void DeltaValues(std::span<double> values);
void DerivValues(std::span<double> values, std::span<const int64_t> timestamps);

}  // namespace vm::select
