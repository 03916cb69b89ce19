#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/metrics/metrics.h"
#include "lib/model/tenant.h"
#include "select/http/gate.h"
#include "select/http/routes.h"
#include "select/http/tenant_cache.h"
#include "select/promql/parse_cache.h"
#include "select/promql/regex_cache.h"

namespace vm::select {

/// Figures of the query API, named as the reference's. Thread-safe.
class ApiMetrics {
 public:
  /// All references outlive this object.
  ApiMetrics(metrics::Registry& registry, const Gate& gate, const TenantCache& tenants, const ParseCache& parsed, const RegexCache& regexes);
  ~ApiMetrics();
  ApiMetrics(const ApiMetrics&) = delete;
  ApiMetrics& operator=(const ApiMetrics&) = delete;

  void CountRequest(const Route& route);
  void CountError(const Route& route);
  /// How long the answer took, an error or not.
  void NoteDuration(const Route& route, double seconds);
  /// One request of a tenant, or of all.
  void CountTenantRequest(const std::optional<model::Tenant>& tenant, int64_t duration_ms);

  metrics::Counter& limit_reached;
  metrics::Counter& limit_timeout;
  metrics::Counter& slow_queries;
  metrics::Histogram& request_duration;
  metrics::Histogram& rows_scanned;

 private:
  void AddGauge(std::string name, std::function<double()> read);

  struct RouteMetrics {
    metrics::Counter* requests = nullptr;
    metrics::Counter* errors = nullptr;
    metrics::Summary* duration = nullptr;
  };
  metrics::Registry& registry_;
  std::map<const Route*, RouteMetrics> routes_;
  std::vector<std::string> gauges_;
};

}  // namespace vm::select
