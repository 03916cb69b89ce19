#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/model/metric_name.h"
#include "lib/regex/regex.h"

namespace vm::relabel {

/// A series selector, such as `foo{bar=~"baz"}`, for labels at hand. Immutable, thread-safe.
/// Reference: VictoriaMetrics lib/promrelabel/if_expression.go.
class Selector {
 public:
  /// Errors: kInvalidInput.
  static Result<Selector> Parse(std::string_view text);

  /// `labels` carry the metric name as `__name__`.
  bool Match(std::span<const model::LabelView> labels) const;

 private:
  struct Filter {
    std::string label;
    std::string value;
    bool is_negative = false;
    std::optional<regex::Regex> regex;

    bool IsMetByAny(std::span<const model::LabelView> labels) const;
    bool IsMetBy(std::string_view value) const;
  };

  std::vector<std::vector<Filter>> groups_;  // One group must hold, with all its filters.
};

}  // namespace vm::relabel
