#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <boost/intrusive_ptr.hpp>

#include "lib/base/mutex.h"
#include "lib/base/result.h"
#include "lib/fs/file_system.h"
#include "lib/model/time_range.h"
#include "storage/indexdb/indexdb.h"
#include "storage/part/merge.h"
#include "storage/part/part_reader.h"
#include "storage/part/raw_rows.h"
#include "storage/partset/lack_of_space.h"

namespace vm::storage {

/// UTC month of a timestamp as directories are called: "2026_11".
std::string PartitionName(int64_t timestamp_ms);
/// First and last millisecond of such a month. Errors: kInvalidInput for other names.
Result<model::TimeRange> PartitionTimeRange(std::string_view name);

struct PartitionOptions {
  fs::FileSystem* fs = nullptr;  // Required.
  std::string data_path;         // <storageDataPath>/data; months lie in its small, big and indexdb.
  int64_t inmemory_flush_interval_ms = 5000;  // -inmemoryDataFlushInterval
  int64_t dedup_interval_ms = 0;              // -dedup.minScrapeInterval
  int64_t retention_ms = 0;                   // 0: keep everything.
  uint64_t memory_limit_bytes = 1ull << 30;   // Sizes of in-memory and small parts follow from it.
  uint64_t min_free_disk_space_bytes = 0;     // Files are not merged below it: -storage.minFreeDiskSpaceBytes.
  std::function<int64_t()> now_ms;            // Required: Unix milliseconds.
  std::function<void()> parts_added;          // Called without locks when there may be something to merge.
  std::shared_ptr<mergeset::Caches> index_caches;   // Of the indexes of all months; null: small ones for each.
  uint64_t filter_cache_bytes = 8ull << 20;         // Of each month's index, see indexdb::Options.
  std::shared_ptr<IndexBlockCache> index_blocks;  // Of all months; null: nothing is cached.
  bool disable_per_day_index = false;         // -disablePerDayIndex
};

/// A searchable part.
using PartRef = std::shared_ptr<const PartReader>;

/// Where parts lie. Parts of one class are merged with each other.
enum class PartClass : uint8_t { kInmemory, kSmall, kBig };
inline constexpr size_t kPartClasses = 3;

/// Parts, rows and sizes of one class of parts, and merges into it, for metrics.
struct PartsStats {
  uint64_t parts = 0, blocks = 0, rows = 0, size_bytes = 0;
  uint64_t active_merges = 0, merges = 0, rows_merged = 0, rows_deleted = 0;
  uint64_t lacking_space = 0;  // Months whose parts wait for room on the disk to be merged.
};
struct PartitionStats {
  PartsStats inmemory, small, big;
  uint64_t pending_rows = 0;
  uint64_t rows_deduplicated = 0;  // By merges.
  uint64_t lossy_blocks = 0;       // Blocks that gave up exact values, see MergeStats.
  uint64_t index_memory_sets = 0;  // Sets of index items that wait for their file.
  uint64_t background_errors = 0;  // Of a Table: work that could not be done and is tried again.
};

/// One month: raw rows, then in-memory parts, then small and big files, and the month's index.
///
/// Thread-safe. Opened and owned by Table; readers keep it with a PartitionRef. It starts no threads: Table calls
/// FlushRawRows, FlushInmemoryParts and TryMerge. Reference: VictoriaMetrics lib/storage/partition.go.
class Partition {
 public:
  /// Open or create the directories of month `name`. When those of a new month cannot be created, that is logged and
  /// tried again with each flush: rows stay in memory until then. Errors: kCorrupted when a listed part is missing or
  /// unreadable or no folder is where one should be, so that a later try will not succeed either; kIo.
  static Result<boost::intrusive_ptr<Partition>> Open(const std::string& name, PartitionOptions options);
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  const std::string& name() const noexcept { return name_; }
  const model::TimeRange& time_range() const noexcept { return time_range_; }
  indexdb::IndexDb& index() noexcept { return *index_; }
  const indexdb::IndexDb& index() const noexcept { return *index_; }

  /// Take rows of this month. They are searchable after the next FlushRawRows.
  void AddRows(std::span<const RawRow> rows);

