#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "lib/base/deadline.h"
#include "lib/base/mutex.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/fs/file_system.h"
#include "lib/model/index_stats.h"
#include "lib/model/metric_name.h"
#include "lib/model/search_query.h"
#include "lib/model/time_range.h"
#include "lib/model/tsid.h"
#include "storage/indexdb/id_cache.h"
#include "storage/indexdb/recent_names.h"
#include "storage/indexdb/recent_series.h"
#include "storage/mergeset/table.h"

namespace vm::indexdb {

struct Filter;

struct Options {
  fs::FileSystem* file_system = nullptr;  // Null stands for fs::RealFileSystem().
  /// What the table covers: one month. A query that covers all of it reads the global rows.
  model::TimeRange time_range;
  bool disable_per_day_index = false;
  /// Composite rows exist for all series of days that start from this Unix millisecond on; 0: for all series.
  int64_t composite_since_ms = 0;
  size_t max_memory_bytes = size_t{32} << 20;  // Items kept in memory before they go to a part.
  size_t max_filter_bytes = size_t{16} << 20;  // For knowing which parts lack a name.
  uint64_t min_merge_free_space_bytes = 0;     // Parts are not joined when the disk has less.
  std::function<void()> wants_work;            // Called without locks when FlushToDisk or TryMerge have something to do.
  std::shared_ptr<mergeset::Caches> caches;  // Of all tables of a storage; null: small ones of its own.
  uint64_t filter_cache_bytes = uint64_t{8} << 20;  // For the ids that filters select.
  /// Reading the rows of one filter may always take so many steps; past that the names of the series that are left may
  /// be read instead, and another filter may go first.
  uint64_t min_scan_steps = 10'000;
};

/// What one index counted since it was opened.
struct IndexStats {
  mergeset::Stats table;
  CacheFigures filter_cache;
  uint64_t deleted_ids = 0;
  uint64_t date_range_searches = 0, date_range_hits = 0, global_searches = 0;
  uint64_t composite_success = 0, composite_missing = 0;
  uint64_t missing_tsids = 0;  // Ids in tag rows without a TSID.

  IndexStats& operator+=(const IndexStats& other);
};

using FilterGroups = std::vector<std::vector<model::TagFilter>>;

/// "{AccountID=0,ProjectID=0,job=~"a.*"}": the filters of one group as error texts show them, in the form in which
/// they are looked up.
std::string FiltersToString(const model::Tenant& tenant, const std::vector<model::TagFilter>& filters);

/// The index of one partition: which series exist, under which labels, on which days. Thread-safe.
///
/// Everything added is searchable when the call returns, and durable after FlushToDisk.
class IndexDb {
 public:
  /// Reads names of many series; cheapest in the order of their ids. Not thread-safe; must not outlive the index.
  class NameReader {
   public:
    NameReader(const IndexDb& index, const model::Tenant& tenant)
        : tenant_(tenant), search_(index.table_->NewSearch()) {}

    /// False when there is no name.
    Result<bool> Read(model::MetricId id);
    /// The marshalled MetricName; valid until the next call of Read.
    ByteView name() const { return search_.item().subspan(key_.size()); }

   private:
    const model::Tenant tenant_;
    mergeset::Search search_;
    std::optional<uint64_t> last_id_;  // On whose record `search_` stands.
    ByteBuffer key_;
  };

  /// Open or create the table in directory `path`. `name` stands in error texts: "2024_06".
  static Result<std::unique_ptr<IndexDb>> Open(const std::string& path, std::string name, Options options);
  IndexDb(const IndexDb&) = delete;
  IndexDb& operator=(const IndexDb&) = delete;

  const std::string& name() const noexcept { return name_; }

  /// Add the records of a new series, global and of `date`, as one atomic step. Requires sorted tags.
  Status CreateSeries(const model::MetricName& name, const model::Tsid& tsid, uint64_t date);
  /// Add the global records alone: a series known elsewhere that is new in this table.
  Status AddGlobal(const model::MetricName& name, const model::Tsid& tsid);
  /// Add the records of one more day.
  Status AddDate(const model::MetricName& name, const model::Tsid& tsid, uint64_t date);

