#include <algorithm>
#include <cmath>
#include <type_traits>

#include "select/promql/stats.h"
#include "select/promql/transform_util.h"

namespace vm::select::transform {
namespace {

using Values = std::vector<double>;

bool HasValue(double value) { return !std::isnan(value); }

/// Position of the first value; the size when there is none.
size_t FirstValue(const Values& values) {
  return static_cast<size_t>(std::find_if(values.begin(), values.end(), HasValue) - values.begin());
}

/// One past the position of the last value; 0 when there is none.
size_t ValuesEnd(const Values& values) {
  return static_cast<size_t>(values.rend() - std::find_if(values.rbegin(), values.rend(), HasValue));
}

void Fill(Values& values, double value) { std::fill(values.begin(), values.end(), value); }

/// Set every point to the last value of the series.
void FillWithLast(Values& values) {
  const size_t end = ValuesEnd(values);
  if (end > 0) Fill(values, values[end - 1]);
}

double Mean(const Values& values) {
  double sum = 0;
  double count = 0;
  for (const double value : values) {
    if (!HasValue(value)) continue;
    sum += value;
    ++count;
  }
  return sum / count;
}

double Stddev(const Values& values) { return std::sqrt(Stdvar(values)); }

/// `change(args..., scratch)`; without the memory to work in when it needs none.
template <class Change, class... Args>
void CallWithScratch(const Change& change, Values& scratch, Args&&... args) {
  if constexpr (std::is_invocable_v<Change, Args..., Values&>) {
    change(args..., scratch);
  } else {
    change(args...);
  }
}

/// A function of one argument that changes the values of each series and keeps the names.
template <auto kChange>
Result<SeriesList> EachSeries(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 1));
  SeriesList list = std::move(call.args[0]);
  TimeCheck time(call.context);
  Values scratch;
  for (TimeSeries& series : list) {
    VM_TRY(time.Next());
    CallWithScratch(kChange, scratch, series.values);
  }
  return list;
}

/// The same after a number: `f(number, q)`.
template <auto kChange>
Result<SeriesList> EachSeriesWithNumber(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 2));
  VM_ASSIGN_OR_RETURN(const double number, NumberArg(call.args[0], 1));
  SeriesList list = std::move(call.args[1]);
  TimeCheck time(call.context);
  Values scratch;
  for (TimeSeries& series : list) {
    VM_TRY(time.Next());
    CallWithScratch(kChange, scratch, number, series.values);
  }
  return list;
}

void KeepLastValue(Values& values) {
  double last = kNaN;
  for (double& value : values) {
    if (HasValue(value)) {
      last = value;
    } else {
      value = last;
    }
  }
}

void KeepNextValue(Values& values) {
  double next = kNaN;
  for (auto it = values.rbegin(); it != values.rend(); ++it) {
    if (HasValue(*it)) {
      next = *it;
    } else {
      *it = next;
    }
  }
}

void Interpolate(Values& values) {
  const size_t end = ValuesEnd(values);
  for (size_t i = FirstValue(values); i < end; ++i) {
    if (HasValue(values[i])) continue;
    // A gap lies between two values: what is before the first and after the last one has been left out.
    size_t next = i + 1;
    while (!HasValue(values[next])) ++next;
    double value = values[i - 1];
    if (std::isinf(value)) {
      // No way leads down from infinity: one point stays empty, the others are like the value behind the gap.
      ++i;
      if (std::isinf(values[next])) i = next;
      for (; i < next; ++i) values[i] = values[next];
      continue;
    }
    const double delta = (values[next] - value) / static_cast<double>(next - i + 1);
    for (; i < next; ++i) {
      value += delta;
      values[i] = value;
    }
  }
}

using Fold = double (*)(double folded, double value, double position);

/// Replace each point by the fold of the values up to it. `position` counts points from the first value on.
template <Fold kFold, bool kWholeRange>
Result<SeriesList> RunningFold(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 1));
  SeriesList list = std::move(call.args[0]);
  for (TimeSeries& series : list) {
    series.name.metric_group.clear();
    Values& values = series.values;
    const size_t first = FirstValue(values);
    if (first == values.size()) continue;
    double folded = values[first];
    for (size_t i = first + 1; i < values.size(); ++i) {
      if (HasValue(values[i])) folded = kFold(folded, values[i], static_cast<double>(i - first));
      values[i] = folded;
    }
    if (kWholeRange) FillWithLast(values);
  }
  return list;
}

constexpr Fold kSum = [](double folded, double value, double) { return folded + value; };
constexpr Fold kMax = [](double folded, double value, double) { return folded > value ? folded : value; };
constexpr Fold kMin = [](double folded, double value, double) { return folded < value ? folded : value; };
constexpr Fold kAvg = [](double folded, double value, double position) {
  return folded + (value - folded) / (position + 1);
};

Result<SeriesList> RangeNormalize(TransformCall& call) {
  SeriesList out;
  for (SeriesList& arg : call.args) {
    for (TimeSeries& series : arg) {
      double min = kInf;
      double max = -kInf;
      for (const double value : series.values) {
        if (value < min) min = value;
        if (value > max) max = value;
      }
      const double range = max - min;
      if (std::isinf(range)) continue;
      for (double& value : series.values) value = (value - min) / range;
      out.push_back(std::move(series));
    }
  }
  return out;
}

