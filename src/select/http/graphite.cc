#include "select/http/graphite.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "lib/base/still_busy.h"
#include "select/graphite/catalogue.h"
#include "select/graphite/paths.h"
#include "select/graphite/tags.h"
#include "select/http/admin.h"
#include "select/http/args.h"
#include "select/http/filters.h"
#include "select/http/search_args.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;
using Strings = std::vector<std::string>;

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

Deadline DeadlineOf(const Call& call) { return call.DeadlineOf(call.options.max_query_duration_ms); }

Answer JsonpAnswer(const Call& call, std::string json) {
  const std::string_view jsonp = call.args.Get("jsonp");
  return {200, std::string(graphite::ContentTypeOf(jsonp)), graphite::WrapJsonp(std::move(json), jsonp), {}, false};
}

void Cut(Strings& items, uint64_t limit) {
  if (limit > 0 && items.size() > limit) items.resize(limit);
}

/// What metrics/find and metrics/expand are asked in common.
struct PathSearch {
  rpc::TagValueSuffixesRequest request;
  Deadline deadline;
  /// Patterns are replaced by what they match in all parts; else only in the last one.
  bool is_expand = false;
};

Result<PathSearch> ParsePathSearch(const Call& call) {
  PathSearch search;
  const std::string_view delimiter = call.args.Get("delimiter");
  if (delimiter.size() > 1) return Bad("`delimiter` query arg must contain only a single char");
  if (!delimiter.empty()) search.request.delimiter = delimiter[0];
  VM_ASSIGN_OR_RETURN(std::string label, CheckedForNodes("`label` arg", call.args.Get("label"), rpc::kMaxLabelNameArgSize));
  if (label != "__name__") search.request.tag_key = std::move(label);
  VM_ASSIGN_OR_RETURN(search.request.time_range.min_timestamp, ParseTimeArg("from", call.args.Get("from"), 0, call.now_ms));
  VM_ASSIGN_OR_RETURN(search.request.time_range.max_timestamp, ParseTimeArg("until", call.args.Get("until"), call.now_ms, call.now_ms));
  search.request.tenant = call.tenant.value_or(model::Tenant());
  search.request.max_suffixes = call.options.max_tag_value_suffixes;
  search.deadline = DeadlineOf(call);
  return search;
}

/// What follows `prefix` up to the next delimiter.
awaitable<Result<Strings>> Suffixes(FanoutSource& source, const PathSearch& search, std::string prefix) {
  rpc::TagValueSuffixesRequest request = search.request;
  VM_CO_ASSIGN_OR_RETURN(request.tag_value_prefix, CheckedForNodes("`query` arg", prefix, rpc::kMaxLabelNameArgSize));
  co_return co_await source.FetchTagValueSuffixes(std::move(request), search.deadline);
}

/// All paths that begin with `head`, which is plain, and go on as the pattern `tail`.
awaitable<Result<Strings>> FindPaths(FanoutSource& source, const PathSearch& search, std::string head, std::string tail) {
  const char delimiter = search.request.delimiter;
  const size_t wildcard = graphite::FindWildcard(tail);
  Strings found;
  if (wildcard == std::string::npos || (wildcard + 1 == tail.size() && tail.back() == '*')) {
    const bool is_plain = wildcard == std::string::npos;
    if (!is_plain) tail.pop_back();
    const std::string path = head + tail;
    VM_CO_ASSIGN_OR_RETURN(const Strings suffixes, co_await Suffixes(source, search, path));
    if (is_plain && path.ends_with(delimiter)) {
      if (!suffixes.empty()) found.push_back(path);
      co_return std::move(found);
    }
    for (const std::string& suffix : suffixes) {
      const bool is_whole = suffix.empty() || (suffix.size() == 1 && suffix[0] == delimiter);
      if (!is_plain || is_whole) found.push_back(path + suffix);
    }
    co_return std::move(found);
  }
  head += tail.substr(0, wildcard);
  std::string pattern = tail.substr(wildcard);
  tail.clear();
  if (const size_t end = pattern.find(delimiter); end != std::string::npos) {
    tail = pattern.substr(end + 1);
    pattern.resize(end + 1);
  }
  pattern.insert(0, head);
  VM_CO_ASSIGN_OR_RETURN(const regex::Regex regex, graphite::CompilePathPattern(pattern, delimiter));
  std::string all = "*";
  VM_CO_ASSIGN_OR_RETURN(Strings paths, co_await FindPaths(source, search, std::move(head), std::move(all)));
  for (std::string& path : paths) {
    StillBusy();
    if (!regex.Match(path)) continue;
    if (tail.empty()) {
      found.push_back(std::move(path));
      continue;
    }
    const size_t path_size = path.size();
    VM_CO_ASSIGN_OR_RETURN(Strings below, co_await FindPaths(source, search, std::move(path), tail));
    for (std::string& one : below) {
      found.push_back(search.is_expand ? std::move(one) : pattern + one.substr(path_size));
    }
  }
  co_return std::move(found);
}

