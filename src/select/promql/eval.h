#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/budget.h"
#include "lib/base/deadline.h"
#include "lib/metricsql/ast.h"
#include "lib/metrics/metrics.h"
#include "select/promql/names.h"
#include "select/promql/series.h"

namespace vm::select {

/// Windows, steps and offsets of queries are cut to that many milliseconds, three million years: sums of them and of times do
/// not overflow.
inline constexpr int64_t kMaxBracketMs = 100'000'000'000'000'000;

/// What one query did. Written by its evaluation alone.
struct QueryStats {
  uint64_t samples_scanned = 0;   // By rollups.
  uint64_t rollups_count = 0;     // Rollups over series, each one observation of vm_rows_scanned_per_query.
  int64_t memory_bytes = 0;       // Sum of the estimates.
};

/// How much of an error the user is to see: the innermost part that explains itself.
struct ErrorScope {
  bool is_readable = false;
  size_t readable_size = 0;  // Bytes at the end of the message.
};

class RegexCache;
class RollupCache;

/// One evaluation: the grid and the limits. `source` outlives it. One thread.
struct EvalContext {
  SeriesSource* source = nullptr;
  RollupCache* cache = nullptr;      // Null: results are neither kept nor used again.
  RegexCache* regexes = nullptr;     // Null: regular expressions of functions are compiled each time.
  model::Tenant tenant;
  bool is_multitenant = false;       // Then `tenant` means nothing.
  int64_t start = 0;
  int64_t end = 0;
  int64_t step = 300000;
  int64_t lookback_delta = 0;
  uint32_t max_series = 0;
  Deadline deadline;
  std::vector<std::vector<model::TagFilter>> enforced_filters;
  size_t* series_fetched = nullptr;  // May be null.
  QueryStats* stats = nullptr;       // May be null.

  // The flags of the reference that are named alike.
  int64_t min_staleness_interval_ms = 0;             // -search.minStalenessInterval
  bool no_stale_markers = false;                     // -search.noStaleMarkers
  int64_t max_points_per_subquery_series = 100000;   // -search.maxPointsSubqueryPerTimeseries
  int64_t max_memory_bytes = 0;                      // -search.maxMemoryPerQuery; 0: no limit.
  size_t max_series_per_aggr = 1000000;              // -search.maxSeriesPerAggrFunc
  size_t max_pushdown_values = 100;                  // -search.maxBinaryOpPushdownLabelValues
  size_t max_response_series = 0;                    // -search.maxResponseSeries; 0: no limit.
  int round_digits = 100;                            // Of the request; 100: no rounding.

  metrics::Histogram* rows_scanned = nullptr;        // One observation a rollup; may be null.
  /// Memory of all queries at once; may be null.
  Budget* rollup_memory = nullptr;
  /// Stands in front of errors that do not explain themselves, with ": ".
  std::string error_context;
  ErrorScope* error_scope = nullptr;  // Set by Exec.

  size_t PointsCount() const { return static_cast<size_t>((end - start) / step + 1); }
  /// How long before the windows of a function samples may lie that matter to it.
  int64_t SilenceMs() const { return min_staleness_interval_ms > 0 ? min_staleness_interval_ms : 5 * 60 * 1000; }
};

/// Evaluate a parsed query on the grid of `context`; the series carry no timestamps, which are those of the grid. Runs on a
/// pool and computes there; only waiting for the source gives the thread away. `context` and `expr` outlive the coroutine.
/// Errors: kInvalidInput, kLimitExceeded, kCancelled,
/// those of the source.
boost::asio::awaitable<Result<std::vector<TimeSeries>>> Eval(const EvalContext& context, const metricsql::Expr& expr);
/// Eval, then drop empty series, sort, reject duplicates, round and add the timestamps.
boost::asio::awaitable<Result<std::vector<TimeSeries>>> Exec(const EvalContext& context, const metricsql::Expr& expr);

/// Groups of the selector joined with the enforced ones, as storage takes them.
std::vector<std::vector<model::TagFilter>> ToTagFilters(const metricsql::MetricExpr& metric, const std::vector<std::vector<model::TagFilter>>& enforced);

/// Milliseconds of a duration in brackets or after `offset`, at most kMaxBracketMs either way; 0 without one.
Result<int64_t> DurationMs(const metricsql::DurationExpr* duration, int64_t step);
/// The same for what must not be negative. As in the reference, durations beyond int64 count as negative. `what` and `whole`
/// are shown: "cannot parse <what> in square brackets at <whole>: ...".
Result<int64_t> NonNegativeDurationMs(const metricsql::DurationExpr* duration, int64_t step, std::string_view what, std::string_view whole);

/// The times of the grid.
std::vector<int64_t> GridTimestamps(const EvalContext& context);
/// One series with `value` on the whole grid, without timestamps.
TimeSeries MakeGridSeries(const EvalContext& context, double value);
/// Errors when the time of the query is over or its client is gone.
Status CheckAlive(const EvalContext& context);
/// Mark an error as one that explains itself.
Error Readable(const EvalContext& context, Error error);

}  // namespace vm::select
