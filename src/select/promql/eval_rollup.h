#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "select/promql/aggr_incremental.h"
#include "select/promql/eval.h"
#include "select/promql/rollup.h"

/// Rollups as nodes of a query: their arguments, their samples, `offset`, `@` and subqueries.
namespace vm::select {

/// What a rollup runs over.
struct RollupSource {
  const metricsql::Expr* inner = nullptr;
  const metricsql::RollupExpr* rollup = nullptr;  // Windows and offsets around `inner`; may be null.
  bool is_subquery = false;                       // Not straight over the samples of a selector.
};

/// The text of the expression in quotes, for errors.
std::string QuotedText(const metricsql::Expr& expr);
/// The error with `what` and the text of the expression before it, unless it is long already: nested expressions would repeat each other.
Error InExpr(Error error, std::string_view what, const metricsql::Expr& expr);

/// A selector or anything with brackets, `offset` or `@`, on its own.
boost::asio::awaitable<Result<std::vector<TimeSeries>>> EvalDefaultRollup(const EvalContext& context, const metricsql::Expr& expr);
/// A call of a rollup function.
boost::asio::awaitable<Result<std::vector<TimeSeries>>> EvalRollupFunc(const EvalContext& context, const RollupFunction& function,
                                                                       const metricsql::FuncExpr& expr);

/// True when `aggr` can be folded while its rollup runs: it is one of the incremental ones and has one argument that is a
/// selector, or a rollup function over one.
bool IsIncremental(const metricsql::AggrFuncExpr& aggr);
/// Requires IsIncremental.
boost::asio::awaitable<Result<std::vector<TimeSeries>>> EvalIncrementalAggr(const EvalContext& context, const metricsql::AggrFuncExpr& aggr);

}  // namespace vm::select
