#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/fs/file_system.h"
#include "storage/mergeset/memory_items.h"
#include "storage/mergeset/part.h"
#include "storage/partset/lack_of_space.h"

namespace vm::mergeset {

struct Options {
  fs::FileSystem* file_system = nullptr;  // Null stands for fs::RealFileSystem().
  PrepareBlock prepare_block;             // Sees each full block before it is written; may be empty.
  LookupKey lookup_key;                   // What NewLookup is asked for; may be empty.
  size_t max_filter_bytes = size_t{16} << 20;  // For filters that spare NewLookup to look into parts.
  size_t max_memory_bytes = size_t{32} << 20;  // A set of items is full at that size and waits for its file.
  uint64_t min_merge_free_space_bytes = 0;     // Parts are not joined when the disk has less.
  /// Called without locks when TryMerge has something to do. Empty: the adding thread writes full sets itself.
  std::function<void()> wants_work;
  std::shared_ptr<Caches> caches;  // Shared by many tables; null: small ones of its own.
};

/// Full sets of items that may wait for their file; who adds must wait when there are more.
inline constexpr size_t kMaxMemorySets = 4;

struct Stats {
  uint64_t items_added = 0;
  uint64_t too_long_items_dropped = 0;
  uint64_t memory_items = 0;
  uint64_t memory_bytes = 0;
  uint64_t memory_sets = 0;  // Full ones that wait for their file.
  uint64_t file_parts = 0;
  uint64_t file_blocks = 0;
  uint64_t file_items = 0;
  uint64_t file_bytes = 0;
  uint64_t merges = 0;
  uint64_t items_merged = 0;
  uint64_t active_merges = 0;
  uint64_t lacking_space = 0;  // 1: parts wait for room on the disk to be joined.
};

/// What a search looks at.
enum class SearchScope : uint8_t {
  kAll,
  kParts,  // Only what is on disk: new items need not be sorted for it.
};

/// Walks over the items of a table as of its creation, in order.
/// Not thread-safe. May outlive changes of the table, but not the table's file system.
class Search {
 public:
  /// Go to the first item not below `key`. False at the end or on an error: see status().
  bool Seek(ByteView key);
  /// Seek, then check that the item starts with `prefix`.
  bool SeekPrefix(ByteView prefix);
  /// Go to the next item; duplicates are passed over. Requires that the last call returned true.
  bool Next();
  /// The current item; valid until the next call.
  ByteView item() const noexcept { return item_; }
  const Status& status() const noexcept { return status_; }

 private:
  friend class Table;
  struct MemoryCursor {
    std::shared_ptr<const ItemRun> run;
    size_t at = 0;
    bool valid() const noexcept { return at < run->size(); }
    ByteView item() const noexcept { return run->Item(at); }
  };

  bool PickSmallest();

  std::vector<MemoryCursor> memory_;
  std::vector<PartCursor> parts_;
  ByteBuffer item_;
  ByteBuffer wanted_;
  Status status_ = Ok();
};

/// A sorted set of byte strings on disk, with new ones in memory. Thread-safe.
///
/// All items of one AddItems become durable together. Parts are immutable; `parts.json` names those that count.
/// Format: docs/format/index.md. Reference: VictoriaMetrics lib/mergeset.
class Table {
 public:
  /// Open or create the table in directory `path`. Directories that `parts.json` does not name are removed. When a new
  /// table's folder cannot be created, that is logged and tried again with each flush: items stay in memory until then.
  /// Errors: kIo; kCorrupted, naming the part that is missing or unreadable.
  static Result<std::unique_ptr<Table>> Open(const std::string& path, Options options);
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// Add `items` and those that `postings` stand for as one step. Items above kMaxItemSize are dropped and counted.
  Status AddItems(std::span<const ByteView> items, const Postings& postings = {}) VM_EXCLUDES(mutex_, flush_mutex_);
  /// Items are searchable as soon as they are added.
  void FlushToSearchable() {}
  /// Write what is in memory to a part. After an error the items are still in memory and are tried again with the next
  /// call.
  Status FlushToDisk() VM_EXCLUDES(mutex_, flush_mutex_);
  /// Write full sets of items, or join parts when there are many of a size. Returns whether something was done.
  /// Errors: kIo, kCorrupted, kCancelled after StopMerges; the sources stay.
  Result<bool> TryMerge() VM_EXCLUDES(mutex_, flush_mutex_);
  /// Join all parts into one. Errors: as TryMerge, and kLimitExceeded without enough free space.
  Status ForceMerge() VM_EXCLUDES(mutex_, flush_mutex_);
  /// End merges that run, removing what they have written, and start none any more. Flushes go on.
  void StopMerges() noexcept { stop_merges_.request_stop(); }
  /// Link the parts on disk below the new directory `path`, with their own parts.json.
  Status CreateSnapshot(const std::string& path) const VM_EXCLUDES(mutex_);
  Search NewSearch(SearchScope scope = SearchScope::kAll) const VM_EXCLUDES(mutex_);
  /// As NewSearch over parts, for items of one Options::lookup_key: parts that surely have none may be left out.
  Search NewLookup(ByteView key) const VM_EXCLUDES(mutex_);
  /// Number of the set that takes items now. Items added before the call are in this set, an earlier one, or a part.
  uint64_t epoch() const noexcept { return epoch_.load(std::memory_order_acquire); }
  /// All sets up to this number are parts, seen by every search that begins now.
  uint64_t written_epoch() const noexcept { return written_epoch_.load(std::memory_order_acquire); }
  /// Stop merges and flush. Nothing may be added afterwards. After an error it may be called again.
  Status Close() VM_EXCLUDES(mutex_, flush_mutex_);
  Stats stats() const VM_EXCLUDES(mutex_);
  /// Stats::memory_sets alone: cheap enough to be asked for each packet.
  size_t memory_sets() const VM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return flushing_.size();
  }

