#pragma once

#include <functional>
#include <memory>
#include <string>

#include "insert/http/ingester.h"
#include "lib/base/result.h"
#include "lib/http/server.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"

namespace vm::insert {

enum class LineProtocol : uint8_t { kGraphite, kInflux, kOpentsdb };

/// Takes lines over TCP and UDP at one address. Thread-safe.
class LineListener {
 public:
  struct Options {
    LineProtocol protocol = LineProtocol::kGraphite;
    std::string addr;
    bool enable_tcp6 = false;
    bool use_proxy_protocol = false;  // TCP only.
    http::Server* http = nullptr;  // OpenTSDB: takes the connections that do not begin with `p`. Must outlive the listener.
  };

  /// Errors: kIo when the address is taken. `ingester` and `registry` must outlive the listener.
  static Result<std::unique_ptr<LineListener>> Start(net::Runtime& runtime, Options options, Ingester& ingester,
                                                     metrics::Registry& registry);
  /// Stops.
  ~LineListener();
  LineListener(const LineListener&) = delete;
  LineListener& operator=(const LineListener&) = delete;

  /// "ip:port" with the real ports.
  std::string tcp_addr() const;
  std::string udp_addr() const;
  /// Not on an io thread.
  void Stop();

 private:
  struct Impl;
  explicit LineListener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vm::insert
