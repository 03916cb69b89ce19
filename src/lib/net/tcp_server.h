#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "lib/base/result.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"
#include "lib/net/stream.h"

namespace vm::net {

/// Accepts TCP connections at one address and runs a coroutine for each. Thread-safe.
class TcpServer {
 public:
  struct Options {
    std::string name;  // Label of the vm_tcplistener_* metrics.
    std::string addr;
    bool enable_tcp6 = false;
    bool use_proxy_protocol = false;
    metrics::Registry* registry = nullptr;  // May be null.
  };
  /// Works on a connection until it is over, on its strand. Stop closes the stream.
  using Handler = std::function<asio::awaitable<void>(Stream& stream)>;

  /// Errors: kIo when the address is taken.
  static Result<std::unique_ptr<TcpServer>> Start(Runtime& runtime, Options options, Handler handler);
  /// Stops.
  ~TcpServer();
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;

  /// "ip:port" with the real port.
  std::string addr() const;
  size_t connections() const;
  /// Close the listener, then the connections one after the other over `spread`, and wait for their handlers. Not on an io thread.
  void Stop(std::chrono::milliseconds spread = std::chrono::milliseconds(0));

 private:
  struct Impl;
  explicit TcpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace vm::net
