#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/mutex.h"

namespace vm::metrics {

/// A number that grows. Thread-safe.
class Counter {
 public:
  void Inc() noexcept { Add(1); }
  void Add(uint64_t n) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  /// For a time or a number that is counted elsewhere.
  void Set(uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  uint64_t Get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

/// A number that goes up and down. Thread-safe.
class Gauge {
 public:
  void Set(double value) noexcept { value_.store(value, std::memory_order_relaxed); }
  void Add(double delta) noexcept { value_.fetch_add(delta, std::memory_order_relaxed); }
  void Inc() noexcept { Add(1); }
  void Dec() noexcept { Add(-1); }
  double Get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

/// A distribution in the `vmrange` buckets: 18 per decade from 1e-9 to 1e18. Thread-safe.
class Histogram {
 public:
  /// Negative numbers and NaN are ignored.
  void Update(double value) VM_EXCLUDES(mutex_);
  /// Many at once for the price of one lock.
  void UpdateAll(std::span<const double> values) VM_EXCLUDES(mutex_);

 private:
  friend class Registry;
  void UpdateLocked(double value) VM_REQUIRES(mutex_);
  static constexpr int kDecades = 27;
  static constexpr int kBucketsPerDecade = 18;

  mutable Mutex mutex_;
  std::array<uint64_t, kDecades * kBucketsPerDecade> buckets_ VM_GUARDED_BY(mutex_){};
  uint64_t lower_ VM_GUARDED_BY(mutex_) = 0;
  uint64_t upper_ VM_GUARDED_BY(mutex_) = 0;
  double sum_ VM_GUARDED_BY(mutex_) = 0;
};

/// Quantiles of the last 2.5 to 5 minutes, sum and count of all time. Thread-safe.
class Summary {
 public:
  void Update(double value);

 private:
  friend class Registry;
  static constexpr size_t kMaxSamples = 1000;
  static constexpr std::chrono::seconds kHalfWindow{150};

  /// A random sample of the values, and their extremes.
  struct Reservoir {
    void Update(double value, uint64_t random);
    double Quantile(double phi, const std::vector<double>& sorted) const;
    std::vector<double> samples;
    uint64_t count = 0;
    double min = 0, max = 0;
  };
  void RotateLocked(std::chrono::steady_clock::time_point now) VM_REQUIRES(mutex_);

  mutable Mutex mutex_;
  Reservoir current_ VM_GUARDED_BY(mutex_);
  Reservoir next_ VM_GUARDED_BY(mutex_);  // Has the newer half only; replaces current_.
  std::chrono::steady_clock::time_point rotate_at_ VM_GUARDED_BY(mutex_) =
      std::chrono::steady_clock::now() + kHalfWindow;
  uint64_t random_ VM_GUARDED_BY(mutex_) = 0x9e3779b97f4a7c15;
  double sum_ VM_GUARDED_BY(mutex_) = 0;
  uint64_t count_ VM_GUARDED_BY(mutex_) = 0;
};

/// Named metrics of one daemon. Names carry their labels: `foo_total{path="/x"}`. The references
/// returned live as long as the registry. Thread-safe.
class Registry {
 public:
  Registry() = default;
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// Create the metric, or return the one of that name. Requires that the name keeps its kind.
  Counter& GetCounter(std::string_view name);
  Gauge& GetGauge(std::string_view name);
  Histogram& GetHistogram(std::string_view name);
  Summary& GetSummary(std::string_view name);
  /// A gauge that is computed when metrics are written. `read` must be thread-safe and must not call
  /// the registry. A callback of the same name is replaced.
  void SetGaugeCallback(std::string_view name, std::function<double()> read);
  /// The same for a number that grows.
  void SetCounterCallback(std::string_view name, std::function<double()> read);
  /// Forget the callback of either kind; on return it is not running.
  void RemoveGaugeCallback(std::string_view name);

  /// Append all metrics as Prometheus text, sorted by name; `with_metadata`: with HELP and TYPE lines.
  void Write(std::string& dst, bool with_metadata = false) const;

 private:
  struct Entry {
    std::unique_ptr<Counter> counter;
    std::unique_ptr<Gauge> gauge;
    std::unique_ptr<Histogram> histogram;
    std::unique_ptr<Summary> summary;
    std::function<double()> read;
    bool is_read_counter = false;  // What `read` computes.
  };
  /// The entry `name`, for use as the kind of which `kind` is the member.
  template <class T>
  T& Get(std::string_view name, std::unique_ptr<T> Entry::*kind);
  void SetCallback(std::string_view name, std::function<double()> read, bool is_counter);
  mutable Mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_ VM_GUARDED_BY(mutex_);
};

/// Append process_* metrics of this process (Linux); `with_metadata`: with HELP and TYPE lines.
void WriteProcessMetrics(std::string& dst, bool with_metadata = false);
/// Append the HELP and TYPE lines of a metric name.
void AppendMetadata(std::string& dst, std::string_view name, std::string_view type);
/// Append `value` as the reference prints it: integers without a point, shortest digits otherwise.
void AppendValue(std::string& dst, double value);

}  // namespace vm::metrics
