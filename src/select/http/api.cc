#include "select/http/api.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "lib/net/run_on.h"
#include "select/format/json.h"
#include "select/http/args.h"
#include "select/http/filters.h"
#include "select/http/path.h"
#include "select/promql/eval.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;

constexpr std::string_view kPrefix = "prometheus/api/v1/";

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// The fanout as the evaluator sees it, for one request.
class FanoutSource : public SeriesSource {
 public:
  FanoutSource(Fanout& fanout, bool deny_partial) : fanout_(fanout), deny_partial_(deny_partial) {}

  bool is_partial() const { return is_partial_; }

  awaitable<Result<std::vector<TimeSeries>>> FetchSeries(model::SearchQuery query, Deadline deadline) override {
    auto found = co_await fanout_.Search(query, deadline, deny_partial_);
    if (!found.ok()) co_return std::move(found).error();
    is_partial_ |= found.value().is_partial;
    std::vector<TimeSeries> out;
    for (auto& s : found.value().value) {
      VM_CO_ASSIGN_OR_RETURN(auto name, model::MetricName::Unmarshal(s.metric_name));
      out.push_back({std::move(name), std::move(s.timestamps), std::move(s.values)});
    }
    co_return std::move(out);
  }
  awaitable<Result<std::vector<model::MetricName>>> FetchMetricNames(model::SearchQuery query, Deadline deadline) override {
    auto found = co_await fanout_.SearchMetricNames(query, deadline, deny_partial_);
    if (!found.ok()) co_return std::move(found).error();
    is_partial_ |= found.value().is_partial;
    std::vector<model::MetricName> out;
    for (const auto& bytes : found.value().value) {
      VM_CO_ASSIGN_OR_RETURN(auto name, model::MetricName::Unmarshal(bytes));
      out.push_back(std::move(name));
    }
    co_return std::move(out);
  }
  awaitable<Result<std::vector<std::string>>> FetchLabelNames(model::SearchQuery query, size_t limit, Deadline deadline) override {
    auto found = co_await fanout_.LabelNames(query, static_cast<uint32_t>(limit), deadline, deny_partial_);
    if (!found.ok()) co_return std::move(found).error();
    is_partial_ |= found.value().is_partial;
    co_return std::move(found.value().value);
  }
  awaitable<Result<std::vector<std::string>>> FetchLabelValues(model::SearchQuery query, std::string label, size_t limit, Deadline deadline) override {
    auto found = co_await fanout_.LabelValues(label, query, static_cast<uint32_t>(limit), deadline, deny_partial_);
    if (!found.ok()) co_return std::move(found).error();
    is_partial_ |= found.value().is_partial;
    co_return std::move(found.value().value);
  }

 private:
  Fanout& fanout_;
  const bool deny_partial_;
  bool is_partial_ = false;
};

struct Answer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

/// One request. Computes on the pool it runs on.
class Call {
 public:
  Call(const ApiOptions& options, FanoutSource& source, model::Tenant tenant, const http::Args& args, const http::Args& url_args)
      : options_(options), source_(source), tenant_(tenant), args_(args), url_args_(url_args) {}

  awaitable<Answer> Run(std::string_view path) {
    if (path == "export") {
      auto body = co_await Export();
      co_return Plain(std::move(body));
    }
    if (path == "query") {
      auto body = co_await Query();
      co_return Json(std::move(body));
    }
    if (path == "query_range") {
      auto body = co_await QueryRange();
      co_return Json(std::move(body));
    }
    auto body = co_await Labels(path);
    co_return Json(std::move(body));
  }

 private:
  /// Errors of arguments are 400, those of evaluation 422.
  Error Bad(Error error) {
    status_ = 400;
    return error;
  }
  int StatusOf(const Error& error) const { return error.code() == ErrorCode::kUnavailable ? 503 : status_; }
  Answer Json(Result<std::string> body) {
    if (body.ok()) return {200, content_type_, std::move(body).value()};
    const int status = StatusOf(body.error());
    return {status, "application/json", ErrorResponse(status, body.error().message())};
  }
  Answer Plain(Result<std::string> body) {
    if (body.ok()) return {200, content_type_, std::move(body).value()};
    const int status = StatusOf(body.error()) == 503 ? 503 : 400;
    return {status, "text/plain; charset=utf-8", body.error().message() + "\n"};
  }

