#pragma once

#include <vector>

#include "lib/metricsql/ast.h"

namespace vm::metricsql {

/// Add to the operands of binary operators the label filters of the other side, where that cannot change the result:
/// `foo{a="b"} + bar` becomes `foo{a="b"} + bar{a="b"}`. Fewer series are read then. The effort is bounded: of a huge
/// query only a part is optimized.
/// Reference: github.com/VictoriaMetrics/metricsql v0.87.3, optimizer.go.
void Optimize(ExprPtr& expr);

/// Put comparisons with a scalar on the left the other way round, `123 < foo` becomes `foo > 123`, so that the
/// series stand on the left and their values are the result.
void SwapScalarComparisons(Expr& expr);

/// The filters, without those on the metric name, that every series of the result passes.
std::vector<LabelFilter> CommonLabelFilters(const Expr& expr);

/// Add `filters`, which hold for all series that can matter, to the selectors of `expr` wherever they hold too.
/// Requires: `expr` is a side of a binary operator, and `filters` are trimmed by its group modifier.
void PushDownFilters(Expr& expr, const std::vector<LabelFilter>& filters);

/// The filters on labels that `op` matches its two sides by.
std::vector<LabelFilter> TrimByGroupModifier(std::vector<LabelFilter> filters, const BinaryOpExpr& op);

}  // namespace vm::metricsql
