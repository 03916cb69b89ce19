#pragma once

#include <string_view>

#include "lib/base/result.h"
#include "lib/metricsql/ast.h"

namespace vm::metricsql {

/// Deepest tree that the parser builds, but for a little: every walk over a tree recurses. A usual query has some
/// dozen levels.
inline constexpr size_t kMaxTreeDepth = 1000;

/// The tree as written: templates not expanded, parentheses kept.
/// Errors: kInvalidInput, kLimitExceeded.
Result<ExprPtr> ParseTemplate(std::string_view query);

/// One `name(args) = expr`. Errors: kInvalidInput, kLimitExceeded.
Result<WithDefinition> ParseDefinition(std::string_view text);

/// A copy of `expr` with all WITH templates expanded; every binary operator is in parentheses of its own.
/// Errors: kInvalidInput, kLimitExceeded.
Result<ExprPtr> ExpandTemplates(const Expr& expr);

/// Replace parentheses by what is in them; zero or several expressions become a call of the nameless function.
void RemoveParens(ExprPtr& expr);

/// Fold operators on numbers and on strings. Requires: templates expanded, parentheses removed.
void FoldConstants(ExprPtr& expr);

}  // namespace vm::metricsql