  Result<EvalContext> Context() {
    EvalContext c;
    c.source = &source_;
    c.tenant = tenant_;
    c.max_series = options_.max_unique_series;
    c.series_fetched = &series_fetched_;
    VM_ASSIGN_OR_RETURN(c.lookback_delta, ParseDurationArg("max_lookback", args_.Get("max_lookback"), options_.max_lookback_ms));
    c.deadline = DeadlineOf(options_.max_query_duration_ms);
    VM_ASSIGN_OR_RETURN(c.enforced_filters, EnforcedFilters());
    return c;
  }
  Deadline DeadlineOf(int64_t max_ms) const {
    const auto timeout = ParseDurationArg("timeout", args_.Get("timeout"), max_ms);
    return Deadline::After(std::chrono::milliseconds(timeout.ok() ? std::min(timeout.value(), max_ms) : max_ms));
  }

  Result<FilterGroups> EnforcedFilters() const { return ParseExtraFilters(url_args_, args_); }

  Result<std::string> QueryText() {
    const auto query = args_.Get("query");
    if (query.empty()) return Error(ErrorCode::kInvalidInput, "missing `query` arg");
    if (query.size() > options_.max_query_len) {
      return Error(ErrorCode::kInvalidInput, "too long query; got " + std::to_string(query.size()) + " bytes; mustn't exceed `-search.maxQueryLen=" +
                                                 std::to_string(options_.max_query_len) + "` bytes");
    }
    return std::string(query);
  }