void TrimZscore(double limit, Values& values) {
  const double stddev = Stddev(values);
  const double mean = Mean(values);
  for (double& value : values) {
    if (std::fabs(value - mean) / stddev > std::fabs(limit)) value = kNaN;
  }
}

void Zscore(Values& values) {
  const double stddev = Stddev(values);
  const double mean = Mean(values);
  for (double& value : values) value = (value - mean) / stddev;
}

void TrimOutliers(double factor, Values& values, Values& scratch) {
  const double limit = factor * MedianDeviation(values, scratch);
  const double median = Quantile(0.5, values, scratch);
  for (double& value : values) {
    if (std::fabs(value - median) > limit) value = kNaN;
  }
}

void TrimSpikes(double phi, Values& values, Values& scratch) {
  CopyValues(scratch, values);
  const double max = SelectQuantile(1 - phi / 2, scratch);
  const double min = SelectQuantile(phi / 2, scratch);
  for (double& value : values) {
    if (value > max || value < min) value = kNaN;
  }
}

Result<SeriesList> RangeLinearRegression(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 1));
  SeriesList list = std::move(call.args[0]);
  const auto timestamps = GridTimestamps(call.context);
  const int64_t start = call.context.start;
  for (TimeSeries& series : list) {
    const Line line = LinearRegression(series.values, timestamps, start);
    for (size_t i = 0; i < series.values.size(); ++i) {
      series.values[i] = line.value + line.slope_per_second * static_cast<double>(timestamps[i] - start) / 1e3;
    }
  }
  return list;
}

void RangeQuantile(double phi, Values& values, Values& scratch) {
  const size_t end = ValuesEnd(values);
  if (end == 0) return;
  // A quantile that is no number (phi is NaN, or infinities cancel out) gives way to the value before it.
  values[end - 1] = Quantile(phi, values, scratch);
  FillWithLast(values);
}

void RangeFirst(Values& values) {
  const size_t first = FirstValue(values);
  if (first < values.size()) Fill(values, values[first]);
}

void RemoveResets(Values& values) {
  const size_t first = FirstValue(values);
  if (first == values.size()) return;
  double correction = 0;
  double previous = values[first];
  for (size_t i = first; i < values.size(); ++i) {
    const double value = values[i];
    if (!HasValue(value)) continue;
    if (value < previous) {
      // A drop by less than an eighth is taken for a correction, not for a restart from zero.
      const bool is_partial = (previous - value) * 8 < previous;
      correction += is_partial ? previous - value : previous;
    }
    previous = value;
    values[i] = value + correction;
  }
}

Result<SeriesList> SmoothExponential(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 2));
  VM_ASSIGN_OR_RETURN(const auto factors, ScalarArg(call.args[1], 2));
  SeriesList list = std::move(call.args[0]);
  for (TimeSeries& series : list) {
    Values& values = series.values;
    size_t first = FirstValue(values);
    // Infinities before the first number are skipped as well; when there are only infinities, the first one counts.
    const auto number = std::find_if(values.begin() + static_cast<std::ptrdiff_t>(first), values.end(),
                                     [](double value) { return !std::isinf(value); });
    if (number != values.end()) first = static_cast<size_t>(number - values.begin());
    if (first == values.size()) continue;
    double average = values[first];
    for (size_t i = first + 1; i < values.size(); ++i) {
      if (!HasValue(values[i])) continue;
      if (!std::isinf(values[i])) {
        const double factor = std::isnan(factors[i]) ? 1 : std::clamp(factors[i], 0.0, 1.0);
        average = average * (1 - factor) + values[i] * factor;
      }
      values[i] = average;
    }
  }
  return list;
}

constexpr Entry kFunctions[] = {
    {"interpolate", EachSeries<Interpolate>},
    {"keep_last_value", EachSeries<KeepLastValue>},
    {"keep_next_value", EachSeries<KeepNextValue>},
    {"range_avg", RunningFold<kAvg, true>},
    {"range_first", EachSeries<RangeFirst>},
    {"range_last", EachSeries<FillWithLast>},
    {"range_linear_regression", RangeLinearRegression},
    {"range_mad", EachSeries<[](Values& values, Values& scratch) { Fill(values, MedianDeviation(values, scratch)); }>},
    {"range_max", RunningFold<kMax, true>},
    {"range_min", RunningFold<kMin, true>},
    {"range_normalize", RangeNormalize},
    {"range_quantile", EachSeriesWithNumber<RangeQuantile>},
    {"range_stddev", EachSeries<[](Values& values) { Fill(values, Stddev(values)); }>},
    {"range_stdvar", EachSeries<[](Values& values) { Fill(values, Stdvar(values)); }>},
    {"range_sum", RunningFold<kSum, true>},
    {"range_trim_outliers", EachSeriesWithNumber<TrimOutliers>},
    {"range_trim_spikes", EachSeriesWithNumber<TrimSpikes>},
    {"range_trim_zscore", EachSeriesWithNumber<TrimZscore>},
    {"range_zscore", EachSeries<Zscore>},
    {"remove_resets", EachSeries<RemoveResets>},
    {"running_avg", RunningFold<kAvg, false>},
    {"running_max", RunningFold<kMax, false>},
    {"running_min", RunningFold<kMin, false>},
    {"running_sum", RunningFold<kSum, false>},
    {"smooth_exponential", SmoothExponential},
};

}  // namespace

std::span<const Entry> RangeFunctions() { return kFunctions; }

}  // namespace vm::select::transform
