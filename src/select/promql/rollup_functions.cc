#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <unordered_map>

#include "lib/decimal/decimal.h"
#include "select/promql/rollup_loop.h"
#include "select/promql/stats.h"

namespace vm::select {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

double Seconds(int64_t ms) { return static_cast<double>(ms) / 1e3; }
double CountOf(const RollupWindow& w) { return static_cast<double>(w.values.size()); }
bool HasPrev(const RollupWindow& w) { return !std::isnan(w.prev_value); }

/// For functions that have no value without samples.
template <WindowFunc F>
double NonEmpty(const RollupWindow& w) {
  return w.values.empty() ? kNaN : F(w);
}

// Values and moments.

double Count(const RollupWindow& w) { return CountOf(w); }
double Present(const RollupWindow&) { return 1; }
double Absent(const RollupWindow& w) { return w.values.empty() ? 1 : kNaN; }
double First(const RollupWindow& w) { return w.values.front(); }
double Last(const RollupWindow& w) { return w.values.back(); }
double FirstTime(const RollupWindow& w) { return Seconds(w.timestamps.front()); }
double LastTime(const RollupWindow& w) { return Seconds(w.timestamps.back()); }

double Sum(const RollupWindow& w) {
  double sum = 0;
  for (const double v : w.values) sum += v;
  return sum;
}
double Sum2(const RollupWindow& w) {
  double sum = 0;
  for (const double v : w.values) sum += v * v;
  return sum;
}
double Avg(const RollupWindow& w) { return Sum(w) / CountOf(w); }
double Min(const RollupWindow& w) {
  double min = w.values[0];
  for (const double v : w.values) min = v < min ? v : min;
  return min;
}
double Max(const RollupWindow& w) {
  double max = w.values[0];
  for (const double v : w.values) max = v > max ? v : max;
  return max;
}
double Range(const RollupWindow& w) { return Max(w) - Min(w); }
double Geomean(const RollupWindow& w) {
  double product = 1;
  for (const double v : w.values) product *= v;
  return std::pow(product, 1 / CountOf(w));
}
/// Of several equal extremes the last one counts.
double MinTime(const RollupWindow& w) {
  size_t best = 0;
  for (size_t i = 0; i < w.values.size(); ++i) {
    if (w.values[i] <= w.values[best]) best = i;
  }
  return Seconds(w.timestamps[best]);
}
double MaxTime(const RollupWindow& w) {
  size_t best = 0;
  for (size_t i = 0; i < w.values.size(); ++i) {
    if (w.values[i] >= w.values[best]) best = i;
  }
  return Seconds(w.timestamps[best]);
}
double StdvarOf(const RollupWindow& w) { return Stdvar(w.values); }
double StddevOf(const RollupWindow& w) { return std::sqrt(Stdvar(w.values)); }
double StaleSamples(const RollupWindow& w) {
  return static_cast<double>(std::count_if(w.values.begin(), w.values.end(), decimal::IsStaleNaN));
}
double Distinct(const RollupWindow& w) {
  auto& sorted = *w.scratch;
  sorted.assign(w.values.begin(), w.values.end());
  std::sort(sorted.begin(), sorted.end());
  return static_cast<double>(std::unique(sorted.begin(), sorted.end()) - sorted.begin());
}
double ModeOf(const RollupWindow& w) {
  w.scratch->assign(w.values.begin(), w.values.end());
  return Mode(w.prev_value, *w.scratch);
}

// Quantiles.

double QuantileOf(const RollupWindow& w) { return Quantile(w.arg0[w.index], w.values, *w.scratch); }
double Median(const RollupWindow& w) { return Quantile(0.5, w.values, *w.scratch); }
double Mad(const RollupWindow& w) { return MedianDeviation(w.values, *w.scratch); }
double OutlierIqr(const RollupWindow& w) {
  if (w.values.size() < 2) return kNaN;
  const auto bounds = InterquartileBounds(w.values, *w.scratch);
  const double v = w.values.back();
  return v > bounds.upper || v < bounds.lower ? v : kNaN;
}

// Counters and differences.

double Delta(const RollupWindow& w) {
  auto v = w.values;
  double prev = w.prev_value;
  if (std::isnan(prev)) {
    if (v.empty()) return kNaN;
    // The value did not change during the gap.
    if (!std::isnan(w.real_prev_value)) return v.back() - w.real_prev_value;
    // A series that starts here started from 0, unless its first value is large against the next difference: such
    // counters are older than what is stored.
    double d = 0;
    if (v.size() > 1) {
      d = v[1] - v[0];
    } else if (!std::isnan(w.real_next_value)) {
      d = w.real_next_value - v[0];
    }
    if (std::fabs(v[0]) < 10 * (std::fabs(d) + 1)) {
      prev = 0;
    } else {
      prev = v[0];
      v = v.subspan(1);
    }
  }
  return v.empty() ? 0 : v.back() - prev;
}
double DeltaPrometheus(const RollupWindow& w) { return w.values.size() < 2 ? kNaN : w.values.back() - w.values.front(); }
double RatePrometheus(const RollupWindow& w) {
  const double delta = DeltaPrometheus(w);
  return std::isnan(delta) || w.window == 0 ? kNaN : delta / Seconds(w.window);
}
double IncreasePure(const RollupWindow& w) {
  double prev = w.prev_value;
  if (std::isnan(prev)) {
    if (w.values.empty()) return kNaN;
    prev = std::isnan(w.real_prev_value) ? 0 : w.real_prev_value;
  }
  return w.values.empty() ? 0 : w.values.back() - prev;
}
double DerivFast(const RollupWindow& w) {
  double prev = w.prev_value;
  int64_t prev_timestamp = w.prev_timestamp;
  if (std::isnan(prev)) {
    // One sample does not tell how long the change took.
    if (w.values.size() < 2) return kNaN;
    prev = w.values[0];
    prev_timestamp = w.timestamps[0];
  } else if (w.values.empty()) {
    return 0;
  }
  return (w.values.back() - prev) / Seconds(w.timestamps.back() - prev_timestamp);
}
double DerivSlow(const RollupWindow& w) { return LinearRegression(w.values, w.timestamps, w.end).slope_per_second; }
double Ideriv(const RollupWindow& w) {
  const size_t n = w.values.size();
  if (n == 0) return kNaN;
  const double last = w.values.back();
  const int64_t last_timestamp = w.timestamps.back();
  const auto slope = [&](double v, int64_t t) { return (last - v) / Seconds(last_timestamp - t); };
  if (n == 1) return HasPrev(w) ? slope(w.prev_value, w.prev_timestamp) : kNaN;
  for (size_t i = n - 1; i-- > 0;) {
    if (w.timestamps[i] < last_timestamp) return slope(w.values[i], w.timestamps[i]);
  }
  return HasPrev(w) ? slope(w.prev_value, w.prev_timestamp) : 0;
}
double Idelta(const RollupWindow& w) {
  const size_t n = w.values.size();
  if (n == 0) return HasPrev(w) ? 0 : kNaN;
  if (n == 1) return HasPrev(w) ? w.values[0] - w.prev_value : w.values[0];
  return w.values[n - 1] - w.values[n - 2];
}
double RateOverSum(const RollupWindow& w) { return Sum(w) / Seconds(w.window); }

/// Differences this small come from rounding.
bool IsNoise(double v, double prev) { return std::fabs(v - prev) < 1e-12 * std::fabs(v); }

double CountChanges(std::span<const double> values, double prev, double n) {
  for (const double v : values) {
    if (v == prev || IsNoise(v, prev)) continue;
    ++n;
    prev = v;
  }
  return n;
}
double Changes(const RollupWindow& w) {
  if (HasPrev(w)) return CountChanges(w.values, w.prev_value, 0);
  if (w.values.empty()) return kNaN;
  if (!std::isnan(w.real_prev_value)) return CountChanges(w.values, w.real_prev_value, 0);
  return CountChanges(w.values.subspan(1), w.values[0], 1);
}
double ChangesPrometheus(const RollupWindow& w) { return CountChanges(w.values.subspan(1), w.values[0], 0); }

template <bool kUp>
double CountSteps(const RollupWindow& w) {
  if (w.values.empty()) return HasPrev(w) ? 0 : kNaN;
  double prev = HasPrev(w) ? w.prev_value : w.values[0];
  double n = 0;
  for (const double v : w.values) {
    if ((kUp ? v > prev : v < prev) && !IsNoise(v, prev)) ++n;
    prev = v;
  }
  return n;
}
template <bool kUp>
double SumSteps(const RollupWindow& w) {
  if (!HasPrev(w) && w.values.empty()) return kNaN;
  double prev = HasPrev(w) ? w.prev_value : w.values[0];
  double sum = 0;
  for (const double v : w.values) {
    const double d = kUp ? v - prev : prev - v;
    if (d > 0) sum += d;
    prev = v;
  }
  return sum;
}

// Times.

double Lag(const RollupWindow& w) {
  if (!w.timestamps.empty()) return Seconds(w.end - w.timestamps.back());
  return HasPrev(w) ? Seconds(w.end - w.prev_timestamp) : kNaN;
}
double Lifetime(const RollupWindow& w) {
  if (HasPrev(w)) return w.timestamps.empty() ? kNaN : Seconds(w.timestamps.back() - w.prev_timestamp);
  return w.timestamps.size() < 2 ? kNaN : Seconds(w.timestamps.back() - w.timestamps.front());
}
double ScrapeInterval(const RollupWindow& w) {
  if (HasPrev(w)) return w.timestamps.empty() ? kNaN : Seconds(w.timestamps.back() - w.prev_timestamp) / CountOf(w);
  return w.timestamps.size() < 2 ? kNaN : Seconds(w.timestamps.back() - w.timestamps.front()) / (CountOf(w) - 1);
}
double LastChangeTime(const RollupWindow& w) {
  const double last = w.values.back();
  for (size_t i = w.values.size() - 1; i-- > 0;) {
    if (w.values[i] != last) return Seconds(w.timestamps[i + 1]);
  }
  return !HasPrev(w) || w.prev_value != last ? Seconds(w.timestamps[0]) : kNaN;
}
double Duration(const RollupWindow& w) {
  const int64_t max_gap = BoundedInt(w.arg0[w.index] * 1000);
  int64_t sum = 0;
  int64_t prev = w.timestamps[0];
  for (const int64_t t : w.timestamps) {
    if (t - prev <= max_gap) sum += t - prev;
    prev = t;
  }
  return static_cast<double>(sum) / 1000;
}
double Integrate(const RollupWindow& w) {
  double prev = w.prev_value;
  int64_t prev_timestamp = w.end - w.window;
  size_t i = 0;
  if (std::isnan(prev)) {
    if (w.values.empty()) return kNaN;
    prev = w.values[0];
    prev_timestamp = w.timestamps[0];
    i = 1;
  }
  double sum = 0;
  for (; i < w.values.size(); ++i) {
    sum += prev * Seconds(w.timestamps[i] - prev_timestamp);
    prev_timestamp = w.timestamps[i];
    prev = w.values[i];
  }
  // A series that has ended gains nothing after its end.
  if (!std::isnan(w.real_next_value)) sum += prev * Seconds(w.end - prev_timestamp);
  return sum;
}

// Functions with scalars.

template <class Test>
double CountIf(const RollupWindow& w, Test test) {
  const double limit = w.arg0[w.index];
  size_t n = 0;
  for (const double v : w.values) n += test(v, limit);
  return static_cast<double>(n);
}
template <class Test>
double SumIf(const RollupWindow& w, Test test) {
  const double limit = w.arg0[w.index];
  double sum = 0;
  for (const double v : w.values) {
    if (test(v, limit)) sum += v;
  }
  return sum;
}
double CountEq(const RollupWindow& w) { return CountIf(w, std::equal_to<>()); }
double CountNe(const RollupWindow& w) { return CountIf(w, std::not_equal_to<>()); }
double CountGt(const RollupWindow& w) { return CountIf(w, std::greater<>()); }
double CountLe(const RollupWindow& w) { return CountIf(w, std::less_equal<>()); }
double SumEq(const RollupWindow& w) { return SumIf(w, std::equal_to<>()); }
double SumGt(const RollupWindow& w) { return SumIf(w, std::greater<>()); }
double SumLe(const RollupWindow& w) { return SumIf(w, std::less_equal<>()); }
template <WindowFunc F>
double Share(const RollupWindow& w) {
  return F(w) / CountOf(w);
}

double HoeffdingBound(const RollupWindow& w) {
  if (w.values.size() == 1) return 0;
  const double range = Range(w);
  const double phi = w.arg0[w.index];
  if (range <= 0) return 0;
  if (phi >= 1) return kInf;
  if (phi <= 0) return 0;
  return range * std::sqrt(std::log(1 / (1 - phi)) / (2 * CountOf(w)));
}
double HoeffdingLower(const RollupWindow& w) { return Avg(w) - HoeffdingBound(w); }
double HoeffdingUpper(const RollupWindow& w) { return Avg(w) + HoeffdingBound(w); }

double PredictLinear(const RollupWindow& w) {
  const Line line = LinearRegression(w.values, w.timestamps, w.end);
  return std::isnan(line.value) ? kNaN : line.value + line.slope_per_second * w.arg0[w.index];
}
/// Double exponential smoothing.
double HoltWinters(const RollupWindow& w) {
  const double sf = w.arg0[w.index], tf = w.arg1[w.index];
  if (sf < 0 || sf > 1 || tf < 0 || tf > 1) return kNaN;
  auto v = w.values;
  double level = w.prev_value;
  if (std::isnan(level)) {
    level = v[0];
    v = v.subspan(1);
    if (v.empty()) return level;
  }
  double trend = v[0] - level;
  for (const double x : v) {
    const double next = sf * x + (1 - sf) * (level + trend);
    trend = tf * (next - level) + (1 - tf) * trend;
    level = next;
  }
  return level;
}

double ZScore(const RollupWindow& w) {
  const double interval = ScrapeInterval(w);
  const double lag = Lag(w);
  if (std::isnan(interval) || std::isnan(lag) || lag > interval) return kNaN;
  const double d = Last(w) - Avg(w);
  return d == 0 ? 0 : d / StddevOf(w);
}

// Candlesticks see only samples before the end of the window, and one that is exactly at its start.

std::span<const double> CandleValues(const RollupWindow& w) {
  size_t n = w.timestamps.size();
  while (n > 0 && w.timestamps[n - 1] >= w.end) --n;
  return w.values.first(n);
}
double CandleFirst(const RollupWindow& w) { return w.prev_timestamp + w.window >= w.end ? w.prev_value : kNaN; }
double Open(const RollupWindow& w) {
  const double first = CandleFirst(w);
  if (!std::isnan(first)) return first;
  const auto v = CandleValues(w);
  return v.empty() ? kNaN : v[0];
}
double Close(const RollupWindow& w) {
  const auto v = CandleValues(w);
  return v.empty() ? CandleFirst(w) : v.back();
}
template <class Better>
double CandleExtreme(const RollupWindow& w, Better better) {
  double best = CandleFirst(w);
  for (const double v : CandleValues(w)) {
    if (std::isnan(best) || better(v, best)) best = v;
  }
  return best;
}
double High(const RollupWindow& w) { return CandleExtreme(w, std::greater<>()); }
double Low(const RollupWindow& w) { return CandleExtreme(w, std::less<>()); }

// The same as functions of samples alone, several windows at once.

template <class T>
struct SumFold {
  static constexpr size_t kFields = 1;
  T fields[kFields];
  SumFold() = default;
  explicit SumFold(double) : fields{} {}
  void Add(T v) { fields[0] += v; }
  double Result(size_t, int64_t) const { return fields[0]; }
};
template <class T>
struct AvgFold : SumFold<T> {
  using SumFold<T>::SumFold;
  double Result(size_t samples, int64_t) const { return this->fields[0] / static_cast<double>(samples); }
};
template <class T>
struct RateOverSumFold : SumFold<T> {
  using SumFold<T>::SumFold;
  double Result(size_t, int64_t window) const { return this->fields[0] / Seconds(window); }
};
template <class T>
struct Sum2Fold : SumFold<T> {
  using SumFold<T>::SumFold;
  void Add(T v) { this->fields[0] += v * v; }
};
template <class T>
struct MinFold {
  static constexpr size_t kFields = 1;
  T fields[kFields];
  MinFold() = default;
  explicit MinFold(double first) : fields{first} {}
  void Add(T v) { fields[0] = Lower(v, fields[0]); }
  double Result(size_t, int64_t) const { return fields[0]; }
};
template <class T>
struct MaxFold : MinFold<T> {
  using MinFold<T>::MinFold;
  void Add(T v) { this->fields[0] = Higher(v, this->fields[0]); }
};
template <class T>
struct RangeFold {
  static constexpr size_t kFields = 2;  // Minimum, maximum.
  T fields[kFields];
  RangeFold() = default;
  explicit RangeFold(double first) : fields{first, first} {}
  void Add(T v) {
    fields[0] = Lower(v, fields[0]);
    fields[1] = Higher(v, fields[1]);
  }
  double Result(size_t, int64_t) const { return fields[1] - fields[0]; }
};
/// Requires samples without NaN.
template <class T>
struct StdvarFold {
  static constexpr size_t kFields = 3;  // Mean, count, sum of squared distances.
  T fields[kFields];
  StdvarFold() = default;
  explicit StdvarFold(double) : fields{} {}
  void Add(T v) {
    fields[1] += 1;
    const T next = fields[0] + (v - fields[0]) / fields[1];
    fields[2] += (v - fields[0]) * (v - next);
    fields[0] = next;
  }
  double Result(size_t, int64_t) const { return fields[2] / fields[1]; }
};
template <class T>
struct StddevFold : StdvarFold<T> {
  using StdvarFold<T>::StdvarFold;
  double Result(size_t samples, int64_t window) const { return std::sqrt(StdvarFold<T>::Result(samples, window)); }
};

bool HasNaN(std::span<const double> values) {
  return std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); });
}
/// With staleness markers among the samples these would have to leave them out.
template <WindowFunc F, template <class> class Fold>
uint64_t FoldLoopUnlessNaN(const RollupRun& run, double* out) {
  return HasNaN(run.values) ? LoopOf<F>(run, out) : FoldLoop<Fold>(run, out);
}

