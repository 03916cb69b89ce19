#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
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
  std::function<int64_t()> now_ms;            // Required: Unix milliseconds.
  std::function<void()> parts_added;          // Called without locks when there may be something to merge.
  bool disable_per_day_index = false;         // -disablePerDayIndex
};

/// A searchable part.
using PartRef = std::shared_ptr<const PartReader>;

/// Parts, rows and sizes of one class of parts, for metrics.
struct PartsStats {
  uint64_t parts = 0, blocks = 0, rows = 0, size_bytes = 0;
};
struct PartitionStats {
  PartsStats inmemory, small, big;
  uint64_t pending_rows = 0;
};

/// One month: raw rows, then in-memory parts, then small and big files, and the month's index.
///
/// Thread-safe. Opened and owned by Table; readers keep it with a PartitionRef. It starts no threads: Table calls
/// FlushRawRows, FlushInmemoryParts and TryMerge. Reference: VictoriaMetrics lib/storage/partition.go.
class Partition {
 public:
  /// Open or create the directories of month `name`. Errors: kCorrupted when a listed part is missing or unreadable.
  static Result<boost::intrusive_ptr<Partition>> Open(const std::string& name, PartitionOptions options);
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  const std::string& name() const noexcept { return name_; }
  const model::TimeRange& time_range() const noexcept { return time_range_; }
  indexdb::IndexDb& index() noexcept { return *index_; }
  const indexdb::IndexDb& index() const noexcept { return *index_; }

  /// Take rows of this month. They are searchable after the next FlushRawRows.
  void AddRows(std::span<const RawRow> rows);

  /// Make the rows added so far searchable.
  Status FlushRawRows();
  /// Write in-memory parts to files: those whose deadline has passed, or all with `force`. The index is made durable
  /// before a file part is listed.
  Status FlushInmemoryParts(bool force);
  /// Do one merge if one is worth it. Returns whether one was done.
  Result<bool> TryMerge();
  /// Merge all file parts into one. Errors: kLimitExceeded without enough free space.
  Status ForceMerge();
  /// Drop parts whose newest row is older than the retention.
  Status DropStaleParts();
  /// Write everything to files and close the index. Nothing may be added afterwards.
  Status Close();
  /// Remove the directories when the last reference goes. Requires Close before the last release.
  void DropOnLastRelease() noexcept { must_drop_.store(true); }

  /// All searchable parts.
  std::vector<PartRef> Parts() const;
  PartitionStats Stats() const;

 private:
  struct Shard;
  struct ListedPart;
  enum class Target : uint8_t { kInmemory, kSmall, kBig };
  struct Entry {
    std::shared_ptr<ListedPart> part;
    bool in_merge = false;
    int64_t flush_deadline_ms = INT64_MAX;  // Of in-memory parts.
  };

  Partition(std::string name, model::TimeRange time_range, PartitionOptions options);
  ~Partition();

  Status OpenFiles();
  Status OpenParts(const std::string& path, const std::vector<std::string>& names, std::vector<Entry>& entries);
  std::string SmallPath() const;
  std::string BigPath() const;
  std::string IndexPath() const;
  std::string NextPartName();
  uint64_t MaxInmemoryPartSize() const;
  uint64_t MaxSmallPartSize() const;
  uint64_t MaxBigPartSize() const;
  Status AddInmemoryPart(std::vector<RawRow> rows);
  /// Merge parts that were marked as being in a merge; they are released whatever happens.
  Status Merge(const std::vector<Entry>& sources, bool to_disk);
  Status MergeMarked(const std::vector<Entry>& sources, bool to_disk);
  Status Swap(const std::vector<Entry>& sources, std::shared_ptr<ListedPart> result, Target target);
  std::vector<Entry> TakeForMergeLocked(std::vector<Entry>& entries, uint64_t max_output) VM_REQUIRES(mutex_);
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
  std::atomic<uint64_t> part_counter_;
  std::atomic<uint32_t> refs_{0};
  std::atomic<bool> must_drop_{false};

  Mutex flush_mutex_;  // One flush to disk at a time. Before mutex_.
  mutable Mutex mutex_;
  CondVar merge_done_;
  std::vector<Entry> inmemory_ VM_GUARDED_BY(mutex_);
  std::vector<Entry> small_ VM_GUARDED_BY(mutex_);
  std::vector<Entry> big_ VM_GUARDED_BY(mutex_);
};

using PartitionRef = boost::intrusive_ptr<Partition>;

}  // namespace vm::storage
