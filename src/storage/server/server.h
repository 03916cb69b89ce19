#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "lib/base/result.h"
#include "lib/http/message.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"
#include "storage/engine/engine.h"

namespace vm::storage {

struct ServerOptions {
  std::string vminsert_addr = ":8400";
  std::string vmselect_addr = ":8401";
  bool disable_rpc_compression = false;
  size_t ingest_threads = 0;                   // 0: one per CPU.
  size_t max_concurrent_inserts = 0;           // -maxConcurrentInserts; 0: two per CPU.
  uint64_t allowed_memory_bytes = uint64_t{4} << 30;  // -memory.allowedBytes, -memory.allowedPercent
  std::chrono::milliseconds insert_max_queue_duration{60'000};  // -insert.maxQueueDuration
  /// -storage.vminsertConnsShutdownDuration: Stop closes the connections of one vminsert after the other in this time.
  std::chrono::milliseconds insert_shutdown_duration{0};
  size_t max_concurrent_requests = 0;          // -search.maxConcurrentRequests; 0: two per CPU.
  uint32_t max_tag_keys = 100'000;             // -search.maxTagKeys
  uint32_t max_tag_values = 100'000;           // -search.maxTagValues
  uint32_t max_tag_value_suffixes = 100'000;   // -search.maxTagValueSuffixesPerSearch
  std::chrono::milliseconds max_queue_duration{10'000};  // -search.maxQueueDuration
  std::chrono::milliseconds handshake_timeout{5'000};    // -rpc.handshakeTimeout
  bool deny_query_tracing = false;             // -denyQueryTracing
  std::string version;                         // In traces.
  std::string snapshot_auth_key;               // -snapshotAuthKey
  std::string force_merge_auth_key;            // -forceMergeAuthKey
  std::string force_flush_auth_key;            // -forceFlushAuthKey
  std::string log_new_series_auth_key;         // -logNewSeriesAuthKey
  metrics::Registry* registry = nullptr;       // May be null.

  ServerOptions() {}
};

/// The ports of vmstorage in front of an engine: rows come in on 8400, queries on 8401. Thread-safe.
/// `runtime` and `engine` must outlive it.
class StorageServer {
 public:
  /// Listen on both ports. Errors: kIo.
  static Result<std::unique_ptr<StorageServer>> Start(net::Runtime& runtime, Engine& engine,
                                                      ServerOptions options);
  /// Stops.
  ~StorageServer();
  StorageServer(const StorageServer&) = delete;
  StorageServer& operator=(const StorageServer&) = delete;

  std::string vminsert_addr() const;
  std::string vmselect_addr() const;

  /// Serve /internal/* and /snapshot/* of the HTTP port; false for other paths.
  net::asio::awaitable<bool> HandleHttp(http::Request& request, http::Response& response);
  /// Close the ports and all connections; what was received is handed to the engine. Not on an io thread.
  void Stop();

 private:
  struct Impl;
  explicit StorageServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vm::storage
