#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/result.h"
#include "lib/http/message.h"
#include "lib/http/tls.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"

namespace vm::http {

/// An HTTP/1.1 server on one address. Thread-safe.
class Server {
 public:
  struct Options {
    std::string addr = "127.0.0.1:0";
    bool enable_tcp6 = false;
    bool use_proxy_protocol = false;  // Each connection begins with a header of the PROXY protocol, version 2.
    bool disable_keep_alive = false;
    bool disable_server_hostname = false;
    bool disable_compression = false;  // Else bodies of 1 KiB and more leave as gzip when the client takes it.
    bool disable_cors = false;
    std::vector<std::pair<std::string, std::string>> headers;  // Sent with every answer.
    std::shared_ptr<TlsContext> tls;                           // Null: plain HTTP.
    net::Pool* pool = nullptr;            // Compresses big answers and reads key files; else the io threads do.
    metrics::Registry* metrics = nullptr;  // For vm_tcplistener_* of `addr` and vm_http_conn_timeout_closed_conns_total.
    std::chrono::milliseconds header_timeout{5000};
    std::chrono::milliseconds idle_timeout{60000};
    std::chrono::milliseconds max_conn_age{120000};  // And up to a tenth more, at most 10 s; 0: no limit.
    size_t max_header_bytes = 1 << 20;
  };

  /// Listen and serve. `handler` is called on the strand of the connection and must not throw.
  /// Errors: kIo when the address is taken.
  static Result<std::unique_ptr<Server>> Start(net::Runtime& runtime, Options options,
                                               Handler handler);
  /// A server that only gets connections by Serve; `options.addr` and TLS mean nothing.
  static std::unique_ptr<Server> WithoutListener(net::Runtime& runtime, Options options, Handler handler);
  /// Serve a connection that somebody else has accepted, until it ends. On the strand of `stream`.
  asio::awaitable<void> Serve(std::unique_ptr<net::Stream> stream);
  /// Stops.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// "ip:port" with the real port; "" without a listener.
  std::string addr() const;
  /// Requests whose first bytes have come and whose answer has not left.
  size_t running_requests() const;
  /// Stop accepting, give running requests `grace`, then close all connections. Shortly before, those that asked for
  /// ClientGone are told to end. Not on an io thread.
  void Stop(std::chrono::milliseconds grace = std::chrono::milliseconds(7000));

 private:
  struct Impl;
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace vm::http
