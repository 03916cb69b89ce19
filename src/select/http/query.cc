#include "select/http/query.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "lib/decimal/decimal.h"
#include "select/http/export.h"
#include "select/http/query_args.h"
#include "select/promql/eval.h"
#include "select/promql/query.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;
using metricsql::As;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::string GoQuoted(std::string_view text) {
  std::string quoted;
  metricsql::AppendGoQuoted(quoted, text);
  return quoted;
}

/// An evaluation and what is known when it has ended.
struct Execution {
  EvalContext context;
  size_t series_fetched = 0;
  int64_t duration_ms = 0;
  std::vector<TimeSeries> series;
};

void InitContext(Call& call, const QueryArgs& args, Execution& execution) {
  EvalContext& c = execution.context;
  c.source = &call.source;
  if (!args.no_cache && !call.options.disable_cache) c.cache = &call.rollup_cache;
  c.regexes = &call.regexes;
  c.is_multitenant = !call.tenant;
  c.tenant = call.tenant.value_or(model::Tenant());
  c.step = args.step;
  c.lookback_delta = args.lookback;
  c.max_series = call.options.max_unique_series;
  c.deadline = call.DeadlineOf(call.options.max_query_duration_ms);
  c.enforced_filters = args.extra_filters;
  c.series_fetched = &execution.series_fetched;
  c.min_staleness_interval_ms = call.options.min_staleness_interval_ms;
  c.no_stale_markers = call.options.no_stale_markers;
  c.max_points_per_subquery_series = call.options.max_points_per_subquery_series;
  c.max_memory_bytes = call.options.max_memory_per_query;
  c.rows_scanned = &call.rows_scanned;
  c.rollup_memory = &call.memory;
  c.max_series_per_aggr = call.options.max_series_per_aggr;
  c.max_pushdown_values = call.options.max_pushdown_values;
  c.max_response_series = call.options.max_response_series;
  c.round_digits = args.round_digits;
}

void Register(Call& call, const std::string& query, const Execution& execution, Deadline::Clock::time_point from) {
  const std::chrono::duration<double> duration = Deadline::Clock::now() - from;
  size_t samples = 0;
  for (const auto& s : execution.series) samples += s.values.size();
  const EvalContext& c = execution.context;
  const auto now = call.now_ms + call.ElapsedMs();
  const auto memory = static_cast<int64_t>(1024 * execution.series_fetched + 16 * samples);
  call.top_queries.Add({call.tenant, query, (c.end - c.start) / 1000, now, duration.count(), memory});
}

/// Evaluate `expr`, seen by active_queries meanwhile and by top_queries afterwards.
awaitable<Status> Execute(Call& call, const std::string& query, const QueryArgs& args, const metricsql::Expr& expr, Execution& execution) {
  const EvalContext& c = execution.context;
  const ActiveQueryGuard active(call.active_queries, {call.tenant, query, call.remote_addr, c.start, c.end, c.step, call.now_ms});
  const auto from = Deadline::Clock::now();
  if (call.trace.enabled()) {
    call.trace.Begin(fmt::format("eval: query={}, timeRange=[{}..{}], step={}", query, model::TimestampToString(c.start),
                                 model::TimestampToString(c.end), c.step));
  }
  auto series = co_await Exec(c, expr);
  if (!series.ok()) co_return std::move(series).error();
  execution.series = std::move(series).value();
  execution.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(Deadline::Clock::now() - from).count();
  Register(call, query, execution, from);
  call.trace.End(fmt::format("series={}, points={}, pointsPerSeries={}", execution.series.size(), c.PointsCount() * execution.series.size(),
                             c.PointsCount()));
  co_return Ok();
}

void AdjustLastPoints(TimeSeries& s, int64_t from, int64_t to) {
  // A series that ends later is shifted by an offset: nobody knows which of its points are incomplete.
  if (s.timestamps.empty() || s.timestamps.back() > to) return;
  double last = kNaN;
  for (size_t i = 0; i < s.values.size(); ++i) {
    if (s.timestamps[i] <= from) last = s.values[i];
    else s.values[i] = last;
  }
}

