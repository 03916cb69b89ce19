#include "select/flags.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace vm::select {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

int64_t Ms(std::chrono::nanoseconds duration) { return std::chrono::duration_cast<milliseconds>(duration).count(); }

uint32_t ToUint32(int64_t value) { return static_cast<uint32_t>(std::clamp<int64_t>(value, 0, std::numeric_limits<int32_t>::max())); }
size_t ToSize(int64_t value) { return static_cast<size_t>(std::max<int64_t>(0, value)); }

/// `N` for all groups, or `group:N`.
Status AddReplicationFactor(std::string_view text, FanoutOptions& options) {
  const size_t colon = text.rfind(':');
  const std::string_view digits = colon == text.npos ? text : text.substr(colon + 1);
  size_t factor = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), factor);
  if (ec != std::errc() || end != digits.data() + digits.size()) {
    return Error(ErrorCode::kInvalidInput, "cannot parse -replicationFactor=" + std::string(text));
  }
  factor = std::max<size_t>(1, factor);
  if (colon == text.npos) options.replication_factor = factor;
  else options.group_replication[std::string(text.substr(0, colon))] = factor;
  return Ok();
}

/// Value of a flag that another module defines.
std::string ValueOf(const flags::FlagSet& set, std::string_view name) {
  for (const auto& flag : set.AllFlags()) {
    if (flag.name == name) return flag.value;
  }
  return {};
}

}  // namespace

Flags::Flags(flags::FlagSet& set, size_t cpus) : set_(set) {
  DefineNodes(set);
  DefineDurations(set);
  DefineLimits(set, static_cast<int64_t>(2 * cpus));
  DefineRest(set);
  DefineClusterNative(set, static_cast<int64_t>(2 * cpus));
}

void Flags::DefineNodes(flags::FlagSet& set) {
  storage_node_ = set.Array("storageNode", "Comma-separated addresses of vmstorage nodes, each with an optional group: group/host:port");
  select_node_ = set.Array("selectNode", "Addresses of vmselect nodes that are told to reset their cache, too");
  replication_factor_ = set.Array("replicationFactor", "How many copies of each sample the nodes of a group hold: N or group:N");
  global_replication_factor_ = set.Int("globalReplicationFactor", 1, "How many groups of nodes hold each sample");
  skip_slow_replicas_ = set.Bool("search.skipSlowReplicas", false, "Whether to answer as soon as the nodes that answered hold all samples");
  deny_partial_ = set.Bool("search.denyPartialResponse", false, "Whether to fail when a part of -storageNode instances is unavailable");
  dedup_interval_ = set.Duration("dedup.minScrapeInterval", {}, "Keep only the last sample of a series per interval of this length");
  dial_timeout_ = set.Duration("vmstorageDialTimeout", seconds(3), "Timeout for connecting to vmstorage");
  user_timeout_ = set.Duration("vmstorageUserTimeout", seconds(3), "TCP user timeout of connections to vmstorage");
}

void Flags::DefineDurations(flags::FlagSet& set) {
  latency_offset_ = set.Duration("search.latencyOffset", seconds(30), "The time after which samples are visible in query results");
  max_lookback_ = set.Duration("search.maxLookback", {}, "How far back a sample is looked for; 0: by the distance of samples");
  max_staleness_interval_ = set.Duration("search.maxStalenessInterval", {}, "Older name of -search.maxLookback");
  max_step_for_adjustment_ = set.Duration("search.maxStepForPointsAdjustment", minutes(1),
                                          "The greatest step at which incomplete last points are replaced in range queries");
  max_query_duration_ = set.Duration("search.maxQueryDuration", seconds(30), "The maximum duration of a query");
  max_labels_duration_ = set.Duration("search.maxLabelsAPIDuration", seconds(5), "The maximum duration of calls for labels, label values and series");
  max_status_duration_ = set.Duration("search.maxStatusRequestDuration", minutes(5), "The maximum duration of status calls");
  max_delete_duration_ = set.Duration("search.maxDeleteDuration", minutes(5), "The maximum duration of delete_series");
  max_export_duration_ = set.Duration("search.maxExportDuration", hours(720), "The maximum duration of an export");
  max_queue_duration_ = set.Duration("search.maxQueueDuration", seconds(10), "How long a request waits for -search.maxConcurrentRequests");
  log_slow_query_ = set.Duration("search.logSlowQueryDuration", seconds(5), "Log requests that take longer; 0: none");
  stats_min_duration_ = set.Duration("search.queryStats.minQueryDuration", milliseconds(1), "Shorter queries are not counted at top_queries");
  min_staleness_interval_ = set.Duration("search.minStalenessInterval", {}, "Samples are looked for at least that far back");
  graphite_storage_step_ = set.Duration("search.graphiteStorageStep", seconds(10), "The interval between points of the Graphite render API");
  cache_timestamp_offset_ = set.Duration("search.cacheTimestampOffset", minutes(5),
                                         "Results for the last moments up to now of this length are not kept, since samples may still arrive");
  min_instant_window_ = set.Duration("search.minWindowForInstantRollupOptimization", hours(3),
                                     "Instant queries with windows from this length on use results that were kept");
  tenant_cache_duration_ = set.Duration("search.tenantCacheExpireDuration", minutes(5), "How long the list of tenants is kept; 0: not at all");
}