  /// Make the rows added so far searchable, also those that another thread is about to. After an error the rows are kept.
  Status FlushRawRows();
  /// Write in-memory parts to a file when the deadline of one has passed, or with `force`. The index is made durable
  /// before a file part is listed. After an error the parts are still in memory and are tried again with the next call.
  Status FlushInmemoryParts(bool force);
  /// Write what the index has in memory unless that was done lately.
  Status FlushIndexIfDue();
  /// Do one merge of parts of `part_class` if one is worth it and there is room for it. Returns whether one was done.
  /// Errors: kCancelled after StopMerges, kCorrupted when a part contradicts itself, kIo; the sources stay.
  Result<bool> TryMerge(PartClass part_class);
  /// Merge all parts into one file. Errors: kLimitExceeded without enough free space, and as TryMerge.
  Status ForceMerge();
  /// Whether a file part was written with a shorter deduplication interval than is asked for now.
  bool NeedsFinalDedup() const;
  /// Write everything to files, then link them below {small,big,indexdb}/snapshots/`snapshot`. On an error something
  /// may be there already.
  Status CreateSnapshot(const std::string& snapshot);
  /// Drop parts whose newest row is older than the retention.
  Status DropStaleParts();
  /// End merges that run, removing what they have written, and start none any more. Flushes go on.
  void StopMerges() noexcept;
  /// Write everything to files and close the index. Nothing may be added afterwards. After an error it may be called
  /// again.
  Status Close();
  /// Stop merges and remove the directories when the last reference goes; what is in memory is not written any more.
  void DropOnLastRelease() noexcept;

  /// All searchable parts.
  std::vector<PartRef> Parts() const;
  PartitionStats Stats() const;
  /// What is not in files yet, and how many parts there are: cheap enough to be asked for each packet.
  struct Load {
    uint64_t memory_bytes = 0;  // Of rows and parts.
    size_t inmemory_parts = 0, small_parts = 0, index_memory_sets = 0;
    bool lacks_space = false;  // Small parts cannot be merged since the disk is nearly full.
  };
  Load GetLoad() const;
  /// Called before rows become a part, which they do not after an error. To be set before there are rows.
  void SetConversionHookForTest(std::function<Status()> hook) { conversion_hook_ = std::move(hook); }

 private:
  struct Shard;
  struct ListedPart;
  struct MergeCounters {
    std::atomic<uint64_t> active{0}, merges{0}, rows_merged{0}, rows_deleted{0};
  };
  struct Entry {
    std::shared_ptr<ListedPart> part;
    bool in_merge = false;
    int64_t flush_deadline_ms = INT64_MAX;  // Of in-memory parts.
  };

  Partition(std::string name, model::TimeRange time_range, PartitionOptions options);
  ~Partition();

  Status OpenFiles();
  /// `error` of opening; kCorrupted when it stays however often one tries.
  Error LastingError(Error error) const;
  Status OpenIndex();
  Status FlushIndex();
  /// Create the folders of a new month if that was not possible when it was opened.
  Status EnsureFolders() VM_EXCLUDES(folders_mutex_);
  Status OpenParts(const std::string& path, const std::vector<std::string>& names, std::vector<Entry>& entries);
  std::string SmallPath() const;
  std::string BigPath() const;
  std::string IndexPath() const;
  std::string NextPartName();
  uint64_t MaxInmemoryPartSize() const;
  uint64_t MaxSmallPartSize() const;
  /// Move the rows of a shard to those that become a part next; returns how many shards were collected. The caller
  /// has locked the shard.
  size_t Collect(Shard& shard) VM_EXCLUDES(conversions_mutex_);
  /// Make a part in memory of the rows that were collected.
  /// After an error the rows are still collected.
  Status ConvertCollected() VM_EXCLUDES(conversions_mutex_, mutex_);
  /// Make a part in memory of `rows`, which are empty then.
  Status Convert(std::vector<std::vector<RawRow>>& rows) VM_EXCLUDES(mutex_);
  uint64_t CollectedRows() const VM_EXCLUDES(conversions_mutex_);
  /// Merge parts that were marked as being in a merge; they are released whatever happens.
  Status Merge(const std::vector<Entry>& sources, bool to_disk, std::stop_token stop);
  Status MergeMarked(const std::vector<Entry>& sources, bool to_disk, std::stop_token stop);
  Result<std::shared_ptr<ListedPart>> WriteMerged(const std::vector<Entry>& sources, PartClass target,
                                                  std::stop_token stop);
  PartClass TargetOf(const std::vector<Entry>& sources, bool to_disk) const;
  /// Replace `sources` by `result`, which may be null, in the lists and in parts.json. After an error the lists are as
  /// before; since parts.json may name either, `result` keeps its folder until parts.json has been written again.
  Status Swap(const std::vector<Entry>& sources, std::shared_ptr<ListedPart> result, PartClass target);
  void Release(const std::vector<Entry>& sources);
  std::vector<Entry>& List(PartClass part_class) VM_REQUIRES(mutex_) { return parts_[static_cast<size_t>(part_class)]; }
  const std::vector<Entry>& List(PartClass part_class) const VM_REQUIRES(mutex_) {
    return parts_[static_cast<size_t>(part_class)];
  }
  /// `lacks_space`: there would be some if `max_output` was no limit.
  std::vector<Entry> TakeForMergeLocked(std::vector<Entry>& entries, uint64_t max_output, bool& lacks_space)
      VM_REQUIRES(mutex_);
  /// Wait until no part of `part_class` is in a merge; TryMerge starts none meanwhile.
  void WaitForMergesLocked(PartClass part_class) VM_REQUIRES(mutex_);
  void NotifyAdded() const;

