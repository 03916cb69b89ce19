#pragma once

#include <vector>

#include "lib/metricsql/ast.h"
#include "select/promql/eval.h"

namespace vm::select {

/// An aggregate over its evaluated arguments. Errors: kInvalidInput, kLimitExceeded.
/// Reference: VictoriaMetrics app/vmselect/promql/aggr.go.
Result<std::vector<TimeSeries>> EvalAggr(const EvalContext& context, const metricsql::AggrFuncExpr& aggr,
                                         std::vector<std::vector<TimeSeries>> args);

/// True for aggregates whose results have an order of their own.
bool IsSortingAggr(std::string_view name);

}  // namespace vm::select
