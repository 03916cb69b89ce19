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

/// An integer argument of a status call, whose errors look different from those of other calls.
Result<int64_t> ParseStatusInt(const Call& call, std::string_view name, int64_t otherwise) {
  const auto text = call.args.Get(name);
  if (text.empty()) return otherwise;
  const auto n = ParseIntArg(name, text);
  if (n.ok()) return n;
  const std::string value(text);
  return Error(ErrorCode::kInvalidInput,
               "cannot parse `" + std::string(name) + "` arg \"" + value + "\": strconv.Atoi: parsing \"" + value + "\": invalid syntax");
}

Result<rpc::TsdbStatusRequest> ParseTsdbStatus(const Call& call) {
  VM_ASSIGN_OR_RETURN(auto args, ParseSearchArgs(call.options, call.url_args, call.args, call.now_ms, SearchKind::kSeries, false));
  VM_ASSIGN_OR_RETURN(const int64_t day, ParseDateArg(call.args.Get("date"), call.now_ms));
  rpc::TsdbStatusRequest request;
  VM_ASSIGN_OR_RETURN(const int64_t top_n, ParseStatusInt(call, "topN", 10));
  request.top_n = static_cast<uint32_t>(std::clamp<int64_t>(top_n, 1, std::max<uint32_t>(1, call.options.max_tsdb_status_top_n)));
  request.query.tenant = call.tenant.value_or(model::Tenant());
  request.query.time_range = {day, day + kDayMs - 1};
  request.query.tag_filter_groups = std::move(args.filters);
  request.query.max_metrics = call.options.max_tsdb_status_series;
  VM_ASSIGN_OR_RETURN(request.focus_label, CheckedForNodes("`focusLabel` arg", call.args.Get("focusLabel"), rpc::kMaxLabelNameArgSize));
  return request;
}

Result<rpc::MetricNamesUsageStatsRequest> ParseUsageStats(const Call& call) {
  rpc::MetricNamesUsageStatsRequest request;
  request.tenant = call.tenant;
  VM_ASSIGN_OR_RETURN(const int64_t limit, ParseStatusInt(call, "limit", 0));
  request.limit = limit > 0 ? static_cast<uint32_t>(std::min<int64_t>(limit, std::numeric_limits<int32_t>::max())) : 1000;
  VM_ASSIGN_OR_RETURN(request.le, ParseStatusInt(call, "le", -1));
  VM_ASSIGN_OR_RETURN(request.match_pattern,
                      CheckedForNodes("`match_pattern` arg", call.args.Get("match_pattern"), rpc::kMaxMatchPatternSize));
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
  const auto top_n = ParseStatusInt(call, "topN", 20);
  if (!top_n.ok()) co_return PrometheusError(400, top_n.error().message());
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
  const std::string context = "error in \"" + call.path + "\"";
  auto request = ParseUsageStats(call);
  if (!request.ok()) co_return PlainError(std::move(request).error().WithContext(context));
  const Deadline deadline = call.DeadlineOf(call.options.max_status_duration_ms);
  const auto stats = co_await call.source.FetchUsageStats(std::move(request).value(), deadline);
  if (!stats.ok()) co_return PlainError(Error(stats.error()).WithContext(context));
  co_return Answer{200, std::string(kTextType), UsageStatsResponse(stats.value(), call.Info("")), {}, false};
}

awaitable<Answer> HandleTenantPage(Call& call) {
  std::string page = "<h2>VictoriaMetrics cluster - vmselect</h2></br>Version " + call.options.version +
                     "<br>See <a href='https://docs.victoriametrics.com/victoriametrics/cluster-victoriametrics/#url-format'>docs</a></br>"
                     "Useful endpoints:</br>"
                     "<a href=\"expand-with-exprs\">WITH expressions' tutorial</a></br>"
                     "<a href=\"prometheus/api/v1/status/tsdb\">tsdb status page</a><br>"
                     "<a href=\"prometheus/api/v1/status/top_queries\">top queries</a><br>"
                     "<a href=\"prometheus/api/v1/status/active_queries\">active queries</a><br>";
  co_return Answer{200, "text/html; charset=utf-8", std::move(page), {}, false};
}

}  // namespace vm::select