/// What the tags API is asked: a search for all time up to now.
Result<model::SearchQuery> ParseTagSearch(const Call& call, const FilterGroups& extra, uint64_t max_series) {
  std::vector<model::TagFilter> filters;
  for (const std::string_view text : call.args.GetAll("expr")) {
    auto filter = graphite::ParseTagExpression(text);
    if (!filter.ok()) return std::move(filter).error().WithContext("cannot parse `expr` query arg");
    filters.push_back(std::move(filter).value());
  }
  model::SearchQuery query;
  query.tenant = call.tenant.value_or(model::Tenant());
  query.time_range = {0, call.now_ms};
  query.tag_filter_groups = JoinFilters({std::move(filters)}, extra);
  query.max_metrics = static_cast<uint32_t>(std::min<uint64_t>(max_series, std::numeric_limits<int32_t>::max()));
  return query;
}

Result<FilterGroups> ExtraFilters(const Call& call) {
  auto extra = ParseExtraFilters(call.url_args, call.args);
  if (!extra.ok()) return std::move(extra).error().WithContext("cannot setup tag filters");
  return extra;
}

awaitable<Result<std::vector<model::MetricName>>> FetchNames(Call& call, model::SearchQuery query) {
  const std::string text = QuotedSearchQuery(query, false);
  auto names = co_await call.source.FetchMetricNames(std::move(query), DeadlineOf(call));
  if (!names.ok()) co_return std::move(names).error().WithContext("cannot fetch metric names for " + text);
  co_return std::move(names);
}

model::SearchQuery AllSeriesOf(const Call& call) {
  model::SearchQuery query;
  // Not the range without times that the reference asks for here: no month of its nodes lies in it, so that it finds nothing.
  query.time_range = {0, call.now_ms};
  query.tenant = call.tenant.value_or(model::Tenant());
  return query;
}

/// All tags whose names the regular expression `filter` matches.
awaitable<Result<Strings>> FetchTags(Call& call, std::string filter) {
  model::SearchQuery query = AllSeriesOf(call);
  VM_CO_ASSIGN_OR_RETURN(Strings names, co_await call.source.FetchLabelNames(std::move(query), 0, DeadlineOf(call)));
  graphite::RenameMetricName(names);
  VM_CO_TRY(graphite::FilterByRegex(names, filter));
  Cut(names, call.options.max_graphite_tag_keys);
  co_return std::move(names);
}

/// The values of `tag` that the regular expression `filter` matches.
awaitable<Result<Strings>> FetchTagValues(Call& call, std::string tag, std::string filter) {
  VM_CO_ASSIGN_OR_RETURN(std::string label, CheckedForNodes("tag name", tag == "name" ? "" : tag, rpc::kMaxLabelNameArgSize));
  model::SearchQuery query = AllSeriesOf(call);
  VM_CO_ASSIGN_OR_RETURN(Strings values,
                         co_await call.source.FetchLabelValues(std::move(query), std::move(label), 0, DeadlineOf(call)));
  VM_CO_TRY(graphite::FilterByRegex(values, filter));
  Cut(values, call.options.max_graphite_tag_values);
  co_return std::move(values);
}

