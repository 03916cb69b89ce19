#include "lib/daemon/daemon.h"

#include <fmt/format.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <thread>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/daemon/auth.h"
#include "lib/daemon/common_flags.h"
#include "lib/daemon/favicon.h"
#include "lib/daemon/push_metrics.h"
#include "lib/fs/file_system.h"
#include "lib/daemon/version.h"
#include "lib/http/server.h"
#include "lib/log/log.h"
#include "lib/net/run_on.h"
#include "lib/sys/sys.h"

namespace vm::daemon {
namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

std::chrono::milliseconds ToMs(nanoseconds value) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(value);
}

/// Values in double quotes, as Go's %q.
std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + '"';
}

/// Freed memory goes back to the system that often, when there is more of it than that.
constexpr std::chrono::seconds kMemoryReturnInterval{10};
constexpr size_t kKeptFreeBytes = size_t{64} << 20;

/// The signals that the main thread waits for.
sigset_t WaitedSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  return set;
}

constexpr std::array<std::string_view, 6> kPprofNames = {"cmdline", "default", "mutex", "profile", "symbol", "trace"};

std::string PprofMetric(std::string_view name) {
  return fmt::format("vm_http_requests_total{{path=\"/debug/pprof/{}\"}}", name);
}

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

struct Daemon::Impl {
  Impl(std::string n, std::string addr)
      : name(std::move(n)),
        version(LongVersion(name)),
        default_http_addr(std::move(addr)),
        requests_all(metrics.GetCounter("vm_http_requests_all_total")),
        unsupported(metrics.GetCounter("vm_http_request_errors_total{path=\"*\", reason=\"unsupported\"}")),
        favicon_requests(metrics.GetCounter("vm_http_requests_total{path=\"*/favicon.ico\"}")),
        metrics_requests(metrics.GetCounter("vm_http_requests_total{path=\"/metrics\"}")),
        metrics_duration(metrics.GetHistogram("vm_http_request_duration_seconds{path=\"/metrics\"}")) {
    fs::RegisterFileMetrics(metrics);
    metrics.GetCounter(PprofMetric(""));
    for (const std::string_view known : kPprofNames) metrics.GetCounter(PprofMetric(known));
  }

  log::Options LogOptions();
  http::Server::Options ServerOptions(size_t index, const std::string& addr);
  net::asio::awaitable<void> Serve(http::Request& request, http::Response& response);
  /// False: the path goes on to the router.
  net::asio::awaitable<bool> CutPathPrefix(http::Request& request, http::Response& response);
  net::asio::awaitable<bool> ServeBuiltin(http::Request& request, http::Response& response);
  net::asio::awaitable<void> Fail(http::Request& request, http::Response& response, std::string message);
  metrics::Counter& PprofCounter(std::string_view path);
  std::string MetricsText();
  std::string NewMetricsText();
  void StartPushing();
  std::string FlagsText() const;
  std::vector<std::string> HttpAddrs() const;

  const std::string name;
  const std::string version;
  const std::string default_http_addr;
  flags::FlagSet flags;
  metrics::Registry metrics;
  metrics::Counter& requests_all;
  metrics::Counter& unsupported;
  metrics::Counter& favicon_requests;
  metrics::Counter& metrics_requests;
  metrics::Histogram& metrics_duration;
  const CommonFlags common{flags};
  const Auth auth{flags, name, metrics};
  std::unique_ptr<net::Runtime> runtime;
  std::unique_ptr<net::Pool> http_pool;  // Packs answers, reads keys.
  std::vector<std::unique_ptr<http::Server>> servers;
  std::unique_ptr<MetricsPusher> pusher;
  Router router;
  int64_t allowed_memory = 0;
  std::atomic<int64_t> shutdown_at_ms{0};  // End of -http.shutdownDelay, Unix milliseconds; 0: not stopping.
  Mutex mutex;
  std::string metrics_text VM_GUARDED_BY(mutex);
  std::chrono::steady_clock::time_point metrics_text_until VM_GUARDED_BY(mutex);
};

