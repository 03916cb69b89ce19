#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/deadline.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/fs/file_system.h"
#include "lib/model/block.h"
#include "lib/model/index_stats.h"
#include "lib/model/rows.h"
#include "lib/model/search_query.h"
#include "lib/model/tenant.h"
#include "lib/model/time_range.h"
#include "lib/rpc/select_handler.h"
#include "storage/partition/partition.h"

namespace vm::storage {

struct EngineOptions {
  std::string path;                         // -storageDataPath.
  fs::FileSystem* file_system = nullptr;    // nullptr: the operating system's.
  int64_t retention_ms = 31 * model::kMsecPerDay;
  int64_t future_retention_ms = 2 * model::kMsecPerDay;
  int64_t max_backfill_age_ms = 0;          // 0: the retention.
  int64_t retention_timezone_offset_ms = 0; // -retentionTimezoneOffset: when indexes of old versions go.
  int64_t inmemory_data_flush_interval_ms = 5000;
  int64_t dedup_interval_ms = 0;
  uint8_t precision_bits = 64;
  uint64_t min_free_disk_space_bytes = 100'000'000;
  size_t tsid_cache_bytes = 256 << 20;
  size_t index_headers_cache_bytes = 64 << 20;  // -storage.cacheSizeIndexDBIndexBlocks
  size_t index_items_cache_bytes = 128 << 20;   // -storage.cacheSizeIndexDBDataBlocks
  uint64_t filter_cache_bytes = 16 << 20;       // -storage.cacheSizeIndexDBTagFilters; of each month.
  uint32_t max_unique_timeseries = 0;       // -search.maxUniqueTimeseries; 0: automatic.
  uint32_t automatic_max_unique_timeseries = 300'000;  // Used when that is 0.
  uint64_t memory_limit_bytes = 1ull << 30; // Bytes for caches and in-memory parts.
  uint64_t metadata_bytes = 64 << 20;       // -storage.maxMetadataStorageSize
  uint64_t name_usage_bytes = 8 << 20;      // -storage.cacheSizeMetricNamesStats; for NameUsageTracker.
  int64_t idb_prefill_start_ms = 3'600'000; // -storage.idbPrefillStart
  bool track_metric_names_stats = true;     // -storage.trackMetricNamesStats
  bool disable_per_day_index = false;       // -disablePerDayIndex
  uint64_t max_hourly_series = 0;           // -storage.maxHourlySeries; 0: no limit.
  uint64_t max_daily_series = 0;            // -storage.maxDailySeries; 0: no limit.
  bool log_new_series = false;              // -logNewSeries
  int64_t final_dedup_interval_ms = 3'600'000;  // -storage.finalDedupScheduleCheckInterval
  int64_t snapshots_max_age_ms = 0;         // -snapshotsMaxAge; 0: snapshots stay.
  bool deny_queries_outside_retention = false;  // -denyQueriesOutsideRetention
  bool start_background = true;             // Flushes, merges, watchers.
  std::function<int64_t()> now_ms;          // Empty: the system clock.
};

/// What the engine counted since it was opened.
struct EngineMetrics {
  std::atomic<uint64_t> rows_received{0};
  std::atomic<uint64_t> rows_added{0};
  std::atomic<uint64_t> rows_too_small_timestamp{0};
  std::atomic<uint64_t> rows_too_big_timestamp{0};
  std::atomic<uint64_t> rows_invalid_raw_metric_name{0};
  std::atomic<uint64_t> rows_of_unreadable_months{0};
  std::atomic<uint64_t> new_timeseries_created{0};
  std::atomic<uint64_t> timeseries_repopulated{0};
  std::atomic<uint64_t> timeseries_precreated{0};
  std::atomic<uint64_t> slow_row_inserts{0};
  std::atomic<uint64_t> slow_per_day_index_inserts{0};
  std::atomic<uint64_t> tsid_cache_collisions{0};  // Entries of another tenant under the same hash.
  std::atomic<uint64_t> unreadable_index_lookups{0};  // Series registered anew, since the index is damaged there.
  std::atomic<uint64_t> missing_metric_names{0};  // Blocks whose series has no name in the index.
};

/// Figures of one cache.
struct CacheStats {
  uint64_t entries = 0, size_bytes = 0, max_bytes = 0, requests = 0, misses = 0;
};

/// Figures of a limit on the number of series in a period; `max` 0: no limit.
struct SeriesLimitStats {
  uint64_t current = 0, max = 0, rows_dropped = 0;
};

/// What there is now, summed over all months.
struct EngineStats {
  PartitionStats table;
  PartitionStats last_month;
  indexdb::IndexStats index;
  CacheStats tsid_cache, name_usage, index_blocks, index_headers, index_items;
  SeriesLimitStats hourly_series, daily_series;
  uint64_t active_series = 0;  // With rows of the current hour.
  uint64_t registered_pairs = 0, registered_bytes = 0;  // (day, series) known to be in the index.
  int64_t composite_since_ms = 0;      // metadata/minTimestampForCompositeIndex
  int64_t next_legacy_deadline_s = 0;  // In so many seconds an index of an old version goes.
  uint64_t months = 0, snapshots = 0, metadata_entries = 0, metadata_bytes = 0, metadata_max_bytes = 0;
  uint64_t free_bytes = 0;
};

/// A vmstorage directory: rows go in, blocks and names come out.
///
/// All calls block and belong on pools; all but Close may run at the same time. Rows of one AddRows call are
/// searchable at most one second after it returned, and at once after ForceFlush.
/// Reference: VictoriaMetrics lib/storage/storage.go.
class Engine {
 public:
  using BlockSink = std::function<Status(ByteView metric_name, const model::EncodedBlock& block)>;

