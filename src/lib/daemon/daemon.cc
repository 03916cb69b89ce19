#include "lib/daemon/daemon.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "lib/daemon/common_flags.h"
#include "lib/daemon/push_metrics.h"
#include "lib/http/server.h"
#include "lib/log/log.h"
#include "lib/sys/sys.h"

namespace vm::daemon {
namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

// Starts with the daemon name: dashboards match on it.
constexpr std::string_view kVersionSuffix = "-20261101-000000-tags-v0.1.0-cluster-0-g0000000";
constexpr std::string_view kShortVersion = "v0.1.0-cluster";

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

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

struct Daemon::Impl {
  Impl(std::string n, std::string addr) : name(std::move(n)), default_http_addr(std::move(addr)) {}

  std::string Version() const { return name + std::string(kVersionSuffix); }
  net::asio::awaitable<void> Serve(http::Request& request, http::Response& response);
  net::asio::awaitable<bool> ServeBuiltin(http::Request& request, http::Response& response);
  net::asio::awaitable<bool> CheckAuthKey(http::Request& request, http::Response& response,
                                          std::string flag, const std::string& key);
  std::string MetricsText();
  void StartPushing();
  std::string FlagsText() const;
  std::vector<std::string> HttpAddrs() const;

  const std::string name;
  const std::string default_http_addr;
  flags::FlagSet flags;
  metrics::Registry metrics;
  std::unique_ptr<net::Runtime> runtime;
  std::vector<std::unique_ptr<http::Server>> servers;
  Router router;
  int64_t allowed_memory = 0;

