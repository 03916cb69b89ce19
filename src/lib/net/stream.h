#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "lib/base/deadline.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::net {

namespace asio = boost::asio;

/// Bytes in both directions. Strand-confined: use it on `executor()`, one read and one write at a
/// time; Close alone may be called from any thread.
class Stream {
 public:
  virtual ~Stream() = default;

  /// Read at least one byte into `dst`; 0 at the end of the stream.
  /// Errors: kUnavailable when the connection breaks or the deadline passes (see stream_errors.h).
  virtual asio::awaitable<Result<size_t>> Read(std::span<uint8_t> dst) = 0;
  /// Write all of `src`. Errors: as Read.
  virtual asio::awaitable<Status> Write(ByteView src) = 0;
  /// Write `head`, then `body`, if possible at once and without copying them together. Errors: as Read.
  virtual asio::awaitable<Status> WriteBoth(ByteView head, ByteView body);
  /// Limit for the reads and writes that follow. Default: none.
  virtual void SetDeadline(const Deadline& deadline) = 0;
  /// Break what is pending and close. Thread-safe, may be called twice.
  virtual void Close() = 0;

  virtual asio::any_io_executor executor() = 0;
  virtual std::string remote_addr() const = 0;
  virtual std::string local_addr() const = 0;
};

/// Fill `dst`. Errors: kUnavailable; the text is "EOF" when nothing came, "unexpected EOF" after a part.
asio::awaitable<Status> ReadFull(Stream& stream, std::span<uint8_t> dst);

class StreamMetrics;

struct DialOptions {
  std::chrono::milliseconds timeout{3000};
  /// TCP_USER_TIMEOUT; 0 leaves the default of the system.
  std::chrono::milliseconds user_timeout{3000};
  bool enable_tcp6 = false;
  std::shared_ptr<StreamMetrics> metrics;  // lib/net/stream_metrics.h; may be null.

  DialOptions() {}
};

/// Connect to "host:port". The stream lives on the executor of the calling coroutine, which must be
/// a strand. NODELAY, keep-alive of 1 s. Errors: kUnavailable.
asio::awaitable<Result<std::unique_ptr<Stream>>> Dial(std::string addr, DialOptions options);

/// A TCP listening socket. Thread-safe.
class Listener {
 public:
  /// `addr` is ":8400" or "host:port"; port 0 or none takes a free one. Errors: kIo, kInvalidInput.
  static Result<std::unique_ptr<Listener>> Open(asio::any_io_executor executor, std::string addr,
                                                bool enable_tcp6 = false);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// The next connection, on a strand of its own (`stream->executor()`).
  /// Errors: kCancelled after Close; kIo when the system refuses (wait a little and try again).
  asio::awaitable<Result<std::unique_ptr<Stream>>> Accept();
  void Close();
  /// Count the connections that follow. Call it before the first Accept.
  void SetMetrics(std::shared_ptr<StreamMetrics> metrics);
  /// "ip:port" with the real port.
  std::string addr() const;
  uint16_t port() const;

 private:
  struct Impl;
  explicit Listener(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

/// "host" becomes "host:default_port". Errors: kInvalidInput.
Result<std::string> NormalizeAddr(std::string_view addr, uint16_t default_port);

/// Two ends of an in-memory connection on one strand, for tests. Deadlines are ignored.
std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> MakePipe(asio::any_io_executor strand);

}  // namespace vm::net
