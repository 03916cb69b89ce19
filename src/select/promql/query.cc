#include "select/promql/query.h"

#include "lib/metricsql/optimizer.h"

namespace vm::select {

Result<metricsql::ExprPtr> ParseQuery(std::string_view query, const QueryOptions& options) {
  VM_ASSIGN_OR_RETURN(auto expr, metricsql::Parse(query));
  metricsql::Optimize(expr);
  metricsql::SwapScalarComparisons(*expr);
  if (options.treat_dots_as_is) metricsql::EscapeDotsInRegexps(*expr);
  return expr;
}

}  // namespace vm::select
