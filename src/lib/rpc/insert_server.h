#pragma once

#include <chrono>
#include <memory>

#include "lib/net/runtime.h"
#include "lib/net/stream.h"

namespace vm::rpc {

/// Where an insert server puts what it receives. Called on the strands of connections, many at a time.
class InsertSink {
 public:
  virtual ~InsertSink() = default;

  /// Take a packet of MetricRows. Returning means "queued": wait here while there is no room. Broken rows are
  /// the sink's to log; the peer is not told.
  virtual net::asio::awaitable<void> OnRows(ByteBuffer rows) = 0;
  /// The same for metadata rows.
  virtual net::asio::awaitable<void> OnMetadata(ByteBuffer rows) = 0;
  virtual bool IsReadOnly() const = 0;
};

struct InsertServerOptions {
  std::chrono::milliseconds handshake_timeout{5000};
  net::Pool* pool = nullptr;  // Where bodies are unpacked. Must outlive the sessions.

  InsertServerOptions() {}
};

/// Serve one connection of the insert port (both protocols) until the peer leaves or breaks the rules. Run it on
/// `stream->executor()`, under a TaskGroup; closing the stream ends it. `sink` must outlive it.
net::asio::awaitable<void> ServeInsert(std::unique_ptr<net::Stream> stream, InsertSink& sink,
                                       InsertServerOptions options);

}  // namespace vm::rpc