  int64_t ExecutionMs() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started_).count();
  }

  awaitable<Result<std::string>> Query() {
    status_ = 400;
    VM_CO_ASSIGN_OR_RETURN(const auto query, QueryText());
    VM_CO_ASSIGN_OR_RETURN(auto c, Context());
    VM_CO_ASSIGN_OR_RETURN(const int64_t time, ParseTimeArg("time", args_.Get("time"), now_, now_));
    const int64_t default_step = c.lookback_delta > 0 ? c.lookback_delta : 300000;
    VM_CO_ASSIGN_OR_RETURN(c.step, ParseDurationArg("step", args_.Get("step"), default_step));
    VM_CO_ASSIGN_OR_RETURN(const int64_t latency, LatencyOffset());
    VM_CO_ASSIGN_OR_RETURN(const auto expr, metricsql::Parse(query));
    status_ = 422;
    c.start = c.end = time;
    if (const auto* rollup = metricsql::As<metricsql::RollupExpr>(expr.get()); rollup != nullptr && rollup->window != nullptr) {
      co_return co_await QueryWindow(c, query, *rollup, time);
    }
    if (!ParseBoolArg(args_.Get("nocache")) && std::abs(now_ - time) < latency) c.start = c.end = now_ - latency;
    auto series = co_await Exec(c, *expr);
    if (!series.ok()) {
      co_return std::move(series).error().WithContext("error when executing query=\"" + query + "\" for (time=" + std::to_string(time) +
                                                   ", step=" + std::to_string(c.step) + ")");
    }
    for (auto& s : series.value()) s.timestamps[0] = time;
    co_return VectorResponse(series.value(), source_.is_partial(), series_fetched_, ExecutionMs());
  }

  /// `m[5m]` gives raw samples, other windows a range query of what stands before the brackets.
  awaitable<Result<std::string>> QueryWindow(EvalContext& c, const std::string& query, const metricsql::RollupExpr& rollup, int64_t time) {
    VM_CO_ASSIGN_OR_RETURN(const int64_t window, metricsql::ParseDuration(rollup.window->text, c.step));
    int64_t offset = 0, step = 0;
    if (rollup.offset != nullptr) {
      VM_CO_ASSIGN_OR_RETURN(offset, metricsql::ParseDuration(rollup.offset->text, c.step));
    }
    if (rollup.step != nullptr) {
      VM_CO_ASSIGN_OR_RETURN(step, metricsql::ParseDuration(rollup.step->text, c.step));
    }
    const auto* metric = metricsql::As<metricsql::MetricExpr>(rollup.expr.get());
    c.end = time - offset;
    c.start = c.end - window;
    if (metric != nullptr && !metric->IsEmpty() && rollup.step == nullptr) {
      model::SearchQuery search;
      search.tenant = tenant_;
      search.time_range = {std::max<int64_t>(0, c.start + 1), c.end};
      search.tag_filter_groups = ToTagFilters(*metric, c.enforced_filters);
      search.max_metrics = c.max_series;
      VM_CO_ASSIGN_OR_RETURN(const auto series, co_await source_.FetchSeries(search, c.deadline));
      content_type_ = "application/stream+json; charset=utf-8";
      co_return RawMatrixResponse(series);
    }
    if (step > 0) c.step = step;
    co_return co_await ExecRange(c, query, *rollup.expr);
  }

  Result<int64_t> LatencyOffset() const {
    return ParseDurationArg("latency_offset", args_.Get("latency_offset"), std::max<int64_t>(0, options_.latency_offset_ms));
  }

  awaitable<Result<std::string>> QueryRange() {
    status_ = 400;
    VM_CO_ASSIGN_OR_RETURN(const auto query, QueryText());
    VM_CO_ASSIGN_OR_RETURN(auto c, Context());
    VM_CO_ASSIGN_OR_RETURN(c.start, ParseTimeArg("start", args_.Get("start"), now_ - 300000, now_));
    VM_CO_ASSIGN_OR_RETURN(c.end, ParseTimeArg("end", args_.Get("end"), now_, now_));
    VM_CO_ASSIGN_OR_RETURN(c.step, ParseDurationArg("step", args_.Get("step"), 300000));
    VM_CO_ASSIGN_OR_RETURN(const auto expr, metricsql::Parse(query));
    status_ = 422;
    co_return co_await ExecRange(c, query, *expr);
  }

  awaitable<Result<std::string>> ExecRange(EvalContext& c, const std::string& query, const metricsql::Expr& expr) {
    VM_CO_ASSIGN_OR_RETURN(const int64_t latency, LatencyOffset());
    if (c.start > c.end) c.end = c.start + 300000;
    const int64_t points = (c.end - c.start) / c.step + 1;
    if (points > options_.max_points_per_series) {
      co_return Error(ErrorCode::kLimitExceeded, "too many points for the given start=" + std::to_string(c.start) + ", end=" + std::to_string(c.end) +
                                                  " and step=" + std::to_string(c.step) + ": " + std::to_string(points) + "; the maximum number of points is " +
                                                  std::to_string(options_.max_points_per_series) + "; (see -search.maxPointsPerTimeseries command-line flag)");
    }
    if (!ParseBoolArg(args_.Get("nocache")) && points >= 50) {
      c.start -= c.start % c.step;
      if (c.end % c.step > 0) c.end += c.step - c.end % c.step;
      while ((c.end - c.start) / c.step + 1 > points) c.end -= c.step;
    }
    auto series = co_await Exec(c, expr);
    if (!series.ok()) {
      co_return std::move(series).error().WithContext("error when executing query=\"" + query + "\" on the time range (start=" + std::to_string(c.start) +
                                                   ", end=" + std::to_string(c.end) + ", step=" + std::to_string(c.step) + ")");
    }
    if (c.step < 60000 && now_ - latency < c.end) {
      for (auto& s : series.value()) AdjustLastPoints(s, now_ - latency, now_ + c.step);
    }
    RemoveEmptySeries(series.value());
    co_return MatrixResponse(series.value(), source_.is_partial(), series_fetched_, ExecutionMs());
  }

  static void AdjustLastPoints(TimeSeries& s, int64_t from, int64_t to) {
    if (s.timestamps.empty() || s.timestamps.back() > to) return;
    double last = std::nan("");
    for (size_t i = 0; i < s.values.size(); ++i) {
      if (s.timestamps[i] <= from) last = s.values[i];
      else s.values[i] = last;
    }
  }

  /// Selectors of `match[]`, and the time range.
  Result<model::SearchQuery> Search(int64_t default_start, bool required) {
    model::SearchQuery query;
    query.tenant = tenant_;
    query.max_metrics = options_.max_unique_series;
    VM_ASSIGN_OR_RETURN(query.time_range.max_timestamp, ParseTimeArg("end", args_.Get("end"), now_, now_));
    const int64_t start = default_start >= 0 ? default_start : query.time_range.max_timestamp + default_start;
    VM_ASSIGN_OR_RETURN(query.time_range.min_timestamp, ParseTimeArg("start", args_.Get("start"), std::max<int64_t>(0, start), now_));
    VM_ASSIGN_OR_RETURN(const auto enforced, EnforcedFilters());
    FilterGroups matches;
    for (const auto key : {"match[]", "match"}) {
      for (const auto text : args_.GetAll(key)) {
        VM_ASSIGN_OR_RETURN(auto groups, ParseSelector(text));
        for (auto& group : groups) matches.push_back(std::move(group));
      }
    }
    if (required && matches.empty()) return Error(ErrorCode::kInvalidInput, "missing `match[]` arg");
    query.tag_filter_groups = JoinFilters(matches, enforced);
    return query;
  }

  awaitable<Result<std::string>> Labels(std::string_view path) {
    status_ = 400;
    VM_CO_ASSIGN_OR_RETURN(const auto query, Search(-300000, path == "series"));
    const auto limit = static_cast<size_t>(std::atoll(std::string(args_.Get("limit")).c_str()));
    const Deadline deadline = DeadlineOf(options_.max_query_duration_ms);
    status_ = 422;
    if (path == "series") {
      VM_CO_ASSIGN_OR_RETURN(auto names, co_await source_.FetchMetricNames(query, deadline));
      if (limit > 0 && names.size() > limit) names.resize(limit);
      co_return SeriesListResponse(names, source_.is_partial());
    }
    Result<std::vector<std::string>> items = std::vector<std::string>();
    if (path == "labels") {
      items = co_await source_.FetchLabelNames(query, limit, deadline);
    } else {
      path.remove_prefix(6);
      path.remove_suffix(7);
      items = co_await source_.FetchLabelValues(query, std::string(path), limit, deadline);
    }
    if (!items.ok()) co_return std::move(items).error();
    auto& list = items.value();
    std::sort(list.begin(), list.end());
    if (limit > 0 && list.size() > limit) list.resize(limit);
    co_return StringListResponse(list, source_.is_partial());
  }

  awaitable<Result<std::string>> Export() {
    status_ = 400;
    VM_CO_ASSIGN_OR_RETURN(const auto query, Search(0, true));
    if (!args_.Get("format").empty()) co_return Error(ErrorCode::kInvalidInput, "unsupported format \"" + std::string(args_.Get("format")) + "\"");
    VM_CO_ASSIGN_OR_RETURN(const auto series, co_await source_.FetchSeries(query, DeadlineOf(options_.max_export_duration_ms)));
    std::string body;
    for (const auto& s : series) AppendExportLine(body, s);
    content_type_ = "application/stream+json; charset=utf-8";
    co_return std::move(body);
  }

  const ApiOptions& options_;
  FanoutSource& source_;
  const model::Tenant tenant_;
  const http::Args& args_;
  const http::Args& url_args_;
  const int64_t now_ = NowMs();
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  int status_ = 422;
  size_t series_fetched_ = 0;
  std::string content_type_ = "application/json";
};