  /// Whether the global records of the series are here, on disk. Adding them twice does no harm.
  Result<bool> HasMetricId(const model::Tenant& tenant, model::MetricId id) const;
  /// Whether the records of the series for `date` are here, on disk.
  Result<bool> HasDate(const model::Tenant& tenant, uint64_t date, model::MetricId id) const;
  /// The series of that name on `date`; deleted ones do not count. Requires sorted tags.
  Result<std::optional<model::Tsid>> GetTsidByName(uint64_t date, const model::MetricName& name) const;

  /// Ids of the series that match one of `groups` on some day of `time_range` (clipped to the table), sorted,
  /// without deleted ones. `max_metrics` 0 means no limit.
  /// A regexp that cannot be parsed is taken literally. Errors: kLimitExceeded with the reference's text; kCancelled.
  Result<std::vector<model::MetricId>> SearchMetricIds(const model::Tenant& tenant, const FilterGroups& groups,
                                                       const model::TimeRange& time_range, uint64_t max_metrics,
                                                       const Deadline& deadline) const;
  /// TSIDs of `ids`, sorted by TSID; ids without a record are left out.
  Result<std::vector<model::Tsid>> GetTsidsByMetricIds(const model::Tenant& tenant,
                                                       const std::vector<model::MetricId>& ids,
                                                       const Deadline& deadline) const;
  /// The marshalled MetricName, or nothing.
  Result<std::optional<ByteBuffer>> GetMetricName(const model::Tenant& tenant, model::MetricId id) const;

  /// Label names of the matching series, sorted; no groups: of all series. At most `limit` are returned.
  Result<std::vector<std::string>> SearchLabelNames(const model::Tenant& tenant, const FilterGroups& groups,
                                                    const model::TimeRange& time_range, size_t limit,
                                                    uint64_t max_metrics, const Deadline& deadline) const;
  /// Values of one label ("" and "__name__" are the metric name), sorted, without the empty one.
  Result<std::vector<std::string>> SearchLabelValues(const model::Tenant& tenant, std::string_view label,
                                                     const FilterGroups& groups, const model::TimeRange& time_range,
                                                     size_t limit, uint64_t max_metrics,
                                                     const Deadline& deadline) const;
  /// Number of series of the tenant, deleted ones included.
  Result<uint64_t> SeriesCount(const model::Tenant& tenant, const Deadline& deadline) const;
  /// Tenants that have series on some day of `time_range`, sorted.
  Result<std::vector<model::Tenant>> SearchTenants(const model::TimeRange& time_range, const Deadline& deadline) const;
  /// For each value of the label that starts with `value_prefix`: what follows, up to and with the first
  /// `delimiter`; all of it, maybe nothing, for values without one. At most about `limit` are returned.
  Result<std::set<std::string>> SearchTagValueSuffixes(const model::Tenant& tenant, const model::TimeRange& time_range,
                                                       std::string_view label, std::string_view value_prefix,
                                                       char delimiter, size_t limit, const Deadline& deadline) const;
  /// What the matching series of one day look like; no groups: all series. Lists have at most `top_n` entries.
  /// `focus_label` is the label whose values are counted too.
  Result<model::TsdbStatus> GetTsdbStatus(const model::Tenant& tenant, const FilterGroups& groups, uint64_t date,
                                          std::string_view focus_label, size_t top_n, uint64_t max_metrics,
                                          const Deadline& deadline) const;

  /// Mark all series matching one of `groups` as deleted; returns their ids.
  Result<std::vector<model::MetricId>> DeleteSeries(const model::Tenant& tenant, const FilterGroups& groups,
                                                    uint64_t max_metrics, const Deadline& deadline);
  bool IsDeleted(model::MetricId id) const;
  /// Count `ids` as deleted until the index is closed; nothing is written.
  void HideIds(const std::vector<model::MetricId>& ids);
  std::vector<model::MetricId> DeletedIds() const;

  /// Make what was added durable.
  Status FlushToDisk();
  /// Write full sets of items, then join parts if it is worth it. Returns whether something was done.
  Result<bool> TryMerge() { return table_->TryMerge(); }
  /// End merges that run and start none any more.
  void StopMerges() noexcept { table_->StopMerges(); }
  /// Sets of items that wait for their file.
  size_t memory_sets() const { return table_->memory_sets(); }
  /// Link what is durable below the new directory `path`.
  Status CreateSnapshot(const std::string& path) const { return table_->CreateSnapshot(path); }
  /// Flush and stop.
  Status Close();

  mergeset::Stats stats() const { return table_->stats(); }
  IndexStats Figures() const;

 private:
  using IdSet = std::unordered_set<uint64_t>;

