#pragma once

#include "insert/http/ingester.h"
#include "lib/http/message.h"
#include "lib/metrics/metrics.h"

namespace vm::insert {

/// Serves OpenTSDB put requests: `/insert/<tenant>/api/put` and `/insert/<tenant>/opentsdb/api/put`, with the tenant in the path.
/// Thread-safe.
class OpentsdbHttpHandler {
 public:
  /// Both must outlive the handler.
  OpentsdbHttpHandler(Ingester& ingester, metrics::Registry& registry);

  /// 204, or an error as text.
  boost::asio::awaitable<void> Handle(http::Request& request, http::Response& response);

 private:
  boost::asio::awaitable<Status> Insert(http::Request& request);

  Ingester& ingester_;
  metrics::Counter& requests_;
  metrics::Counter& errors_;
};

}  // namespace vm::insert