bool IsKnown(std::string_view path) {
  return path == "query" || path == "query_range" || path == "series" || path == "labels" || path == "export" ||
         (path.starts_with("label/") && path.ends_with("/values") && path.size() > 13);
}

}  // namespace

http::asio::awaitable<bool> Api::Handle(http::Request& request, http::Response& response) {
  const auto parsed = ParseSelectPath(MergeDoubleSlashes(request.path), true, request.headers.Get("AccountID"), request.headers.Get("ProjectID"));
  if (!parsed.ok() || parsed.value().prefix != "select" || !parsed.value().suffix.starts_with(kPrefix)) co_return false;
  const auto tenant = ParseTenant(parsed.value().tenant);
  if (!tenant.ok() || !tenant.value()) co_return false;
  const std::string path = parsed.value().suffix.substr(kPrefix.size());
  if (path == "status/buildinfo") {
    co_await http::WriteText(response, 200, "application/json", "{\"status\":\"success\",\"data\":{\"version\":\"2.24.0\"}}");
    co_return true;
  }
  if (!IsKnown(path)) co_return false;
  response.SetHeader("Access-Control-Allow-Origin", "*");
  const http::Args url_args = request.query;
  auto form = co_await request.ReadForm();
  if (!form.ok()) {
    co_await http::WriteError(response, 400, form.error().message());
    co_return true;
  }
  const bool deny_partial = path == "export" || ParseBoolArg(request.query.Get("deny_partial_response"));
  FanoutSource source(fanout_, deny_partial);
  Call call(options_, source, *tenant.value(), request.query, url_args);
  Answer answer = co_await net::SpawnOn(pool_, call.Run(path));
  co_await http::WriteText(response, answer.status, std::move(answer.content_type), std::move(answer.body));
  co_return true;
}

}  // namespace vm::select
