#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "select/promql/rollup.h"

/// How windows move over samples. Shared by the sources of the rollup functions, not for others.
namespace vm::select {

/// One run over one series.
struct RollupRun {
  const RollupConfig& config;
  int64_t window;             // In effect, after adjusting.
  int64_t max_prev_interval;  // Older samples before a window do not count.
  std::span<const double> values;
  std::span<const int64_t> timestamps;
  std::span<const double> arg0;
  std::span<const double> arg1;
  std::vector<double>* scratch;
};

/// Call `visit(const RollupWindow&)` for every point of the grid. Samples are in (end - window, end].
template <class Visit>
inline void ForEachWindow(const RollupRun& run, Visit&& visit) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const RollupConfig& c = run.config;
  const double* v = run.values.data();
  const int64_t* t = run.timestamps.data();
  const size_t n = run.values.size();
  RollupWindow w;
  w.window = run.window;
  w.arg0 = run.arg0;
  w.arg1 = run.arg1;
  w.scratch = run.scratch;
  size_t i = 0, j = 0;
  const size_t points = c.PointsCount();
  int64_t end = c.start;
  for (size_t point = 0; point < points; ++point, end += c.step) {
    const int64_t start = end - run.window;
    while (i < n && t[i] <= start) ++i;
    if (j < i) j = i;
    while (j < n && t[j] <= end) ++j;
    w.prev_value = kNaN;
    w.prev_timestamp = start - run.max_prev_interval;
    w.real_prev_value = kNaN;
    if (i > 0) {
      if (i < n && t[i - 1] > w.prev_timestamp) {
        w.prev_value = v[i - 1];
        w.prev_timestamp = t[i - 1];
      }
      const int64_t first = j > i ? t[i] : start;
      if (c.lookback_delta == 0 || first - t[i - 1] < c.lookback_delta) w.real_prev_value = v[i - 1];
    }
    w.values = {v + i, j - i};
    w.timestamps = {t + i, j - i};
    w.real_next_value = j < n ? v[j] : kNaN;
    w.end = end;
    w.index = point;
    visit(w);
  }
}

/// The loop of one window function, which the compiler can put into it.
template <WindowFunc F>
uint64_t LoopOf(const RollupRun& run, double* out) {
  uint64_t samples = 0;
  ForEachWindow(run, [&](const RollupWindow& w) {
    *out++ = F(w);
    samples += w.values.size();
  });
  return samples;
}

// Loops of `rollup_candlestick`, which are no functions on their own.
extern const RollupLoop kOpenLoop;
extern const RollupLoop kCloseLoop;
extern const RollupLoop kHighLoop;
extern const RollupLoop kLowLoop;

}  // namespace vm::select