/// Samples of a window in ascending order, kept so while it moves. NaN is left out.
class SortedWindow {
 public:
  explicit SortedWindow(std::vector<double>& memory) : sorted_(memory) { sorted_.clear(); }

  /// Nanoseconds, roughly: a search and the bytes that make room or close a gap.
  static size_t MoveCost(size_t changes, size_t samples) { return changes * (40 + samples / 5); }
  static constexpr size_t kSelectCost = 5;  // Per sample, to select a quantile; to sort.
  static constexpr size_t kSortCost = 30;

  /// Move to samples [begin, end) of `v`; both only grow.
  const std::vector<double>& MoveTo(const double* v, size_t begin, size_t end) {
    const size_t changes = (begin - begin_) + (end - end_);
    if (begin >= end_ || MoveCost(changes, end - begin) > kSortCost * (end - begin)) {
      sorted_.clear();
      for (size_t i = begin; i < end; ++i) {
        if (!std::isnan(v[i])) sorted_.push_back(v[i]);
      }
      std::sort(sorted_.begin(), sorted_.end());
    } else {
      for (size_t i = begin_; i < begin; ++i) {
        if (!std::isnan(v[i])) sorted_.erase(std::lower_bound(sorted_.begin(), sorted_.end(), v[i]));
      }
      for (size_t i = end_; i < end; ++i) {
        if (!std::isnan(v[i])) sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), v[i]), v[i]);
      }
    }
    begin_ = begin;
    end_ = end;
    return sorted_;
  }

 private:
  std::vector<double>& sorted_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

