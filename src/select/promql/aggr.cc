#include "select/promql/aggr.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <unordered_map>

#include "lib/bytes/bytes.h"
#include "lib/hash/xxhash.h"
#include "select/promql/stats.h"
#include "select/promql/transform_histograms.h"

namespace vm::select {
namespace {

using SeriesList = std::vector<TimeSeries>;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Error Invalid(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

struct Group {
  model::MetricName name;  // What the modifier leaves.
  SeriesList series;       // With their own names; at least one.

  size_t points() const { return series[0].values.size(); }
};

struct AggrCall {
  const EvalContext& context;
  const metricsql::AggrFuncExpr& expr;
  std::vector<SeriesList> args;
};

std::vector<Group> GroupSeries(SeriesList list, const metricsql::ModifierExpr& modifier, int limit) {
  std::vector<Group> groups;
  std::unordered_map<std::string, size_t> index;
  std::string key;
  RemoveEmptySeries(list);
  for (auto& s : list) {
    model::MetricName name = s.name;
    ApplyAggrModifier(name, modifier);
    key.clear();
    AppendNameKey(key, name);
    auto it = index.find(key);
    if (it == index.end()) {
      if (limit > 0 && groups.size() >= static_cast<size_t>(limit)) continue;
      it = index.emplace(key, groups.size()).first;
      groups.emplace_back().name = std::move(name);
    }
    groups[it->second].series.push_back(std::move(s));
  }
  return groups;
}

/// All arguments as one list.
SeriesList Concatenate(std::vector<SeriesList> args) {
  SeriesList list = std::move(args[0]);
  for (size_t i = 1; i < args.size(); ++i) std::move(args[i].begin(), args[i].end(), std::back_inserter(list));
  return list;
}

Status CheckArgsCount(const AggrCall& call, size_t want) {
  if (call.args.size() == want) return Ok();
  return Invalid("unexpected number of args; got " + std::to_string(call.args.size()) + "; want " + std::to_string(want));
}

/// Values of a scalar argument on the grid.
Result<std::vector<double>> ScalarArg(const AggrCall& call, size_t i) {
  if (call.args[i].size() != 1) return Invalid("arg #" + std::to_string(i + 1) + " must be a scalar");
  return call.args[i][0].values;
}

/// The series of a group become one with the name of the group.
template <class Reduce>
SeriesList OnePerGroup(std::vector<Group> groups, Reduce reduce) {
  SeriesList out;
  out.reserve(groups.size());
  for (auto& group : groups) {
    reduce(group);
    group.series[0].name = std::move(group.name);
    out.push_back(std::move(group.series[0]));
  }
  return out;
}

/// The series of a group are changed or chosen and keep their names.
template <class Choose>
SeriesList SomeOfGroup(std::vector<Group> groups, Choose choose) {
  SeriesList out;
  for (auto& group : groups) {
    choose(group);
    std::move(group.series.begin(), group.series.end(), std::back_inserter(out));
  }
  return out;
}

/// Fold all series into the first one, point by point in the order of the series.
/// `combine(total, v)` joins values; `finish(total, count)` ends a point that has some.
template <class Combine, class Finish>
void FoldSeries(Group& group, double start, Combine combine, Finish finish) {
  const size_t points = group.points();
  std::vector<double> totals(points, start);
  std::vector<uint32_t> counts(points);
  for (const auto& s : group.series) {
    for (size_t p = 0; p < points; ++p) {
      const double v = s.values[p];
      if (std::isnan(v)) continue;
      totals[p] = combine(totals[p], v);
      ++counts[p];
    }
  }
  for (size_t p = 0; p < points; ++p) totals[p] = counts[p] == 0 ? kNaN : finish(totals[p], counts[p]);
  group.series[0].values = std::move(totals);
}

/// Values of all series at one point, without those that have none.
void GatherColumn(const SeriesList& series, size_t point, std::vector<double>& column) {
  column.clear();
  for (const auto& s : series) {
    if (!std::isnan(s.values[point])) column.push_back(s.values[point]);
  }
}

/// Replace the group by one series of `reduce(column, point)`.
template <class Reduce>
void ReduceColumns(Group& group, Reduce reduce) {
  std::vector<double> column;
  std::vector<double> result(group.points());
  for (size_t p = 0; p < result.size(); ++p) {
    GatherColumn(group.series, p, column);
    result[p] = reduce(column, p);
  }
  group.series[0].values = std::move(result);
}

/// Mean and population variance of a point; count 0 when there is no value.
struct Moments {
  double mean = 0;
  double count = 0;
  double q = 0;

  void Add(double v) {
    if (std::isnan(v)) return;
    ++count;
    const double next = mean + (v - mean) / count;
    q += (v - mean) * (v - next);
    mean = next;
  }
  double Variance() const { return count == 0 ? kNaN : q / count; }
};
std::vector<Moments> MomentsOf(const SeriesList& series) {
  std::vector<Moments> moments(series[0].values.size());
  for (const auto& s : series) {
    for (size_t p = 0; p < moments.size(); ++p) moments[p].Add(s.values[p]);
  }
  return moments;
}

double Distinct(std::vector<double>& column) {
  if (column.empty()) return kNaN;
  std::sort(column.begin(), column.end());
  return static_cast<double>(std::unique(column.begin(), column.end()) - column.begin());
}

/// Aggregates that fold values one by one; false when `name` is none of them.
bool FoldByName(std::string_view name, Group& group) {
  const bool single = group.series.size() == 1;
  const auto same = [](double total, uint32_t) { return total; };
  const auto add = [](double a, double b) { return a + b; };
  if (name == "sum") {
    if (!single) FoldSeries(group, 0, add, same);
  } else if (name == "avg") {
    if (!single) FoldSeries(group, 0, add, [](double total, uint32_t count) { return total / count; });
  } else if (name == "min") {
    if (!single) FoldSeries(group, std::numeric_limits<double>::infinity(), [](double a, double b) { return b < a ? b : a; }, same);
  } else if (name == "max") {
    if (!single) FoldSeries(group, -std::numeric_limits<double>::infinity(), [](double a, double b) { return b > a ? b : a; }, same);
  } else if (name == "sum2") {
    FoldSeries(group, 0, [](double a, double b) { return a + b * b; }, same);
  } else if (name == "geomean") {
    if (!single) {
      FoldSeries(group, 1, [](double a, double b) { return a * b; }, [](double total, uint32_t count) { return std::pow(total, 1.0 / count); });
    }
  } else if (name == "count") {
    FoldSeries(group, 0, add, [](double, uint32_t count) { return static_cast<double>(count); });
  } else if (name == "group") {
    FoldSeries(group, 0, add, [](double, uint32_t) { return 1.0; });
  } else {
    return false;
  }
  return true;
}

void Variance(Group& group, bool root) {
  auto& values = group.series[0].values;
  if (group.series.size() == 1) {
    for (double& v : values) v = std::isnan(v) ? v : 0;
    return;
  }
  const auto moments = MomentsOf(group.series);
  for (size_t p = 0; p < moments.size(); ++p) values[p] = root ? std::sqrt(moments[p].Variance()) : moments[p].Variance();
}

void ReduceByName(std::string_view name, Group& group) {
  if (FoldByName(name, group)) return;
  if (name == "stddev" || name == "stdvar") {
    Variance(group, name == "stddev");
    return;
  }
  std::vector<double> scratch;
  ReduceColumns(group, [&](std::vector<double>& column, size_t) {
    if (name == "distinct") return Distinct(column);
    if (name == "mode") return Mode(kNaN, column);
    if (name == "median") return SelectQuantile(0.5, column);
    return MedianDeviation(column, scratch);  // mad
  });
}

Result<SeriesList> PlainAggr(AggrCall& call) {
  if (call.args.empty()) return Invalid("expecting at least one arg");
  auto groups = GroupSeries(Concatenate(std::move(call.args)), call.expr.modifier, call.expr.limit);
  return OnePerGroup(std::move(groups), [&](Group& group) { ReduceByName(call.expr.name, group); });
}

/// Each series divided by the sum of those that are not negative.
void Share(Group& group) {
  std::vector<double> sums(group.points());
  for (const auto& s : group.series) {
    for (size_t p = 0; p < sums.size(); ++p) {
      if (s.values[p] >= 0) sums[p] += s.values[p];
    }
  }
  for (auto& s : group.series) {
    for (size_t p = 0; p < sums.size(); ++p) s.values[p] = s.values[p] >= 0 ? s.values[p] / sums[p] : kNaN;
  }
}

void ZScore(Group& group) {
  const auto moments = MomentsOf(group.series);
  for (auto& s : group.series) {
    for (size_t p = 0; p < moments.size(); ++p) {
      if (!std::isnan(s.values[p])) s.values[p] = (s.values[p] - moments[p].mean) / std::sqrt(moments[p].Variance());
    }
  }
}

Result<SeriesList> PerSeriesAggr(AggrCall& call) {
  if (call.args.empty()) return Invalid("expecting at least one arg");
  const bool any = call.expr.name == "any";
  const int limit = any ? std::min(call.expr.limit, 1) : call.expr.limit;
  return SomeOfGroup(GroupSeries(Concatenate(std::move(call.args)), call.expr.modifier, limit), [&](Group& group) {
    if (any) {
      group.series.resize(1);
    } else if (call.expr.name == "share") {
      Share(group);
    } else {
      ZScore(group);
    }
  });
}

Result<SeriesList> QuantileAggr(AggrCall& call) {
  VM_TRY(CheckArgsCount(call, 2));
  VM_ASSIGN_OR_RETURN(const auto phis, ScalarArg(call, 0));
  return OnePerGroup(GroupSeries(std::move(call.args[1]), call.expr.modifier, call.expr.limit), [&](Group& group) {
    ReduceColumns(group, [&](std::vector<double>& column, size_t p) { return SelectQuantile(phis[p], column); });
  });
}

/// A series of `group` with one more label, all its values being `value`.
TimeSeries LabelledCopy(const Group& group, std::string_view label, std::string_view label_value, double value) {
  TimeSeries s;
  s.name = group.name;
  RemoveTag(s.name, label);
  s.name.AddTag(label, label_value);
  s.values.assign(group.points(), value);
  return s;
}

Result<SeriesList> QuantilesAggr(AggrCall& call) {
  const size_t count = call.args.size();
  if (count < 3) return Invalid("unexpected number of args: " + std::to_string(count) + "; expecting at least 3 args");
  auto label = TextArg(call.args[0], 1);
  if (!label.ok()) return std::move(label).error().WithContext("cannot obtain dstLabel");
  std::vector<double> phis;
  for (size_t i = 1; i + 1 < count; ++i) {
    VM_ASSIGN_OR_RETURN(const auto values, ScalarArg(call, i));
    phis.push_back(values[0]);
  }
  SeriesList out;
  std::vector<double> column;
  for (const auto& group : GroupSeries(std::move(call.args.back()), call.expr.modifier, call.expr.limit)) {
    const size_t first = out.size();
    for (const double phi : phis) {
      std::string text;
      metricsql::AppendGoFloat(text, phi);
      out.push_back(LabelledCopy(group, label.value(), text, kNaN));
    }
    for (size_t p = 0; p < group.points(); ++p) {
      GatherColumn(group.series, p, column);
      std::sort(column.begin(), column.end());
      for (size_t i = 0; i < phis.size(); ++i) out[first + i].values[p] = SortedQuantile(phis[i], column);
    }
  }
  return out;
}

/// How many series have a value in a range, per point; the ranges become cumulative buckets.
Result<SeriesList> HistogramAggr(AggrCall& call) {
  if (call.args.empty()) return Invalid("expecting at least one arg");
  SeriesList out;
  for (const auto& group : GroupSeries(Concatenate(std::move(call.args)), call.expr.modifier, call.expr.limit)) {
    SeriesList ranges;
    std::unordered_map<std::string, size_t> index;
    VmrangeHistogram histogram;
    for (size_t p = 0; p < group.points(); ++p) {
      histogram.Reset();
      for (const auto& s : group.series) histogram.Add(s.values[p]);
      histogram.VisitNonZero([&](std::string_view range, uint64_t count) {
        const auto [it, added] = index.emplace(range, ranges.size());
        if (added) ranges.push_back(LabelledCopy(group, "vmrange", range, 0));
        ranges[it->second].values[p] = static_cast<double>(count);
      });
    }
    ranges = VmrangeBucketsToLe(std::move(ranges));
    std::move(ranges.begin(), ranges.end(), std::back_inserter(out));
  }
  return out;
}

Result<SeriesList> CountValuesAggr(AggrCall& call) {
  VM_TRY(CheckArgsCount(call, 2));
  VM_ASSIGN_OR_RETURN(const auto label, TextArg(call.args[0], 1));
  // The label belongs to the result, not to the groups.
  metricsql::ModifierExpr modifier = call.expr.modifier;
  if (modifier.op == "without") modifier.args.push_back(label);
  if (modifier.op == "by") std::erase(modifier.args, label);
  const size_t limit = call.context.max_series_per_aggr;
  SeriesList out;
  for (const auto& group : GroupSeries(std::move(call.args[1]), modifier, call.expr.limit)) {
    std::unordered_map<double, size_t> index;
    for (const auto& s : group.series) {
      for (size_t p = 0; p < s.values.size(); ++p) {
        const double v = s.values[p];
        if (std::isnan(v)) continue;
        auto it = index.find(v);
        if (it == index.end()) {
          if (out.size() >= limit) {
            return Error(ErrorCode::kLimitExceeded,
                         "more than -search.maxSeriesPerAggrFunc=" + std::to_string(limit) + " are generated by count_values()");
          }
          it = index.emplace(v, out.size()).first;
          std::string text;
          AppendFixed(text, v);
          out.push_back(LabelledCopy(group, label, text, kNaN));
        }
        double& count = out[it->second].values[p];
        count = std::isnan(count) ? 1 : count + 1;
      }
    }
  }
  return out;
}

/// A number that compares as `value` does, the other way round if `reverse`. NaN is less than all values in both cases.
int64_t RankOf(double value, bool reverse) {
  if (std::isnan(value)) return std::numeric_limits<int64_t>::min();
  const auto bits = std::bit_cast<int64_t>((reverse ? -value : value) + 0.0);  // The sum makes -0 a 0.
  return bits ^ (bits >> 63 & std::numeric_limits<int64_t>::max());
}

size_t TopCount(double k, size_t series_count) {
  if (std::isnan(k) || k < 0) return 0;
  return static_cast<size_t>(std::min<int64_t>(BoundedInt(k), static_cast<int64_t>(series_count)));
}

struct Ranked {
  int64_t rank;
  uint32_t series;
};
/// Stable. The order of the last point is close to that of the next one, so a few moves will often do.
void SortRanked(std::vector<Ranked>& order) {
  size_t moves_left = 4 * order.size() + 16;
  for (size_t i = 1; i < order.size(); ++i) {
    const Ranked item = order[i];
    size_t k = i;
    for (; k > 0 && item.rank < order[k - 1].rank && moves_left > 0; --k, --moves_left) order[k] = order[k - 1];
    order[k] = item;
    if (moves_left > 0) continue;
    std::stable_sort(order.begin(), order.end(), [](const Ranked& a, const Ranked& b) { return a.rank < b.rank; });
    return;
  }
}

/// Put the series into `order` from its end and drop those without values.
void TakeInOrder(Group& group, const std::vector<Ranked>& order) {
  SeriesList sorted;
  sorted.reserve(group.series.size());
  for (size_t i = order.size(); i-- > 0;) sorted.push_back(std::move(group.series[order[i].series]));
  group.series = std::move(sorted);
  RemoveEmptySeries(group.series);
}

std::vector<Ranked> InitialOrder(const Group& group) {
  std::vector<Ranked> order(group.series.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = {0, static_cast<uint32_t>(i)};
  return order;
}

/// The k highest (lowest) series of every point. The order of one point is where the sort of the next one starts.
void KeepTop(Group& group, const std::vector<double>& ks, bool reverse) {
  auto order = InitialOrder(group);
  for (size_t p = 0; p < group.points(); ++p) {
    for (auto& r : order) r.rank = RankOf(group.series[r.series].values[p], reverse);
    SortRanked(order);
    const size_t drop = order.size() - TopCount(ks[p], order.size());
    for (size_t i = 0; i < drop; ++i) group.series[order[i].series].values[p] = kNaN;
  }
  TakeInOrder(group, order);
}

/// `name=value` of the label that marks the sum of the others; without `=` the text is both.
TimeSeries RemainingSum(const Group& group, const std::vector<Ranked>& order, const std::vector<double>& ks, const std::string& text) {
  const size_t eq = text.find('=');
  const std::string label = text.substr(0, eq);
  TimeSeries sum = LabelledCopy(group, label, eq == text.npos ? text : text.substr(eq + 1), kNaN);
  for (size_t p = 0; p < sum.values.size(); ++p) {
    const size_t drop = order.size() - TopCount(ks[p], order.size());
    double total = 0;
    bool found = false;
    for (size_t i = 0; i < drop; ++i) {
      const double v = group.series[order[i].series].values[p];
      if (std::isnan(v)) continue;
      total += v;
      found = true;
    }
    if (found) sum.values[p] = total;
  }
  return sum;
}

/// The k series that `rank` puts highest (lowest) over the whole range.
template <class Rank>
void KeepTopRange(Group& group, const std::vector<double>& ks, const std::string& remaining, Rank rank, bool reverse) {
  auto order = InitialOrder(group);
  for (auto& r : order) r.rank = RankOf(rank(group.series[r.series].values), reverse);
  SortRanked(order);
  const size_t count = order.size();
  if (!remaining.empty()) {
    TimeSeries sum = RemainingSum(group, order, ks, remaining);
    order.push_back({0, static_cast<uint32_t>(count)});
    group.series.push_back(std::move(sum));
  }
  for (size_t p = 0; p < ks.size(); ++p) {
    const size_t drop = count - TopCount(ks[p], count);
    for (size_t i = 0; i < drop; ++i) group.series[order[i].series].values[p] = kNaN;
  }
  TakeInOrder(group, order);
}

double MeanValue(std::span<const double> values) {
  double sum = 0, count = 0;
  for (const double v : values) {
    if (std::isnan(v)) continue;
    sum += v;
    ++count;
  }
  return count == 0 ? kNaN : sum / count;
}
double MaxValue(std::span<const double> values) {
  double max = kNaN;
  for (const double v : values) max = std::isnan(max) || v > max ? v : max;
  return max;
}
double MinValue(std::span<const double> values) {
  double min = kNaN;
  for (const double v : values) min = std::isnan(min) || v < min ? v : min;
  return min;
}
double LastValue(std::span<const double> values) {
  for (size_t i = values.size(); i-- > 0;) {
    if (!std::isnan(values[i])) return values[i];
  }
  return kNaN;
}
double MedianValue(std::span<const double> values) {
  std::vector<double> scratch;
  return Quantile(0.5, values, scratch);
}

Result<SeriesList> TopAggr(AggrCall& call) {
  VM_TRY(CheckArgsCount(call, 2));
  VM_ASSIGN_OR_RETURN(const auto ks, ScalarArg(call, 0));
  const bool reverse = call.expr.name == "bottomk";
  return SomeOfGroup(GroupSeries(std::move(call.args[1]), call.expr.modifier, call.expr.limit),
                     [&](Group& group) { KeepTop(group, ks, reverse); });
}

Result<SeriesList> TopRangeAggr(AggrCall& call) {
  const size_t count = call.args.size();
  if (count < 2) return Invalid("unexpected number of args; got " + std::to_string(count) + "; want at least 2");
  if (count > 3) return Invalid("unexpected number of args; got " + std::to_string(count) + "; want no more than 3");
  VM_ASSIGN_OR_RETURN(const auto ks, ScalarArg(call, 0));
  std::string remaining;
  if (count == 3) {
    VM_ASSIGN_OR_RETURN(remaining, TextArg(call.args[2], 3));
  }
  const std::string_view name = call.expr.name;
  const bool reverse = name.starts_with("bottomk");
  const std::string_view by = name.substr(name.find('_') + 1);
  const auto rank = by == "avg" ? MeanValue : by == "max" ? MaxValue : by == "min" ? MinValue : by == "last" ? LastValue : MedianValue;
  return SomeOfGroup(GroupSeries(std::move(call.args[1]), call.expr.modifier, call.expr.limit),
                     [&](Group& group) { KeepTopRange(group, ks, remaining, rank, reverse); });
}

std::vector<double> MediansOf(const SeriesList& series) {
  std::vector<double> medians(series[0].values.size());
  std::vector<double> column;
  for (size_t p = 0; p < medians.size(); ++p) {
    GatherColumn(series, p, column);
    medians[p] = SelectQuantile(0.5, column);
  }
  return medians;
}

/// Keep the series that have a point for which `is_outlier(value, point)` holds.
template <class IsOutlier>
void KeepOutliers(Group& group, IsOutlier is_outlier) {
  std::erase_if(group.series, [&](const TimeSeries& s) {
    for (size_t p = 0; p < s.values.size(); ++p) {
      if (is_outlier(s.values[p], p)) return false;
    }
    return true;
  });
}

Result<SeriesList> OutliersIqrAggr(AggrCall& call) {
  VM_TRY(CheckArgsCount(call, 1));
  return SomeOfGroup(GroupSeries(std::move(call.args[0]), call.expr.modifier, call.expr.limit), [&](Group& group) {
    std::vector<OutlierBounds> bounds(group.points());
    std::vector<double> column, scratch;
    for (size_t p = 0; p < bounds.size(); ++p) {
      GatherColumn(group.series, p, column);
      bounds[p] = InterquartileBounds(column, scratch);
    }
    KeepOutliers(group, [&](double v, size_t p) { return v > bounds[p].upper || v < bounds[p].lower; });
  });
}

Result<SeriesList> OutliersMadAggr(AggrCall& call) {
  VM_TRY(CheckArgsCount(call, 2));
  VM_ASSIGN_OR_RETURN(const auto tolerances, ScalarArg(call, 0));
  return SomeOfGroup(GroupSeries(std::move(call.args[1]), call.expr.modifier, call.expr.limit), [&](Group& group) {
    const auto medians = MediansOf(group.series);
    std::vector<double> limits(medians.size());
    std::vector<double> column, scratch;
    for (size_t p = 0; p < limits.size(); ++p) {
      GatherColumn(group.series, p, column);
      limits[p] = MedianDeviation(column, scratch) * tolerances[p];
    }
    KeepOutliers(group, [&](double v, size_t p) { return std::fabs(v - medians[p]) > limits[p]; });
  });
}

Result<SeriesList> OutliersKAggr(AggrCall& call) {
  VM_TRY(CheckArgsCount(call, 2));
  VM_ASSIGN_OR_RETURN(const auto ks, ScalarArg(call, 0));
  return SomeOfGroup(GroupSeries(std::move(call.args[1]), call.expr.modifier, call.expr.limit), [&](Group& group) {
    const auto medians = MediansOf(group.series);
    const auto distance = [&](std::span<const double> values) {
      double sum = 0;
      for (size_t p = 0; p < values.size(); ++p) sum += (values[p] - medians[p]) * (values[p] - medians[p]);
      return sum;
    };
    KeepTopRange(group, ks, "", distance, false);
  });
}

/// Series in the order of a hash of their names, so that the choice is even and always the same.
Result<SeriesList> LimitKAggr(AggrCall& call) {
  VM_TRY(CheckArgsCount(call, 2));
  auto limit_arg = ScalarArg(call, 0);
  if (!limit_arg.ok()) return std::move(limit_arg).error().WithContext("cannot obtain limit arg");
  const int64_t limit = std::max<int64_t>(0, BoundedInt(limit_arg.value()[0]));
  return SomeOfGroup(GroupSeries(std::move(call.args[1]), call.expr.modifier, call.expr.limit), [&](Group& group) {
    std::vector<std::pair<uint64_t, size_t>> order;
    std::string text;
    for (size_t i = 0; i < group.series.size(); ++i) {
      const auto& name = group.series[i].name;
      text = name.metric_group;
      for (const auto& tag : name.tags) text.append(tag.key).append(tag.value);
      order.emplace_back(hash::XXH64(AsBytes(text)), i);
    }
    std::sort(order.begin(), order.end());
    if (static_cast<uint64_t>(limit) < order.size()) order.resize(static_cast<size_t>(limit));
    SeriesList kept;
    for (const auto& [hash, i] : order) kept.push_back(std::move(group.series[i]));
    group.series = std::move(kept);
  });
}

using AggrFunc = Result<SeriesList> (*)(AggrCall& call);

AggrFunc FindAggr(std::string_view name) {
  static const std::unordered_map<std::string_view, AggrFunc> funcs = [] {
    std::unordered_map<std::string_view, AggrFunc> map;
    for (const auto n : {"avg", "count", "distinct", "geomean", "group", "mad", "max", "median", "min", "mode", "stddev", "stdvar", "sum", "sum2"}) {
      map.emplace(n, PlainAggr);
    }
    for (const auto n : {"any", "share", "zscore"}) map.emplace(n, PerSeriesAggr);
    for (const auto n : {"bottomk", "topk"}) map.emplace(n, TopAggr);
    for (const auto n : {"bottomk_avg", "bottomk_last", "bottomk_max", "bottomk_median", "bottomk_min", "topk_avg", "topk_last", "topk_max",
                         "topk_median", "topk_min"}) {
      map.emplace(n, TopRangeAggr);
    }
    map.emplace("count_values", CountValuesAggr);
    map.emplace("histogram", HistogramAggr);
    map.emplace("limitk", LimitKAggr);
    map.emplace("outliers_iqr", OutliersIqrAggr);
    map.emplace("outliers_mad", OutliersMadAggr);
    map.emplace("outliersk", OutliersKAggr);
    map.emplace("quantile", QuantileAggr);
    map.emplace("quantiles", QuantilesAggr);
    return map;
  }();
  const auto it = funcs.find(name);
  return it == funcs.end() ? nullptr : it->second;
}

}  // namespace

Result<SeriesList> EvalAggr(const EvalContext& context, const metricsql::AggrFuncExpr& aggr, std::vector<SeriesList> args) {
  const AggrFunc func = FindAggr(aggr.name);
  if (func == nullptr) return Readable(context, Invalid("unknown func \"" + aggr.name + "\""));
  AggrCall call{context, aggr, std::move(args)};
  return func(call);
}

bool IsSortingAggr(std::string_view name) { return name.starts_with("topk") || name.starts_with("bottomk") || name == "outliersk"; }

}  // namespace vm::select
