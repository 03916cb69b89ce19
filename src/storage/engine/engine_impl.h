#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/containers/byte_key_cache.h"
#include "lib/containers/generation_set.h"
#include "lib/model/metric_name.h"
#include "storage/engine/engine.h"
#include "storage/engine/legacy_index.h"
#include "storage/engine/metadata_store.h"
#include "storage/engine/name_usage.h"
#include "storage/engine/series_limiter.h"
#include "storage/indexdb/indexdb.h"
#include "storage/table/table.h"

// Internals of the engine: engine.cc opens and closes, ingest.cc takes rows, search.cc answers.
namespace vm::storage {

class EngineImpl final : public Engine {
 public:
  EngineImpl(EngineOptions options, std::unique_ptr<fs::FileLock> lock);
  ~EngineImpl() override;

  Status OpenTable();
  /// Warm caches of a clean stop; what cannot be used is logged and left. `digest` is that of the parts that were there when
  /// the directory was opened.
  void LoadCaches(uint64_t digest);

  Status AddRows(std::span<const model::MetricRow> rows) override;
  Status RegisterMetricNames(std::span<const model::MetricRow> rows) override;
  Result<std::unique_ptr<rpc::BlockCursor>> StartSearch(const model::SearchQuery& query,
                                                        const Deadline& deadline) override;
  Result<std::vector<ByteBuffer>> SearchMetricNames(const model::SearchQuery& query,
                                                    const Deadline& deadline) override;
  Result<std::vector<std::string>> SearchLabelNames(const model::SearchQuery& query, size_t max_names,
                                                    const Deadline& deadline) override;
  Result<std::vector<std::string>> SearchLabelValues(const model::SearchQuery& query, std::string_view label_name,
                                                     size_t max_values, const Deadline& deadline) override;
  Result<std::vector<std::string>> SearchTagValueSuffixes(model::Tenant tenant, const model::TimeRange& time_range,
                                                          std::string_view label_name, std::string_view value_prefix,
                                                          char delimiter, size_t max_suffixes,
                                                          const Deadline& deadline) override;
  Result<uint64_t> SeriesCount(model::Tenant tenant, const Deadline& deadline) override;
  Result<model::TsdbStatus> GetTsdbStatus(const model::SearchQuery& query, std::string_view focus_label, size_t top_n,
                                          const Deadline& deadline) override;
  Result<std::vector<model::Tenant>> SearchTenants(const model::TimeRange& time_range,
                                                   const Deadline& deadline) override;
  Result<uint64_t> DeleteSeries(const model::SearchQuery& query, const Deadline& deadline) override;
  Result<model::MetricNamesUsageStats> GetMetricNamesUsageStats(const std::optional<model::Tenant>& tenant,
                                                                size_t limit, int64_t le,
                                                                const std::string& pattern) override {
    return name_usage_.Stats(tenant, limit, le, pattern);
  }
  void ResetMetricNamesStats() override;
  void AddMetadata(std::span<const model::MetadataRow> rows) override {
    metadata_.Add(rows, options_.now_ms());
  }
  std::vector<model::MetadataRow> SearchMetadata(const model::Tenant* tenant, size_t limit,
                                                 std::string_view metric_name) override {
    return metadata_.Search(tenant, limit, metric_name, options_.now_ms());
  }
  void ForceFlush() override;
  Status ForceMerge(std::string_view partition_prefix) override {
    return table_->ForceMerge(partition_prefix);
  }
  Result<std::string> CreateSnapshot() override;
  Result<std::vector<std::string>> ListSnapshots() override;
  Status DeleteSnapshot(const std::string& name) override;
  Status DeleteStaleSnapshots(int64_t max_age_ms) override;
  void LogNewSeriesUntil(int64_t timestamp_ms) override {
    log_new_series_until_ms_.store(timestamp_ms, std::memory_order_relaxed);
  }
  bool HasRoom() const override { return table_->room() != Room::kBusy; }
  bool IsReadOnly() const override {
    return read_only_.load(std::memory_order_relaxed) || table_->room() == Room::kFailing;
  }
  const EngineMetrics& metrics() const override { return metrics_; }
  EngineStats Stats() override;
  Status Close() override;
  void StopMerges() override { table_->StopMerges(); }

