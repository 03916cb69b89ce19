#include "select/promql/rollup.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

namespace vm::select {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Window {
  std::span<const double> v;
  std::span<const int64_t> t;
  double prev = kNaN;
  int64_t prev_timestamp = 0;
  double real_prev = kNaN;
  double real_next = kNaN;
  int64_t end = 0;
  int64_t window = 0;
};

double Delta(const Window& w) {
  auto v = w.v;
  double p = w.prev;
  if (std::isnan(p)) {
    if (v.empty()) return kNaN;
    if (!std::isnan(w.real_prev)) return v.back() - w.real_prev;
    double d = 0;
    if (v.size() > 1) d = v[1] - v[0];
    else if (!std::isnan(w.real_next)) d = w.real_next - v[0];
    if (std::fabs(v[0]) < 10 * (std::fabs(d) + 1)) {
      p = 0;
    } else {
      p = v[0];
      v = v.subspan(1);
    }
  }
  return v.empty() ? 0 : v.back() - p;
}

double Rate(const Window& w) {
  double p = w.prev;
  int64_t tp = w.prev_timestamp;
  if (std::isnan(p)) {
    if (w.v.size() < 2) return kNaN;
    p = w.v[0];
    tp = w.t[0];
  } else if (w.v.empty()) {
    return 0;
  }
  return (w.v.back() - p) / (static_cast<double>(w.t.back() - tp) / 1e3);
}

double InstantRate(const Window& w) {
  if (w.v.empty()) return kNaN;
  const auto slope = [&](double p, int64_t tp) {
    return (w.v.back() - p) / (static_cast<double>(w.t.back() - tp) / 1e3);
  };
  if (w.v.size() == 1) return std::isnan(w.prev) ? kNaN : slope(w.prev, w.prev_timestamp);
  for (size_t i = w.v.size() - 1; i-- > 0;) {
    if (w.t[i] < w.t.back()) return slope(w.v[i], w.t[i]);
  }
  return std::isnan(w.prev) ? 0 : slope(w.prev, w.prev_timestamp);
}

double InstantDelta(const Window& w) {
  if (w.v.empty()) return std::isnan(w.prev) ? kNaN : 0;
  if (w.v.size() == 1) return std::isnan(w.prev) ? w.v[0] : w.v[0] - w.prev;
  return w.v.back() - w.v[w.v.size() - 2];
}

double Sum(std::span<const double> v) {
  double sum = 0;
  for (const double x : v) sum += x;
  return sum;
}

double Stdvar(std::span<const double> v) {
  if (v.size() == 1) return 0;
  double mean = 0, count = 0, q = 0;
  for (const double x : v) {
    ++count;
    const double next = mean + (x - mean) / count;
    q += (x - mean) * (x - next);
    mean = next;
  }
  return q / count;
}

using Func = double (*)(const Window&);
/// Wraps functions of a window that has samples.
template <double (*F)(const Window&)>
double NonEmpty(const Window& w) {
  return w.v.empty() ? kNaN : F(w);
}

double Count(const Window& w) { return static_cast<double>(w.v.size()); }
double Last(const Window& w) { return w.v.back(); }
double First(const Window& w) { return w.v.front(); }
double Avg(const Window& w) { return Sum(w.v) / Count(w); }
double SumOf(const Window& w) { return Sum(w.v); }
double Sum2(const Window& w) {
  double sum = 0;
  for (const double x : w.v) sum += x * x;
  return sum;
}
double Max(const Window& w) { return *std::max_element(w.v.begin(), w.v.end()); }
double Min(const Window& w) { return *std::min_element(w.v.begin(), w.v.end()); }
double Range(const Window& w) { return Max(w) - Min(w); }
double StdvarOf(const Window& w) { return Stdvar(w.v); }
double StddevOf(const Window& w) { return std::sqrt(Stdvar(w.v)); }
double One(const Window&) { return 1; }
double LastTimestamp(const Window& w) { return static_cast<double>(w.t.back()) / 1e3; }
double FirstTimestamp(const Window& w) { return static_cast<double>(w.t.front()) / 1e3; }
double RateOverSum(const Window& w) { return Sum(w.v) / (static_cast<double>(w.window) / 1e3); }
double DeltaPrometheus(const Window& w) { return w.v.size() < 2 ? kNaN : w.v.back() - w.v.front(); }
double IncreasePure(const Window& w) {
  double p = w.prev;
  if (std::isnan(p)) {
    if (w.v.empty()) return kNaN;
    p = std::isnan(w.real_prev) ? 0 : w.real_prev;
  }
  return w.v.empty() ? 0 : w.v.back() - p;
}
double RatePrometheus(const Window& w) {
  return w.window == 0 ? kNaN : DeltaPrometheus(w) / (static_cast<double>(w.window) / 1e3);
}

const std::map<std::string_view, Func>& Funcs() {
  static const std::map<std::string_view, Func> funcs = {
      {"default_rollup", NonEmpty<Last>},       {"last_over_time", NonEmpty<Last>},
      {"first_over_time", NonEmpty<First>},     {"avg_over_time", NonEmpty<Avg>},
      {"sum_over_time", NonEmpty<SumOf>},       {"sum2_over_time", NonEmpty<Sum2>},
      {"min_over_time", NonEmpty<Min>},         {"max_over_time", NonEmpty<Max>},
      {"range_over_time", NonEmpty<Range>},     {"count_over_time", NonEmpty<Count>},
      {"present_over_time", NonEmpty<One>},     {"stddev_over_time", NonEmpty<StddevOf>},
      {"stdvar_over_time", NonEmpty<StdvarOf>}, {"timestamp", NonEmpty<LastTimestamp>},
      {"tlast_over_time", NonEmpty<LastTimestamp>}, {"tfirst_over_time", NonEmpty<FirstTimestamp>},
      {"rate_over_sum", NonEmpty<RateOverSum>}, {"delta", Delta},
      {"increase", Delta},                      {"delta_prometheus", DeltaPrometheus},
      {"increase_prometheus", DeltaPrometheus}, {"increase_pure", IncreasePure},
      {"rate_prometheus", RatePrometheus},      {"rate", Rate},
      {"deriv_fast", Rate},                     {"irate", InstantRate},
      {"ideriv", InstantRate},                  {"idelta", InstantDelta},
  };
  return funcs;
}

bool RemovesResets(std::string_view f) {
  return f == "rate" || f == "increase" || f == "irate" || f == "increase_pure" ||
         f == "increase_prometheus" || f == "rate_prometheus";
}

bool MayAdjustWindow(std::string_view f) {
  return f == "default_rollup" || f == "rate" || f == "deriv_fast" || f == "irate" || f == "ideriv" ||
         f == "timestamp";
}

void RemoveCounterResets(TimeSeries& s, int64_t staleness) {
  if (s.values.empty()) return;
  double corr = 0, prev = s.values[0];
  for (size_t i = 0; i < s.values.size(); ++i) {
    const double x = s.values[i];
    if (x < prev) corr += (prev - x) * 8 < prev ? prev - x : prev;
    if (i > 0 && staleness > 0 && s.timestamps[i] - s.timestamps[i - 1] > staleness) {
      corr = 0;
      prev = x;
      continue;
    }
    prev = x;
    s.values[i] = x + corr;
    if (i > 0 && s.values[i] < s.values[i - 1]) s.values[i] = s.values[i - 1];
  }
}

int64_t ScrapeInterval(std::span<const int64_t> t, int64_t fallback) {
  if (t.size() < 2) return fallback;
  std::vector<double> gaps;
  for (size_t i = t.size() > 21 ? t.size() - 20 : 1; i < t.size(); ++i) gaps.push_back(static_cast<double>(t[i] - t[i - 1]));
  std::sort(gaps.begin(), gaps.end());
  const double rank = 0.6 * static_cast<double>(gaps.size() - 1);
  const auto lower = static_cast<size_t>(rank);
  const size_t upper = std::min(lower + 1, gaps.size() - 1);
  const double weight = rank - std::floor(rank);
  const auto s = static_cast<int64_t>(gaps[lower] * (1 - weight) + gaps[upper] * weight);
  return s > 0 ? s : fallback;
}

int64_t InflateInterval(int64_t s) {
  if (s <= 2000) return 5 * s;
  if (s <= 4000) return 3 * s;
  if (s <= 8000) return 2 * s;
  if (s <= 16000) return s + s / 2;
  if (s <= 32000) return s + s / 4;
  return s + s / 8;
}

}  // namespace

