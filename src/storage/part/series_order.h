#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/model/tsid.h"

namespace vm::storage {

/// The sorted order of series, immutable. A series is found by its metric id: those of one process are consecutive, and
/// rows come in the order in which their series were registered, so that rows read the table from front to back.
class SeriesRanks {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  SeriesRanks() = default;
  /// `known` and the series `added`, of which none may be known. Series whose ids lie too far apart are left out.
  SeriesRanks(const SeriesRanks& known, std::vector<model::Tsid> added);

  size_t size() const noexcept { return slot_of_.size(); }
  size_t bytes() const noexcept {
    return pages_.size() * sizeof(uint64_t) + slots_.size() * sizeof(Slot) + slot_of_.size() * sizeof(uint32_t);
  }
  /// How many of the series are below it; kNone for an unknown one. `page` makes the next call quick, 0 at first.
  uint32_t Find(const model::Tsid& tsid, size_t& page) const noexcept {
    const auto id = static_cast<uint64_t>(tsid.metric_id);
    if (page >= pages_.size() || pages_[page] != id / kPageSize) {
      page = PageOf(id / kPageSize);
      if (page == pages_.size()) return kNone;
    }
    const Slot& slot = slots_[page * kPageSize + id % kPageSize];
    // All of it: ids may come from an index of another node.
    const bool same = slot.metric_group_id == tsid.metric_group_id && slot.instance_id == tsid.instance_id &&
                      slot.job_id == tsid.job_id && slot.account_id == tsid.account_id &&
                      slot.project_id == tsid.project_id;
    return same ? slot.rank : kNone;
  }
  model::Tsid At(uint32_t rank) const noexcept {
    const size_t number = slot_of_[rank];
    const Slot& slot = slots_[number];
    return {slot.account_id, slot.project_id, slot.metric_group_id, slot.job_id, slot.instance_id,
            model::MetricId{pages_[number / kPageSize] * kPageSize + number % kPageSize}};
  }
  /// At(rank) will be asked for soon.
  void ReadAhead(uint32_t rank) const noexcept {
    if (rank < slot_of_.size()) __builtin_prefetch(&slots_[slot_of_[rank]]);
  }

 private:
  static constexpr size_t kPageSize = 1024;
  /// A page for fewer series would take more memory than it spares time.
  static constexpr size_t kMinPageSeries = kPageSize / 8;
  struct Slot {
    uint64_t metric_group_id = 0;
    uint32_t account_id = 0, project_id = 0, job_id = 0, instance_id = 0;
    uint32_t rank = kNone;
  };

  /// pages_.size() when there is none.
  size_t PageOf(uint64_t number) const noexcept;

  std::vector<uint64_t> pages_;    // Sorted: metric ids over kPageSize.
  std::vector<Slot> slots_;        // Those of the first page, of the second and so on.
  std::vector<uint32_t> slot_of_;  // By rank.
};

/// Keeps the order of the series that rows came from lately, so that the rows of a part need be neither hashed nor
/// compared. Thread-safe.
class SeriesOrder {
 public:
  /// With more than `max_bytes` it begins anew.
  explicit SeriesOrder(size_t max_bytes) : max_bytes_(max_bytes) {}

  /// Never null.
  std::shared_ptr<const SeriesRanks> ranks() const VM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return ranks_;
  }
  /// Rows of these series came that ranks() did not know. Many of them are taken over at once.
  void Learn(std::span<const model::Tsid> tsids) VM_EXCLUDES(mutex_);
  /// Give the memory back.
  void Forget() VM_EXCLUDES(mutex_);

 private:
  const size_t max_bytes_;
  mutable Mutex mutex_;
  std::shared_ptr<const SeriesRanks> ranks_ VM_GUARDED_BY(mutex_) = std::make_shared<const SeriesRanks>();
  std::vector<model::Tsid> fresh_ VM_GUARDED_BY(mutex_);
  bool is_learning_ VM_GUARDED_BY(mutex_) = false;  // A thread is about to replace ranks_.
};

}  // namespace vm::storage