 private:
  struct Batch;

  /// Which series are registered ahead of midnight, so that not all have to be at once: more and more of them, the nearer
  /// it is.
  struct Prefill {
    uint64_t share = 0;           // Of 2^32; 0: none.
    uint64_t date = 0;            // Tomorrow.
    int64_t first_timestamp = 0;  // Rows of the current hour count.
  };
  Prefill PrefillAt(int64_t now_ms) const;
  void RegisterAhead(Batch& batch, const model::Tsid& tsid, const model::MetricRow& row);

  /// What the cache knows about a raw name.
  struct KnownSeries {
    model::Tsid tsid;
    /// A day on which the index has the series, the one asked for last; others are in `registered_`. 0: none.
    uint32_t date = 0;
    /// Hours since 1970: the last one in which the series had a row of the hour that it was then. 0: none.
    uint32_t hour = 0;
    /// With it an entry of the cache fills a cache line, instead of lying across two.
    uint64_t unused = 0;
  };
  static_assert(sizeof(containers::FlatTable<KnownSeries>::Slot) == 64);

  /// What one AddRows call remembers from row to row.
  struct Batch {
    PartitionRef partition;
    containers::Key128 previous_key;  // Of the raw name; that of no name at first.
    model::Tsid previous_tsid;
    uint64_t previous_date = 0;
    std::optional<std::string> first_problem;
    Status failure = Ok();  // What forbids to acknowledge the rows.
    Prefill prefill;
    uint32_t hour = 0;  // That of the clock.
    model::TimeRange hour_range;
    std::vector<RawRow> rows;
  };

  Status AddBatch(std::span<const model::MetricRow> rows, bool with_samples);
  /// The TSID of a row, registered in its month and day. Nothing when the row has to be skipped. `key` is that of the
  /// row's name in `tsids_`.
  std::optional<model::Tsid> Resolve(Batch& batch, const model::MetricRow& row, const containers::Key128& key);
  /// What a look-up in an index found. Where the index is damaged that is nothing, which is counted and logged: a series
  /// that is registered again does no harm, while a row that is refused keeps all others from coming.
  template <class Found>
  Result<Found> OrNothing(Result<Found> found) {
    if (found.ok() || found.error().code() != ErrorCode::kCorrupted) return found;
    metrics_.unreadable_index_lookups.fetch_add(1, std::memory_order_relaxed);
    WarnAboutRows("a series is registered anew: " + found.error().message());
    return Found{};
  }
  /// What the cache knows, unless the series was deleted.
  std::optional<KnownSeries> FindKnown(const Partition& partition, ByteView metric_name_raw,
                                       const containers::Key128& key);
  /// Whether the month has the records of the series that belong to no day.
  Result<bool> HasGlobalRecords(Partition& partition, const model::Tenant& tenant, model::MetricId id);
  Status EnsureRegistered(Partition& partition, const model::Tsid& tsid, uint64_t date,
                          ByteView metric_name_raw, bool count = true);
  Result<model::Tsid> FindOrCreate(Partition& partition, uint64_t date,
                                   const model::MetricName& name);
  model::Tsid NewTsid(const model::MetricName& name);
  /// One more series has a row of this hour.
  void CountActiveSeries(uint32_t hour);
  uint64_t ActiveSeries() const;
  /// Whether the limits on new series let the row pass. Logs at times.
  bool PassesSeriesLimits(ByteView metric_name_raw);
  void WarnAboutRows(const std::string& problem);

  class Cursor;

