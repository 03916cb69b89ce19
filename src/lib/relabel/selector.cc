#include "lib/relabel/selector.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "lib/metricsql/ast.h"

namespace vm::relabel {

Result<Selector> Selector::Parse(std::string_view text) {
  VM_ASSIGN_OR_RETURN(const metricsql::ExprPtr expr, metricsql::Parse(text));
  if (expr->kind != metricsql::ExprKind::kMetric) {
    return Error(ErrorCode::kInvalidInput, fmt::format("expecting series selector; got \"{}\"", text));
  }
  Selector selector;
  for (const auto& filters : static_cast<const metricsql::MetricExpr&>(*expr).filter_groups) {
    std::vector<Filter>& group = selector.groups_.emplace_back();
    for (const metricsql::LabelFilter& known : filters) {
      Filter& filter = group.emplace_back();
      filter.label = known.label.empty() ? "__name__" : known.label;
      filter.value = known.value;
      filter.is_negative = known.is_negative;
      if (known.is_regexp) {
        VM_ASSIGN_OR_RETURN(filter.regex, regex::Regex::Compile(known.value));
      }
    }
  }
  return selector;
}

bool Selector::Filter::IsMetBy(std::string_view text) const { return regex ? regex->Match(text) : text == value; }

bool Selector::Filter::IsMetByAny(std::span<const model::LabelView> labels) const {
  bool has_label = false;
  for (const model::LabelView& label_view : labels) {
    if (label_view.name != label) continue;
    has_label = true;
    if (IsMetBy(label_view.value)) return true;
  }
  // A label that is not there has the empty value; only an equality on the name does not hold then.
  const bool needs_label = label == "__name__" && !regex;
  return !has_label && !needs_label && IsMetBy({});
}

bool Selector::Match(std::span<const model::LabelView> labels) const {
  return std::any_of(groups_.begin(), groups_.end(), [&](const std::vector<Filter>& group) {
    return std::all_of(group.begin(), group.end(),
                       [&](const Filter& filter) { return filter.IsMetByAny(labels) != filter.is_negative; });
  });
}

}  // namespace vm::relabel
