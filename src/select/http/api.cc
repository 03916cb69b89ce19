#include "select/http/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "lib/log/log.h"
#include "lib/metricsql/ast.h"
#include "lib/net/run_on.h"
#include "select/http/args.h"
#include "select/http/call.h"
#include "select/http/gate.h"
#include "select/http/metrics.h"
#include "select/http/path.h"
#include "select/http/proxy.h"
#include "select/http/request_log.h"
#include "select/http/routes.h"
#include "select/promql/regex_cache.h"
#include "select/promql/rollup_cache.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

int64_t MsSince(Deadline::Clock::time_point from) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Deadline::Clock::now() - from).count();
}

double SecondsSince(Deadline::Clock::time_point from) { return std::chrono::duration<double>(Deadline::Clock::now() - from).count(); }

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '\'': out += "&#39;"; break;
      case '"': out += "&#34;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string GoQuoted(std::string_view text) {
  std::string quoted;
  metricsql::AppendGoQuoted(quoted, text);
  return quoted;
}

/// Where a request wants to go.
struct Target {
  const Route* route = nullptr;
  std::optional<model::Tenant> tenant;
  std::string path_arg;
  std::string suffix;  // What stands behind the tenant.
  std::string error;   // The path is wrong in itself: 400.
};

struct StopWith {
  std::stop_source& source;
  void operator()() const noexcept { source.request_stop(); }
};

}  // namespace

struct Api::Impl {
  Impl(net::Runtime& runtime, net::Pool& pool_in, Fanout& fanout_in, RollupCache& rollup_cache_in, ApiOptions options_in,
       metrics::Registry& registry, Budget& memory_in)
      : executor(runtime.executor()),
        pool(pool_in),
        fanout(fanout_in),
        rollup_cache(rollup_cache_in),
        options(std::move(options_in)),
        memory(memory_in),
        gate(options.max_concurrent_requests),
        tenants(std::chrono::milliseconds(options.tenant_cache_ms)),
        parsed_queries({.treat_dots_as_is = options.treat_dots_as_is}),
        top_queries(options),
        metrics(registry, gate, tenants, parsed_queries, regexes) {}

  Target Find(const std::string& path, const http::Request& request) const;
  awaitable<bool> Serve(http::Request& request, http::Response& response, const http::Args& url_args, const Target& target,
                        std::stop_token stop);
  awaitable<bool> ServeHeavy(http::Request& request, http::Response& response, const http::Args& url_args, const std::string& path,
                             std::stop_token stop);
  awaitable<Answer> Run(http::Request& request, http::Response& response, const http::Args& url_args, const Target& target,
                        std::stop_token stop, bool& has_started);
  awaitable<bool> EnterGate(http::Request& request, http::Response& response, const http::Args& url_args, std::stop_token stop);
  int64_t QueueMs(const http::Args& args) const;
  void NoteSlow(const http::Request& request, const http::Args& url_args, Deadline::Clock::time_point from);

  const boost::asio::any_io_executor executor;  // Of all threads that evaluate.
  net::Pool& pool;
  Fanout& fanout;
  RollupCache& rollup_cache;
  const ApiOptions options;
  Budget& memory;
  std::stop_source stop_all;
  Gate gate;
  ActiveQueries active_queries;
  TenantCache tenants;
  ParseCache parsed_queries;
  RegexCache regexes;
  TopQueries top_queries;
  ApiMetrics metrics;
};

Target Api::Impl::Find(const std::string& path, const http::Request& request) const {
  Target target;
  target.route = FindRoute(Scope::kTenantless, path, target.path_arg);
  if (target.route != nullptr) return target;
  auto parsed = ParseSelectPath(path, options.tenant_from_headers, request.headers.Get("AccountID"), request.headers.Get("ProjectID"));
  if (!parsed.ok()) {
    target.error = fmt::format("cannot parse path {}: {}", GoQuoted(path), parsed.error().message());
    return target;
  }
  const SelectPath& p = parsed.value();
  if (p.suffix.empty() && request.method == "GET") {
    target.route = &TenantPage();
    return target;
  }
  if (p.prefix != "select" && p.prefix != "delete") {
    target.error = fmt::format("unsupported URL format for path {}. Make sure you're using cluster URL format "
                               "https://docs.victoriametrics.com/victoriametrics/cluster-victoriametrics/#url-format.",
                               GoQuoted(path));
    return target;
  }
  auto tenant = ParseTenant(p.tenant);
  if (!tenant.ok()) {
    target.error = fmt::format("auth error: {}", tenant.error().message());
    return target;
  }
  target.tenant = tenant.value();
  target.suffix = p.suffix;
  target.route = FindRoute(p.prefix == "select" ? Scope::kSelect : Scope::kDelete, p.suffix, target.path_arg);
  if (!target.tenant && p.prefix == "select" && p.suffix.starts_with("graphite/")) {
    target.error = "multi-tenant queries are not supported by Graphite endpoints";
  }
  return target;
}

