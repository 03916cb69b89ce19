#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/metricsql/ast.h"
#include "lib/metrics/metrics.h"
#include "lib/model/time_range.h"
#include "select/cache/result_cache.h"
#include "select/promql/eval.h"

namespace vm::select {

struct RollupCacheOptions {
  size_t max_bytes = 0;                                   // 0: nothing is kept.
  int64_t timestamp_offset_ms = 5 * 60 * 1000;            // -search.cacheTimestampOffset
  int64_t min_instant_window_ms = 3 * 3600 * 1000;        // -search.minWindowForInstantRollupOptimization
  std::string fingerprint;                                // Of the settings that results depend on.
  std::function<int64_t()> now_ms = nullptr;              // Unix time; null: the clock of the system.
  metrics::Registry* registry = nullptr;                  // May be null. Must outlive the cache.

  RollupCacheOptions() {}
};

/// Results of rollups over selectors, so that a query that comes again reads only what is new. What lies less than
/// timestamp_offset_ms back is never kept: samples may still arrive. Thread-safe.
/// Reference: VictoriaMetrics app/vmselect/promql/rollup_result_cache.go.
class RollupCache {
 public:
  /// The values on the front of a grid, if there are any.
  struct Front {
    std::vector<TimeSeries> series;
    int64_t next = 0;  // The first time of the grid that they do not hold.
  };

  explicit RollupCache(RollupCacheOptions options);
  ~RollupCache();
  RollupCache(const RollupCache&) = delete;
  RollupCache& operator=(const RollupCache&) = delete;

  const RollupCacheOptions& options() const noexcept { return options_; }
  int64_t NowMs() const;

  /// What `expr` with this window is kept under, on any grid with the step of `context`.
  static std::string RangeKey(const EvalContext& context, const metricsql::Expr& expr, int64_t window);
  /// The same for values at one time.
  static std::string InstantKey(const EvalContext& context, const metricsql::Expr& expr, int64_t window);

  /// The front of the grid of `context`; counts a request and what became of it. Errors: kLimitExceeded when there is no
  /// memory for it.
  Result<Front> Get(const EvalContext& context, const std::string& key);
  /// Keep what is old enough. `series` are the values on the whole grid of `context`.
  void Put(const EvalContext& context, const std::string& key, const std::vector<TimeSeries>& series);

  /// Values at one time, which becomes `timestamp`; empty when there are none.
  Result<std::vector<TimeSeries>> GetInstant(const EvalContext& context, const std::string& key, int64_t& timestamp);
  void PutInstant(const EvalContext& context, const std::string& key, int64_t timestamp, const std::vector<TimeSeries>& series);
  void RemoveInstant(const std::string& key) { results_.Remove(key); }

  /// Forget everything: what is stored has changed.
  void Reset();
  /// Take what SaveTo wrote under the same fingerprint, and remove the file: after a crash it might tell of series that are
  /// deleted by then. What goes wrong is logged.
  void LoadFrom(fs::FileSystem& fs, const std::string& path);
  /// Not while queries run. What goes wrong is logged.
  void SaveTo(fs::FileSystem& fs, const std::string& path) const;

  metrics::Counter& requests() noexcept { return requests_; }
  metrics::Counter& partial_hits() noexcept { return partial_hits_; }
  metrics::Counter& misses() noexcept { return misses_; }

 private:
  /// The values in `range`; with `at` those at one time, which is told. None when there are none, or broken ones. Errors:
  /// kLimitExceeded.
  Result<std::vector<TimeSeries>> Load(const EvalContext& context, const std::string& key, model::TimeRange range, int64_t* at);
  /// Empty when the result is too big, or there is no memory to pack it.
  ByteBuffer PackWithin(const EvalContext& context, int64_t start, size_t points_count, const std::vector<TimeSeries>& series);

  const RollupCacheOptions options_;
  ResultCache results_;
  metrics::Registry own_registry_;  // When none was given.
  metrics::Registry& registry_;
  metrics::Counter& requests_;
  metrics::Counter& full_hits_;
  metrics::Counter& partial_hits_;
  metrics::Counter& misses_;
  metrics::Counter& resets_;
  metrics::Counter& too_big_;
};

/// Whether two of them have the same name.
bool HasDuplicates(const std::vector<TimeSeries>& series);
/// Put the values of `front`, which are those of the first points of a grid with `points_count` points, before those of
/// `rest`. Series that only one of them has are NaN elsewhere. False, and both hold anything, when one of them has two series of
/// the same name.
bool JoinFront(std::vector<TimeSeries> front, std::vector<TimeSeries>& rest, size_t front_points, size_t points_count);

}  // namespace vm::select