  /// Open or create the directory and take its lock. Errors: kIo, kCorrupted, kUnavailable (locked).
  static Result<std::unique_ptr<Engine>> Open(EngineOptions options);
  virtual ~Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Store rows. Rows that can never be stored are skipped, counted and logged at times: nothing reaches the peer. They
  /// include those of a month whose files are damaged. Errors: what may pass, as a full disk; some of the rows may have
  /// been stored then.
  virtual Status AddRows(std::span<const model::MetricRow> rows) = 0;
  /// Index the names of rows for the day of their timestamps, storing no samples. Errors: as AddRows.
  virtual Status RegisterMetricNames(std::span<const model::MetricRow> rows) = 0;

  /// Start to read the blocks of matching series, in order of (TSID, min timestamp). The cursor must not outlive the
  /// engine.
  virtual Result<std::unique_ptr<rpc::BlockCursor>> StartSearch(const model::SearchQuery& query,
                                                                const Deadline& deadline) = 0;
  /// The same, passing every block to `sink`.
  Status Search(const model::SearchQuery& query, const Deadline& deadline, const BlockSink& sink);
  /// Marshalled names of matching series, each once.
  virtual Result<std::vector<ByteBuffer>> SearchMetricNames(const model::SearchQuery& query,
                                                            const Deadline& deadline) = 0;
  virtual Result<std::vector<std::string>> SearchLabelNames(const model::SearchQuery& query, size_t max_names,
                                                            const Deadline& deadline) = 0;
  virtual Result<std::vector<std::string>> SearchLabelValues(const model::SearchQuery& query,
                                                             std::string_view label_name, size_t max_values,
                                                             const Deadline& deadline) = 0;
  /// For each value of the label that starts with `value_prefix`: what follows, up to and with the first
  /// `delimiter`. At most `max_suffixes`.
  virtual Result<std::vector<std::string>> SearchTagValueSuffixes(model::Tenant tenant,
                                                                  const model::TimeRange& time_range,
                                                                  std::string_view label_name,
                                                                  std::string_view value_prefix, char delimiter,
                                                                  size_t max_suffixes, const Deadline& deadline) = 0;
  /// Series ever registered; a series counts once per month, and also when it was deleted.
  virtual Result<uint64_t> SeriesCount(model::Tenant tenant, const Deadline& deadline) = 0;
  /// What the series of the day of the query's first timestamp look like.
  virtual Result<model::TsdbStatus> GetTsdbStatus(const model::SearchQuery& query, std::string_view focus_label,
                                                  size_t top_n, const Deadline& deadline) = 0;
  virtual Result<std::vector<model::Tenant>> SearchTenants(const model::TimeRange& time_range,
                                                           const Deadline& deadline) = 0;
  /// Hide all samples of matching series; the time range of the query does not count. Returns the number of series.
  virtual Result<uint64_t> DeleteSeries(const model::SearchQuery& query, const Deadline& deadline) = 0;
  /// See NameUsageTracker::Stats.
  virtual Result<model::MetricNamesUsageStats> GetMetricNamesUsageStats(const std::optional<model::Tenant>& tenant,
                                                                        size_t limit, int64_t le,
                                                                        const std::string& pattern) = 0;
  virtual void ResetMetricNamesStats() = 0;

  virtual void AddMetadata(std::span<const model::MetadataRow> rows) = 0;
  /// `tenant` nullptr: all tenants. `limit` 0: no limit. An empty name matches all.
  virtual std::vector<model::MetadataRow> SearchMetadata(const model::Tenant* tenant, size_t limit,
                                                         std::string_view metric_name) = 0;

  /// Make all added rows searchable.
  virtual void ForceFlush() = 0;
  /// Merge the parts of each partition whose name starts with `partition_prefix`.
  virtual Status ForceMerge(std::string_view partition_prefix) = 0;
  /// Freeze what was added before the call, as hard links; returns the name. One at a time.
  virtual Result<std::string> CreateSnapshot() = 0;
  /// Sorted.
  virtual Result<std::vector<std::string>> ListSnapshots() = 0;
  /// Errors: kInvalidInput when there is none of that name.
  virtual Status DeleteSnapshot(const std::string& name) = 0;
  /// Delete those older than `max_age_ms`.
  virtual Status DeleteStaleSnapshots(int64_t max_age_ms) = 0;
  /// Log series that are created until then (Unix milliseconds).
  virtual void LogNewSeriesUntil(int64_t timestamp_ms) = 0;

  /// Whether rows may come: false while files cannot keep up with them. Asked before AddRows, which never waits.
  virtual bool HasRoom() const = 0;
  /// Whether rows have to be refused: there is too little disk space, or the disk takes nothing.
  virtual bool IsReadOnly() const = 0;
  virtual const EngineMetrics& metrics() const = 0;
  virtual EngineStats Stats() = 0;

  /// Flush everything to disk and give the directory back. Requires that no other call runs.
  virtual Status Close() = 0;
  /// End merges that run and start none any more, so that Close waits for flushes alone.
  virtual void StopMerges() = 0;

 protected:
  Engine() = default;
};

}  // namespace vm::storage
