#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/model/metric_name.h"

namespace vm::relabel {

class Rule;

/// The rules of a `relabel_configs` list. Immutable, thread-safe.
/// Reference: VictoriaMetrics lib/promrelabel; http-api.md 5.1.
class Rules {
 public:
  /// Parse a YAML list of rules; an empty document has none. Unknown and repeated keys are errors.
  /// Errors: kInvalidInput, naming the rule or the line.
  static Result<std::shared_ptr<const Rules>> Parse(std::string_view yaml);
  ~Rules();

  size_t size() const noexcept { return rules_.size(); }
  /// Two lists with the same text do the same; comments and layout are not in it.
  const std::string& text() const noexcept { return text_; }

  /// Apply all rules in order. Empty `labels` afterwards: the series is to be dropped. Labels with an empty name or value and
  /// those whose name begins with `__` go; `__name__` becomes the empty name. `texts` owns the new texts.
  void Apply(std::vector<model::LabelView>& labels, std::deque<std::string>& texts) const;

 private:
  Rules();

  std::vector<std::unique_ptr<const Rule>> rules_;
  std::string text_;
};

}  // namespace vm::relabel