 private:
  using Parts = std::vector<std::shared_ptr<Part>>;

  Table(std::string path, Options options);
  Status OpenParts();
  /// Create the folder of a new table if that was not possible when it was opened.
  Status EnsureFolder() VM_EXCLUDES(folder_mutex_);
  std::string NextPartName();
  Result<bool> TryMergeParts() VM_EXCLUDES(mutex_);
  /// Write the sets as one part and list it.
  Status Flush(const std::vector<std::shared_ptr<MemoryItems>>& sets) VM_REQUIRES(flush_mutex_);
  /// Join parts that were marked as being in a merge; they are released whatever happens.
  Status Merge(const Parts& sources);
  Result<std::shared_ptr<Part>> WriteMerged(const Parts& sources);
  /// Write what is left, open the part and give it its filter unless filters take too much; null without items.
  Result<std::shared_ptr<Part>> FinishPart(PartWriter& writer, const std::string& dir, const Parts& replaced)
      VM_EXCLUDES(mutex_);
  /// Replace `removed` by `added`, which may be null, on disk and in memory. After an error the list is as before;
  /// since parts.json may name either, `added` keeps its folder until parts.json has been written again.
  Status SwapParts(const Parts& removed, std::shared_ptr<Part> added) VM_EXCLUDES(mutex_, commit_mutex_);
  /// Let a new set take the items that come.
  void TurnOverLocked() VM_REQUIRES(mutex_);
  /// No merge of some parts begins meanwhile.
  void WaitForMergesLocked() VM_REQUIRES(mutex_);
  Status WritePartsJson(const Parts& parts);
  std::shared_ptr<const Parts> CurrentParts() const VM_EXCLUDES(parts_mutex_) {
    MutexLock lock(parts_mutex_);
    return parts_;
  }

  const std::string path_;
  const Options options_;
  fs::FileSystem& fs_;
  std::atomic<uint64_t> next_part_;
  std::stop_source stop_merges_;

  Mutex folder_mutex_;
  bool has_folder_ VM_GUARDED_BY(folder_mutex_) = false;
  Mutex flush_mutex_;   // One flush at a time. Before commit_mutex_.
  Mutex commit_mutex_;  // Held while parts.json is written, so that it always equals the list. Before mutex_.
  Parts uncertain_ VM_GUARDED_BY(commit_mutex_);  // parts.json may name them.
  mutable Mutex mutex_;
  CondVar merge_done_;
  std::shared_ptr<MemoryItems> memory_ VM_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<MemoryItems>> flushing_ VM_GUARDED_BY(mutex_);  // Full, oldest first.
  // After mutex_, and apart from it: each new series looks for its name in the parts while others add items.
  mutable Mutex parts_mutex_;
  // Replaced as a whole, so that a search takes one reference to all.
  std::shared_ptr<const Parts> parts_ VM_GUARDED_BY(parts_mutex_) = std::make_shared<const Parts>();
  std::set<const Part*> in_merge_ VM_GUARDED_BY(mutex_);
  size_t waiting_for_merges_ VM_GUARDED_BY(mutex_) = 0;
  std::atomic<uint64_t> epoch_{1};
  std::atomic<uint64_t> written_epoch_{0};
  std::atomic<uint64_t> items_added_{0};
  std::atomic<uint64_t> items_dropped_{0};
  std::atomic<uint64_t> merges_{0};
  std::atomic<uint64_t> items_merged_{0};
  std::atomic<uint64_t> active_merges_{0};
  storage::LackOfSpace lacks_space_;
};

}  // namespace vm::mergeset