std::string RangeContext(std::string_view query, const RangeArgs& args) {
  return fmt::format("error when executing query={} on the time range (start={}, end={}, step={})", GoQuoted(query), args.start, args.end, args.step);
}

Answer InvalidRangeQuery(const RangeArgs& args, Error error, int status) {
  return PrometheusError(status, std::move(error).WithContext(RangeContext(args.query, args)).message());
}

Status CheckPoints(const ApiOptions& options, const RangeArgs& args) {
  // No sum that might overflow: whoever calls has clamped the times, but this is the last check before memory is taken.
  const int64_t steps = (args.end - args.start) / args.step;
  if (steps >= 0 && steps < options.max_points_per_series) return Ok();
  const uint64_t points = static_cast<uint64_t>(steps) + 1;
  return Error(ErrorCode::kLimitExceeded,
               fmt::format("too many points for the given start={}, end={} and step={}: {}; the maximum number of points is {}; (see "
                           "-search.maxPointsPerTimeseries command-line flag)",
                           args.start, args.end, args.step, points, options.max_points_per_series));
}

awaitable<Answer> ExecuteRange(Call& call, RangeArgs args, const metricsql::Expr& expr) {
  if (args.start > args.end) args.end = args.start + 300000;
  const std::string context = RangeContext(args.query, args);
  if (auto checked = CheckPoints(call.options, args); !checked.ok()) co_return InvalidRangeQuery(args, std::move(checked).error(), 422);
  if (!args.no_cache && !call.options.disable_cache) AlignRange(args.start, args.end, args.step);
  Execution execution;
  InitContext(call, args, execution);
  execution.context.start = args.start;
  execution.context.end = args.end;
  execution.context.error_context = context;
  if (auto done = co_await Execute(call, args.query, args, expr, execution); !done.ok()) {
    co_return PrometheusError(done.error());
  }
  if (args.step < call.options.max_step_for_adjustment_ms && call.now_ms - args.latency_offset < args.end) {
    for (auto& s : execution.series) AdjustLastPoints(s, call.now_ms - args.latency_offset, call.now_ms + args.step);
  }
  RemoveEmptySeries(execution.series);
  ResponseInfo info = call.Info(fmt::format("start={}, end={}, step={}, query={}: series={}", args.start, args.end, args.step,
                                            GoQuoted(args.query), execution.series.size()));
  info.series_fetched = execution.series_fetched;
  info.execution_ms = execution.duration_ms;
  co_return JsonAnswer(MatrixResponse(execution.series, info));
}

/// `m[5m]`: the raw samples.
awaitable<Answer> ExportWindow(Call& call, const InstantArgs& args, const metricsql::RollupExpr& rollup, const metricsql::MetricExpr& metric) {
  const auto window = NonNegativeDurationMs(rollup.window.get(), args.step, "lookbehind window", args.query);
  if (!window.ok()) co_return PrometheusError(400, window.error().message());
  const auto offset = DurationMs(rollup.offset.get(), args.step);
  if (!offset.ok()) co_return PrometheusError(400, offset.error().message());
  ExportRequest request;
  request.query.time_range.max_timestamp = args.time - offset.value();
  // As in Prometheus, a sample at the lower end does not belong to the window.
  request.query.time_range.min_timestamp = std::min(args.time - offset.value() - window.value() + 1, request.query.time_range.max_timestamp);
  request.query.tag_filter_groups = ToTagFilters(metric, args.extra_filters);
  request.query.max_metrics = call.options.max_export_series;
  request.deadline = call.DeadlineOf(call.options.max_query_duration_ms);
  request.format = ExportFormat::kPromApi;
  if (auto sent = co_await Export(call, std::move(request)); !sent.ok()) {
    co_return PrometheusError(std::move(sent).error().WithContext(
        fmt::format("error when exporting data for query={} on the time range (start={}, end={})", GoQuoted(metricsql::ToString(metric)),
                    request.query.time_range.min_timestamp, request.query.time_range.max_timestamp)));
  }
  co_return SentAnswer();
}

