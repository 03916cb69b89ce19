#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace vm::select {

/// What flags say about the query API. Durations are milliseconds; limits of 0 mean none.
struct ApiOptions {
  std::string version = "vmselect";                          // Shown in traces.
  bool tenant_from_headers = true;                           // -enableMultitenancyViaHeaders
  bool deny_tracing = false;                                 // -denyQueryTracing
  bool deny_partial_response = false;                        // -search.denyPartialResponse
  bool disable_cache = false;                                // -search.disableCache
  bool set_lookback_to_step = false;                         // -search.setLookbackToStep
  bool ignore_extra_filters_at_labels = false;               // -search.ignoreExtraFiltersAtLabelsAPI
  int64_t latency_offset_ms = 30000;                         // -search.latencyOffset
  int64_t max_lookback_ms = 0;                               // -search.maxLookback, else -search.maxStalenessInterval
  int64_t max_step_for_adjustment_ms = 60000;                // -search.maxStepForPointsAdjustment

  int64_t max_query_duration_ms = 30000;                     // -search.maxQueryDuration
  int64_t max_labels_duration_ms = 5000;                     // -search.maxLabelsAPIDuration
  int64_t max_status_duration_ms = 300000;                   // -search.maxStatusRequestDuration
  int64_t max_delete_duration_ms = 300000;                   // -search.maxDeleteDuration
  int64_t max_export_duration_ms = 30LL * 24 * 3600 * 1000;  // -search.maxExportDuration

  size_t max_query_len = 16 * 1024;                          // -search.maxQueryLen
  int64_t max_points_per_series = 30000;                     // -search.maxPointsPerTimeseries
  size_t max_response_series = 0;                            // -search.maxResponseSeries
  uint32_t max_unique_series = 0;                            // -search.maxUniqueTimeseries
  uint32_t max_series = 30000;                               // -search.maxSeries
  uint32_t max_labels_series = 1000000;                      // -search.maxLabelsAPISeries
  uint32_t max_export_series = 10000000;                     // -search.maxExportSeries
  uint32_t max_federate_series = 1000000;                    // -search.maxFederateSeries
  uint32_t max_delete_series = 1000000;                      // -search.maxDeleteSeries
  uint32_t max_tsdb_status_series = 10000000;                // -search.maxTSDBStatusSeries
  uint32_t max_graphite_series = 300000;                     // -search.maxGraphiteSeries
  int64_t graphite_storage_step_ms = 10000;                  // -search.graphiteStorageStep
  uint64_t max_graphite_points = 1000000;                    // -search.graphiteMaxPointsPerSeries
  size_t max_graphite_path_bytes = 1024;                     // -search.maxGraphitePathExpressionLen
  size_t max_graphite_tag_keys = 100000;                     // -search.maxGraphiteTagKeys
  size_t max_graphite_tag_values = 100000;                   // -search.maxGraphiteTagValues
  uint32_t max_tag_value_suffixes = 100000;                  // -search.maxTagValueSuffixesPerSearch
  uint32_t max_tsdb_status_top_n = 1000;                     // -search.maxTSDBStatusTopNSeries

  size_t max_concurrent_requests = 8;                        // -search.maxConcurrentRequests
  int64_t max_queue_duration_ms = 10000;                     // -search.maxQueueDuration
  int64_t log_slow_query_ms = 5000;                          // -search.logSlowQueryDuration
  int64_t tenant_cache_ms = 300000;                          // -search.tenantCacheExpireDuration
  int64_t max_memory_per_query = 0;                          // -search.maxMemoryPerQuery

  int64_t min_staleness_interval_ms = 0;                     // -search.minStalenessInterval
  bool no_stale_markers = false;                             // -search.noStaleMarkers
  bool treat_dots_as_is = false;                             // -search.treatDotsAsIsInRegexps
  int64_t max_points_per_subquery_series = 100000;           // -search.maxPointsSubqueryPerTimeseries
  size_t max_series_per_aggr = 1000000;                      // -search.maxSeriesPerAggrFunc
  size_t max_pushdown_values = 100;                          // -search.maxBinaryOpPushdownLabelValues

  size_t stats_last_queries = 20000;                         // -search.queryStats.lastQueriesCount
  int64_t stats_min_duration_ms = 1;                         // -search.queryStats.minQueryDuration
  int64_t stats_min_memory = 1024;                           // -search.queryStats.minQueryMemoryUsage

  std::string vmalert_proxy_url;                             // -vmalert.proxyURL
  std::vector<std::string> select_nodes;                     // -selectNode
};

}  // namespace vm::select