/// `limit`; 0 means none.
Result<uint64_t> ParseLimit(const Call& call) {
  VM_ASSIGN_OR_RETURN(const int64_t limit, ParseIntArg("limit", call.args.Get("limit")));
  return static_cast<uint64_t>(std::max<int64_t>(limit, 0));
}

constexpr uint64_t kCompletions = 100;  // When the request does not say how many.

Strings SortedWithPrefix(const std::set<std::string>& texts, std::string_view prefix, uint64_t limit) {
  Strings found;
  for (auto at = texts.lower_bound(std::string(prefix)); at != texts.end() && at->starts_with(prefix); ++at) found.push_back(*at);
  Cut(found, limit);
  return found;
}

awaitable<Result<std::string>> Find(Call& call) {
  const std::string_view form = call.args.Get("format");
  if (!form.empty() && form != "treejson" && form != "completer") {
    co_return Bad("unexpected \"format\" query arg: \"" + std::string(form) + "\"; expecting \"treejson\" or \"completer\"");
  }
  const auto format = form == "completer" ? graphite::FindFormat::kCompleter : graphite::FindFormat::kTreeJson;
  std::string pattern(call.args.Get("query"));
  if (pattern.empty()) co_return Bad("expecting non-empty `query` arg");
  VM_CO_ASSIGN_OR_RETURN(const PathSearch search, ParsePathSearch(call));
  const char delimiter = search.request.delimiter;
  if (ParseBoolArg(call.args.Get("automatic_variants"))) pattern = graphite::AddAutomaticVariants(pattern, delimiter);
  if (format == graphite::FindFormat::kCompleter) {
    for (size_t at = 0; (at = pattern.find("..", at)) != std::string::npos; at += 2) pattern.replace(at, 2, ".*");
    if (!pattern.ends_with('*')) pattern += '*';
  }
  VM_CO_ASSIGN_OR_RETURN(Strings paths, co_await FindPaths(call.source, search, std::string(), std::move(pattern)));
  if (ParseBoolArg(call.args.Get("leavesOnly"))) graphite::FilterLeaves(paths, delimiter);
  graphite::DeduplicatePaths(paths);
  co_return graphite::FindResponse(std::move(paths), delimiter, format, ParseBoolArg(call.args.Get("wildcards")));
}

awaitable<Result<std::string>> Expand(Call& call) {
  const auto patterns = call.args.GetAll("query");
  if (patterns.empty()) co_return Bad("missing `query` arg");
  VM_CO_ASSIGN_OR_RETURN(PathSearch search, ParsePathSearch(call));
  search.is_expand = true;
  const bool leaves_only = ParseBoolArg(call.args.Get("leavesOnly"));
  std::map<std::string, Strings> found;
  for (const std::string_view pattern : patterns) {
    if (found.contains(std::string(pattern))) continue;
    std::string tail(pattern);
    VM_CO_ASSIGN_OR_RETURN(Strings paths, co_await FindPaths(call.source, search, std::string(), std::move(tail)));
    if (leaves_only) graphite::FilterLeaves(paths, search.request.delimiter);
    graphite::SortPaths(paths, search.request.delimiter);
    found.emplace(pattern, std::move(paths));
  }
  if (ParseBoolArg(call.args.Get("groupByExpr"))) co_return graphite::ExpandResponse(found);
  Strings all;
  for (auto& [pattern, paths] : found) all.insert(all.end(), std::make_move_iterator(paths.begin()), std::make_move_iterator(paths.end()));
  if (found.size() > 1) graphite::DeduplicatePaths(all);
  graphite::SortPaths(all, search.request.delimiter);
  co_return graphite::StringsResponse(all);
}

