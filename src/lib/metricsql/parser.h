#pragma once

#include <string_view>

#include "lib/base/result.h"
#include "lib/metricsql/ast.h"

namespace vm::metricsql {

/// Deepest recursion of the parser, in steps: a level of parentheses takes two. Deepest tree that it builds, but for a little: a chain of
/// n operators is n levels deep. A query of the default -search.maxQueryLen, 16384, cannot reach them. Parsing, expanding, optimising,
/// printing and destroying take at most 0.7 KiB of stack for each step or level (measured with GCC 12 -O2: 180 bytes for `a+a`, 1270 for
/// `(a)`, and 1950 for `-(a)`, which is three steps), see kStackBytes. Frames are some ten times as big with sanitizers, which all builds
/// with clang here have.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
inline constexpr size_t kMaxNesting = 500;
inline constexpr size_t kMaxTreeDepth = 1000;
#else
inline constexpr size_t kMaxNesting = 17'000;
inline constexpr size_t kMaxTreeDepth = 17'000;
#endif

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
