#pragma once

#include <re2/re2.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/result.h"
#include "lib/model/metric_name.h"
#include "lib/regex/regex.h"
#include "lib/relabel/graphite.h"
#include "lib/relabel/selector.h"

namespace vm::relabel {

/// What stands in the configuration of a rule; what does not is empty.
struct RuleConfig {
  std::vector<std::string> selectors;  // `if`
  std::string action;
  std::vector<std::string> source_labels;
  std::optional<std::string> separator;
  std::string target_label;
  std::optional<std::string> regex;
  uint64_t modulus = 0;
  std::optional<std::string> replacement;
  std::string match;
  std::vector<std::pair<std::string, std::string>> labels;
};

/// One rule. Immutable, thread-safe.
class Rule {
 public:
  /// Errors: kInvalidInput.
  static Result<std::unique_ptr<const Rule>> Make(RuleConfig config);

  /// `labels` carry the metric name as `__name__`. Nothing is left of a dropped series.
  void Apply(std::vector<model::LabelView>& labels, std::deque<std::string>& texts) const;

 private:
  enum class Action : uint8_t {
    kReplace, kReplaceAll, kKeep, kDrop, kKeepIfContains, kDropIfContains, kKeepIfEqual, kDropIfEqual, kKeepEqual,
    kDropEqual, kHashmod, kLabelMap, kLabelMapAll, kLabelDrop, kLabelKeep, kUppercase, kLowercase, kGraphite,
  };
  using Labels = std::vector<model::LabelView>;

  Rule() = default;
  Status CheckConfig(const std::string& action, const RuleConfig& config) const;
  Status SetRegex(const std::string& expression);

  bool MatchesIf(const Labels& labels) const;
  bool IsAnything() const { return matcher_ == nullptr; }
  bool MatchesWhole(std::string_view text) const { return IsAnything() || regex_->Match(text); }
  std::string SourceText(const Labels& labels) const;
  bool HasAllSources(const Labels& labels) const;
  bool HasEqualSources(const Labels& labels) const;
  /// `pattern` with the captures of `text`; nothing when Go's expression does not match `text`.
  std::optional<std::string> ExpandFor(std::string_view text, std::string_view pattern) const;
  std::string ReplaceAll(std::string_view text) const;

  void Replace(Labels& labels, std::deque<std::string>& texts) const;
  void ReplaceByGraphite(Labels& labels, std::deque<std::string>& texts) const;
  void MapLabels(Labels& labels, std::deque<std::string>& texts) const;

  Action action_ = Action::kReplace;
  std::vector<Selector> selectors_;  // One must match.
  std::vector<std::string> source_labels_;
  std::string separator_;
  std::string target_label_;
  std::string replacement_;
  uint64_t modulus_ = 0;
  // Null, both: the default expression, which matches everything as its first capture.
  std::optional<regex::Regex> regex_;           // Decides whether whole texts match; line feeds are like other characters.
  std::shared_ptr<const re2::RE2> matcher_;     // Finds captures, anchored where the action asks for whole texts.
  std::optional<GraphitePattern> pattern_;
  std::vector<std::pair<std::string, GraphiteTemplate>> graphite_labels_;
};

}  // namespace vm::relabel
