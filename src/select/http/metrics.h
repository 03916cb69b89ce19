#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "lib/metrics/metrics.h"
#include "lib/model/tenant.h"
#include "select/http/gate.h"
#include "select/http/routes.h"

namespace vm::select {

/// Figures of the query API, named as the reference's. Thread-safe.
class ApiMetrics {
 public:
  /// `gate` and `registry` outlive this object.
  ApiMetrics(metrics::Registry& registry, const Gate& gate);
  ~ApiMetrics();
  ApiMetrics(const ApiMetrics&) = delete;
  ApiMetrics& operator=(const ApiMetrics&) = delete;

  void CountRequest(const Route& route);
  void CountError(const Route& route);
  /// One request of a tenant, or of all.
  void CountTenantRequest(const std::optional<model::Tenant>& tenant, int64_t duration_ms);

  metrics::Counter& limit_reached;
  metrics::Counter& limit_timeout;
  metrics::Counter& slow_queries;
  metrics::Histogram& request_duration;

 private:
  struct RouteMetrics {
    metrics::Counter* requests = nullptr;
    metrics::Counter* errors = nullptr;
  };
  metrics::Registry& registry_;
  std::map<const Route*, RouteMetrics> routes_;
};

}  // namespace vm::select
