#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "lib/net/framed_stream.h"
#include "lib/net/runtime.h"
#include "lib/net/stream.h"

namespace vm::rpc {

struct InsertConnOptions {
  net::DialOptions dial;
  std::chrono::milliseconds handshake_timeout{5000};  // -rpc.handshakeTimeout
  std::chrono::milliseconds min_answer_time{60'000};  // For sending rows and for their answer; large packets get more.
  bool disable_compression = false;                   // -rpc.disableCompression, old nodes only.
  net::Pool* pool = nullptr;                          // Where bodies are packed; must outlive the connection.

  InsertConnOptions() {}
};

/// What a node said to a packet.
enum class InsertAnswer : uint8_t {
  kAccepted,
  kReadOnly,     // Nothing was taken; the connection stays.
  kUnsupported,  // The node does not know the call and closes.
  kDropped,      // An old node cannot take this kind of rows; nothing was sent.
};

/// A connection from vminsert to a storage node. Speaks `vminsert.03`, or `vminsert.02` when the node is
/// older. Strand-confined to the strand it was dialed on; calls do not overlap.
/// Reference: VictoriaMetrics lib/vminsertapi.
class InsertConn {
 public:
  /// Requires that the caller runs on a strand. Errors: kUnavailable, kCorrupted.
  static net::asio::awaitable<Result<std::unique_ptr<InsertConn>>> Dial(std::string addr,
                                                                        InsertConnOptions options);
  ~InsertConn();
  InsertConn(const InsertConn&) = delete;
  InsertConn& operator=(const InsertConn&) = delete;

  /// Send encoded rows of kind `rpc_name` (kWriteRows, kWriteMetadata) and wait for the answer. Empty rows ask
  /// for the state of the node. `rows` must stay until then. An error means the connection is broken.
  net::asio::awaitable<Result<InsertAnswer>> Send(std::string_view rpc_name, ByteView rows);
  /// Thread-safe.
  void Close() { stream_->Close(); }
  bool legacy() const noexcept { return legacy_; }

 private:
  InsertConn(std::unique_ptr<net::FramedStream> stream, bool legacy, const InsertConnOptions& options);
  Deadline AnswerDeadline(size_t rows_size) const;

  std::unique_ptr<net::FramedStream> stream_;
  const bool legacy_;
  net::Pool* const pool_;
  const std::chrono::milliseconds min_answer_time_;
};

}  // namespace vm::rpc
