#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/bytes/bytes.h"
#include "lib/model/metric_name.h"

// Internals of indexdb.
namespace vm::indexdb {

/// The series that were registered last, in order. A search that remembers up to where it has seen them needs to match
/// these names alone to be up to date. Nothing is kept while nobody asks. Thread-safe.
class RecentSeries {
 public:
  struct Series {
    uint64_t generation;  // 1 more than that of the series before.
    uint64_t id;
    bool global;                   // Whether global records were added.
    std::optional<uint64_t> date;  // The day whose records were added.
    ByteBuffer name;               // Marshalled, with the tenant.
  };
  struct Added {
    uint64_t generation;  // Up to this one it is all of them.
    std::vector<std::shared_ptr<const Series>> series;
  };

  /// Generation of the last series. What is searched after the call finds it and those before.
  uint64_t generation() const noexcept { return generation_.load(std::memory_order_acquire); }

  /// Requires that a search finds the series from now on.
  void Add(const model::MetricName& name, uint64_t id, bool global, std::optional<uint64_t> date) {
    std::shared_ptr<Series> series;
    if (wanted_.load(std::memory_order_relaxed)) {
      series = std::make_shared<Series>(Series{0, id, global, date, {}});
      name.Marshal(series->name);
    }
    MutexLock lock(mutex_);
    const uint64_t generation = generation_.load(std::memory_order_relaxed) + 1;
    if (series == nullptr) {
      ForgetAllLocked(generation);
    } else if (added_since_asked_ == kMaxSeries) {
      // When nobody asked for as many as are kept, nobody is likely to ask for these.
      ForgetAllLocked(generation);
      wanted_.store(false, std::memory_order_relaxed);
    } else {
      series->generation = generation;
      bytes_ += SizeOf(*series);
      series_.push_back(std::move(series));
      ++added_since_asked_;
      while (series_.size() > kMaxSeries || bytes_ > kMaxBytes) ForgetFirstLocked();
    }
    // Partner of the load in generation(): the series is searchable.
    generation_.store(generation, std::memory_order_release);
  }

  /// Keep the series that come from now on. To be called before generation() of a search that will be remembered.
  void Want() {
    MutexLock lock(mutex_);
    added_since_asked_ = 0;
    wanted_.store(true, std::memory_order_relaxed);
  }

  /// Those that came after `generation`; nothing when some of them are not known any more.
  std::optional<Added> Since(uint64_t generation) {
    MutexLock lock(mutex_);
    if (generation < forgotten_) return std::nullopt;
    added_since_asked_ = 0;
    Added added{generation_.load(std::memory_order_relaxed), {}};
    for (auto series = series_.rbegin(); series != series_.rend() && (*series)->generation > generation; ++series) {
      added.series.push_back(*series);
    }
    return added;
  }

 private:
  static constexpr size_t kMaxSeries = 16384;
  static constexpr size_t kMaxBytes = size_t{8} << 20;

  static size_t SizeOf(const Series& series) { return sizeof(Series) + series.name.capacity(); }
  void ForgetFirstLocked() VM_REQUIRES(mutex_) {
    forgotten_ = series_.front()->generation;
    bytes_ -= SizeOf(*series_.front());
    series_.pop_front();
  }
  void ForgetAllLocked(uint64_t generation) VM_REQUIRES(mutex_) {
    forgotten_ = generation;
    bytes_ = 0;
    series_.clear();
  }

  std::atomic<uint64_t> generation_{1};  // Written under mutex_.
  std::atomic<bool> wanted_{false};      // Written under mutex_.
  Mutex mutex_;
  std::deque<std::shared_ptr<const Series>> series_ VM_GUARDED_BY(mutex_);
  size_t bytes_ VM_GUARDED_BY(mutex_) = 0;
  size_t added_since_asked_ VM_GUARDED_BY(mutex_) = 0;
  uint64_t forgotten_ VM_GUARDED_BY(mutex_) = 0;  // Generation of the last one that is not in series_ any more.
};

}  // namespace vm::indexdb
