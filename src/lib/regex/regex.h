#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/regex/simplify.h"

namespace re2 {
class RE2;
}

namespace vm::regex {

/// A regular expression in Go's syntax; `.` matches line feeds too. Thread-safe.
///
/// Literals, alternatives of literals, `foo.*`, `.*foo.*` and the like are matched without an automaton.
class Regex {
 public:
  /// Errors: kInvalidInput, with Go's text; also for what is too big for the matcher.
  static Result<Regex> Compile(std::string_view expression, Anchoring anchoring = Anchoring::kWhole);

  bool Match(std::string_view value) const;
  /// Every match starts with this text.
  const std::string& prefix() const noexcept { return prefix_; }
  /// Not empty: these values match, sorted and different, and no others. Always empty with kAnywhere.
  const std::vector<std::string>& or_values() const noexcept { return or_values_; }

 private:
  /// What stands behind the prefix.
  enum class Rest { kOrValues, kAnything, kSomething, kContains, kContainsInside, kMatcher };

  Regex() = default;

  std::string prefix_;
  Rest rest_ = Rest::kMatcher;
  std::vector<std::string> or_values_;
  std::string substring_;  // kContains: anywhere in the rest. kContainsInside: neither at its start nor at its end.
  std::shared_ptr<const re2::RE2> matcher_;  // kMatcher: for the rest, or with kAnywhere for all.
  Anchoring anchoring_ = Anchoring::kWhole;
};

/// Is `expression` one that Go accepts? Errors: kInvalidInput, with Go's text.
Status Check(std::string_view expression);

}  // namespace vm::regex
