#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "lib/flags/flags.h"
#include "lib/http/message.h"
#include "lib/http/server.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"

namespace vm::daemon {

/// Serve a path and return true, or leave the response alone and return false.
using Router = std::function<net::asio::awaitable<bool>(http::Request&, http::Response&)>;

/// What the three daemons do alike. In main: construct, define own flags on flags(), Init, start own
/// parts, StartHttp, WaitForSignal, StopHttp, stop own parts, LogStopped. Main thread only.
class Daemon {
 public:
  /// `name` is "vminsert"; `default_http_addr` is ":8480".
  Daemon(std::string name, std::string default_http_addr);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  flags::FlagSet& flags();
  metrics::Registry& metrics();
  /// After Init.
  net::Runtime& runtime();
  /// As many threads of this kind instead of one per CPU that only does io. Between Init and the first use of runtime().
  void UseThreads(size_t threads, net::Threads kind);
  /// After Init: -enableTCP6, for what the daemon listens on and dials itself.
  bool enable_tcp6() const;
  /// After Init: bytes for caches.
  int64_t allowed_memory_bytes() const;

  /// Parse flags (ends the process for -help, -version and mistakes), set up the logger, log the start
  /// lines, start the io threads. SIGTERM and SIGINT are blocked from here on.
  void Init(int argc, char** argv);

  /// Listen on every -httpListenAddr. Ends the process when an address is taken.
  void StartHttp(Router router);
  /// Basic auth for HTTP servers of the daemon's own. True: go on. False: answered with 401.
  http::asio::awaitable<bool> CheckAuth(http::Request& request, http::Response& response);
  /// Options of -http.* for HTTP servers of the daemon's own.
  http::Server::Options HttpOptions();
  /// First bound HTTP address.
  std::string http_addr() const;
  /// Log "started <name> in <s> seconds".
  void LogStarted(double seconds);

  /// What happens while the daemon waits for its end, on the main thread.
  struct WaitHooks {
    std::function<void()> on_hangup;  // SIGHUP; null: it is ignored.
    std::function<void()> on_tick;
    std::chrono::milliseconds tick{0};  // 0: on_tick is never called.
  };
  /// Block until SIGINT or SIGTERM; logs it and returns its number.
  int WaitForSignal(const WaitHooks& hooks);
  int WaitForSignal();
  void StopHttp();
  void LogStopped(double seconds);
  /// Join the io threads. Afterwards no coroutine runs.
  void StopRuntime();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vm::daemon