/// The counter of a path under /debug/pprof/; all others count as "default", as in the reference.
metrics::Counter& Daemon::Impl::PprofCounter(std::string_view path) {
  const std::string_view name = path.substr(std::string_view("/debug/pprof/").size());
  const bool is_known = name.empty() || std::find(kPprofNames.begin(), kPprofNames.end(), name) != kPprofNames.end();
  return metrics.GetCounter(PprofMetric(is_known ? name : "default"));
}

/// As given: the index of an item, also of an empty one, chooses its TLS files.
std::vector<std::string> Daemon::Impl::HttpAddrs() const {
  std::vector<std::string> addrs = *common.http_listen_addr;
  if (std::all_of(addrs.begin(), addrs.end(), [](const std::string& addr) { return addr.empty(); })) {
    addrs = {default_http_addr};
  }
  return addrs;
}

log::Options Daemon::Impl::LogOptions() {
  const auto refuse = [](std::string_view message, int code) {
    fmt::print(stderr, "{}\n", message);
    std::exit(code);
  };
  auto level = log::ParseLevel(*common.logger_level);
  if (!level.ok()) refuse("panic: FATAL: " + level.error().message(), 2);
  if (*common.logger_format != "default" && *common.logger_format != "json") {
    refuse(fmt::format("panic: FATAL: unsupported `-loggerFormat` value: {}; supported values are: default, json",
                       Quote(*common.logger_format)),
           2);
  }
  if (*common.logger_output != "stderr" && *common.logger_output != "stdout") {
    refuse(fmt::format("panic: FATAL: unsupported `loggerOutput` value: {}; supported values are: stderr, stdout",
                       Quote(*common.logger_output)),
           2);
  }
  auto json_fields = log::ParseJsonFields(*common.logger_json_fields);
  if (!json_fields.ok()) refuse(json_fields.error().message(), 1);
  auto time_zone = log::TimeZone::Load(*common.logger_time_zone);
  if (!time_zone.ok()) {
    refuse(fmt::format("cannot load timezone {}: {}", Quote(*common.logger_time_zone), time_zone.error().message()), 1);
  }
  log::Options options;
  options.min_level = level.value();
  options.json = *common.logger_format == "json";
  options.to_stdout = *common.logger_output == "stdout";
  options.disable_timestamps = *common.logger_disable_timestamps;
  options.json_fields = std::move(json_fields).value();
  options.time_zone = std::move(time_zone).value();
  options.errors_per_second_limit = static_cast<uint64_t>(std::max<int64_t>(*common.logger_errors_per_second, 0));
  options.warns_per_second_limit = static_cast<uint64_t>(std::max<int64_t>(*common.logger_warns_per_second, 0));
  options.max_arg_length = static_cast<size_t>(std::max<int64_t>(*common.logger_max_arg_length, 0));
  options.on_message = [this](log::Level message_level, std::string_view location, bool is_printed) {
    std::string lower(log::LevelName(message_level));
    for (char& c : lower) c = static_cast<char>(c - 'A' + 'a');
    metrics
        .GetCounter(fmt::format("vm_log_messages_total{{app_version=\"{}\", level=\"{}\", location=\"{}\", "
                                "is_printed=\"{}\"}}",
                                version, lower, location, is_printed))
        .Inc();
  };
  return options;
}

http::Server::Options Daemon::Impl::ServerOptions(size_t index, const std::string& addr) {
  http::Server::Options options;
  options.addr = addr;
  options.enable_tcp6 = *common.enable_tcp6;
  options.use_proxy_protocol = flags::ItemOr<bool>(*common.use_proxy_protocol, index, false);
  options.disable_keep_alive = *common.disable_keep_alive;
  options.disable_compression = *common.disable_compression;
  options.disable_cors = *common.disable_cors;
  options.disable_server_hostname = *common.disable_server_hostname;
  options.idle_timeout = ToMs(*common.idle_conn_timeout);
  options.max_conn_age = ToMs(*common.conn_timeout);
  options.metrics = &metrics;
  options.pool = http_pool.get();
  const auto add_header = [&](const char* header, const std::string& value) {
    if (!value.empty()) options.headers.emplace_back(header, value);
  };
  add_header("Strict-Transport-Security", *common.header_hsts);
  add_header("X-Frame-Options", *common.header_frame_options);
  add_header("Content-Security-Policy", *common.header_csp);
  if (!flags::ItemOr<bool>(*common.tls, index, false)) return options;
  http::TlsOptions tls;
  tls.cert_file = flags::ItemOr<std::string>(*common.tls_cert_file, index, "");
  tls.key_file = flags::ItemOr<std::string>(*common.tls_key_file, index, "");
  tls.min_version = flags::ItemOr<std::string>(*common.tls_min_version, index, "");
  tls.cipher_suites = *common.tls_cipher_suites;
  auto context = http::TlsContext::ForServer(tls);
  if (!context.ok()) {
    VM_FATAL("cannot load TLS cert from -tlsCertFile={}, -tlsKeyFile={}, -tlsMinVersion={}: {}", Quote(tls.cert_file),
             Quote(tls.key_file), Quote(tls.min_version), context.error().message());
  }
  options.tls = std::move(context).value();
  return options;
}

