#pragma once

#include <string_view>

#include "lib/metricsql/ast.h"

namespace vm::select {

/// Parse a query for evaluation: as metricsql::Parse, then `1 < x` becomes `x > 1`, as the result must hold the values of
/// `x`. Errors: kInvalidInput.
Result<metricsql::ExprPtr> ParseQuery(std::string_view query);

}  // namespace vm::select
