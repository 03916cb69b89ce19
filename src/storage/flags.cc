#include "storage/flags.h"

#include <algorithm>

#include "lib/log/log.h"
#include "lib/sys/sys.h"

namespace vm::storage {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

/// As -storage.maxHourlySeries: -1 stands for the greatest limit.
uint64_t SeriesLimit(int64_t value) {
  if (value == -1 || value > INT32_MAX) return INT32_MAX;
  return value > 0 ? static_cast<uint64_t>(value) : 0;
}

constexpr int64_t kMaxRetentionMs = 1200LL * 31 * model::kMsecPerDay;

}  // namespace

StorageFlags::StorageFlags(flags::FlagSet& set)
    : data_path_(set.String("storageDataPath", "vmstorage-data", "Path to storage data")),
      retention_ms_(set.Retention(
          "retentionPeriod", "1M",
          "Data with timestamps outside the retentionPeriod is automatically deleted. The minimum "
          "retentionPeriod is 24h or 1d")),
      retention_text_(set.String("retentionPeriod", "1M", "")),
      future_retention_text_(set.String("futureRetention", "2d", "")),
      future_retention_ms_(set.Retention(
          "futureRetention", "2d",
          "Data with timestamps bigger than now+futureRetention is automatically deleted. The "
          "minimum futureRetention is 2 days")),
      max_backfill_age_ms_(set.Retention(
          "maxBackfillAge", "0",
          "Samples with timestamps older than now-maxBackfillAge are rejected. By default it "
          "equals -retentionPeriod")),
      vminsert_addr_(set.String("vminsertAddr", ":8400",
                                "TCP address to accept connections from vminsert services")),
      vmselect_addr_(set.String("vmselectAddr", ":8401",
                                "TCP address to accept connections from vmselect services")),
      flush_interval_(set.Duration(
          "inmemoryDataFlushInterval", std::chrono::seconds(5),
          "The interval for guaranteed saving of in-memory data to disk. Smaller intervals "
          "increase disk IO load. Minimum supported value is 1s")),
      dedup_interval_(set.Duration(
          "dedup.minScrapeInterval", std::chrono::nanoseconds(0),
          "Leave only the last sample in every time series per each discrete interval equal to "
          "-dedup.minScrapeInterval > 0")),
      disable_mmap_(set.Bool(
          "fs.disableMmap", false,
          "Whether to use pread() instead of mmap() for reading data files. By default, mmap() is used")),
      precision_bits_(set.Int("precisionBits", 64,
                              "The number of precision bits to store per each value. Lower "
                              "precision bits improves data compression at the cost of precision "
                              "loss")),
      min_free_disk_space_(set.Bytes(
          "storage.minFreeDiskSpaceBytes", 100'000'000,
          "The minimum free disk space at -storageDataPath after which the storage stops accepting "
          "new data")),
      max_unique_timeseries_(set.Int(
          "search.maxUniqueTimeseries", 0,
          "The maximum number of unique time series, which can be scanned during every query. "
          "When set to zero, the limit is automatically calculated based on "
          "-search.maxConcurrentRequests and the available memory")),
      max_concurrent_requests_(set.Int(
          "search.maxConcurrentRequests", static_cast<int64_t>(2 * sys::AvailableCpus()),
          "The maximum number of concurrent vmselect requests the vmstorage can process at "
          "-vmselectAddr")),
      max_tag_keys_(set.Int("search.maxTagKeys", 100'000,
                            "The maximum number of tag keys returned per search")),
      max_tag_values_(set.Int("search.maxTagValues", 100'000,
                              "The maximum number of tag values returned per search")),
      max_suffixes_(set.Int("search.maxTagValueSuffixesPerSearch", 100'000,
                            "The maximum number of tag value suffixes returned from /metrics/find")),
      max_concurrent_inserts_(set.Int("maxConcurrentInserts", static_cast<int64_t>(2 * sys::AvailableCpus()),
                                      "The maximum number of concurrent insert requests")),
      insert_max_queue_duration_(set.Duration(
          "insert.maxQueueDuration", std::chrono::minutes(1),
          "The maximum duration to wait in the queue when -maxConcurrentInserts concurrent insert requests are "
          "executed")),
      insert_shutdown_duration_(set.Duration(
          "storage.vminsertConnsShutdownDuration", std::chrono::seconds(10),
          "The time needed for gradual closing of vminsert connections during graceful shutdown")),
      max_queue_duration_(set.Duration(
          "search.maxQueueDuration", std::chrono::seconds(10),
          "The maximum time the incoming vmselect request waits for execution when "
          "-search.maxConcurrentRequests limit is reached")),
      handshake_timeout_(set.Duration("rpc.handshakeTimeout", std::chrono::seconds(5),
                                      "Timeout for RPC handshake between vminsert/vmselect and vmstorage")),
      deny_query_tracing_(set.Bool("denyQueryTracing", false, "Whether to disable the ability to trace queries")),
      deny_queries_outside_retention_(set.Bool(
          "denyQueriesOutsideRetention", false,
          "Whether to deny queries outside the configured -retentionPeriod and -futureRetention")),
      disable_per_day_index_(set.Bool("disablePerDayIndex", false,
                                      "Disable per-day index and use global index for all searches")),
      track_metric_names_stats_(set.Bool(
          "storage.trackMetricNamesStats", true,
          "Whether to track ingest and query requests for timeseries metric names")),
      name_usage_size_(set.Bytes("storage.cacheSizeMetricNamesStats", 0,
                                 "Overrides max size for storage/metricNamesStatsTracker cache")),
      retention_timezone_offset_(set.Duration("retentionTimezoneOffset", std::chrono::nanoseconds(0),
                                              "The offset for performing indexdb rotation")),
      idb_prefill_start_(set.Duration(
          "storage.idbPrefillStart", std::chrono::hours(1),
          "Specifies how early the indexDB records of the next month are pre-filled. The maximum allowed value is "
          "23h")),
      metadata_size_(set.Bytes("storage.maxMetadataStorageSize", 0,
                               "Overrides max size for metrics metadata entries in-memory storage")),
      tsid_cache_size_(set.Bytes("storage.cacheSizeStorageTSID", 0, "Overrides max size for storage/tsid cache")),
      index_headers_cache_size_(set.Bytes("storage.cacheSizeIndexDBIndexBlocks", 0,
                                          "Overrides max size for indexdb/indexBlocks cache")),
      index_items_cache_size_(set.Bytes("storage.cacheSizeIndexDBDataBlocks", 0,
                                        "Overrides max size for indexdb/dataBlocks cache")),
      filter_cache_size_(set.Bytes("storage.cacheSizeIndexDBTagFilters", 0,
                                   "Overrides max size for indexdb/tagFiltersToMetricIDs cache")),
      max_hourly_series_(set.Int("storage.maxHourlySeries", 0,
                                 "The maximum number of unique series can be added to the storage during the last "
                                 "hour. Excess series are logged and dropped. -1 sets the greatest possible limit")),
      max_daily_series_(set.Int("storage.maxDailySeries", 0,
                                "The maximum number of unique series can be added to the storage during the last 24 "
                                "hours. Excess series are logged and dropped. -1 sets the greatest possible limit")),
      log_new_series_(set.Bool("logNewSeries", false,
                               "Whether to log new series. This option is for debug purposes only")),
      final_dedup_interval_(set.Duration(
          "storage.finalDedupScheduleCheckInterval", std::chrono::hours(1),
          "The interval for checking when final deduplication process should be started")),
      snapshots_max_age_ms_(set.Retention(
          "snapshotsMaxAge", "3d",
          "Automatically delete snapshots older than -snapshotsMaxAge if it is set to non-zero duration")),
      disable_compression_(set.Bool(
          "rpc.disableCompression", false,
          "Whether to disable compression of the data sent from vmstorage to vmselect")) {}

