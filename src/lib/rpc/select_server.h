#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <stop_token>
#include <string>

#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"
#include "lib/net/stream.h"
#include "lib/rpc/select_handler.h"
#include "lib/rpc/select_relay.h"
#include "lib/rpc/slots.h"

namespace vm::rpc {

struct SelectServerOptions {
  std::string addr;                                // In metrics: the value of the flag.
  std::chrono::milliseconds handshake_timeout{5000};  // -rpc.handshakeTimeout
  bool disable_compression = false;                // -rpc.disableCompression
  /// Compress also what does not leave the machine, which costs more than it brings: blocks are compressed already.
  bool compress_to_loopback = false;
  bool deny_query_tracing = false;                 // -denyQueryTracing
  std::string version;                             // First word of traces.
  size_t max_concurrent_requests = 8;              // -search.maxConcurrentRequests
  std::chrono::milliseconds max_queue_duration{10000};  // -search.maxQueueDuration
  // What error texts call the two.
  std::string max_concurrent_requests_flag = "search.maxConcurrentRequests";
  std::string max_queue_duration_flag = "search.maxQueueDuration";
  metrics::Registry* registry = nullptr;           // May be null. Must outlive the server.
  std::stop_token stop;                            // Ends running requests.

  SelectServerOptions() {}
};

/// The select port: decodes calls, lets so many run at a time, sends the answers. Thread-safe.
class SelectServer {
 public:
  /// `handler` is called on the threads that serve the connections, so these must be allowed to compute and to read
  /// files; none of them waits for a peer. `handler` must outlive the server.
  SelectServer(SelectHandler& handler, SelectServerOptions options);
  /// The same for answers that come from others. A peer that leaves stops its call. `relay` must outlive the server.
  SelectServer(SelectRelay& relay, SelectServerOptions options);
  ~SelectServer();
  SelectServer(const SelectServer&) = delete;
  SelectServer& operator=(const SelectServer&) = delete;

  /// Serve one connection until the peer leaves or breaks the rules. Run it on `stream->executor()`, under a
  /// TaskGroup that ends before the server; closing the stream ends it.
  net::asio::awaitable<void> Serve(std::unique_ptr<net::Stream> stream);

 private:
  class Session;
  struct Watch;

  SelectServer(SelectHandler* handler, SelectRelay* relay, SelectServerOptions options);

  metrics::Counter& Counter(std::string_view name, std::string_view more_labels = {});

  // One of the two is null.
  SelectHandler* const handler_;
  SelectRelay* const relay_;
  const SelectServerOptions options_;
  metrics::Registry own_registry_;  // When none was given.
  metrics::Registry& registry_;
  Slots slots_;
  std::atomic<int64_t> connections_{0};
  metrics::Counter& connection_errors_;
  metrics::Counter& limit_reached_;
  metrics::Counter& limit_timeout_;
  metrics::Counter& blocks_sent_;
  std::array<metrics::Counter*, std::variant_size_v<SelectArgs>> requests_{};
};

}  // namespace vm::rpc
