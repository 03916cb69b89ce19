#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "lib/base/result.h"
#include "lib/http/message.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"

namespace vm::http {

/// An HTTP/1.1 server on one address. Thread-safe.
class Server {
 public:
  struct Options {
    std::string addr = "127.0.0.1:0";
    bool enable_tcp6 = false;
    bool disable_keep_alive = false;
    bool disable_server_hostname = false;
    std::chrono::milliseconds header_timeout{5000};
    std::chrono::milliseconds idle_timeout{60000};
    std::chrono::milliseconds max_conn_age{120000};
    size_t max_header_bytes = 1 << 20;
  };

  /// Listen and serve. `handler` is called on the strand of the connection and must not throw.
  /// Errors: kIo when the address is taken.
  static Result<std::unique_ptr<Server>> Start(net::Runtime& runtime, Options options,
                                               Handler handler);
  /// Stops.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// "ip:port" with the real port.
  std::string addr() const;
  /// Stop accepting, give running requests `grace`, then close all connections. Not on an io thread.
  void Stop(std::chrono::milliseconds grace = std::chrono::milliseconds(7000));

 private:
  struct Impl;
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace vm::http