/// True when windows share so many samples that keeping them sorted is cheaper than selecting in each window.
bool SharesMostSamples(const RollupRun& run) {
  if (run.timestamps.size() < 64 || run.config.PointsCount() < 8) return false;
  const int64_t interval = std::max<int64_t>(1, (run.timestamps.back() - run.timestamps.front()) / static_cast<int64_t>(run.timestamps.size()));
  const auto samples = static_cast<size_t>(run.window / interval);
  const auto changes = static_cast<size_t>(2 * run.config.step / interval + 1);
  return samples > 32 && changes < samples && SortedWindow::MoveCost(changes, samples) < SortedWindow::kSelectCost * samples;
}

/// `OfSorted` of the samples in order where that pays, `F` elsewhere: the same function.
template <WindowFunc F, double (*OfSorted)(const RollupWindow& w, std::span<const double> sorted)>
uint64_t SortedLoop(const RollupRun& run, double* out) {
  if (!SharesMostSamples(run)) return LoopOf<F>(run, out);
  uint64_t samples = 0;
  SortedWindow sorted(*run.scratch);
  ForEachWindow(run, [&](const RollupWindow& w) {
    samples += w.values.size();
    const auto begin = static_cast<size_t>(w.values.data() - run.values.data());
    *out++ = OfSorted(w, sorted.MoveTo(run.values.data(), begin, begin + w.values.size()));
  });
  return samples;
}
double QuantileOfSorted(const RollupWindow& w, std::span<const double> sorted) { return SortedQuantile(w.arg0[w.index], sorted); }
double MedianOfSorted(const RollupWindow&, std::span<const double> sorted) { return SortedQuantile(0.5, sorted); }

