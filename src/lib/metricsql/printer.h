#pragma once

#include <string>
#include <vector>

#include "lib/metricsql/ast.h"

namespace vm::metricsql {

// Pieces of the canonical text that the prettifier puts on lines of their own.

bool NeedsLeftParens(const BinaryOpExpr& op);
bool NeedsRightParens(const BinaryOpExpr& op);
bool NeedsInnerParens(const RollupExpr& rollup);

/// The operator with its modifiers.
void AppendOperator(std::string& dst, const BinaryOpExpr& op);
/// What follows the arguments or the inner expression.
void AppendSuffix(std::string& dst, const FuncExpr& func);
void AppendSuffix(std::string& dst, const AggrFuncExpr& aggr);
void AppendSuffix(std::string& dst, const RollupExpr& rollup);

/// `name(args)` of a definition, its arguments joined by `separator`.
void AppendHead(std::string& dst, const WithDefinition& definition, std::string_view separator);
void AppendDefinition(std::string& dst, const WithDefinition& definition);

/// The metric name that all groups of unexpanded filters ask for; empty when there is none.
std::string TemplateName(const MetricExpr& metric);
/// Do the unexpanded filters consist of the metric name alone?
bool IsOnlyTemplateName(const MetricExpr& metric);
void AppendFilter(std::string& dst, const FilterTemplate& filter);
/// Filters `first` and on, joined by commas.
void AppendFilters(std::string& dst, const std::vector<FilterTemplate>& filters, size_t first);

}  // namespace vm::metricsql
