#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lib/base/mutex.h"

namespace vm::storage {

/// Lets so many different keys pass in a period: a Bloom filter of 16 bits a key that is emptied when the period ends.
/// When the limit is reached, keys that passed before still pass (and a few others, by chance). Thread-safe.
/// Reference: VictoriaMetrics lib/bloomfilter.
class SeriesLimiter {
 public:
  /// `max_series` 0 lets everything pass and costs nothing.
  SeriesLimiter(uint64_t max_series, int64_t period_ms, int64_t now_ms);
  ~SeriesLimiter();
  SeriesLimiter(const SeriesLimiter&) = delete;
  SeriesLimiter& operator=(const SeriesLimiter&) = delete;

  /// Whether `key`, a hash, may pass.
  bool Add(uint64_t key, int64_t now_ms) {
    if (max_series_ == 0) return true;
    if (now_ms >= period_end_ms_.load(std::memory_order_relaxed)) StartPeriod(now_ms);
    if (HasOrAdd(key)) return true;
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }

  uint64_t max_series() const noexcept { return max_series_; }
  uint64_t current_series() const noexcept { return count_.load(std::memory_order_relaxed); }
  /// Keys that were refused, since the beginning.
  uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

 private:
  void StartPeriod(int64_t now_ms) VM_EXCLUDES(period_mutex_);
  bool HasOrAdd(uint64_t key);

  const uint64_t max_series_;
  const int64_t period_ms_;
  size_t bytes_ = 0;
  std::atomic<uint64_t>* words_ = nullptr;  // Mapped: memory is used as far as bits are set.
  std::atomic<uint64_t> count_{0};
  std::atomic<uint64_t> dropped_{0};
  std::atomic<int64_t> period_end_ms_;
  Mutex period_mutex_;
};

}  // namespace vm::storage