  class GroupSearch;
  struct Counters {
    std::atomic<uint64_t> date_range_searches{0}, date_range_hits{0}, global_searches{0}, composite_success{0},
        composite_missing{0}, missing_tsids{0};
  };

  IndexDb(std::string name, Options options)
      : name_(std::move(name)), options_(options), id_cache_(options.filter_cache_bytes) {}
  Status LoadDeleted();
  std::shared_ptr<const IdSet> Deleted() const;
  void AddGlobalItems(mergeset::ItemRun& items, const model::MetricName& name, const model::Tsid& tsid) const;
  void AddDateItems(mergeset::ItemRun& items, const model::MetricName& name, const model::Tsid& tsid,
                    uint64_t date) const;
  Status AddItems(const mergeset::ItemRun& items, const mergeset::Postings& postings = {});
  /// Add the records of a series, global ones or those of a day or both, as one atomic step.
  Status AddSeries(const model::MetricName& name, const model::Tsid& tsid, bool global, std::optional<uint64_t> date);
  /// Key of the record that gives the TSID of a name; of `date`, if there are records by day.
  ByteBuffer NameKey(const model::MetricName& name, uint64_t date) const;
  /// Days to read; nothing: the global rows. An empty list: no overlap.
  std::optional<std::vector<uint64_t>> DatesToSearch(const model::TimeRange& time_range) const;
  /// Whether composite rows may stand for the plain ones on these days.
  bool HasComposite(const std::optional<std::vector<uint64_t>>& dates) const {
    if (options_.composite_since_ms == 0) return true;
    return dates && !dates->empty() &&
           dates->front() * static_cast<uint64_t>(model::kMsecPerDay) >=
               static_cast<uint64_t>(options_.composite_since_ms);
  }
  static std::vector<ByteBuffer> TagPrefixes(const model::Tenant& tenant,
                                             const std::optional<std::vector<uint64_t>>& dates);
  Result<std::vector<uint64_t>> SearchIds(const model::Tenant& tenant, const FilterGroups& groups,
                                          const std::optional<std::vector<uint64_t>>& dates, uint64_t max_metrics,
                                          const Deadline& deadline) const;
  /// Add the series of `added` that match, so that `ids` are those of a new search; null when nothing is to be added.
  IdCache::Ids WithRecent(const std::vector<uint64_t>& ids, const RecentSeries::Added& added,
                          const model::Tenant& tenant, const FilterGroups& groups,
                          const std::optional<std::vector<uint64_t>>& dates) const;
  /// One or more lists of filters whose results add up to those of `group`.
  Result<std::vector<std::vector<Filter>>> PrepareGroup(const model::Tenant& tenant,
                                                        const std::vector<model::TagFilter>& group,
                                                        const std::optional<std::vector<uint64_t>>& dates,
                                                        uint64_t max_metrics, const Deadline& deadline) const;
  /// Add metric names that start with `head` and go on as `query` says.
  Status SearchGraphitePaths(const model::Tenant& tenant, const std::optional<std::vector<uint64_t>>& dates,
                             const std::string& head, std::string_view query, size_t limit, const Deadline& deadline,
                             std::set<std::string>& paths) const;
  Result<std::set<std::string>> SearchSuffixes(const model::Tenant& tenant,
                                               const std::optional<std::vector<uint64_t>>& dates,
                                               std::string_view label, std::string_view value_prefix, char delimiter,
                                               size_t limit, const Deadline& deadline) const;
  Result<std::set<std::string>> ScanValues(const model::Tenant& tenant, std::string_view row_key,
                                           const std::optional<std::vector<uint64_t>>& dates,
                                           const std::optional<std::vector<uint64_t>>& wanted, size_t limit,
                                           const Deadline& deadline) const;
  static std::string CacheKey(const model::Tenant& tenant, const FilterGroups& groups,
                              const std::optional<std::vector<uint64_t>>& dates);

  const std::string name_;
  const Options options_;
  std::unique_ptr<mergeset::Table> table_;
  mutable RecentNames recent_names_;
  mutable Mutex deleted_mutex_;
  std::shared_ptr<const IdSet> deleted_ VM_GUARDED_BY(deleted_mutex_);
  std::atomic<bool> has_deleted_{false};    // Spares the lock as long as nothing was deleted.
  mutable RecentSeries recent_series_;
  mutable IdCache id_cache_;
  mutable Counters counters_;
};

}  // namespace vm::indexdb