awaitable<Result<std::string>> FindSeries(Call& call) {
  VM_CO_ASSIGN_OR_RETURN(const uint64_t limit, ParseLimit(call));
  if (!call.args.Has("expr")) co_return Bad("expecting at least one `expr` query arg");
  VM_CO_ASSIGN_OR_RETURN(const FilterGroups extra, ExtraFilters(call));
  VM_CO_ASSIGN_OR_RETURN(auto query, ParseTagSearch(call, extra, call.options.max_graphite_series));
  VM_CO_ASSIGN_OR_RETURN(const auto names, co_await FetchNames(call, std::move(query)));
  Strings paths;
  for (const model::MetricName& name : names) paths.push_back(graphite::CanonicalPath(name));
  std::sort(paths.begin(), paths.end());
  Cut(paths, limit);
  co_return graphite::StringsResponse(paths);
}

awaitable<Result<std::string>> CompleteTags(Call& call) {
  VM_CO_ASSIGN_OR_RETURN(uint64_t limit, ParseLimit(call));
  if (limit == 0) limit = kCompletions;
  const std::string prefix(call.args.Get("tagPrefix"));
  VM_CO_ASSIGN_OR_RETURN(const FilterGroups extra, ExtraFilters(call));
  if (!call.args.Has("expr") && extra.empty()) {
    // As in the reference, the limit is that of the flag alone.
    VM_CO_ASSIGN_OR_RETURN(const Strings tags, co_await FetchTags(call, graphite::QuoteRegex(prefix)));
    co_return graphite::StringsResponse(tags);
  }
  VM_CO_ASSIGN_OR_RETURN(auto query, ParseTagSearch(call, extra, call.options.max_graphite_tag_keys));
  VM_CO_ASSIGN_OR_RETURN(const auto names, co_await FetchNames(call, std::move(query)));
  std::set<std::string> tags;
  for (const model::MetricName& name : names) {
    tags.insert("name");
    for (const model::Tag& tag : name.tags) tags.insert(tag.key);
  }
  co_return graphite::StringsResponse(SortedWithPrefix(tags, prefix, limit));
}

awaitable<Result<std::string>> CompleteValues(Call& call) {
  VM_CO_ASSIGN_OR_RETURN(uint64_t limit, ParseLimit(call));
  if (limit == 0) limit = kCompletions;
  const std::string tag(call.args.Get("tag"));
  if (tag.empty()) co_return Bad("missing `tag` query arg");
  const std::string prefix(call.args.Get("valuePrefix"));
  VM_CO_ASSIGN_OR_RETURN(const FilterGroups extra, ExtraFilters(call));
  if (!call.args.Has("expr") && extra.empty()) {
    VM_CO_ASSIGN_OR_RETURN(const Strings values, co_await FetchTagValues(call, tag, graphite::QuoteRegex(prefix)));
    co_return graphite::StringsResponse(values);
  }
  VM_CO_ASSIGN_OR_RETURN(auto query, ParseTagSearch(call, extra, call.options.max_graphite_tag_values));
  VM_CO_ASSIGN_OR_RETURN(const auto names, co_await FetchNames(call, std::move(query)));
  const bool is_name = tag == "name" || tag == "__name__";
  std::set<std::string> values;
  for (const model::MetricName& name : names) {
    if (is_name && !name.metric_group.empty()) values.insert(name.metric_group);
    for (const model::Tag& one : name.tags) {
      if (!is_name && one.key == tag && !one.value.empty()) values.insert(one.value);
    }
  }
  co_return graphite::StringsResponse(SortedWithPrefix(values, prefix, limit));
}