Result<EngineOptions> StorageFlags::MakeEngineOptions(int64_t allowed_memory_bytes) const {
  EngineOptions options;
  options.path = *data_path_;
  options.retention_ms = *retention_ms_;
  if (options.retention_ms > kMaxRetentionMs) options.retention_ms = kMaxRetentionMs;
  if (options.retention_ms < model::kMsecPerDay) {
    return Error(ErrorCode::kInvalidInput, "-retentionPeriod cannot be smaller than a day; got " + *retention_text_ +
                                               ". See https://docs.victoriametrics.com/victoriametrics/"
                                               "single-server-victoriametrics/#retention");
  }
  if (*future_retention_ms_ < 2 * model::kMsecPerDay) {
    return Error(ErrorCode::kInvalidInput,
                 "-futureRetention cannot be smaller than 2 days; got " + *future_retention_text_ +
                     ". See https://docs.victoriametrics.com/victoriametrics/single-server-victoriametrics/#retention");
  }
  if (*precision_bits_ < 1 || *precision_bits_ > 64) {
    return Error(ErrorCode::kInvalidInput,
                 "invalid -precisionBits=" + std::to_string(*precision_bits_) +
                     ": precisionBits must be in the range [1...64]; got " + std::to_string(*precision_bits_));
  }
  options.precision_bits = static_cast<uint8_t>(*precision_bits_);
  options.future_retention_ms = std::max(*future_retention_ms_, 2 * model::kMsecPerDay);
  options.max_backfill_age_ms = std::max<int64_t>(*max_backfill_age_ms_, 0);
  options.inmemory_data_flush_interval_ms =
      std::max<int64_t>(duration_cast<milliseconds>(*flush_interval_).count(), 1000);
  options.dedup_interval_ms = duration_cast<milliseconds>(*dedup_interval_).count();
  if (*disable_mmap_) {
    static const std::unique_ptr<fs::FileSystem> files = fs::NewRealFileSystem({.use_mmap = false});
    options.file_system = files.get();
  }
  options.min_free_disk_space_bytes = static_cast<uint64_t>(std::max<int64_t>(*min_free_disk_space_, 0));
  options.max_unique_timeseries =
      static_cast<uint32_t>(std::clamp<int64_t>(*max_unique_timeseries_, 0, INT32_MAX));
  options.retention_timezone_offset_ms = duration_cast<milliseconds>(*retention_timezone_offset_).count();
  options.idb_prefill_start_ms = duration_cast<milliseconds>(*idb_prefill_start_).count();
  if (options.idb_prefill_start_ms > 23 * 3'600'000LL) {
    return Error(ErrorCode::kInvalidInput, "-storage.idbPrefillStart cannot exceed 23 hours; got " +
                                               std::to_string(options.idb_prefill_start_ms) + "ms");
  }
  options.max_hourly_series = SeriesLimit(*max_hourly_series_);
  options.max_daily_series = SeriesLimit(*max_daily_series_);
  options.log_new_series = *log_new_series_;
  options.final_dedup_interval_ms = duration_cast<milliseconds>(*final_dedup_interval_).count();
  if (options.final_dedup_interval_ms < 3'600'000) {
    return Error(ErrorCode::kInvalidInput,
                 "-storage.finalDedupScheduleCheckInterval cannot be smaller than 1 hour; got " +
                     std::to_string(options.final_dedup_interval_ms) + "ms");
  }
  options.snapshots_max_age_ms = *snapshots_max_age_ms_;
  options.disable_per_day_index = *disable_per_day_index_;
  options.deny_queries_outside_retention = *deny_queries_outside_retention_;
  options.track_metric_names_stats = *track_metric_names_stats_;
  if (*name_usage_size_ > 0) {
    options.name_usage_bytes = static_cast<uint64_t>(*name_usage_size_);
  } else if (allowed_memory_bytes > 0) {
    options.name_usage_bytes = static_cast<uint64_t>(allowed_memory_bytes / 100);
  }
  if (allowed_memory_bytes > 0) {
    // The original's shares of the allowed memory: 37 % for the TSID cache; what remains is free for queries.
    options.memory_limit_bytes = static_cast<uint64_t>(allowed_memory_bytes);
    options.tsid_cache_bytes = static_cast<size_t>(allowed_memory_bytes / 100 * 37);
    options.metadata_bytes = static_cast<uint64_t>(allowed_memory_bytes / 100);
    options.index_headers_cache_bytes = static_cast<size_t>(allowed_memory_bytes / 10);
    options.index_items_cache_bytes = static_cast<size_t>(allowed_memory_bytes / 4);
    options.filter_cache_bytes = static_cast<uint64_t>(allowed_memory_bytes / 32);
    const int64_t remaining = std::max<int64_t>(sys::AvailableMemoryBytes() - allowed_memory_bytes, 1);
    const int64_t slots = std::max<int64_t>(*max_concurrent_requests_, 1);
    options.automatic_max_unique_timeseries =
        static_cast<uint32_t>(std::clamp<int64_t>(remaining / 200 / slots, 1, INT32_MAX));
    if (options.max_unique_timeseries == 0) {
      VM_LOG_INFO(
          "limiting -search.maxUniqueTimeseries to {} according to -search.maxConcurrentRequests={} and remaining "
          "memory={} bytes. To increase the limit, reduce -search.maxConcurrentRequests or increase memory available "
          "to the process.",
          options.automatic_max_unique_timeseries, slots, remaining);
    }
  }
  const auto override_size = [](const int64_t* flag, auto& size) {
    if (*flag > 0) size = static_cast<std::remove_reference_t<decltype(size)>>(*flag);
  };
  override_size(metadata_size_, options.metadata_bytes);
  override_size(tsid_cache_size_, options.tsid_cache_bytes);
  override_size(index_headers_cache_size_, options.index_headers_cache_bytes);
  override_size(index_items_cache_size_, options.index_items_cache_bytes);
  override_size(filter_cache_size_, options.filter_cache_bytes);
  return options;
}

