#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace re2 {
class RE2;
}

namespace vm::regex {

/// A label regexp in Go's syntax, matched against whole values; `.` matches line feeds too. Thread-safe.
class Regex {
 public:
  /// Errors: kInvalidInput.
  static Result<Regex> Compile(std::string_view expression);

  bool Match(std::string_view value) const;
  /// Every match starts with this text.
  const std::string& prefix() const noexcept { return prefix_; }
  /// Not empty: these values match, sorted, and no others.
  const std::vector<std::string>& or_values() const noexcept { return or_values_; }

 private:
  Regex() = default;

  std::shared_ptr<const re2::RE2> re_;
  std::string prefix_;
  std::vector<std::string> or_values_;
};

}  // namespace vm::regex
