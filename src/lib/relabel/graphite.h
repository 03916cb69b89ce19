#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vm::relabel {

/// A dotted name with `*` for text without dots.
class GraphitePattern {
 public:
  explicit GraphitePattern(std::string_view text);

  /// Put `name` and what each `*` stands for into `captures`; false: no match.
  bool Match(std::string_view name, std::vector<std::string_view>& captures) const;

 private:
  std::vector<std::string> parts_;  // "*" or literal.
};

/// Text with `$n` or `${n}` for captures.
class GraphiteTemplate {
 public:
  explicit GraphiteTemplate(std::string_view text);

  std::string Expand(const std::vector<std::string_view>& captures) const;

 private:
  static constexpr size_t kNoCapture = static_cast<size_t>(-1);
  struct Part {
    std::string text;  // Also of a capture that does not exist.
    size_t capture = kNoCapture;
  };
  std::vector<Part> parts_;
};

}  // namespace vm::relabel