std::string Daemon::Impl::MetricsText() {
  MutexLock lock(mutex);
  const auto now = std::chrono::steady_clock::now();
  if (now >= metrics_text_until) {
    metrics_text = NewMetricsText();
    metrics_text_until = now + 1s;
  }
  return metrics_text;
}

std::string Daemon::Impl::NewMetricsText() {
  const bool with_metadata = *common.expose_metadata;
  std::string out;
  metrics.Write(out, with_metadata);
  metrics::WriteProcessMetrics(out, with_metadata);
  const auto add = [&](std::string_view metric_name, std::string_view labels, int64_t value) {
    if (with_metadata) metrics::AppendMetadata(out, metric_name, "gauge");
    fmt::format_to(std::back_inserter(out), "{}{} {}\n", metric_name, labels, value);
  };
  add("vm_app_version", fmt::format("{{version=\"{}\", short_version=\"{}\"}}", version, ShortVersion()), 1);
  add("vm_allowed_memory_bytes", "", allowed_memory);
  add("vm_available_memory_bytes", "", sys::AvailableMemoryBytes());
  add("vm_available_cpu_cores", "", static_cast<int64_t>(sys::AvailableCpus()));
  add("vm_gogc", "", 100);  // Of the reference; here nothing is collected.
  const double now = static_cast<double>(sys::RealClock().NowMs()) / 1000;
  add("vm_app_start_timestamp", "", static_cast<int64_t>(sys::StartTimeSeconds()));
  add("vm_app_uptime_seconds", "", static_cast<int64_t>(now - sys::StartTimeSeconds()));
  utsname system{};
  if (uname(&system) == 0) {
    add("vm_os_info", fmt::format("{{os=\"{}\", release=\"{}\"}}", "linux", system.release), 1);
  }
  if (with_metadata) metrics::AppendMetadata(out, "flag", "gauge");
  for (const auto& flag : flags.AllFlags()) {
    fmt::format_to(std::back_inserter(out), "flag{{name={}, value={}, is_set=\"{}\"}} 1\n", Quote(flag.name),
                   Quote(flag.value), flag.is_set);
  }
  return out;
}

void Daemon::Impl::StartPushing() {
  PushOptions options;
  options.urls = *common.push_urls;
  options.interval = ToMs(*common.push_interval);
  options.extra_labels = *common.push_extra_labels;
  options.headers = *common.push_headers;
  options.disable_compression = *common.push_disable_compression;
  if (options.urls.empty()) return;
  auto started = MetricsPusher::Start(*runtime, std::move(options), metrics, [this] { return MetricsText(); });
  if (!started.ok()) VM_FATAL("cannot initialize pushmetrics: {}", started.error().message());
  pusher = std::move(started).value();
}

std::string Daemon::Impl::FlagsText() const {
  std::string out;
  for (const auto& [flag, value] : flags.SetFlags()) {
    out += fmt::format("-{}={}\n", flag, Quote(value));
  }
  return out;
}

net::asio::awaitable<void> Daemon::Impl::Fail(http::Request& request, http::Response& response,
                                              std::string message) {
  unsupported.Inc();
  VM_LOG_WARN("{}; {}", http::DescribeRequest(request), message);
  co_await http::WriteError(response, 400, std::move(message));
}

