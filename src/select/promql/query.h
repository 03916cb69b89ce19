#pragma once

#include <string_view>

#include "lib/metricsql/ast.h"

namespace vm::select {

struct QueryOptions {
  bool treat_dots_as_is = false;  // -search.treatDotsAsIsInRegexps
};

/// Parse a query for evaluation: filters are pushed to where fewer series are read, and `1 < x` becomes `x > 1`, as the
/// result must hold the values of `x`. Errors: those of metricsql::Parse.
Result<metricsql::ExprPtr> ParseQuery(std::string_view query, const QueryOptions& options = {});

}  // namespace vm::select
