#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>

#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"
#include "lib/net/stream.h"
#include "lib/rpc/slots.h"

namespace vm::rpc {

/// Where an insert server puts what it receives. Called on the strands of connections, many at a time.
class InsertSink {
 public:
  virtual ~InsertSink() = default;

  /// Take a packet of MetricRows. Returning means "queued": wait here while there is no room. Broken rows are
  /// the sink's to log and count; the peer is not told. An error refuses the packet: the peer is told and the connection
  /// closed, so that it sends the rows again, here or elsewhere.
  virtual net::asio::awaitable<Status> OnRows(ByteBuffer rows) = 0;
  /// The same for metadata rows.
  virtual net::asio::awaitable<Status> OnMetadata(ByteBuffer rows) = 0;
  virtual bool IsReadOnly() const = 0;
};

/// What insert servers count under the reference's names.
struct InsertServerMetrics {
  explicit InsertServerMetrics(metrics::Registry& registry);

  struct Blocks {
    metrics::Counter& read;
    metrics::Counter& read_errors;
    metrics::Counter& parse_errors;
    metrics::Counter& process_errors;
  };
  metrics::Gauge& connections;
  metrics::Counter& connection_errors;
  metrics::Counter& limit_reached;
  metrics::Counter& limit_timeout;
  metrics::Counter& write_errors;
  Blocks rows;
  Blocks metadata;
};

inline constexpr size_t kSmallInsertBody = size_t{1} << 20;

struct InsertServerOptions {
  std::chrono::milliseconds handshake_timeout{5000};  // -rpc.handshakeTimeout
  net::Pool* pool = nullptr;               // Where bodies are unpacked. Must outlive the sessions, as all of these.
  Slots* slots = nullptr;                  // -maxConcurrentInserts; null: no limit.
  /// How many bodies above kSmallInsertBody may be in memory at once; the others wait, and a quarter of a megabyte of them is read a
  /// second, that their senders keep the connection. Null: any number.
  Slots* large_bodies = nullptr;
  /// What all that wait for one of these hold together: at most a body of the greatest size, then nothing more is read for them.
  std::shared_ptr<std::atomic<uint64_t>> waiting_bytes = std::make_shared<std::atomic<uint64_t>>(0);
  std::chrono::milliseconds min_body_time{60'000};       // For reading a body once it has begun; large ones get more.
  std::chrono::milliseconds max_queue_duration{60'000};  // -insert.maxQueueDuration
  InsertServerMetrics* metrics = nullptr;  // May be null.
  std::stop_token stop;                    // Set: connections that end now are no errors.

  InsertServerOptions() {}
};

/// Serve one connection of the insert port (both protocols) until the peer leaves or breaks the rules. Run it on
/// `stream->executor()`, under a TaskGroup; closing the stream ends it. `sink` must outlive it.
net::asio::awaitable<void> ServeInsert(std::unique_ptr<net::Stream> stream, InsertSink& sink,
                                       InsertServerOptions options);

}  // namespace vm::rpc