net::asio::awaitable<bool> Daemon::Impl::CutPathPrefix(http::Request& request, http::Response& response) {
  if (common.path_prefix->empty()) co_return false;
  std::string prefix = *common.path_prefix;
  if (!prefix.starts_with('/')) prefix.insert(0, "/");
  if (!prefix.ends_with('/')) prefix += '/';
  if (request.path + '/' == prefix) {
    response.SetHeader("Location", prefix);
    response.SetStatus(302);
    co_return true;
  }
  if (!request.path.starts_with(prefix)) {
    std::string message = fmt::format("missing -http.pathPrefix={} in the requested path {}",
                                      Quote(*common.path_prefix), Quote(request.path));
    co_await Fail(request, response, std::move(message));
    co_return true;
  }
  request.path.erase(0, prefix.size() - 1);
  co_return false;
}

net::asio::awaitable<bool> Daemon::Impl::ServeBuiltin(http::Request& request, http::Response& response) {
  const std::string& path = request.path;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  int status = 200;
  if (path.ends_with("/favicon.ico")) {
    favicon_requests.Inc();
    response.SetHeader("Cache-Control", "max-age=3600");
    type = "image/x-icon";
    body = Favicon();
  } else if (path == "/health") {
    body = "OK";
    if (const int64_t at_ms = shutdown_at_ms; at_ms > 0) {
      const int64_t left_ms = std::max<int64_t>(at_ms - sys::RealClock().NowMs(), 0);
      std::string message = fmt::format("The server is in delayed shutdown mode, which will end in {:.3f}s",
                                        static_cast<double>(left_ms) / 1000);
      co_await http::WriteError(response, 503, std::move(message));
      co_return true;
    }
  } else if (path == "/ping") {
    status = request.query.Get("verbose") == "true" ? 200 : 204;
  } else if (path == "/metrics") {
    metrics_requests.Inc();
    const bool allowed = co_await auth.Check(request, response);
    if (!allowed) co_return true;
    const auto start = std::chrono::steady_clock::now();
    // Some look at the disk.
    auto work = [this]() noexcept { return MetricsText(); };
    body = co_await net::RunOn(*http_pool, work);
    metrics_duration.Update(SecondsSince(start));
  } else if (path == "/flags") {
    const bool allowed = co_await auth.Check(request, response);
    if (!allowed) co_return true;
    body = FlagsText();
  } else if (path == "/-/healthy") {
    body = "VictoriaMetrics is Healthy.\n";
  } else if (path == "/-/ready") {
    body = "VictoriaMetrics is Ready.\n";
  } else if (path == "/robots.txt") {
    body = "User-agent: *\nDisallow: /\n";
  } else if (path.starts_with("/debug/pprof/")) {
    PprofCounter(path).Inc();
    const bool allowed = co_await auth.Check(request, response);
    if (!allowed) co_return true;
    std::string message = "profiles of the Go runtime are not supported; use perf or gdb instead";
    co_await http::WriteError(response, 404, std::move(message));
    co_return true;
  } else {
    co_return false;
  }
  co_await http::WriteText(response, status, std::move(type), std::move(body));
  co_return true;
}

net::asio::awaitable<void> Daemon::Impl::Serve(http::Request& request, http::Response& response) {
  requests_all.Inc();
  const bool is_answered = co_await CutPathPrefix(request, response);
  if (is_answered) co_return;
  if (request.method == "OPTIONS") {
    response.EnableCors();
    response.SetStatus(204);
    co_return;
  }
  const bool is_builtin = co_await ServeBuiltin(request, response);
  if (is_builtin) co_return;
  const bool is_allowed = co_await auth.Check(request, response);
  if (!is_allowed) co_return;
  if (request.path == "/" && request.method == "GET") {
    std::string type = "text/html; charset=utf-8";
    std::string page = fmt::format(
        "{} - a component of VictoriaMetrics cluster<br/>\n"
        "<a href=\"https://docs.victoriametrics.com/victoriametrics/cluster-victoriametrics/\">docs</a><br>\n",
        name);
    co_await http::WriteText(response, 200, std::move(type), std::move(page));
    co_return;
  }
  const bool is_known = co_await router(request, response);
  if (is_known) co_return;
  std::string message = fmt::format("unsupported path requested: {}", Quote(request.path));
  co_await Fail(request, response, std::move(message));
}

