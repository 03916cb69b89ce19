#include "select/http/status.h"

#include <algorithm>
#include <limits>

#include "lib/regex/regex.h"
#include "select/format/stats_json.h"
#include "select/http/args.h"
#include "select/http/search_args.h"
#include "select/http/time_arg.h"

namespace vm::select {

using boost::asio::awaitable;

namespace {

constexpr int64_t kDayMs = 24 * 3600 * 1000;

/// The first millisecond of the day to look at: `YYYY-MM-DD`, today without one; 0 means the index of all days.
Result<int64_t> ParseDateArg(std::string_view date, int64_t now_ms) {
  if (date.empty()) return now_ms - now_ms % kDayMs;
  if (date == "0") return int64_t{0};
  const auto ns = date.size() == 10 ? ParseTimeNs(std::string(date) + "Z", 0) : Error(ErrorCode::kInvalidInput, "want YYYY-MM-DD");
  if (ns.ok()) return ns.value() / 1'000'000;
  return Error(ErrorCode::kInvalidInput, "cannot parse `date` arg \"" + std::string(date) + "\": " + ns.error().message());
}

Result<uint32_t> ParseTopN(std::string_view text, uint32_t max) {
  if (text.empty()) return uint32_t{10};
  const auto n = ParseIntArg("topN", text);
  if (!n.ok()) return Error(ErrorCode::kInvalidInput, "cannot parse `topN` arg \"" + std::string(text) + "\": invalid syntax");
  return static_cast<uint32_t>(std::clamp<int64_t>(n.value(), 1, std::max<uint32_t>(1, max)));
}

Result<rpc::TsdbStatusRequest> ParseTsdbStatus(const Call& call) {
  VM_ASSIGN_OR_RETURN(auto args, ParseSearchArgs(call.options, call.url_args, call.args, call.now_ms, SearchKind::kSeries, false));
  VM_ASSIGN_OR_RETURN(const int64_t day, ParseDateArg(call.args.Get("date"), call.now_ms));
  rpc::TsdbStatusRequest request;
  VM_ASSIGN_OR_RETURN(request.top_n, ParseTopN(call.args.Get("topN"), call.options.max_tsdb_status_top_n));
  request.query.tenant = call.tenant.value_or(model::Tenant());
  request.query.time_range = {day, day + kDayMs - 1};
  request.query.tag_filter_groups = std::move(args.filters);
  request.query.max_metrics = call.options.max_tsdb_status_series;
  request.focus_label = call.args.Get("focusLabel");
  return request;
}

Result<rpc::MetricNamesUsageStatsRequest> ParseUsageStats(const Call& call) {
  rpc::MetricNamesUsageStatsRequest request;
  request.tenant = call.tenant;
  const auto limit = ParseIntArg("limit", call.args.Get("limit"));
  if (!limit.ok()) return Error(ErrorCode::kInvalidInput, "cannot parse `limit` arg \"" + std::string(call.args.Get("limit")) + "\": invalid syntax");
  request.limit = limit.value() > 0 ? static_cast<uint32_t>(std::min<int64_t>(limit.value(), std::numeric_limits<int32_t>::max())) : 1000;
  const auto le = ParseIntArg("le", call.args.Get("le"));
  if (!le.ok()) return Error(ErrorCode::kInvalidInput, "cannot parse `le` arg \"" + std::string(call.args.Get("le")) + "\": invalid syntax");
  request.le = call.args.Get("le").empty() ? -1 : le.value();
  request.match_pattern = call.args.Get("match_pattern");
  // Nodes take the pattern as it is.
  auto compiled = regex::Regex::Compile(request.match_pattern);
  if (!compiled.ok()) {
    return std::move(compiled).error().WithContext("match_pattern=\"" + request.match_pattern + "\" must be valid regex");
  }
  return request;
}

}  // namespace

awaitable<Answer> HandleActiveQueries(Call& call) {
  co_return JsonAnswer(call.active_queries.ToJson(call.tenant, call.now_ms + call.ElapsedMs()));
}

awaitable<Answer> HandleTopQueries(Call& call) {
  const auto top_n_text = call.args.Get("topN");
  const auto top_n = ParseIntArg("topN", top_n_text.empty() ? "20" : top_n_text);
  if (!top_n.ok()) co_return PrometheusError(400, "cannot parse `topN` arg \"" + std::string(top_n_text) + "\": invalid syntax");
  auto lifetime = ParseDurationArg("maxLifetime", call.args.Get("maxLifetime"), 600000);
  if (!lifetime.ok()) co_return PrometheusError(400, std::move(lifetime).error().WithContext("cannot parse `maxLifetime` arg").message());
  const auto n = static_cast<size_t>(std::max<int64_t>(0, top_n.value()));
  co_return JsonAnswer(call.top_queries.ToJson(call.tenant, n, lifetime.value(), call.now_ms + call.ElapsedMs()));
}

awaitable<Answer> HandleTsdbStatus(Call& call) {
  auto request = ParseTsdbStatus(call);
  if (!request.ok()) co_return PrometheusError(400, request.error().message());
  const Deadline deadline = call.DeadlineOf(call.options.max_status_duration_ms);
  const auto status = co_await call.source.FetchTsdbStatus(std::move(request).value(), deadline);
  if (!status.ok()) co_return PrometheusError(Error(status.error()).WithContext("cannot obtain tsdb stats"));
  co_return JsonAnswer(TsdbStatusResponse(status.value(), call.Info("")));
}

awaitable<Answer> HandleUsageStats(Call& call) {
  auto request = ParseUsageStats(call);
  if (!request.ok()) co_return PlainError(request.error());
  const Deadline deadline = call.DeadlineOf(call.options.max_status_duration_ms);
  const auto stats = co_await call.source.FetchUsageStats(std::move(request).value(), deadline);
  if (!stats.ok()) co_return PlainError(stats.error());
  co_return Answer{200, std::string(kTextType), UsageStatsResponse(stats.value(), call.Info("")), {}, false};
}

}  // namespace vm::select