/// `rate(m[1m])[1h:30s]`: a range query of what stands before the brackets.
awaitable<Answer> QueryWindow(Call& call, const InstantArgs& args, const metricsql::RollupExpr& rollup) {
  RangeArgs range;
  static_cast<QueryArgs&>(range) = args;
  range.query = metricsql::ToString(*rollup.expr);
  const auto step = NonNegativeDurationMs(rollup.step.get(), args.step, "step", args.query);
  if (!step.ok()) co_return PrometheusError(400, step.error().message());
  if (step.value() > 0) range.step = step.value();
  const auto window = NonNegativeDurationMs(rollup.window.get(), range.step, "lookbehind window", args.query);
  if (!window.ok()) co_return PrometheusError(400, window.error().message());
  const auto offset = DurationMs(rollup.offset.get(), range.step);
  if (!offset.ok()) co_return PrometheusError(400, offset.error().message());
  range.end = args.time - offset.value();
  range.start = range.end - window.value();
  co_return co_await ExecuteRange(call, std::move(range), *rollup.expr);
}

/// When an instant query is evaluated: samples of the last moments may be missing, so a little earlier.
int64_t EvaluationTime(const Call& call, const InstantArgs& args) {
  const bool is_recent = !args.no_cache && std::llabs(call.now_ms - args.time) < args.latency_offset;
  return is_recent ? call.now_ms - args.latency_offset : args.time;
}

/// The value of `expr` at args.time.
awaitable<Answer> ExecuteInstant(Call& call, const InstantArgs& args, const metricsql::Expr& expr) {
  Execution execution;
  InitContext(call, args, execution);
  const int64_t time = EvaluationTime(call, args);
  execution.context.start = execution.context.end = time;
  execution.context.error_context =
      fmt::format("error when executing query={} for (time={}, step={})", GoQuoted(args.query), time, args.step);
  if (auto done = co_await Execute(call, args.query, args, expr, execution); !done.ok()) co_return PrometheusError(done.error());
  for (auto& s : execution.series) {
    s.timestamps.resize(1);
    s.values.resize(1);
    s.timestamps[0] += args.time - time;
  }
  ResponseInfo info = call.Info(fmt::format("query={}, time={}: series={}", args.query, time, execution.series.size()));
  info.series_fetched = execution.series_fetched;
  info.execution_ms = execution.duration_ms;
  co_return JsonAnswer(VectorResponse(execution.series, info));
}

}  // namespace

awaitable<Answer> HandleQuery(Call& call) {
  const auto args = ParseInstantArgs(call.options, call.url_args, call.args, call.now_ms);
  if (!args.ok()) co_return PrometheusError(400, args.error().message());
  const InstantArgs& a = args.value();
  const auto parsed = call.parsed_queries.Parse(a.query);
  const auto& expr = *parsed;
  if (!expr.ok()) {
    co_return PrometheusError(400, fmt::format("error when executing query={} for (time={}, step={}): {}", GoQuoted(a.query), EvaluationTime(call, a),
                                               a.step, expr.error().message()));
  }
  const auto* rollup = As<metricsql::RollupExpr>(expr.value().get());
  if (rollup == nullptr || rollup->window == nullptr) co_return co_await ExecuteInstant(call, a, *expr.value());
  const auto* metric = As<metricsql::MetricExpr>(rollup->expr.get());
  // As in the original `m[5m:]` counts as a window too: it gives no step.
  if (metric != nullptr && !metric->IsEmpty() && rollup->step == nullptr) co_return co_await ExportWindow(call, a, *rollup, *metric);
  co_return co_await QueryWindow(call, a, *rollup);
}

awaitable<Answer> HandleQueryRange(Call& call) {
  const auto args = ParseRangeArgs(call.options, call.url_args, call.args, call.now_ms);
  if (!args.ok()) co_return PrometheusError(400, args.error().message());
  const RangeArgs& a = args.value();
  const auto parsed = call.parsed_queries.Parse(a.query);
  const auto& expr = *parsed;
  if (!expr.ok()) co_return InvalidRangeQuery(a, expr.error(), 400);
  co_return co_await ExecuteRange(call, a, *expr.value());
}

}  // namespace vm::select