awaitable<Result<std::string>> DeleteSeries(Call& call) {
  VM_CO_ASSIGN_OR_RETURN(const FilterGroups extra, ExtraFilters(call));
  uint64_t deleted = 0;
  for (const std::string_view path : call.args.GetAll("path")) {
    VM_CO_ASSIGN_OR_RETURN(auto filters, graphite::FiltersOfPath(path));
    model::SearchQuery query;
    query.tenant = call.tenant.value_or(model::Tenant());
    query.time_range = {0, call.now_ms};
    query.tag_filter_groups = JoinFilters({std::move(filters)}, extra);
    const std::string text = QuotedSearchQuery(query, false);
    const auto count = co_await call.source.DeleteSeries(std::move(query), DeadlineOf(call));
    // After an error some nodes may have deleted what they have.
    if (!count.ok() || count.value() > 0) co_await ForgetResults(call);
    if (!count.ok()) co_return Error(count.error()).WithContext("cannot delete series for " + text);
    deleted += count.value();
  }
  co_return std::string(deleted > 0 ? "true" : "false");
}

Answer AnswerOf(Result<std::string> json) {
  return json.ok() ? JsonAnswer(std::move(json).value()) : PlainError(json.error());
}
Answer JsonpAnswerOf(const Call& call, Result<std::string> json) {
  return json.ok() ? JsonpAnswer(call, std::move(json).value()) : PlainError(json.error());
}

}  // namespace

awaitable<Answer> HandleGraphiteFind(Call& call) { co_return JsonpAnswerOf(call, co_await Find(call)); }
awaitable<Answer> HandleGraphiteExpand(Call& call) { co_return JsonpAnswerOf(call, co_await Expand(call)); }
awaitable<Answer> HandleGraphiteFindSeries(Call& call) { co_return AnswerOf(co_await FindSeries(call)); }
awaitable<Answer> HandleGraphiteCompleteTags(Call& call) { co_return JsonpAnswerOf(call, co_await CompleteTags(call)); }
awaitable<Answer> HandleGraphiteCompleteValues(Call& call) { co_return JsonpAnswerOf(call, co_await CompleteValues(call)); }
awaitable<Answer> HandleGraphiteDeleteSeries(Call& call) { co_return AnswerOf(co_await DeleteSeries(call)); }

awaitable<Answer> HandleGraphiteFunctions(Call& call) {
  if (call.path_arg.empty()) {
    co_return JsonpAnswer(call, graphite::FunctionsJson(ParseBoolArg(call.args.Get("grouped")), call.args.Get("group")));
  }
  auto json = graphite::FunctionJson(call.path_arg);
  if (!json) co_return PlainError(400, "cannot find function \"" + call.path_arg + "\"");
  co_return JsonpAnswer(call, std::move(*json));
}

awaitable<Answer> HandleGraphiteIndex(Call& call) {
  model::SearchQuery query = AllSeriesOf(call);
  query.time_range = {0, std::numeric_limits<int64_t>::max()};
  std::string label = "__name__";
  auto names = co_await call.source.FetchLabelValues(std::move(query), std::move(label), 0, DeadlineOf(call));
  if (!names.ok()) co_return PlainError(std::move(names).error().WithContext("cannot obtain metric names"));
  co_return JsonpAnswer(call, graphite::StringsResponse(names.value()));
}

awaitable<Answer> HandleGraphiteTags(Call& call) {
  const auto limit = ParseLimit(call);
  if (!limit.ok()) co_return PlainError(limit.error());
  std::string filter(call.args.Get("filter"));
  auto tags = co_await FetchTags(call, std::move(filter));
  if (!tags.ok()) co_return PlainError(tags.error());
  Cut(tags.value(), limit.value());
  co_return JsonAnswer(graphite::TagsResponse(tags.value()));
}

awaitable<Answer> HandleGraphiteTagValues(Call& call) {
  const auto limit = ParseLimit(call);
  if (!limit.ok()) co_return PlainError(limit.error());
  std::string filter(call.args.Get("filter"));
  auto values = co_await FetchTagValues(call, call.path_arg, std::move(filter));
  if (!values.ok()) co_return PlainError(values.error());
  Cut(values.value(), limit.value());
  co_return JsonAnswer(graphite::TagValuesResponse(call.path_arg, values.value(), call.source.is_partial()));
}

}  // namespace vm::select
