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

  size_t size() const noexcept { return tsids_.size(); }
  size_t bytes() const noexcept {
    return pages_.size() * sizeof(uint64_t) + slots_.size() * sizeof(Slot) + tsids_.size() * sizeof(model::Tsid);
  }
  /// How many of the series are below it; kNone for an unknown one. `page` makes the next call quick, 0 at first.
  uint32_t Find(const model::Tsid& tsid, size_t& page) const noexcept {
    const auto id = static_cast<uint64_t>(tsid.metric_id);
    if (page >= pages_.size() || pages_[page] != id / kPageSize) {
      page = PageOf(id / kPageSize);
      if (page == pages_.size()) return kNone;
    }
    const Slot& slot = slots_[page * kPageSize + id % kPageSize];
    return slot.check == CheckOf(tsid) ? slot.rank : kNone;
  }
  const model::Tsid& At(uint32_t rank) const noexcept { return tsids_[rank]; }

 private:
  static constexpr size_t kPageSize = 1024;
  /// A page for fewer series would take more memory than it spares time.
  static constexpr size_t kMinPageSeries = kPageSize / 8;
  struct Slot {
    uint32_t rank = kNone;
    uint32_t check = 0;
  };

  /// Of all but the id. An id has one series, unless somebody put indexes of several nodes together; then its rows must
  /// not go to the other one.
  static uint32_t CheckOf(const model::Tsid& tsid) noexcept {
    const uint64_t instance = uint64_t{tsid.job_id} << 32 | tsid.instance_id;
    const uint64_t tenant = uint64_t{tsid.account_id} << 32 | tsid.project_id;
    const uint64_t mixed = tsid.metric_group_id * 0x9e3779b97f4a7c15 + instance * 0xc2b2ae3d27d4eb4f +
                           tenant * 0x165667b19e3779f9;
    return static_cast<uint32_t>(mixed >> 32);
  }
  /// pages_.size() when there is none.
  size_t PageOf(uint64_t number) const noexcept;

  std::vector<uint64_t> pages_;     // Sorted: metric ids over kPageSize.
  std::vector<Slot> slots_;         // Those of the first page, of the second and so on.
  std::vector<model::Tsid> tsids_;  // By rank.
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
