// The simplified expression matches what the whole one does; the first line is the expression, the rest a value.
#include <re2/re2.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/regex/regex.h"
#include "lib/regex/syntax.h"

namespace {

using namespace vm::regex;  // NOLINT: one small program, nothing includes it

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(input.find('\n'), input.size());
  const std::string_view expression = input.substr(0, line);
  const std::string_view value = input.substr(std::min(line + 1, input.size()));
  auto node = ParseSyntax(expression);
  if (!node.ok()) return 0;
  const std::string printed = ToString(node.value());
  auto again = ParseSyntax(printed);
  Require(again.ok());
  (void)Simplify(expression, Anchoring::kAnywhere);
  (void)OrValues(expression, Anchoring::kWhole);
  (void)Literals(expression);

  const auto regex = Regex::Compile(expression);
  if (!regex.ok()) return 0;
  const bool matches = regex.value().Match(value);
  Require(!matches || value.starts_with(regex.value().prefix()) || !regex.value().or_values().empty());
  // A line feed: a single dot of the suffix does not match it. Text that is no UTF-8: RE2 matches it by bytes.
  if (value.find('\n') != value.npos || std::any_of(value.begin(), value.end(), [](char c) { return c < 0; })) return 0;
  RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  const RE2 whole(re2::StringPiece(expression.data(), expression.size()), options);
  if (whole.ok()) Require(matches == RE2::FullMatch(re2::StringPiece(value.data(), value.size()), whole));
  return 0;
}
