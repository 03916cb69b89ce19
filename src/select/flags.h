#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/flags/flags.h"
#include "select/clusternative/cluster_native.h"
#include "select/fanout/fanout.h"
#include "select/http/options.h"
#include "select/promql/rollup_cache.h"

namespace vm::select {

/// Flags of vmselect beyond those of every daemon. Valid after parsing.
class Flags {
 public:
  /// `cpus` sets defaults. Defines the flags on `set`, which outlives this object.
  Flags(flags::FlagSet& set, size_t cpus);

  const std::vector<std::string>& storage_nodes() const { return *storage_node_; }
  /// Errors: kInvalidInput, naming the flag.
  Result<FanoutOptions> ToFanoutOptions() const;
  ApiOptions ToApiOptions() const;
  /// For a daemon that may use so much memory. Without the registry.
  RollupCacheOptions ToRollupCacheOptions(int64_t allowed_memory_bytes) const;
  /// Where files go that outlive the process; empty: nowhere.
  const std::string& cache_data_path() const { return *cache_data_path_; }
  bool resets_rollup_cache() const { return *disable_cache_ || *reset_cache_on_startup_; }
  /// Without address: nobody is to be answered.
  ClusterNativeServer::Options ToClusterNativeOptions() const;

 private:
  using Duration = const std::chrono::nanoseconds*;
  using Int = const int64_t*;
  using Bool = const bool*;
  using Text = const std::string*;
  using Texts = const std::vector<std::string>*;

  void DefineNodes(flags::FlagSet& set);
  void DefineDurations(flags::FlagSet& set);
  void DefineLimits(flags::FlagSet& set, int64_t max_concurrent);
  void DefineRest(flags::FlagSet& set);
  void DefineClusterNative(flags::FlagSet& set, int64_t max_concurrent);

  const flags::FlagSet& set_;
  Texts storage_node_ = nullptr, select_node_ = nullptr, replication_factor_ = nullptr;
  Int global_replication_factor_ = nullptr;
  Bool skip_slow_replicas_ = nullptr, deny_partial_ = nullptr;
  Duration dedup_interval_ = nullptr, dial_timeout_ = nullptr, user_timeout_ = nullptr;

  Duration latency_offset_ = nullptr, max_lookback_ = nullptr, max_staleness_interval_ = nullptr, max_step_for_adjustment_ = nullptr;
  Duration max_query_duration_ = nullptr, max_labels_duration_ = nullptr, max_status_duration_ = nullptr, max_delete_duration_ = nullptr,
           max_export_duration_ = nullptr, max_queue_duration_ = nullptr, log_slow_query_ = nullptr, stats_min_duration_ = nullptr,
           tenant_cache_duration_ = nullptr, graphite_storage_step_ = nullptr, min_staleness_interval_ = nullptr,
           cache_timestamp_offset_ = nullptr, min_instant_window_ = nullptr;

  Int max_concurrent_ = nullptr, max_query_len_ = nullptr, max_points_ = nullptr, max_response_series_ = nullptr, max_unique_series_ = nullptr,
      max_series_ = nullptr, max_labels_series_ = nullptr, max_export_series_ = nullptr, max_federate_series_ = nullptr,
      max_delete_series_ = nullptr, max_tsdb_status_series_ = nullptr, max_tsdb_status_top_n_ = nullptr,
      max_graphite_series_ = nullptr, max_graphite_points_ = nullptr, max_graphite_path_len_ = nullptr,
      max_graphite_tag_keys_ = nullptr, max_graphite_tag_values_ = nullptr,
      max_tag_value_suffixes_ = nullptr, max_samples_per_query_ = nullptr,
      max_samples_per_series_ = nullptr, max_memory_per_query_ = nullptr, stats_last_queries_ = nullptr, stats_min_memory_ = nullptr,
      max_subquery_points_ = nullptr, max_series_per_aggr_ = nullptr, max_pushdown_values_ = nullptr;

  Bool tenant_from_headers_ = nullptr, disable_cache_ = nullptr, set_lookback_to_step_ = nullptr, ignore_extra_filters_ = nullptr,
       no_stale_markers_ = nullptr, treat_dots_as_is_ = nullptr, reset_cache_on_startup_ = nullptr;
  Text cache_data_path_ = nullptr;
  Text vmalert_proxy_url_ = nullptr;

  Text native_addr_ = nullptr;
  Bool native_without_compression_ = nullptr;
  Int native_max_concurrent_ = nullptr, native_max_tag_keys_ = nullptr, native_max_tag_values_ = nullptr, native_max_suffixes_ = nullptr;
  Duration native_max_queue_duration_ = nullptr, handshake_timeout_ = nullptr;
};

}  // namespace vm::select