int64_t Api::Impl::QueueMs(const http::Args& args) const {
  const auto timeout = ParseDurationArg("timeout", args.Get("timeout"), options.max_query_duration_ms);
  const int64_t query_ms = timeout.ok() ? std::min(timeout.value(), options.max_query_duration_ms) : options.max_query_duration_ms;
  return std::min(query_ms, options.max_queue_duration_ms);
}

/// True when the request has a slot; else it has been answered.
awaitable<bool> Api::Impl::EnterGate(http::Request& request, http::Response& response, const http::Args& url_args, std::stop_token stop) {
  if (gate.TryEnter()) co_return true;
  metrics.limit_reached.Inc();
  const int64_t queue_ms = QueueMs(request.query);
  const auto outcome = co_await gate.Enter(std::chrono::milliseconds(queue_ms), stop);
  if (outcome == Gate::Outcome::kEntered) co_return true;
  if (outcome == Gate::Outcome::kStopped) {
    VM_LOG_INFO("client has canceled the request: remoteAddr={}, requestURI: {}", QuotedRemoteAddr(request), GoQuoted(RequestUri(request, url_args)));
    response.SetStatus(503);
    co_return false;
  }
  metrics.limit_timeout.Inc();
  const std::string message = fmt::format(
      "couldn't start executing the request in {:.3f} seconds, since -search.maxConcurrentRequests={} concurrent requests are executed. "
      "Possible solutions: to reduce query load; to add more compute resources to the server; to increase -search.maxQueueDuration={}; "
      "to increase -search.maxQueryDuration; to increase -search.maxConcurrentRequests",
      static_cast<double>(queue_ms) / 1000, options.max_concurrent_requests, GoDurationText(options.max_queue_duration_ms));
  LogRequestError(request, url_args, message);
  response.SetHeader("Retry-After", "10");
  co_await http::WriteError(response, 429, message);
  co_return false;
}

void Api::Impl::NoteSlow(const http::Request& request, const http::Args& url_args, Deadline::Clock::time_point from) {
  const int64_t ms = MsSince(from);
  if (options.log_slow_query_ms <= 0 || ms < options.log_slow_query_ms) return;
  metrics.slow_queries.Inc();
  VM_LOG_WARN("slow query according to -search.logSlowQueryDuration={}: remoteAddr={}, duration={:.3f} seconds; requestURI: {}",
              GoDurationText(options.log_slow_query_ms), QuotedRemoteAddr(request), static_cast<double>(ms) / 1000,
              GoQuoted(RequestUri(request, url_args)));
}

awaitable<Answer> Api::Impl::Run(http::Request& request, http::Response& response, const http::Args& url_args, const Target& target,
                                 std::stop_token stop, bool& has_started) {
  const Route& route = *target.route;
  const bool deny_partial = options.deny_partial_response || ParseBoolArg(request.query.Get("deny_partial_response"));
  const int64_t query_limit = options.max_memory_per_query > 0 ? options.max_memory_per_query : memory.limit_bytes();
  auto budget = std::make_shared<Budget>("-search.maxMemoryPerQuery", query_limit, &memory);
  const bool is_multitenant = !target.tenant && route.scope != Scope::kTenantless;
  const bool is_traced = !options.deny_tracing && ParseBoolArg(request.query.Get("trace"));
  Trace trace(is_traced, fmt::format("{}: {}", options.version, request.path));
  SourceOptions source_options{pool.threads(), deny_partial, is_multitenant, std::move(budget), &trace};
  FanoutSource source(fanout, pool, tenants, std::move(source_options));
  BodyWriter body(co_await boost::asio::this_coro::executor, response);
  Call call{.options = options,
            .active_queries = active_queries,
            .top_queries = top_queries,
            .parsed_queries = parsed_queries,
            .regexes = regexes,
            .rollup_cache = rollup_cache,
            .rows_scanned = metrics.rows_scanned,
            .args = request.query,
            .url_args = url_args,
            .headers = request.headers,
            .path = request.path,
            .remote_addr = RemoteAddr(request),
            .tenant = target.tenant,
            .path_arg = target.path_arg,
            .source = source,
            .memory = memory,
            .body = body,
            .trace = trace,
            .now_ms = NowMs(),
            .started = Deadline::Clock::now(),
            .stop = std::move(stop)};
  Answer answer;
  std::string exception;
  try {
    answer = co_await net::SpawnOn(executor, route.handler(call));
  } catch (const std::exception& e) {
    // Out of memory, or a mistake of ours: it ends this request and no other.
    exception = e.what();
    if (exception.empty()) exception = "unknown exception";
  }
  if (!exception.empty()) {
    VM_LOG_ERROR("an exception ended the request {}: {}", request.path, exception);
    answer = PrometheusError(500, "internal error: " + exception);
  }
  has_started = body.started();
  if (answer.status != 0 || has_started) co_return answer;
  co_return Answer{200, body.content_type(), {}, {}, false};  // There was nothing to send.
}

