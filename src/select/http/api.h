#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "lib/http/message.h"
#include "lib/net/runtime.h"
#include "select/fanout/fanout.h"

namespace vm::select {

struct ApiOptions {
  int64_t latency_offset_ms = 30000;         // -search.latencyOffset
  int64_t max_lookback_ms = 0;               // -search.maxLookback, else -search.maxStalenessInterval
  int64_t max_query_duration_ms = 30000;     // -search.maxQueryDuration
  int64_t max_export_duration_ms = 30LL * 24 * 3600 * 1000;  // -search.maxExportDuration
  int64_t max_points_per_series = 30000;     // -search.maxPointsPerTimeseries
  size_t max_query_len = 16 * 1024;          // -search.maxQueryLen
  uint32_t max_unique_series = 0;            // -search.maxUniqueTimeseries
};

/// The Prometheus query API under `/select/<tenant>/prometheus/`. Thread-safe.
class Api {
 public:
  /// Evaluation runs on `pool`. All references outlive the Api.
  Api(net::Pool& pool, Fanout& fanout, ApiOptions options) : pool_(pool), fanout_(fanout), options_(options) {}

  /// Serve a known path and return true, or leave the response alone.
  http::asio::awaitable<bool> Handle(http::Request& request, http::Response& response);

 private:
  net::Pool& pool_;
  Fanout& fanout_;
  const ApiOptions options_;
};

}  // namespace vm::select
