#pragma once

#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/metricsql/ast.h"
#include "select/promql/eval.h"
#include "select/promql/series.h"

namespace vm::select {

/// One call of a transform function. `args` are the evaluated arguments; the function may take them apart: its result
/// is usually the first argument, changed in place. A string is one series with its text as metric group and no
/// values; a number is one series without labels. All series have their values on the grid of `context`.
struct TransformCall {
  const EvalContext& context;
  const metricsql::FuncExpr& expr;
  std::vector<std::vector<TimeSeries>> args;
};

/// Errors: kInvalidInput for wrong arguments, with the reference's text; kLimitExceeded. Thread-safe.
using TransformFunc = Result<std::vector<TimeSeries>> (*)(TransformCall& call);

/// Null when there is no such function. The empty name is `union`: a list in parentheses.
/// Reference: VictoriaMetrics app/vmselect/promql/transform.go.
TransformFunc FindTransform(std::string_view lower_case_name);

}  // namespace vm::select