  const CommonFlags common{flags};
  std::unique_ptr<MetricsPusher> pusher;
  metrics::Counter* requests_all = nullptr;
  metrics::Counter* unsupported = nullptr;
};

std::vector<std::string> Daemon::Impl::HttpAddrs() const {
  std::vector<std::string> addrs;
  for (const auto& addr : *common.http_listen_addr) {
    if (!addr.empty()) addrs.push_back(addr);
  }
  if (addrs.empty()) addrs.push_back(default_http_addr);
  return addrs;
}

std::string Daemon::Impl::MetricsText() {
  std::string out;
  metrics.Write(out);
  out += fmt::format("vm_app_version{{version=\"{}\", short_version=\"{}\"}} 1\n", Version(),
                     kShortVersion);
  out += fmt::format("vm_allowed_memory_bytes {}\n", allowed_memory);
  out += fmt::format("vm_available_memory_bytes {}\n", sys::AvailableMemoryBytes());
  out += fmt::format("vm_available_cpu_cores {}\n", sys::AvailableCpus());
  const double now = static_cast<double>(sys::RealClock().NowMs()) / 1000;
  out += fmt::format("vm_app_start_timestamp {}\n", static_cast<int64_t>(sys::StartTimeSeconds()));
  out += fmt::format("vm_app_uptime_seconds {:.3f}\n", now - sys::StartTimeSeconds());
  for (const auto& flag : flags.AllFlags()) {
    out += fmt::format("flag{{name={}, value={}, is_set=\"{}\"}} 1\n", Quote(flag.name),
                       Quote(flag.value), flag.is_set);
  }
  metrics::WriteProcessMetrics(out);
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

net::asio::awaitable<bool> Daemon::Impl::CheckAuthKey(http::Request& request,
                                                      http::Response& response, std::string flag,
                                                      const std::string& key) {
  if (key.empty()) co_return true;
  const std::string given(request.query.Get("authKey"));
  if (given == key) co_return true;
  metrics.GetCounter("vm_http_request_errors_total{path=\"*\", reason=\"wrong_auth_key\"}").Inc();
  std::string message =
      given.empty() ? fmt::format("Expected to receive non-empty authKey when -{} is set", flag)
                    : fmt::format("The provided authKey doesn't match -{}", flag);
  co_await http::WriteError(response, 401, std::move(message));
  co_return false;
}

net::asio::awaitable<bool> Daemon::Impl::ServeBuiltin(http::Request& request,
                                                      http::Response& response) {
  const std::string& path = request.path;
  const std::string text = "text/plain; charset=utf-8";
  std::string type = text;
  std::string body;
  int status = 200;
  if (path == "/health") {
    body = "OK";
  } else if (path == "/ping") {
    status = request.query.Get("verbose") == "true" ? 200 : 204;
  } else if (path == "/metrics") {
    if (!co_await CheckAuthKey(request, response, "metricsAuthKey", *common.metrics_auth_key)) {
      co_return true;
    }
    body = MetricsText();
  } else if (path == "/flags") {
    if (!co_await CheckAuthKey(request, response, "flagsAuthKey", *common.flags_auth_key)) co_return true;
    body = FlagsText();
  } else if (path == "/-/healthy") {
    body = "VictoriaMetrics is Healthy.\n";
  } else if (path == "/-/ready") {
    body = "VictoriaMetrics is Ready.\n";
  } else if (path == "/robots.txt") {
    body = "User-agent: *\nDisallow: /\n";
  } else if (path == "/" && request.method == "GET") {
    type = "text/html; charset=utf-8";
    body = name + " - a component of VictoriaMetrics cluster<br/>\n";
  } else {
    co_return false;
  }
  co_await http::WriteText(response, status, std::move(type), std::move(body));
  co_return true;
}

net::asio::awaitable<void> Daemon::Impl::Serve(http::Request& request, http::Response& response) {
  requests_all->Inc();
  if (request.method == "OPTIONS") {
    if (!*common.disable_cors) {
      response.SetHeader("Access-Control-Allow-Origin", "*");
      response.SetHeader("Access-Control-Allow-Methods", "*");
      response.SetHeader("Access-Control-Allow-Headers", "*");
    }
    response.SetStatus(204);
    co_return;
  }
  const bool builtin = co_await ServeBuiltin(request, response);
  if (builtin) co_return;
  const bool known = co_await router(request, response);
  if (known) co_return;
  unsupported->Inc();
  std::string message = fmt::format("unsupported path requested: {}", Quote(request.path));
  VM_LOG_WARN("remoteAddr: \"{}\"; requestURI: {}; {}", request.remote_addr, request.target,
              message);
  co_await http::WriteError(response, 400, std::move(message));
}

Daemon::Daemon(std::string name, std::string default_http_addr)
    : impl_(std::make_unique<Impl>(std::move(name), std::move(default_http_addr))) {
  sys::StartTimeSeconds();
  impl_->requests_all = &impl_->metrics.GetCounter("vm_http_requests_all_total");
  impl_->unsupported = &impl_->metrics.GetCounter(
      "vm_http_request_errors_total{path=\"*\", reason=\"unsupported\"}");
}

Daemon::~Daemon() {
  StopHttp();
  StopRuntime();
  log::DropObserver();  // The registry goes away.
}

flags::FlagSet& Daemon::flags() { return impl_->flags; }
metrics::Registry& Daemon::metrics() { return impl_->metrics; }
net::Runtime& Daemon::runtime() { return *impl_->runtime; }
int64_t Daemon::allowed_memory_bytes() const { return impl_->allowed_memory; }

void Daemon::Init(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  // Before any thread starts: all inherit the mask, and WaitForSignal takes the signals.
  const sigset_t stop_signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);

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
    fmt::print("{}\n\n{}", impl_->Version(), impl_->flags.Usage());
    std::exit(0);
  }
  if (*impl_->common.version) {
    fmt::print("{}\n", impl_->Version());
    std::exit(0);
  }

  log::Options log_options;
  auto level = log::ParseLevel(*impl_->common.logger_level);
  if (!level.ok()) {
    fmt::print(stderr, "panic: {}\n", level.error().message());
    std::exit(2);
  }
  const std::string& format = *impl_->common.logger_format;
  const std::string& output = *impl_->common.logger_output;
  if ((format != "default" && format != "json") || (output != "stderr" && output != "stdout")) {
    fmt::print(stderr, "panic: unsupported -loggerFormat={} or -loggerOutput={}\n", format, output);
    std::exit(2);
  }
  log_options.min_level = level.value();
  log_options.json = format == "json";
  log_options.to_stdout = output == "stdout";
  log_options.disable_timestamps = *impl_->common.logger_disable_timestamps;
  log_options.on_message = [registry = &impl_->metrics, version = impl_->Version()](
                               log::Level message_level, std::string_view location, bool is_printed) {
    std::string lower(log::LevelName(message_level));
    for (char& c : lower) c = static_cast<char>(c - 'A' + 'a');
    registry
        ->GetCounter(fmt::format("vm_log_messages_total{{app_version=\"{}\", level=\"{}\", "
                                 "location=\"{}\", is_printed=\"{}\"}}",
                                 version, lower, location, is_printed))
        .Inc();
  };
  log::Init(std::move(log_options));

