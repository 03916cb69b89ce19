#include "select/http/search_args.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "lib/metricsql/ast.h"
#include "select/http/args.h"

namespace vm::select {
namespace {

constexpr int64_t kDefaultRange = 300000;

Result<FilterGroups> ParseMatches(const http::Args& args) {
  FilterGroups matches;
  for (const auto key : {"match[]", "match"}) {
    for (const auto text : args.GetAll(key)) {
      auto groups = ParseSelector(text);
      if (!groups.ok()) return std::move(groups).error().WithContext("cannot parse matches[]=" + std::string(text));
      for (auto& group : groups.value()) matches.push_back(std::move(group));
    }
  }
  return matches;
}

/// At most 60 bytes: the beginning and the end.
std::string ShortText(std::string_view text) {
  constexpr size_t kMaxSize = 60;
  if (text.size() <= kMaxSize) return std::string(text);
  const size_t half = kMaxSize / 2 - 1;
  return std::string(text.substr(0, half)) + ".." + std::string(text.substr(text.size() - half));
}

}  // namespace

Result<SearchArgs> ParseSearchArgs(const ApiOptions& options, const http::Args& url_args, const http::Args& args, int64_t now_ms,
                                   SearchKind kind, bool needs_match) {
  SearchArgs parsed;
  model::TimeRange& range = parsed.range;
  VM_ASSIGN_OR_RETURN(range.min_timestamp, ParseTimeArg("start", args.Get("start"), 0, now_ms));
  VM_ASSIGN_OR_RETURN(range.max_timestamp, ParseTimeArg("end", args.Get("end"), now_ms, now_ms));
  range.max_timestamp = std::max(range.max_timestamp, range.min_timestamp);
  parsed.is_default_range = range.min_timestamp == 0 && now_ms - range.max_timestamp < 1000;
  if (kind == SearchKind::kLabels && range.min_timestamp == 0) {
    range.min_timestamp = std::max<int64_t>(0, range.max_timestamp - kDefaultRange);
  }
  if (needs_match && !args.Has("match[]") && !args.Has("match")) return Error(ErrorCode::kInvalidInput, "missing `match[]` arg");
  VM_ASSIGN_OR_RETURN(parsed.filters, ParseMatches(args));
  if (parsed.filters.empty() && kind == SearchKind::kLabels && options.ignore_extra_filters_at_labels) return parsed;
  VM_ASSIGN_OR_RETURN(const auto extra, ParseExtraFilters(url_args, args));
  parsed.filters = JoinFilters(parsed.filters, extra);
  return parsed;
}

std::string SearchQueryText(const model::SearchQuery& query, bool is_multitenant) {
  std::string text;
  if (!is_multitenant) text += fmt::format("accountID={}, projectID={}, ", query.tenant.account_id, query.tenant.project_id);
  text += "filters=[";
  for (const auto& group : query.tag_filter_groups) {
    if (text.back() != '[') text += ' ';
    text += '{';
    for (const auto& filter : group) {
      if (text.back() != '{') text += ',';
      text += filter.key.empty() ? "__name__" : filter.key;
      text += filter.is_negative ? (filter.is_regexp ? "!~" : "!=") : (filter.is_regexp ? "=~" : "=");
      metricsql::AppendGoQuoted(text, ShortText(filter.value));
    }
    text += '}';
  }
  text += fmt::format("], timeRange=[{}..{}]", model::TimestampToString(query.time_range.min_timestamp),
                      model::TimestampToString(query.time_range.max_timestamp));
  return text;
}

std::string QuotedSearchQuery(const model::SearchQuery& query, bool is_multitenant) {
  std::string quoted;
  metricsql::AppendGoQuoted(quoted, SearchQueryText(query, is_multitenant));
  return quoted;
}

}  // namespace vm::select
