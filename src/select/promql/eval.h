#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/deadline.h"
#include "lib/metricsql/ast.h"
#include "select/promql/series.h"

namespace vm::select {

/// One evaluation: the grid and the limits. `source` outlives it. One thread.
struct EvalContext {
  SeriesSource* source = nullptr;
  model::Tenant tenant;
  int64_t start = 0;
  int64_t end = 0;
  int64_t step = 300000;
  int64_t lookback_delta = 0;
  uint32_t max_series = 0;
  Deadline deadline;
  std::vector<std::vector<model::TagFilter>> enforced_filters;
  size_t* series_fetched = nullptr;  // May be null.

  size_t PointsCount() const { return static_cast<size_t>((end - start) / step + 1); }
};

/// Evaluate a parsed query on the grid of `context`. Runs on a pool and computes there; only waiting for the source
/// gives the thread away. `context` and `expr` outlive the coroutine. Errors: kInvalidInput, those of the source.
boost::asio::awaitable<Result<std::vector<TimeSeries>>> Eval(const EvalContext& context, const metricsql::Expr& expr);
/// Eval, then drop empty series, sort and reject duplicates.
boost::asio::awaitable<Result<std::vector<TimeSeries>>> Exec(const EvalContext& context, const metricsql::Expr& expr);

Result<std::vector<TimeSeries>> EvalBinaryOp(const metricsql::BinaryOpExpr& op, std::vector<TimeSeries> left, std::vector<TimeSeries> right);
Result<std::vector<TimeSeries>> EvalAggr(const metricsql::AggrFuncExpr& aggr, std::vector<std::vector<TimeSeries>> args);

/// Groups of the selector joined with the enforced ones, as storage takes them.
std::vector<std::vector<model::TagFilter>> ToTagFilters(const metricsql::MetricExpr& metric, const std::vector<std::vector<model::TagFilter>>& enforced);

bool IsAllNaN(const TimeSeries& series);
void RemoveEmptySeries(std::vector<TimeSeries>& series);
bool IsScalar(const std::vector<TimeSeries>& series);

}  // namespace vm::select