bool IsSupportedRollup(std::string_view func) { return Funcs().contains(func); }

bool RollupKeepsName(std::string_view f) {
  return f == "default_rollup" || f == "last_over_time" || f == "first_over_time" ||
         f == "avg_over_time" || f == "min_over_time" || f == "max_over_time" || f == "range_over_time";
}

bool RollupNeedsSilence(std::string_view f) {
  return f != "count_over_time" && f != "sum_over_time" && f != "avg_over_time" && f != "min_over_time" &&
         f != "max_over_time" && f != "present_over_time" && f != "last_over_time" &&
         f != "first_over_time" && f != "default_rollup";
}

std::vector<double> EvalRollup(const RollupConfig& c, TimeSeries& s) {
  if (RemovesResets(c.func)) {
    RemoveCounterResets(s, c.lookback_delta == 0 ? 0 : c.lookback_delta + c.window);
  }
  const std::span<const double> v(s.values);
  const std::span<const int64_t> t(s.timestamps);
  int64_t max_prev = c.step;
  if (c.start < c.end) max_prev = InflateInterval(ScrapeInterval(t, c.step));
  if (c.lookback_delta > 0) max_prev = std::min(max_prev, c.lookback_delta);
  Window w;
  w.window = c.window;
  if (w.window <= 0) {
    w.window = c.step;
    if (MayAdjustWindow(c.func) && c.step < max_prev) w.window = max_prev;
    if (c.func == "default_rollup" && c.lookback_delta > 0) w.window = std::min(w.window, c.lookback_delta);
  }
  const Func func = Funcs().at(c.func);
  std::vector<double> out;
  size_t i = 0, j = 0;
  for (int64_t end = c.start; end <= c.end; end += c.step) {
    const int64_t start = end - w.window;
    while (i < t.size() && t[i] <= start) ++i;
    j = std::max(j, i);
    while (j < t.size() && t[j] <= end) ++j;
    w.v = v.subspan(i, j - i);
    w.t = t.subspan(i, j - i);
    w.end = end;
    w.prev = kNaN;
    w.prev_timestamp = start - max_prev;
    if (i > 0 && i < t.size() && t[i - 1] > w.prev_timestamp) {
      w.prev = v[i - 1];
      w.prev_timestamp = t[i - 1];
    }
    w.real_prev = kNaN;
    if (i > 0) {
      const int64_t ref = w.t.empty() ? start : w.t[0];
      if (c.lookback_delta == 0 || ref - t[i - 1] < c.lookback_delta) w.real_prev = v[i - 1];
    }
    w.real_next = j < v.size() ? v[j] : kNaN;
    out.push_back(func(w));
  }
  return out;
}

}  // namespace vm::select
