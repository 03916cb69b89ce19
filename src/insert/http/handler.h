#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "insert/http/ingester.h"
#include "lib/http/message.h"
#include "lib/metrics/metrics.h"

namespace vm::insert {

/// Serves the `/insert/` paths: answers, and the bodies to the Ingester. Thread-safe.
class InsertHandler {
 public:
  /// `ingester` and `registry` must outlive the handler and all requests in it.
  InsertHandler(Ingester& ingester, metrics::Registry& registry);
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