  VM_LOG_INFO("build version: {}", impl_->Version());
  VM_LOG_INFO("command-line flags");
  for (const auto& [flag, value] : impl_->flags.SetFlags()) {
    VM_LOG_INFO("  -{}={}", flag, Quote(value));
  }
  impl_->allowed_memory = sys::AllowedMemoryBytes(*impl_->common.memory_bytes, *impl_->common.memory_percent);
  const int64_t total = sys::AvailableMemoryBytes();
  VM_LOG_INFO("limiting caches to {} bytes, leaving {} bytes to the OS according to {}, system "
              "memory limit {} bytes",
              impl_->allowed_memory, total - impl_->allowed_memory,
              *impl_->common.memory_bytes > 0
                  ? fmt::format("-memory.allowedBytes={}", *impl_->common.memory_bytes)
                  : fmt::format("-memory.allowedPercent={}", *impl_->common.memory_percent),
              total);
  impl_->runtime = std::make_unique<net::Runtime>();
}

void Daemon::StartHttp(Router router) {
  impl_->router = std::move(router);
  for (const auto& addr : impl_->HttpAddrs()) {
    http::Server::Options options;
    options.addr = addr;
    options.enable_tcp6 = *impl_->common.enable_tcp6;
    options.disable_keep_alive = *impl_->common.disable_keep_alive;
    options.disable_server_hostname = *impl_->common.disable_server_hostname;
    options.idle_timeout = ToMs(*impl_->common.idle_conn_timeout);
    options.max_conn_age = impl_->common.conn_timeout->count() > 0 ? ToMs(*impl_->common.conn_timeout) : 87600h;
    auto server = http::Server::Start(
        *impl_->runtime, std::move(options),
        [impl = impl_.get()](http::Request& request, http::Response& response) {
          return impl->Serve(request, response);
        });
    if (!server.ok()) {
      VM_FATAL("cannot start http server at {}: {}", addr, server.error().message());
    }
    impl_->servers.push_back(std::move(server).value());
    VM_LOG_INFO("started server at http://{}/", impl_->servers.back()->addr());
  }
  impl_->StartPushing();
}

std::string Daemon::http_addr() const {
  return impl_->servers.empty() ? std::string() : impl_->servers.front()->addr();
}

void Daemon::LogStarted(double seconds) {
  VM_LOG_INFO("started {} in {:.3f} seconds", impl_->name, seconds);
}

int Daemon::WaitForSignal() {
  const sigset_t stop_signals = StopSignals();
  int number = 0;
  while (sigwait(&stop_signals, &number) != 0) {
  }
  VM_LOG_INFO("service received signal {}", number == SIGINT ? "interrupt" : "terminated");
  return number;
}

void Daemon::StopHttp() {
  if (impl_->pusher) impl_->pusher->Stop();
  if (impl_->servers.empty()) return;
  std::string addrs;
  for (const auto& addr : impl_->HttpAddrs()) addrs += (addrs.empty() ? "" : " ") + Quote(addr);
  VM_LOG_INFO("gracefully shutting down http service at [{}]", addrs);
  const auto start = std::chrono::steady_clock::now();
  for (auto& server : impl_->servers) server->Stop(ToMs(*impl_->common.graceful_shutdown));
  impl_->servers.clear();
  VM_LOG_INFO("successfully shut down http service in {:.3f} seconds", SecondsSince(start));
}

void Daemon::LogStopped(double /*seconds*/) {
  VM_LOG_INFO("the {} has been stopped", impl_->name);
}

void Daemon::StopRuntime() {
  if (impl_->runtime) impl_->runtime->Stop();
}

}  // namespace vm::daemon