  /// The first millisecond that is still kept.
  int64_t RetentionDeadline() const { return options_.now_ms() / 1000 * 1000 - options_.retention_ms; }
  /// The indexes that a search looks at, kept alive: those of months, then those of old versions, newest first.
  struct SearchedIndexes {
    std::vector<PartitionRef> partitions;
    std::vector<std::shared_ptr<LegacyIndex>> legacy;
    std::vector<indexdb::IndexDb*> all;
  };
  /// An upside-down range gives none.
  SearchedIndexes IndexesToSearch(model::TimeRange range) const;
  /// Errors: kInvalidInput with -denyQueriesOutsideRetention.
  Status CheckTimeRange(const model::TimeRange& range) const;
  Result<std::vector<model::Tsid>> SearchTsids(const model::SearchQuery& query,
                                               const SearchedIndexes& indexes, const Deadline& deadline) const;
  /// Limit of a search for samples.
  uint32_t MaxMetrics(uint32_t requested) const;
  /// Limit of other searches.
  uint32_t MaxMetricsOrDefault(uint32_t requested) const { return requested > 0 ? requested : MaxMetrics(0); }
  bool LogsNewSeries() const {
    return options_.log_new_series ||
           options_.now_ms() < log_new_series_until_ms_.load(std::memory_order_relaxed);
  }
  /// The folders of a snapshot: its own first, then those with the links.
  std::vector<std::string> SnapshotPaths(const std::string& name) const;
  Status WriteSnapshot(const std::string& name) VM_REQUIRES(snapshot_mutex_);
  Status RemoveSnapshot(const std::string& name) VM_REQUIRES(snapshot_mutex_);
  /// What an interrupted creation or deletion left.
  Status RemoveUnfinishedSnapshots() VM_EXCLUDES(snapshot_mutex_);
  Status LoadSeriesCache(uint64_t digest);
  Status SaveSeriesCache();
  Status LoadNameUsage();
  Status SaveNameUsage();
  /// Requires a closed table: its files are what the caches belong to.
  void SaveCaches();
  /// Start above all ids of the directory, also when the clock went back.
  Status InitMetricIds();
  Status OpenLegacyIndexes();
  /// The TSID under which an old version knows the series, of today or of yesterday.
  Result<std::optional<model::Tsid>> FindInLegacyIndexes(uint64_t date, const model::MetricName& name) const;
  /// Drop the oldest index of an old version when its time has come.
  void RotateLegacyIndexes();
  void UpdateReadOnly(bool log);
  /// Free space, and at times old snapshots.
  void WatchDisk(std::stop_token stop);

  const EngineOptions options_;
  fs::FileSystem& file_system_;
  std::unique_ptr<fs::FileLock> lock_;
  const std::shared_ptr<mergeset::Caches> index_caches_;
  std::unique_ptr<Table> table_;
  std::unique_ptr<LegacyIndexes> legacy_;
  int64_t composite_since_ms_ = 0;
  std::atomic<int64_t> next_legacy_deadline_s_{0};
  containers::ByteKeyCache<KnownSeries> tsids_;
  containers::GenerationSet registered_;  // (date, metric id).
  /// Series with rows of the current hour: the hour, as in KnownSeries, above 32 bits of their number. A series that
  /// `tsids_` forgot meanwhile counts once more.
  std::atomic<uint64_t> active_series_{0};
  MetadataStore metadata_;
  NameUsageTracker name_usage_;
  SeriesLimiter hourly_series_;
  SeriesLimiter daily_series_;
  EngineMetrics metrics_;
  std::atomic<uint64_t> next_metric_id_;
  std::atomic<bool> read_only_{false};
  std::atomic<int64_t> last_warn_ms_{0};
  std::atomic<int64_t> last_limit_warn_ms_{0};
  std::atomic<int64_t> log_new_series_until_ms_{0};
  Mutex snapshot_mutex_;
  std::atomic<uint64_t> next_snapshot_;
  /// Names created at the same time by two callers would get two ids: a name's hash picks its lock.
  std::array<Mutex, 64> create_mutexes_;
  Mutex wake_mutex_;
  CondVar wake_;
  bool closed_ = false;
  std::jthread watcher_;
};

}  // namespace vm::storage