void Flags::DefineLimits(flags::FlagSet& set, int64_t max_concurrent) {
  max_concurrent_ = set.Int("search.maxConcurrentRequests", max_concurrent, "The maximum number of requests that run at the same time");
  max_query_len_ = set.Bytes("search.maxQueryLen", 16 * 1024, "The maximum length of a query");
  max_points_ = set.Int("search.maxPointsPerTimeseries", 30000, "The maximum number of points per series of a range query");
  max_response_series_ = set.Int("search.maxResponseSeries", 0, "The maximum number of series in an answer; 0: no limit");
  max_unique_series_ = set.Int("search.maxUniqueTimeseries", 0, "The maximum number of series a query may select; 0: the limit of vmstorage");
  max_series_ = set.Int("search.maxSeries", 30000, "The maximum number of series at /api/v1/series");
  max_labels_series_ = set.Int("search.maxLabelsAPISeries", 1000000, "The maximum number of series looked at for labels and label values");
  max_export_series_ = set.Int("search.maxExportSeries", 10000000, "The maximum number of series of an export");
  max_federate_series_ = set.Int("search.maxFederateSeries", 1000000, "The maximum number of series at /federate");
  max_delete_series_ = set.Int("search.maxDeleteSeries", 1000000, "The maximum number of series of one delete_series");
  max_tsdb_status_series_ = set.Int("search.maxTSDBStatusSeries", 10000000, "The maximum number of series looked at for status/tsdb");
  max_graphite_series_ = set.Int("search.maxGraphiteSeries", 300000, "The maximum number of series a query of the Graphite API may select");
  max_graphite_points_ = set.Int("search.graphiteMaxPointsPerSeries", 1000000, "The maximum number of points per series of the Graphite render API");
  max_graphite_path_len_ = set.Int("search.maxGraphitePathExpressionLen", 1024, "The maximum length of expressions in names of combined Graphite series; 0: no limit");
  max_graphite_tag_keys_ = set.Int("search.maxGraphiteTagKeys", 100000, "The maximum number of tags in an answer of the Graphite tags API");
  max_graphite_tag_values_ = set.Int("search.maxGraphiteTagValues", 100000, "The maximum number of values of a tag in an answer of the Graphite tags API");
  max_tag_value_suffixes_ = set.Int("search.maxTagValueSuffixesPerSearch", 100000, "The maximum number of parts of names below one path at /metrics/find");
  max_tsdb_status_top_n_ = set.Int("search.maxTSDBStatusTopNSeries", 1000, "The maximum topN of status/tsdb");
  max_samples_per_query_ = set.Int("search.maxSamplesPerQuery", 1'000'000'000, "The maximum number of raw samples of a query");
  max_samples_per_series_ = set.Int("search.maxSamplesPerSeries", 30'000'000, "The maximum number of raw samples of one series");
  max_memory_per_query_ = set.Bytes("search.maxMemoryPerQuery", 0, "The maximum memory of a query; 0: what all queries together may take");
  max_subquery_points_ = set.Int("search.maxPointsSubqueryPerTimeseries", 100000, "The maximum number of points per series of a subquery");
  max_series_per_aggr_ = set.Int("search.maxSeriesPerAggrFunc", 1000000, "The maximum number of series an aggregate may give");
  max_pushdown_values_ = set.Int("search.maxBinaryOpPushdownLabelValues", 100,
                                 "The maximum number of values of a label that narrow the other side of a binary operator");
  stats_last_queries_ = set.Int("search.queryStats.lastQueriesCount", 20000, "How many queries top_queries looks at; 0: none");
  stats_min_memory_ = set.Bytes("search.queryStats.minQueryMemoryUsage", 1024, "Queries that need less memory are not counted at top_queries");
}

void Flags::DefineRest(flags::FlagSet& set) {
  tenant_from_headers_ = set.Bool("enableMultitenancyViaHeaders", true, "Whether the tenant may come from the headers AccountID and ProjectID");
  disable_cache_ = set.Bool("search.disableCache", false,
                            "Whether to keep no results of rollups; then ranges of queries stay as they are instead of being made fit for caching");
  reset_cache_on_startup_ = set.Bool("search.resetRollupResultCacheOnStartup", false, "Whether to forget results of rollups that an earlier run kept");
  cache_data_path_ = set.String("cacheDataPath", "", "Directory for results of rollups that outlive the process; without it none do");
  set_lookback_to_step_ = set.Bool("search.setLookbackToStep", false, "Whether samples are looked for one step back");
  ignore_extra_filters_ = set.Bool("search.ignoreExtraFiltersAtLabelsAPI", false, "Whether label calls without match[] ignore extra filters");
  no_stale_markers_ = set.Bool("search.noStaleMarkers", false, "Whether the data has no staleness markers");
  treat_dots_as_is_ = set.Bool("search.treatDotsAsIsInRegexps", false, "Whether dots in regexps of filters stand for themselves");
  vmalert_proxy_url_ = set.String("vmalert.proxyURL", "", "Where rules, alerts and notifiers are asked for");
}

void Flags::DefineClusterNative(flags::FlagSet& set, int64_t max_concurrent) {
  native_addr_ = set.String("clusternativeListenAddr", "", "TCP address to listen for requests from other vmselect nodes; usually :8401");
  native_without_compression_ = set.Bool("clusternative.disableCompression", false,
                                         "Whether not to compress what is sent via -clusternativeListenAddr");
  native_max_concurrent_ = set.Int("clusternative.maxConcurrentRequests", max_concurrent,
                                   "The maximum number of requests that run at the same time at -clusternativeListenAddr");
  native_max_queue_duration_ = set.Duration("clusternative.maxQueueDuration", seconds(10),
                                            "How long a request waits for -clusternative.maxConcurrentRequests");
  native_max_tag_keys_ = set.Int("clusternative.maxTagKeys", 100'000, "The maximum number of label names of one answer");
  native_max_tag_values_ = set.Int("clusternative.maxTagValues", 100'000, "The maximum number of label values of one answer");
  native_max_suffixes_ = set.Int("clusternative.maxTagValueSuffixesPerSearch", 100'000, "The maximum number of suffixes of label values of one answer");
  handshake_timeout_ = set.Duration("rpc.handshakeTimeout", seconds(5), "Timeout for RPC handshake between vminsert/vmselect and vmstorage");
}

Result<FanoutOptions> Flags::ToFanoutOptions() const {
  FanoutOptions options;
  for (const auto& text : *replication_factor_) VM_TRY(AddReplicationFactor(text, options));
  options.global_replication_factor = ToSize(*global_replication_factor_);
  options.deny_partial_response = *deny_partial_;
  options.skip_slow_replicas = *skip_slow_replicas_;
  options.dedup_interval_ms = Ms(*dedup_interval_);
  options.max_samples_per_query = ToSize(*max_samples_per_query_);
  options.max_samples_per_series = ToSize(*max_samples_per_series_);
  options.client.handshake_timeout = milliseconds(Ms(*handshake_timeout_));
  options.client.dial.timeout = milliseconds(Ms(*dial_timeout_));
  options.client.dial.user_timeout = milliseconds(Ms(*user_timeout_));
  options.client.dial.enable_tcp6 = ValueOf(set_, "enableTCP6") == "true";
  return options;
}

ApiOptions Flags::ToApiOptions() const {
  ApiOptions o;
  o.deny_tracing = ValueOf(set_, "denyQueryTracing") == "true";
  o.tenant_from_headers = *tenant_from_headers_;
  o.deny_partial_response = *deny_partial_;
  o.disable_cache = *disable_cache_;
  o.set_lookback_to_step = *set_lookback_to_step_;
  o.ignore_extra_filters_at_labels = *ignore_extra_filters_;
  o.latency_offset_ms = Ms(*latency_offset_);
  o.max_lookback_ms = Ms(*max_lookback_) > 0 ? Ms(*max_lookback_) : Ms(*max_staleness_interval_);
  o.max_step_for_adjustment_ms = Ms(*max_step_for_adjustment_);
  o.max_query_duration_ms = Ms(*max_query_duration_);
  o.max_labels_duration_ms = Ms(*max_labels_duration_);
  o.max_status_duration_ms = Ms(*max_status_duration_);
  o.max_delete_duration_ms = Ms(*max_delete_duration_);
  o.max_export_duration_ms = Ms(*max_export_duration_);
  o.max_query_len = ToSize(*max_query_len_);
  o.max_points_per_series = *max_points_;
  o.max_response_series = ToSize(*max_response_series_);
  o.max_unique_series = ToUint32(*max_unique_series_);
  o.max_series = ToUint32(*max_series_);
  o.max_labels_series = ToUint32(*max_labels_series_);
  o.max_export_series = ToUint32(*max_export_series_);
  o.max_federate_series = ToUint32(*max_federate_series_);
  o.max_delete_series = ToUint32(*max_delete_series_);
  o.max_tsdb_status_series = ToUint32(*max_tsdb_status_series_);
  o.max_graphite_series = ToUint32(*max_graphite_series_);
  o.graphite_storage_step_ms = Ms(*graphite_storage_step_);
  o.max_graphite_points = ToSize(*max_graphite_points_);
  o.max_graphite_path_bytes = ToSize(*max_graphite_path_len_);
  o.max_graphite_tag_keys = ToSize(*max_graphite_tag_keys_);
  o.max_graphite_tag_values = ToSize(*max_graphite_tag_values_);
  o.max_tag_value_suffixes = ToUint32(*max_tag_value_suffixes_);
  o.max_tsdb_status_top_n = ToUint32(*max_tsdb_status_top_n_);
  o.max_concurrent_requests = ToSize(*max_concurrent_);
  o.max_queue_duration_ms = Ms(*max_queue_duration_);
  o.log_slow_query_ms = Ms(*log_slow_query_);
  o.max_memory_per_query = *max_memory_per_query_;
  o.min_staleness_interval_ms = Ms(*min_staleness_interval_);
  o.no_stale_markers = *no_stale_markers_;
  o.treat_dots_as_is = *treat_dots_as_is_;
  o.max_points_per_subquery_series = *max_subquery_points_;
  o.max_series_per_aggr = ToSize(*max_series_per_aggr_);
  o.max_pushdown_values = ToSize(*max_pushdown_values_);
  o.stats_last_queries = ToSize(*stats_last_queries_);
  o.stats_min_duration_ms = Ms(*stats_min_duration_);
  o.stats_min_memory = *stats_min_memory_;
  o.tenant_cache_ms = Ms(*tenant_cache_duration_);
  o.vmalert_proxy_url = *vmalert_proxy_url_;
  o.select_nodes = *select_node_;
  return o;
}

RollupCacheOptions Flags::ToRollupCacheOptions(int64_t allowed_memory_bytes) const {
  RollupCacheOptions o;
  // As in the reference.
  if (!*disable_cache_) o.max_bytes = ToSize(allowed_memory_bytes / 8);
  o.timestamp_offset_ms = Ms(*cache_timestamp_offset_);
  o.min_instant_window_ms = Ms(*min_instant_window_);
  o.fingerprint = "dedup.minScrapeInterval=" + std::to_string(Ms(*dedup_interval_)) +
                  " search.minStalenessInterval=" + std::to_string(Ms(*min_staleness_interval_)) +
                  " search.noStaleMarkers=" + std::to_string(*no_stale_markers_);
  return o;
}

ClusterNativeServer::Options Flags::ToClusterNativeOptions() const {
  ClusterNativeServer::Options o;
  o.addr = *native_addr_;
  o.enable_tcp6 = ValueOf(set_, "enableTCP6") == "true";
  o.max_tag_keys = ToUint32(*native_max_tag_keys_);
  o.max_tag_values = ToUint32(*native_max_tag_values_);
  o.max_tag_value_suffixes = ToUint32(*native_max_suffixes_);
  o.max_memory_per_query = *max_memory_per_query_;
  o.rpc.handshake_timeout = milliseconds(Ms(*handshake_timeout_));
  o.rpc.disable_compression = *native_without_compression_;
  o.rpc.deny_query_tracing = ValueOf(set_, "denyQueryTracing") == "true";
  o.rpc.max_concurrent_requests = ToSize(*native_max_concurrent_);
  o.rpc.max_queue_duration = milliseconds(Ms(*native_max_queue_duration_));
  return o;
}

}  // namespace vm::select
