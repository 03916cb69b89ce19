#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/result.h"
#include "lib/model/block.h"
#include "storage/partition/partition.h"

namespace vm::storage {

struct TableOptions {
  PartitionOptions partition;           // `fs`, `data_path`, `now_ms` and limits for every month.
  int64_t future_retention_ms = 2 * model::kMsecPerDay;
  int64_t rows_flush_interval_ms = 500;  // Rows are searchable after at most two of these.
  int64_t final_dedup_interval_ms = 3'600'000;  // -storage.finalDedupScheduleCheckInterval; up to a quarter is added.
  bool background = true;               // Tests clear it and call the work themselves.
  /// Told about errors of background work instead of what Table does on its own: log them and go on, since what could
  /// not be written is still in memory and is tried again; end the process at kCorrupted, which no retry heals.
  std::function<void(const Error&)> on_background_error;
};

/// Whether rows may be added.
enum class Room : uint8_t {
  kFree,     // Yes.
  kBusy,     // Wait: files cannot keep up with rows.
  kFailing,  // Refuse: the disk takes nothing.
};

/// Rows that AddRows left out.
struct SkippedRows {
  uint64_t too_old = 0, too_new = 0;      // Outside of AcceptedRange.
  uint64_t of_unreadable_months = 0;
  uint64_t all() const noexcept { return too_old + too_new + of_unreadable_months; }
};

/// Blocks of the wanted series in (TSID, MinTimestamp) order; blocks of one series may overlap.
/// Keeps its partitions and parts alive. Not thread-safe.
class TableSearch {
 public:
  TableSearch(std::vector<PartitionRef> partitions, std::span<const model::Tsid> tsids,
              const model::TimeRange& range);
  ~TableSearch();
  TableSearch(TableSearch&&) noexcept;

  /// Move to the next block. False at the end.
  Result<bool> Next();
  /// The current block; its data stay valid until the next call of Next.
  const model::EncodedBlock& block() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// All months. Thread-safe. Owns the background threads: one makes rows searchable, one writes them to files and
/// enforces the retention, some merge, as many for each class of parts as merges of it may run at once.
class Table {
 public:
  /// Open <data_path>/{small,big,indexdb}; the months are the union of the three.
  static Result<std::unique_ptr<Table>> Open(TableOptions options);
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// Add rows to their months, which are created when missing. Rows outside of AcceptedRange and those of months that
  /// will not open are skipped; `*skipped` counts them when given. Errors: as GetOrCreatePartition, but kCorrupted.
  Status AddRows(std::span<const RawRow> rows, SkippedRows* skipped = nullptr);

  /// Whether memory holds so much that is not in files yet that no more should come. AddRows does not look at it: who
  /// receives rows asks before, so that nobody waits inside.
  Room room() const;

  /// Timestamps that are kept, as of now.
  model::TimeRange AcceptedRange() const;

  /// Errors: kCorrupted, which is logged, when the files of the month are damaged; it is tried again after ten seconds,
  /// since an operator may have mended or removed them. Other errors may pass at any time.
  Result<PartitionRef> GetOrCreatePartition(int64_t timestamp_ms);
  /// Null when there is none.
  PartitionRef GetPartition(int64_t timestamp_ms) const;
  /// Months that overlap `range`, oldest first.
  std::vector<PartitionRef> Partitions(const model::TimeRange& range) const;
  std::vector<PartitionRef> AllPartitions() const;

  /// Requires sorted `tsids`. The range is clipped to the retention.
  TableSearch Search(std::span<const model::Tsid> tsids, model::TimeRange range) const;

  /// Make all rows and index items searchable.
  Status FlushToSearchable();
  /// The same, and write them to files.
  Status FlushToDisk();
  /// Merge the parts of the months whose name starts with `prefix`.
  Status ForceMerge(std::string_view prefix);
  /// Drop months outside of the retention, and parts. All are tried; the first error is returned.
  Status DropOldPartitions();
  /// Merge past months that hold parts written with a shorter deduplication interval than is asked for now.
  Status RunFinalDedup();
  /// End merges that run, and start none any more: before Close, so that it waits for flushes alone.
  void StopMerges();
  PartitionStats Stats() const;
  containers::PieceCacheStats IndexBlocksStats() const { return options_.partition.index_blocks->stats(); }
  /// Stop merges and threads and write everything to files. All months are tried; the first error is returned, and what
  /// could not be written is tried again when it is called again.
  Status Close();

 private:
  explicit Table(TableOptions options);
  Status OpenPartitions();
  void StartThreads();
  void StopThreads();
  void RowsLoop(std::stop_token stop);
  void DiskLoop(std::stop_token stop);
  void MergeLoop(std::stop_token stop, std::optional<PartClass> part_class);
  void FinalDedupLoop(std::stop_token stop);
  bool Sleep(std::stop_token stop, int64_t milliseconds);
  /// Says what rows wait for, when they have for some time, at most once a minute.
  void LogBusy(const Partition::Load& most, uint64_t max_bytes) const;
  void Report(const Status& status);

  TableOptions options_;
  mutable Mutex mutex_;
  std::vector<PartitionRef> partitions_ VM_GUARDED_BY(mutex_);  // Oldest first.
  Mutex create_mutex_;                                          // Before mutex_: one creation at a time.
  struct FailedMonth {
    int64_t tried_ms;
    Error error;
  };
  std::map<std::string, FailedMonth> failed_months_ VM_GUARDED_BY(create_mutex_);
  Mutex wake_mutex_;
  CondVar wake_;
  uint64_t merge_tickets_ VM_GUARDED_BY(wake_mutex_) = 0;
  std::atomic<uint64_t> background_errors_{0};
  std::atomic<bool> flush_failing_{false};  // The last flush to files did not succeed.
  std::atomic<int64_t> last_error_log_ms_{INT64_MIN};
  mutable std::atomic<int64_t> busy_since_ms_{0};  // Of a steady clock; 0: not busy.
  mutable std::atomic<int64_t> busy_log_ms_{INT64_MIN};
  bool closed_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace vm::storage