enum Flags : unsigned { kKeep = 1, kAdjust = 2, kSilence = 4, kReset = 8, kInAggr = 16 };

struct Row {
  RollupFunction function;
  bool in_aggr_over_time;
};

template <WindowFunc F>
constexpr Row Simple(std::string_view name, unsigned flags, uint8_t scanned = 0, RollupArgs args = RollupArgs::kSeries) {
  return {{name, args, F, LoopOf<F>, (flags & kKeep) != 0, (flags & kAdjust) != 0, (flags & kSilence) != 0, (flags & kReset) != 0, scanned},
          (flags & kInAggr) != 0};
}
/// For functions that have no value without samples.
template <WindowFunc F>
constexpr Row OfSamples(std::string_view name, unsigned flags, uint8_t scanned = 0, RollupArgs args = RollupArgs::kSeries) {
  return Simple<NonEmpty<F>>(name, flags, scanned, args);
}
/// For functions of samples alone whose loop handles several windows at once.
template <WindowFunc F, template <class> class Fold>
constexpr Row OfFold(std::string_view name, unsigned flags) {
  Row row = OfSamples<F>(name, flags);
  row.function.loop = FoldLoop<Fold>;
  return row;
}
template <WindowFunc F, template <class> class Fold>
constexpr Row OfMoments(std::string_view name, unsigned flags) {
  Row row = Simple<F>(name, flags);
  row.function.loop = FoldLoopUnlessNaN<F, Fold>;
  return row;
}
template <WindowFunc F, double (*OfSorted)(const RollupWindow& w, std::span<const double> sorted)>
constexpr Row OfSortedSamples(std::string_view name, unsigned flags, RollupArgs args = RollupArgs::kSeries) {
  Row row = Simple<F>(name, flags, 0, args);
  row.function.loop = SortedLoop<F, OfSorted>;
  return row;
}
constexpr Row Several(std::string_view name, unsigned flags, RollupArgs args) {
  return {{name, args, nullptr, nullptr, (flags & kKeep) != 0, (flags & kAdjust) != 0, (flags & kSilence) != 0, (flags & kReset) != 0, 0}, false};
}