ServerOptions StorageFlags::MakeServerOptions() const {
  ServerOptions options;
  options.vminsert_addr = *vminsert_addr_;
  options.vmselect_addr = *vmselect_addr_;
  options.disable_rpc_compression = *disable_compression_;
  options.max_concurrent_requests =
      static_cast<size_t>(std::max<int64_t>(*max_concurrent_requests_, 1));
  options.max_tag_keys = static_cast<uint32_t>(std::clamp<int64_t>(*max_tag_keys_, 1, INT32_MAX));
  options.max_tag_values =
      static_cast<uint32_t>(std::clamp<int64_t>(*max_tag_values_, 1, INT32_MAX));
  options.max_tag_value_suffixes = static_cast<uint32_t>(std::clamp<int64_t>(*max_suffixes_, 1, INT32_MAX));
  options.max_concurrent_inserts = static_cast<size_t>(std::max<int64_t>(*max_concurrent_inserts_, 1));
  options.insert_max_queue_duration = duration_cast<milliseconds>(*insert_max_queue_duration_);
  options.insert_shutdown_duration = duration_cast<milliseconds>(*insert_shutdown_duration_);
  options.max_queue_duration = duration_cast<milliseconds>(*max_queue_duration_);
  options.handshake_timeout = duration_cast<milliseconds>(*handshake_timeout_);
  options.deny_query_tracing = *deny_query_tracing_;
  return options;
}

}  // namespace vm::storage
