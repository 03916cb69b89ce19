#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace re2 {
class RE2;
}

/// Text the way Go's strings and regexp packages handle it.
namespace vm::select::transform {

/// Case mapping rune by rune; bytes that are no UTF-8 become U+FFFD unless the whole text is ASCII.
std::string ToGoLower(std::string_view text);
std::string ToGoUpper(std::string_view text);

/// Compile an expression in Go's syntax: `.` does not match a line feed. Neither the program nor what it needs to run takes more
/// than `max_bytes`. Errors: kInvalidInput with Go's text.
Result<std::unique_ptr<re2::RE2>> CompileGoRegex(const std::string& expression, int64_t max_bytes = int64_t{64} << 20);

/// Whether `regex` matches anywhere in `value`. Bytes that are no UTF-8 count as U+FFFD, here and below, as in Go.
bool Matches(const re2::RE2& regex, std::string_view value);

/// A replacement with `$1`, `${name}` and `$$`. `regex` and `text` must outlive it.
class ReplaceTemplate {
 public:
  ReplaceTemplate(std::string_view text, const re2::RE2& regex);

  /// Append `value` to `dst` with every match replaced; false, with `dst` as it was, when nothing matches. Stops soon
  /// after `dst` has grown beyond `max_bytes`.
  bool ReplaceAll(std::string_view value, size_t max_bytes, std::string& dst) const;

 private:
  struct Part {
    std::string_view literal;
    int group = -1;  // Negative: only the literal.
  };

  const re2::RE2& regex_;
  std::vector<Part> parts_;
  int groups_count_ = 1;  // Groups to look for, with that of the whole match: the fewer the faster.
};

}  // namespace vm::select::transform
