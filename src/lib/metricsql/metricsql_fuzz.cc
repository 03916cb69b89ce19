// Any text is parsed, optimized, printed and prettified or rejected; what is printed is stable from the second time on.
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/metricsql/ast.h"
#include "lib/metricsql/optimizer.h"

namespace {

using namespace vm::metricsql;  // NOLINT: one small program, nothing includes it

void Require(bool condition) {
  if (!condition) std::abort();
}

/// The text that `query` has after printing; empty when it is rejected.
std::string Printed(std::string_view query) {
  const auto expr = Parse(query);
  return expr.ok() ? ToString(*expr.value()) : std::string();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view query(reinterpret_cast<const char*>(data), size);
  const auto pretty = Prettify(query);
  auto expr = Parse(query);
  if (!expr.ok()) return 0;
  Require(pretty.ok());
  Require(!Prettify(pretty.value()).ok() || Parse(query).ok());
  const std::string once = ToString(*expr.value());
  Require(ToString(*Clone(*expr.value())) == once);
  // Once more, because +Inf is printed as one word but read as two, and so is a negative base of a power.
  const std::string twice = Printed(once);
  const std::string thrice = Printed(twice);
  Require(twice.empty() || thrice.empty() || twice == thrice);

  (void)IsLikelyInvalid(*expr.value());
  const auto common = CommonLabelFilters(*expr.value());
  Optimize(expr.value());
  const std::string optimized = ToString(*expr.value());
  Optimize(expr.value());
  Require(ToString(*expr.value()).size() >= optimized.size());
  PushDownFilters(*expr.value(), common);
  SwapScalarComparisons(*expr.value());
  EscapeDotsInRegexps(*expr.value());
  (void)ToString(*expr.value());
  return 0;
}
