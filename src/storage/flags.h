#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/flags/flags.h"
#include "storage/engine/engine.h"
#include "storage/server/server.h"

namespace vm::storage {

/// The flags of vmstorage. Define before parsing, read the options afterwards.
class StorageFlags {
 public:
  explicit StorageFlags(flags::FlagSet& set);

  const std::string& data_path() const { return *data_path_; }
  /// -retentionPeriod as it was given.
  const std::string& retention_text() const { return *retention_text_; }
  /// Errors: kInvalidInput for values that cannot be used.
  Result<EngineOptions> MakeEngineOptions(int64_t allowed_memory_bytes) const;
  ServerOptions MakeServerOptions() const;

 private:
  const std::string* data_path_;
  const int64_t* retention_ms_;
  const std::string* retention_text_;
  const std::string* future_retention_text_;
  const int64_t* future_retention_ms_;
  const int64_t* max_backfill_age_ms_;
  const std::string* vminsert_addr_;
  const std::string* vmselect_addr_;
  const std::chrono::nanoseconds* flush_interval_;
  const std::chrono::nanoseconds* dedup_interval_;
  const bool* disable_mmap_;
  const int64_t* precision_bits_;
  const int64_t* min_free_disk_space_;
  const int64_t* max_unique_timeseries_;
  const int64_t* max_concurrent_requests_;
  const int64_t* max_tag_keys_;
  const int64_t* max_tag_values_;
  const int64_t* max_suffixes_;
  const int64_t* max_concurrent_inserts_;
  const std::chrono::nanoseconds* insert_max_queue_duration_;
  const std::chrono::nanoseconds* insert_shutdown_duration_;
  const std::chrono::nanoseconds* max_queue_duration_;
  const std::chrono::nanoseconds* handshake_timeout_;
  const bool* deny_query_tracing_;
  const bool* deny_queries_outside_retention_;
  const bool* disable_per_day_index_;
  const bool* track_metric_names_stats_;
  const int64_t* name_usage_size_;
  const std::chrono::nanoseconds* retention_timezone_offset_;
  const std::chrono::nanoseconds* idb_prefill_start_;
  const int64_t* metadata_size_;
  const int64_t* tsid_cache_size_;
  const int64_t* index_headers_cache_size_;
  const int64_t* index_items_cache_size_;
  const int64_t* filter_cache_size_;
  const int64_t* max_hourly_series_;
  const int64_t* max_daily_series_;
  const bool* log_new_series_;
  const std::chrono::nanoseconds* final_dedup_interval_;
  const int64_t* snapshots_max_age_ms_;
  const bool* disable_compression_;
};

}  // namespace vm::storage
