#pragma once

#include <vector>

#include "lib/metricsql/ast.h"
#include "select/promql/series.h"

namespace vm::select {

/// A binary operator over its evaluated operands, all on one grid. Errors: kInvalidInput.
/// Reference: VictoriaMetrics app/vmselect/promql/binary_op.go.
Result<std::vector<TimeSeries>> EvalBinaryOp(const metricsql::BinaryOpExpr& op, std::vector<TimeSeries> left, std::vector<TimeSeries> right);

}  // namespace vm::select