// The columns of spec metricsql.md 9.1, and of 8.8 for the samples scanned.
constexpr Row kRows[] = {
    Simple<Absent>("absent_over_time", kInAggr, 1),
    Several("aggr_over_time", 0, RollupArgs::kNamesSeries),
    Simple<SumSteps<true>>("ascent_over_time", kSilence | kInAggr),
    OfFold<Avg, AvgFold>("avg_over_time", kKeep | kInAggr),
    Simple<Changes>("changes", kSilence | kInAggr),
    OfSamples<ChangesPrometheus>("changes_prometheus", 0),
    OfSamples<CountEq>("count_eq_over_time", 0, 0, RollupArgs::kSeriesScalar),
    OfSamples<CountGt>("count_gt_over_time", 0, 0, RollupArgs::kSeriesScalar),
    OfSamples<CountLe>("count_le_over_time", 0, 0, RollupArgs::kSeriesScalar),
    OfSamples<CountNe>("count_ne_over_time", 0, 0, RollupArgs::kSeriesScalar),
    OfSamples<Count>("count_over_time", kInAggr, 1),
    Several("count_values_over_time", 0, RollupArgs::kLabelSeries),
    Simple<CountSteps<false>>("decreases_over_time", kSilence | kInAggr),
    OfSamples<Last>("default_rollup", kKeep | kAdjust | kSilence | kInAggr, 1),
    Simple<Delta>("delta", kSilence | kInAggr, 2),
    Simple<DeltaPrometheus>("delta_prometheus", 0, 2),
    Simple<DerivSlow>("deriv", kAdjust | kInAggr),
    Simple<DerivFast>("deriv_fast", kAdjust | kSilence | kInAggr, 2),
    Simple<SumSteps<false>>("descent_over_time", kSilence | kInAggr),
    OfSamples<Distinct>("distinct_over_time", kInAggr),
    OfSamples<Duration>("duration_over_time", 0, 0, RollupArgs::kSeriesScalar),
    OfSamples<First>("first_over_time", kKeep | kInAggr, 1),
    OfSamples<Geomean>("geomean_over_time", kKeep | kInAggr),
    Several("histogram_over_time", 0, RollupArgs::kSeries),
    OfSamples<HoeffdingLower>("hoeffding_bound_lower", kKeep, 0, RollupArgs::kScalarSeries),
    OfSamples<HoeffdingUpper>("hoeffding_bound_upper", kKeep, 0, RollupArgs::kScalarSeries),
    OfSamples<HoltWinters>("holt_winters", kKeep, 0, RollupArgs::kSeriesTwoScalars),
    Simple<Idelta>("idelta", kSilence | kInAggr, 2),
    Simple<Ideriv>("ideriv", kAdjust | kSilence | kInAggr, 2),
    Simple<Delta>("increase", kSilence | kReset | kInAggr, 2),
    Simple<DeltaPrometheus>("increase_prometheus", kReset, 2),
    Simple<IncreasePure>("increase_pure", kSilence | kReset | kInAggr, 2),
    Simple<CountSteps<true>>("increases_over_time", kSilence | kInAggr),
    Simple<Integrate>("integrate", kSilence | kInAggr),
    Simple<Ideriv>("irate", kAdjust | kSilence | kReset | kInAggr, 2),
    Simple<Lag>("lag", kSilence | kInAggr, 1),
    OfSamples<Last>("last_over_time", kKeep | kInAggr, 1),
    Simple<Lifetime>("lifetime", kSilence | kInAggr, 2),
    Simple<Mad>("mad_over_time", kInAggr),
    OfFold<Max, MaxFold>("max_over_time", kKeep | kInAggr),
    OfSortedSamples<Median, MedianOfSorted>("median_over_time", kKeep | kInAggr),
    OfFold<Min, MinFold>("min_over_time", kKeep | kInAggr),
    Simple<ModeOf>("mode_over_time", kKeep | kInAggr),
    Simple<OutlierIqr>("outlier_iqr_over_time", 0),
    OfSamples<PredictLinear>("predict_linear", kKeep, 0, RollupArgs::kSeriesScalar),
    OfSamples<Present>("present_over_time", kInAggr, 1),
    OfSortedSamples<QuantileOf, QuantileOfSorted>("quantile_over_time", kKeep, RollupArgs::kScalarSeries),
    Several("quantiles_over_time", kKeep, RollupArgs::kLabelScalarsSeries),
    OfFold<Range, RangeFold>("range_over_time", kInAggr),
    Simple<DerivFast>("rate", kAdjust | kSilence | kReset | kInAggr, 2),
    OfFold<RateOverSum, RateOverSumFold>("rate_over_sum", kAdjust | kInAggr),
    Simple<RatePrometheus>("rate_prometheus", kReset, 2),
    Simple<CountSteps<false>>("resets", kSilence | kInAggr),
    Several("rollup", kKeep | kAdjust | kSilence, RollupArgs::kSeriesTag),
    Several("rollup_candlestick", kKeep | kAdjust | kSilence, RollupArgs::kSeriesTag),
    Several("rollup_delta", kSilence, RollupArgs::kSeriesTag),
    Several("rollup_deriv", kAdjust | kSilence, RollupArgs::kSeriesTag),
    Several("rollup_increase", kSilence | kReset, RollupArgs::kSeriesTag),
    Several("rollup_rate", kAdjust | kSilence | kReset, RollupArgs::kSeriesTag),
    Several("rollup_scrape_interval", kAdjust | kSilence, RollupArgs::kSeriesTag),
    Simple<ScrapeInterval>("scrape_interval", kAdjust | kSilence | kInAggr, 2),
    OfSamples<Share<CountEq>>("share_eq_over_time", 0, 0, RollupArgs::kSeriesScalar),
    OfSamples<Share<CountGt>>("share_gt_over_time", 0, 0, RollupArgs::kSeriesScalar),
    OfSamples<Share<CountLe>>("share_le_over_time", 0, 0, RollupArgs::kSeriesScalar),
    OfSamples<StaleSamples>("stale_samples_over_time", kInAggr),
    OfMoments<StddevOf, StddevFold>("stddev_over_time", kInAggr),
    OfMoments<StdvarOf, StdvarFold>("stdvar_over_time", kInAggr),
    OfSamples<SumEq>("sum_eq_over_time", 0, 0, RollupArgs::kSeriesScalar),
    OfSamples<SumGt>("sum_gt_over_time", 0, 0, RollupArgs::kSeriesScalar),
    OfSamples<SumLe>("sum_le_over_time", 0, 0, RollupArgs::kSeriesScalar),
    OfFold<Sum2, Sum2Fold>("sum2_over_time", kInAggr),
    OfFold<Sum, SumFold>("sum_over_time", kInAggr),
    OfSamples<FirstTime>("tfirst_over_time", kInAggr, 1),
    OfSamples<LastTime>("timestamp", kAdjust | kInAggr, 1),
    OfSamples<LastTime>("timestamp_with_name", kKeep | kInAggr, 1),
    OfSamples<LastChangeTime>("tlast_change_over_time", kSilence | kInAggr),
    OfSamples<LastTime>("tlast_over_time", kInAggr, 1),
    OfSamples<MaxTime>("tmax_over_time", kInAggr),
    OfSamples<MinTime>("tmin_over_time", kInAggr),
    Simple<ZScore>("zscore_over_time", kInAggr),
};
constexpr Row kIqrRow = Simple<OutlierIqr>("iqr_over_time", kKeep | kInAggr);

const Row* FindRow(std::string_view name) {
  static const auto rows = [] {
    std::unordered_map<std::string_view, const Row*> map;
    for (const Row& row : kRows) map.emplace(row.function.name, &row);
    return map;
  }();
  const auto it = rows.find(name);
  return it == rows.end() ? nullptr : it->second;
}

}  // namespace

const RollupLoop kOpenLoop = LoopOf<Open>;
const RollupLoop kCloseLoop = LoopOf<Close>;
const RollupLoop kHighLoop = LoopOf<High>;
const RollupLoop kLowLoop = LoopOf<Low>;

const RollupFunction* FindRollup(std::string_view lower_case_name) {
  const Row* row = FindRow(lower_case_name);
  return row == nullptr ? nullptr : &row->function;
}

const RollupFunction* FindAggrOverTimeFunction(std::string_view name) {
  if (name == kIqrRow.function.name) return &kIqrRow.function;
  const Row* row = FindRow(name);
  return row == nullptr || !row->in_aggr_over_time ? nullptr : &row->function;
}

}  // namespace vm::select
