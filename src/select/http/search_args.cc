#include "select/http/search_args.h"

#include <algorithm>
#include <string>

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

}  // namespace vm::select