Daemon::Daemon(std::string name, std::string default_http_addr)
    : impl_(std::make_unique<Impl>(std::move(name), std::move(default_http_addr))) {
  sys::StartTimeSeconds();
  // glibc makes up to eight arenas per CPU, and each keeps what other threads have freed in it.
  mallopt(M_ARENA_MAX, static_cast<int>(std::max<size_t>(2, sys::AvailableCpus())));
}

Daemon::~Daemon() {
  StopHttp();
  StopRuntime();
  log::DropObserver();  // The registry goes away.
}

flags::FlagSet& Daemon::flags() { return impl_->flags; }
metrics::Registry& Daemon::metrics() { return impl_->metrics; }
net::Runtime& Daemon::runtime() { return *impl_->runtime; }
void Daemon::UseThreads(size_t threads, net::Threads kind) { impl_->runtime = std::make_unique<net::Runtime>(threads, kind); }
bool Daemon::enable_tcp6() const { return *impl_->common.enable_tcp6; }
int64_t Daemon::allowed_memory_bytes() const { return impl_->allowed_memory; }

void Daemon::Init(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  // Before any thread starts: all inherit the mask, and WaitForSignal takes the signals.
  const sigset_t signals = WaitedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  AcceptOtherCommonFlags(impl_->flags);
  const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
  if (Status parsed = impl_->flags.Parse(args); !parsed.ok()) {
    const std::string& message = parsed.error().message();
    if (message.starts_with("unprocessed ")) {
      fmt::print(stderr, "{}\n", message);
      std::exit(1);
    }
    fmt::print("{}\n{}", message, impl_->flags.Usage());
    std::exit(2);
  }
  if (impl_->flags.help_requested()) {
    fmt::print("{}\n\n{}", impl_->version, impl_->flags.Usage());
    std::exit(0);
  }
  if (*impl_->common.version) {
    fmt::print("{}\n", impl_->version);
    std::exit(0);
  }

  log::Init(impl_->LogOptions());

  VM_LOG_INFO("build version: {}", impl_->version);
  VM_LOG_INFO("command-line flags");
  for (const auto& [flag, value] : impl_->flags.SetFlags()) {
    VM_LOG_INFO("  -{}={}", flag, Quote(value));
  }
  if (const double percent = *impl_->common.memory_percent;
      *impl_->common.memory_bytes <= 0 && !(percent >= 1 && percent <= 100)) {
    VM_FATAL("FATAL: -memory.allowedPercent must be in the range [1...100]; got {}", percent);
  }
  impl_->allowed_memory = sys::AllowedMemoryBytes(*impl_->common.memory_bytes, *impl_->common.memory_percent);
  if (impl_->allowed_memory < (1 << 20)) {
    VM_LOG_WARN("allowed memory {} bytes set by -memory.allowedBytes is low. The process may behave unexpectedly.",
                impl_->allowed_memory);
  }
  const int64_t total = sys::AvailableMemoryBytes();
  const int64_t rest = total - impl_->allowed_memory;
  const std::string cause = *impl_->common.memory_bytes > 0
                                ? fmt::format("-memory.allowedBytes={}", *impl_->common.memory_bytes)
                                : fmt::format("-memory.allowedPercent={}", *impl_->common.memory_percent);
  if (rest <= 0) {
    VM_FATAL("FATAL: remaining memory {} bytes cannot be less than or equal to zero, detected system memory limit {} bytes, {}", rest,
             total, cause);
  }
  VM_LOG_INFO("limiting caches to {} bytes, leaving {} bytes to the OS according to {}, system memory limit {} bytes",
              impl_->allowed_memory, rest, cause, total);
  impl_->runtime = std::make_unique<net::Runtime>();
  impl_->http_pool = std::make_unique<net::Pool>("http", sys::AvailableCpus());
}

void Daemon::StartHttp(Router router) {
  impl_->router = std::move(router);
  const std::vector<std::string> addrs = impl_->HttpAddrs();
  for (size_t i = 0; i < addrs.size(); ++i) {
    if (addrs[i].empty()) continue;
    http::Server::Options options = impl_->ServerOptions(i, addrs[i]);
    const char* scheme = options.tls ? "https" : "http";
    auto server = http::Server::Start(
        *impl_->runtime, std::move(options),
        [impl = impl_.get()](http::Request& request, http::Response& response) {
          return impl->Serve(request, response);
        });
    if (!server.ok()) VM_FATAL("cannot start {} server at {}: {}", scheme, addrs[i], server.error().message());
    impl_->servers.push_back(std::move(server).value());
    VM_LOG_INFO("started server at {}://{}/", scheme, impl_->servers.back()->addr());
  }
  impl_->StartPushing();
}

