#include "select/http/filters.h"

#include <string>

#include "lib/metricsql/ast.h"

namespace vm::select {
namespace {

std::vector<std::string_view> ValuesOf(const http::Args& url_args, const http::Args& args, std::string_view key) {
  return url_args.Has(key) ? url_args.GetAll(key) : args.GetAll(key);
}

// Storage knows the metric name as the empty key.
std::string KeyOf(std::string_view label) { return label == "__name__" ? std::string() : std::string(label); }

Result<std::vector<model::TagFilter>> ParseExtraLabels(const std::vector<std::string_view>& texts) {
  std::vector<model::TagFilter> labels;
  for (const auto text : texts) {
    const size_t eq = text.find('=');
    if (eq == text.npos) {
      std::string message = "`extra_label` query arg must have the format `name=value`; got ";
      metricsql::AppendGoQuoted(message, text);
      return Error(ErrorCode::kInvalidInput, std::move(message));
    }
    labels.push_back({KeyOf(text.substr(0, eq)), std::string(text.substr(eq + 1))});
  }
  return labels;
}

}  // namespace

Result<FilterGroups> ParseSelector(std::string_view text) {
  VM_ASSIGN_OR_RETURN(const auto expr, metricsql::Parse(text));
  const auto* metric = metricsql::As<metricsql::MetricExpr>(expr.get());
  if (metric == nullptr) {
    std::string message = "expecting metricSelector; got ";
    metricsql::AppendGoQuoted(message, metricsql::ToString(*expr));
    return Error(ErrorCode::kInvalidInput, std::move(message));
  }
  if (metric->IsEmpty()) return Error(ErrorCode::kInvalidInput, "labelFilterss cannot be empty");
  FilterGroups groups;
  for (const auto& group : metric->filter_groups) {
    auto& filters = groups.emplace_back();
    for (const auto& f : group) filters.push_back({KeyOf(f.label), f.value, f.is_negative, f.is_regexp});
  }
  return groups;
}

Result<FilterGroups> ParseExtraFilters(const http::Args& url_args, const http::Args& args) {
  VM_ASSIGN_OR_RETURN(const auto labels, ParseExtraLabels(ValuesOf(url_args, args, "extra_label")));
  FilterGroups groups;
  for (const auto key : {"extra_filters", "extra_filters[]"}) {
    for (const auto text : ValuesOf(url_args, args, key)) {
      auto more = ParseSelector(text);
      if (!more.ok()) return std::move(more).error().WithContext("cannot parse extra_filters=" + std::string(text));
      for (auto& group : more.value()) groups.push_back(std::move(group));
    }
  }
  if (groups.empty() && !labels.empty()) groups.emplace_back();
  for (auto& group : groups) group.insert(group.end(), labels.begin(), labels.end());
  return groups;
}

FilterGroups JoinFilters(const FilterGroups& groups, const FilterGroups& extra) {
  if (groups.empty()) return extra;
  if (extra.empty()) return groups;
  FilterGroups joined;
  for (const auto& group : groups) {
    for (const auto& more : extra) {
      joined.push_back(group);
      joined.back().insert(joined.back().end(), more.begin(), more.end());
    }
  }
  return joined;
}

}  // namespace vm::select