  friend void intrusive_ptr_add_ref(Partition* p) noexcept {
    p->refs_.fetch_add(1, std::memory_order_relaxed);
  }
  friend void intrusive_ptr_release(Partition* p) noexcept {
    // Pairs with the releases of the other readers: the deleting thread must see what they did.
    if (p->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete p;
  }

  const std::string name_;
  const model::TimeRange time_range_;
  const PartitionOptions options_;
  std::unique_ptr<indexdb::IndexDb> index_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<uint32_t> next_shard_{0};
  const size_t max_collected_;       // In shards.
  mutable Mutex conversions_mutex_;  // After shard mutexes.
  std::vector<std::vector<RawRow>> collected_ VM_GUARDED_BY(conversions_mutex_);
  CondVar conversion_done_;
  uint64_t next_conversion_ VM_GUARDED_BY(conversions_mutex_) = 0;
  std::set<uint64_t> conversions_ VM_GUARDED_BY(conversions_mutex_);  // Of rows that are in no list at the moment.
  uint64_t failed_conversions_ VM_GUARDED_BY(conversions_mutex_) = 0;
  std::optional<Error> conversion_error_ VM_GUARDED_BY(conversions_mutex_);  // The last one.
  SeriesOrder order_;
  std::atomic<int64_t> converted_ms_{0};  // When rows became a part last; 0: order_ is empty.
  std::function<Status()> conversion_hook_;
  std::atomic<uint64_t> part_counter_;
  std::atomic<int64_t> index_flushed_ms_;
  std::atomic<uint32_t> refs_{0};
  std::atomic<bool> must_drop_{false};

  std::stop_source stop_merges_;
  std::array<MergeCounters, kPartClasses> counters_;  // By the class of the result.
  std::array<LackOfSpace, kPartClasses> lacks_space_;
  std::atomic<uint64_t> lossy_blocks_{0};
  std::atomic<uint64_t> rows_deduplicated_{0};

  Mutex folders_mutex_;
  bool has_folders_ VM_GUARDED_BY(folders_mutex_) = false;
  Mutex flush_mutex_;   // One flush to disk at a time. Before commit_mutex_.
  Mutex commit_mutex_;  // Held while parts.json is written, so that it always equals the lists. Before mutex_.
  std::vector<std::shared_ptr<ListedPart>> uncertain_ VM_GUARDED_BY(commit_mutex_);  // parts.json may name them.
  mutable Mutex mutex_;
  CondVar merge_done_;
  std::array<size_t, kPartClasses> waiting_for_merges_ VM_GUARDED_BY(mutex_) = {};
  std::array<std::vector<Entry>, kPartClasses> parts_ VM_GUARDED_BY(mutex_);
};

using PartitionRef = boost::intrusive_ptr<Partition>;

}  // namespace vm::storage