http::asio::awaitable<bool> Daemon::CheckAuth(http::Request& request, http::Response& response) {
  return impl_->auth.Check(request, response);
}

http::Server::Options Daemon::HttpOptions() {
  http::Server::Options options = impl_->ServerOptions(0, "");
  options.tls = nullptr;
  options.use_proxy_protocol = false;
  return options;
}

std::string Daemon::http_addr() const {
  return impl_->servers.empty() ? std::string() : impl_->servers.front()->addr();
}

void Daemon::LogStarted(double seconds) {
  VM_LOG_INFO("started {} in {:.3f} seconds", impl_->name, seconds);
}

int Daemon::WaitForSignal() { return WaitForSignal(WaitHooks()); }

int Daemon::WaitForSignal(const WaitHooks& hooks) {
  using std::chrono::steady_clock;
  const sigset_t signals = WaitedSignals();
  const bool ticks = hooks.tick.count() > 0;
  auto next_tick = steady_clock::now() + hooks.tick;
  auto next_return = steady_clock::now() + kMemoryReturnInterval;
  int number = 0;
  while (number != SIGINT && number != SIGTERM) {
    const auto next = ticks ? std::min(next_tick, next_return) : next_return;
    const auto left = std::max<steady_clock::duration>(next - steady_clock::now(), steady_clock::duration::zero());
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    const timespec timeout{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    number = sigtimedwait(&signals, nullptr, &timeout);
    if (number < 0 && errno == EAGAIN) {
      if (ticks && steady_clock::now() >= next_tick) {
        hooks.on_tick();
        next_tick = steady_clock::now() + hooks.tick;
      }
      if (steady_clock::now() >= next_return) {
        sys::ReturnFreeMemory(kKeptFreeBytes);
        next_return = steady_clock::now() + kMemoryReturnInterval;
      }
    }
    if (number == SIGHUP && hooks.on_hangup) hooks.on_hangup();
  }
  VM_LOG_INFO("service received signal {}", number == SIGINT ? "interrupt" : "terminated");
  return number;
}

void Daemon::StopHttp() {
  if (impl_->pusher) impl_->pusher->Stop();
  if (impl_->servers.empty()) return;
  std::string addrs;
  for (const auto& addr : impl_->HttpAddrs()) {
    if (!addr.empty()) addrs += (addrs.empty() ? "" : " ") + Quote(addr);
  }
  VM_LOG_INFO("gracefully shutting down http service at [{}]", addrs);
  const auto start = std::chrono::steady_clock::now();
  if (const auto delay = ToMs(*impl_->common.shutdown_delay); delay.count() > 0) {
    impl_->shutdown_at_ms = sys::RealClock().NowMs() + delay.count();
    VM_LOG_INFO("Waiting for {:.3f}s before shutdown of http server [{}], so load balancers could re-route requests to "
                "other servers",
                static_cast<double>(delay.count()) / 1000, addrs);
    std::this_thread::sleep_for(delay);
    VM_LOG_INFO("Starting shutdown for http server [{}]", addrs);
  }
  std::vector<std::thread> stops;
  for (auto& server : impl_->servers) {
    stops.emplace_back([&server, grace = ToMs(*impl_->common.graceful_shutdown)] { server->Stop(grace); });
  }
  for (std::thread& stop : stops) stop.join();
  impl_->servers.clear();
  VM_LOG_INFO("successfully shut down http service in {:.3f} seconds", SecondsSince(start));
}

void Daemon::LogStopped(double /*seconds*/) {
  VM_LOG_INFO("the {} has been stopped", impl_->name);
}

void Daemon::StopRuntime() {
  if (impl_->runtime) impl_->runtime->Stop();
  if (impl_->http_pool) impl_->http_pool->Stop();
}

}  // namespace vm::daemon
