#include "select/http/metrics.h"

#include <fmt/format.h>

namespace vm::select {
ApiMetrics::ApiMetrics(metrics::Registry& registry, const Gate& gate, const TenantCache& tenants, const ParseCache& parsed, const RegexCache& regexes)
    : limit_reached(registry.GetCounter("vm_concurrent_select_limit_reached_total")),
      limit_timeout(registry.GetCounter("vm_concurrent_select_limit_timeout_total")),
      slow_queries(registry.GetCounter("vm_slow_queries_total")),
      request_duration(registry.GetHistogram("vmselect_request_duration_seconds")),
      rows_scanned(registry.GetHistogram("vm_rows_scanned_per_query")),
      registry_(registry) {
  AddGauge("vm_concurrent_select_capacity", [&gate] { return static_cast<double>(gate.capacity()); });
  AddGauge("vm_concurrent_select_current", [&gate] { return static_cast<double>(gate.current()); });
  AddGauge("vm_cache_requests_total{type=\"multitenancy/tenants\"}", [&tenants] { return static_cast<double>(tenants.requests()); });
  AddGauge("vm_cache_misses_total{type=\"multitenancy/tenants\"}", [&tenants] { return static_cast<double>(tenants.misses()); });
  AddGauge("vm_cache_entries{type=\"multitenancy/tenants\"}", [&tenants] { return static_cast<double>(tenants.entries()); });
  AddGauge("vm_cache_requests_total{type=\"promql/parse\"}", [&parsed] { return static_cast<double>(parsed.requests()); });
  AddGauge("vm_cache_misses_total{type=\"promql/parse\"}", [&parsed] { return static_cast<double>(parsed.misses()); });
  AddGauge("vm_cache_entries{type=\"promql/parse\"}", [&parsed] { return static_cast<double>(parsed.entries()); });
  const auto* const texts = &regexes.texts();
  AddGauge("vm_cache_requests_total{type=\"promql/regexp\"}", [texts] { return static_cast<double>(texts->requests()); });
  AddGauge("vm_cache_misses_total{type=\"promql/regexp\"}", [texts] { return static_cast<double>(texts->misses()); });
  AddGauge("vm_cache_entries{type=\"promql/regexp\"}", [texts] { return static_cast<double>(texts->entries()); });
  AddGauge("vm_cache_chars_current{type=\"promql/regexp\"}", [texts] { return static_cast<double>(texts->text_bytes()); });
  AddGauge("vm_cache_chars_max{type=\"promql/regexp\"}", [texts] { return static_cast<double>(texts->max_text_bytes()); });
  for (const Route& route : Routes()) {
    RouteMetrics& m = routes_[&route];
    if (!route.timed_path.empty()) {
      m.duration = &registry.GetSummary(fmt::format("vm_request_duration_seconds{{path=\"{}\"}}", route.timed_path));
    }
    if (route.metric_path.empty()) continue;
    m.requests = &registry.GetCounter(fmt::format("vm_http_requests_total{{path=\"{}\"}}", route.metric_path));
    // Constant answers do not fail; the reference has no counters for them.
    const bool can_fail = route.handler != nullptr || route.constant_status >= 400;
    if (can_fail) m.errors = &registry.GetCounter(fmt::format("vm_http_request_errors_total{{path=\"{}\"}}", route.metric_path));
  }
}

ApiMetrics::~ApiMetrics() {
  for (const auto& name : gauges_) registry_.RemoveGaugeCallback(name);
}

void ApiMetrics::AddGauge(std::string name, std::function<double()> read) {
  registry_.SetGaugeCallback(name, std::move(read));
  gauges_.push_back(std::move(name));
}

void ApiMetrics::CountRequest(const Route& route) {
  const auto& m = routes_.at(&route);
  if (m.requests != nullptr) m.requests->Inc();
}

void ApiMetrics::CountError(const Route& route) {
  const auto& m = routes_.at(&route);
  if (m.errors != nullptr) m.errors->Inc();
}

void ApiMetrics::NoteDuration(const Route& route, double seconds) {
  const auto& m = routes_.at(&route);
  if (m.duration != nullptr) m.duration->Update(seconds);
}

void ApiMetrics::CountTenantRequest(const std::optional<model::Tenant>& tenant, int64_t duration_ms) {
  const std::string account = tenant ? std::to_string(tenant->account_id) : "multitenant";
  const std::string project = tenant ? std::to_string(tenant->project_id) : "multitenant";
  const std::string labels = fmt::format("{{accountID=\"{}\",projectID=\"{}\"}}", account, project);
  registry_.GetCounter("vm_tenant_select_requests_total" + labels).Inc();
  registry_.GetCounter("vm_tenant_select_requests_duration_ms_total" + labels).Add(static_cast<uint64_t>(duration_ms));
}

}  // namespace vm::select
