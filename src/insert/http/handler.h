#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "insert/prepare/prepare.h"
#include "insert/ship/shipper.h"
#include "lib/hash/rendezvous.h"
#include "lib/http/message.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"
#include "lib/sys/sys.h"

namespace vm::insert {

struct InsertHttpOptions {
  PrepareOptions prepare;
  size_t max_insert_request_bytes = 32 << 20;  // -maxInsertRequestSize, packed and unpacked.
  size_t max_text_line_bytes = 256 << 10;
  std::vector<std::string> influx_database_names;  // -influx.databaseNames
  size_t max_batch_bytes = 30 << 20;           // Rows of one request for one node before they are pushed.
  size_t max_concurrent_inserts = 8;           // -maxConcurrentInserts
  std::chrono::milliseconds max_queue_duration{60'000};  // -insert.maxQueueDuration
  bool tenant_from_headers = true;             // -enableMultitenancyViaHeaders
  bool is_metadata_enabled = true;             // -enableMetadata
};

/// Where rows go. All must outlive the handler and all requests in it.
struct InsertTargets {
  const hash::Rendezvous* placement = nullptr;
  Shipper* samples = nullptr;
  Shipper* metadata = nullptr;
};

/// Serves the `/insert/` paths: text exposition and remote write. Takes a slot, reads the body, parses it on
/// the pool, pushes the batches, answers when all of them are queued. Thread-safe.
class InsertHandler {
 public:
  InsertHandler(InsertHttpOptions options, InsertTargets targets, net::Pool& pool,
                const sys::Clock& clock, metrics::Registry& registry);
  ~InsertHandler();
  InsertHandler(const InsertHandler&) = delete;
  InsertHandler& operator=(const InsertHandler&) = delete;

  /// False: the path is not one of ours, nothing was written.
  boost::asio::awaitable<bool> Handle(http::Request& request, http::Response& response);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Publish the figures of `shipper` as `vm_rpc_*` metrics; `rpc_call` is "metric_rows" or
/// "metricmetadata_rows". `shipper` must outlive the registry's use.
void RegisterShipMetrics(metrics::Registry& registry, const Shipper& shipper,
                         const std::string& rpc_call);

}  // namespace vm::insert
