#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "select/promql/lanes.h"
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
  size_t i_step = 0, j_step = 0;  // How far they went last: mostly as far as they go next.
  // The first sample later than `time`, at or after `from`.
  const auto advance = [t, n](size_t from, size_t& step, int64_t time) {
    size_t to = from + step;
    if (to > n || (to > from && t[to - 1] > time)) to = from;
    while (to < n && t[to] <= time) ++to;
    step = to - from;
    return to;
  };
  const size_t points = c.PointsCount();
  int64_t end = c.start;
  for (size_t point = 0; point < points; ++point, end += c.step) {
    const int64_t start = end - run.window;
    i = advance(i, i_step, start);
    if (j < i) j = i;
    j = advance(j, j_step, end);
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

/// Windows of consecutive points overlap mostly. FoldLoop folds the samples that several windows share once for all of
/// them, each in a lane of its own; the order of operations within a window stays that of its samples.
///
/// `Fold<T>` is the state of one window (T = double) or of two (T = Lanes): `kFields` and `fields`, what it consists of;
/// `Fold(first sample)`; `Add(T)`, called for the first sample too; `Result(samples, window in ms)`.
template <template <class> class Fold>
uint64_t FoldLoop(const RollupRun& run, double* out) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  constexpr size_t kPairs = 4;
  constexpr size_t kWindows = 2 * kPairs;
  constexpr size_t kMinShared = 8;  // Below that the detour costs more than it saves.
  const double* v = run.values.data();
  const auto fold_one = [&](size_t from, size_t to) {
    if (from == to) return kNaN;
    Fold<double> fold(v[from]);
    for (size_t i = from; i < to; ++i) fold.Add(v[i]);
    return fold.Result(to - from, run.window);
  };
  size_t begin[kWindows], end[kWindows];
  size_t count = 0;
  uint64_t samples = 0;
  const auto flush = [&] {
    const size_t shared_begin = count == 0 ? 0 : begin[count - 1];
    const size_t shared_end = end[0];
    if (count < kWindows || shared_end < shared_begin + kMinShared) {
      for (size_t k = 0; k < count; ++k) *out++ = fold_one(begin[k], end[k]);
      count = 0;
      return;
    }
    Fold<double> one[kWindows];
    for (size_t k = 0; k < kWindows; ++k) {
      one[k] = Fold<double>(v[begin[k]]);
      for (size_t i = begin[k]; i < shared_begin; ++i) one[k].Add(v[i]);
    }
    Fold<Lanes> many[kPairs];
    for (size_t k = 0; k < kPairs; ++k) {
      for (size_t f = 0; f < Fold<Lanes>::kFields; ++f) many[k].fields[f] = Lanes{one[2 * k].fields[f], one[2 * k + 1].fields[f]};
    }
    for (size_t i = shared_begin; i < shared_end; ++i) {
      const Lanes x = {v[i], v[i]};
      for (auto& fold : many) fold.Add(x);
    }
    for (size_t k = 0; k < kWindows; ++k) {
      for (size_t f = 0; f < Fold<Lanes>::kFields; ++f) one[k].fields[f] = many[k / 2].fields[f][k % 2];
      for (size_t i = shared_end; i < end[k]; ++i) one[k].Add(v[i]);
      *out++ = one[k].Result(end[k] - begin[k], run.window);
    }
    count = 0;
  };
  ForEachWindow(run, [&](const RollupWindow& w) {
    begin[count] = static_cast<size_t>(w.values.data() - v);
    end[count] = begin[count] + w.values.size();
    samples += w.values.size();
    if (++count == kWindows) flush();
  });
  flush();
  return samples;
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
