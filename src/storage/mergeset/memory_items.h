#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "storage/mergeset/postings.h"

namespace vm::mergeset {

inline constexpr size_t kMaxItemSize = 64 * 1024;

/// Items one after another, and where each ends: 4 bytes an item beside its own.
class ItemRun {
 public:
  size_t size() const noexcept { return ends_.size(); }
  bool empty() const noexcept { return ends_.empty(); }
  size_t bytes() const noexcept { return data_.size() + ends_.size() * sizeof(uint32_t); }
  ByteView Item(size_t i) const noexcept {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return ByteView(data_).subspan(begin, ends_[i] - begin);
  }
  void Add(ByteView item) {
    Append(data_, item);
    ends_.push_back(static_cast<uint32_t>(data_.size()));
  }
  /// Add one item: `head`, `tail` and each id as eight bytes.
  void Add(ByteView head, ByteView tail, std::span<const uint64_t> ids);
  void Reserve(size_t bytes, size_t items) {
    data_.reserve(bytes);
    ends_.reserve(items);
  }
  /// Index of the first item not below `key`. Requires sorted items.
  size_t LowerBound(ByteView key) const noexcept;
  /// A run with the same items, sorted, each once.
  ItemRun Sorted() const;

 private:
  ByteBuffer data_;
  std::vector<uint32_t> ends_;
};

using ItemRuns = std::vector<std::shared_ptr<const ItemRun>>;

/// Call `visit` for the items of sorted runs in order, each once; stops at the first error.
Status MergeRuns(const ItemRuns& runs, const std::function<Status(ByteView)>& visit);

/// Items that are not on disk yet. Adding appends; what was added is sorted in pieces, when a piece is full or when
/// somebody wants to see it. Nobody waits for a piece to be sorted but who wants to see it. Thread-safe.
class MemoryItems {
 public:
  /// `epoch` numbers the sets of a table.
  explicit MemoryItems(uint64_t epoch) : epoch_(epoch) {}

  /// Returns whether a piece is full: SortFull should be called, without locks.
  bool Add(std::span<const ByteView> items, const Postings& postings = {}) VM_EXCLUDES(mutex_);
  /// Sort the pieces that are full.
  void SortFull() VM_EXCLUDES(mutex_);
  /// All items, in sorted runs.
  ItemRuns Runs() VM_EXCLUDES(mutex_);
  size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  /// Items added; duplicates may count.
  size_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  uint64_t epoch() const noexcept { return epoch_; }

 private:
  /// Items that are taken out to be sorted.
  struct Piece {
    ItemRun items;
    PostingTable postings;
    size_t bytes = 0;
    uint64_t number = 0;
  };

  Piece TakeLocked(bool items, bool postings) VM_REQUIRES(mutex_);
  /// Sort a piece and add it to the runs.
  void Sort(Piece piece) VM_EXCLUDES(mutex_);
  void AddRun(std::shared_ptr<const ItemRun> run) VM_REQUIRES(mutex_);
  void UpdateBytes() VM_REQUIRES(mutex_);

  const uint64_t epoch_;
  mutable Mutex mutex_;
  CondVar sorted_;
  ItemRun pending_ VM_GUARDED_BY(mutex_);
  PostingTable postings_ VM_GUARDED_BY(mutex_);
  uint64_t next_piece_ VM_GUARDED_BY(mutex_) = 0;
  std::set<uint64_t> pieces_ VM_GUARDED_BY(mutex_);  // Numbers of those that are being sorted: in no other member.
  size_t pieces_bytes_ VM_GUARDED_BY(mutex_) = 0;
  ItemRuns runs_ VM_GUARDED_BY(mutex_);
  size_t runs_bytes_ VM_GUARDED_BY(mutex_) = 0;
  std::atomic<size_t> bytes_{0};
  std::atomic<size_t> count_{0};
};

}  // namespace vm::mergeset
