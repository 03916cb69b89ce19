#pragma once

#include <functional>
#include <memory>
#include <string>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/net/runtime.h"

namespace vm::insert {

/// Receives datagrams at one address, one after the other; the system drops those that find no room. Thread-safe.
class UdpServer {
 public:
  /// Works on a datagram of `peer`, on the strand of the server.
  using Handler = std::function<net::asio::awaitable<void>(ByteView datagram, std::string peer)>;

  /// Errors: kIo when the address is taken.
  static Result<std::unique_ptr<UdpServer>> Start(net::Runtime& runtime, std::string addr, bool enable_udp6,
                                                  Handler handler);
  /// Stops.
  ~UdpServer();
  UdpServer(const UdpServer&) = delete;
  UdpServer& operator=(const UdpServer&) = delete;

  /// "ip:port" with the real port.
  std::string addr() const;
  /// Not on an io thread.
  void Stop();

 private:
  struct Impl;
  explicit UdpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace vm::insert