awaitable<bool> Api::Impl::Serve(http::Request& request, http::Response& response, const http::Args& url_args, const Target& target,
                                 std::stop_token stop) {
  const Route& route = *target.route;
  metrics.CountRequest(route);
  if (route.has_cors) response.EnableCors();
  if (route.is_post_only && request.method != "POST") {
    std::string message = fmt::format("Only POST method is allowed. Got {}.", request.method);
    co_await http::WriteError(response, 405, std::move(message));
    co_return true;
  }
  if (route.is_of_vmalert && !options.vmalert_proxy_url.empty()) {
    std::string path = target.suffix.substr(std::string_view("prometheus").size());
    co_await Proxy(options.vmalert_proxy_url, std::move(path), request, url_args, response, std::move(stop));
    co_return true;
  }
  const auto started = Deadline::Clock::now();
  Answer answer;
  bool has_started = false;
  if (route.handler == nullptr) {
    answer = {route.constant_status, std::string(route.constant_type), std::string(route.constant_body), {}, false};
  } else {
    answer = co_await Run(request, response, url_args, target, std::move(stop), has_started);
  }
  const bool has_failed = !answer.is_cancelled && (!answer.error.empty() || answer.status >= 400);
  if (has_failed) metrics.CountError(route);
  if (has_failed && !answer.error.empty()) LogRequestError(request, url_args, answer.error);
  if (has_started && !answer.error.empty()) {
    std::string message = EscapeHtml(answer.error);
    co_await response.Abort(std::move(message));
  } else if (!has_started && answer.status != 0) {
    if (!route.location.empty()) response.SetHeader("Location", route.location);
    if (answer.content_type == kTextType && answer.status >= 400) response.SetHeader("X-Content-Type-Options", "nosniff");
    co_await http::WriteText(response, answer.status, std::move(answer.content_type), std::move(answer.body));
  }
  metrics.NoteDuration(route, SecondsSince(started));
  co_return true;
}

awaitable<bool> Api::Impl::ServeHeavy(http::Request& request, http::Response& response, const http::Args& url_args, const std::string& path,
                                      std::stop_token stop) {
  const auto from = Deadline::Clock::now();
  const bool entered = co_await EnterGate(request, response, url_args, stop);
  if (!entered) co_return true;
  const GateGuard guard(gate);
  const auto started = Deadline::Clock::now();
  Target target = Find(path, request);
  if (!target.error.empty()) {
    LogRequestError(request, url_args, target.error);
    co_await http::WriteError(response, 400, target.error);
    co_return true;
  }
  bool is_known = target.route != nullptr;
  if (is_known) is_known = co_await Serve(request, response, url_args, target, std::move(stop));
  if (path.starts_with("/select/")) metrics.CountTenantRequest(target.tenant, MsSince(started));
  metrics.request_duration.Update(SecondsSince(from));
  NoteSlow(request, url_args, started);
  co_return is_known;
}

Api::Api(net::Runtime& runtime, net::Pool& pool, Fanout& fanout, RollupCache& rollup_cache, ApiOptions options, metrics::Registry& registry,
         Budget& memory)
    : impl_(std::make_unique<Impl>(runtime, pool, fanout, rollup_cache, std::move(options), registry, memory)) {}

Api::~Api() = default;

void Api::Cancel() { impl_->stop_all.request_stop(); }

http::asio::awaitable<bool> Api::Handle(http::Request& request, http::Response& response) {
  const std::string path = MergeDoubleSlashes(request.path);
  // Not a copy of request.query: the check of an authKey may have read the form already.
  const http::Args url_args = http::ParseQuery(request.raw_query);
  auto form = co_await request.ReadForm();
  if (!form.ok()) {
    std::string message = form.error().message();
    co_await http::WriteError(response, 400, std::move(message));
    co_return true;
  }
  std::stop_source stop;
  const std::stop_callback on_shutdown(impl_->stop_all.get_token(), StopWith{stop});
  const std::stop_callback on_gone(request.ClientGone(), StopWith{stop});
  const Target target = impl_->Find(path, request);
  if (target.route != nullptr && !target.route->is_heavy) co_return co_await impl_->Serve(request, response, url_args, target, stop.get_token());
  co_return co_await impl_->ServeHeavy(request, response, url_args, path, stop.get_token());
}

}  // namespace vm::select
