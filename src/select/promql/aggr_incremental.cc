#include "select/promql/aggr_incremental.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "select/promql/names.h"

namespace vm::select {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

/// Combine the points that have a value, without branches: a point without one adds what changes nothing.
/// `combine(total, value)` returns `total` unchanged for NaN.
template <class Combine>
void FoldPoints(std::span<const double> values, double* totals, double* counts, Combine combine) {
  for (size_t i = 0; i < values.size(); ++i) {
    totals[i] = combine(totals[i], values[i]);
    counts[i] += std::isnan(values[i]) ? 0.0 : 1.0;
  }
}

/// What the first value is combined with. -0 is the only number that leaves every sum as it is.
double StartOf(IncrementalAggrKind kind) {
  switch (kind) {
    case IncrementalAggrKind::kSum:
    case IncrementalAggrKind::kAvg:
      return -0.0;
    case IncrementalAggrKind::kMin:
      return kInf;
    case IncrementalAggrKind::kMax:
      return -kInf;
    case IncrementalAggrKind::kGeomean:
      return 1;
    default:
      return 0;
  }
}

}  // namespace

std::optional<IncrementalAggrKind> FindIncrementalAggr(std::string_view name) {
  static constexpr std::pair<std::string_view, IncrementalAggrKind> kKinds[] = {
      {"sum", IncrementalAggrKind::kSum},         {"min", IncrementalAggrKind::kMin}, {"max", IncrementalAggrKind::kMax},
      {"avg", IncrementalAggrKind::kAvg},         {"count", IncrementalAggrKind::kCount}, {"sum2", IncrementalAggrKind::kSum2},
      {"geomean", IncrementalAggrKind::kGeomean}, {"any", IncrementalAggrKind::kAny}, {"group", IncrementalAggrKind::kGroup},
  };
  for (const auto& [n, kind] : kKinds) {
    if (n == name) return kind;
  }
  return std::nullopt;
}

IncrementalAggr::IncrementalAggr(const metricsql::AggrFuncExpr& expr) : expr_(expr), kind_(*FindIncrementalAggr(expr.name)) {}

void IncrementalAggr::Add(size_t index, const TimeSeries& series) {
  key_.clear();
  AppendAggrKey(key_, series.name, expr_.modifier, tags_);
  const auto [it, is_new] = index_.try_emplace(key_, groups_.size());
  if (!is_new) return Fold(groups_[it->second], series.values);
  Group& group = groups_.emplace_back();
  group.first_index = index;
  group.series.name = series.name;
  if (kind_ == IncrementalAggrKind::kAny) {
    group.series.values = series.values;
    return;
  }
  ApplyAggrModifier(group.series.name, expr_.modifier);
  group.series.values.assign(series.values.size(), StartOf(kind_));
  group.counts.assign(series.values.size(), 0);
  Fold(group, series.values);
}

void IncrementalAggr::Fold(Group& group, const std::vector<double>& points) const {
  double* totals = group.series.values.data();
  double* counts = group.counts.data();
  const std::span<const double> values(points);
  switch (kind_) {
    case IncrementalAggrKind::kSum:
    case IncrementalAggrKind::kAvg:
      FoldPoints(values, totals, counts, [](double a, double b) { return std::isnan(b) ? a : a + b; });
      break;
    case IncrementalAggrKind::kMin:
      FoldPoints(values, totals, counts, [](double a, double b) { return b < a ? b : a; });
      break;
    case IncrementalAggrKind::kMax:
      FoldPoints(values, totals, counts, [](double a, double b) { return b > a ? b : a; });
      break;
    case IncrementalAggrKind::kSum2:
      FoldPoints(values, totals, counts, [](double a, double b) { return std::isnan(b) ? a : a + b * b; });
      break;
    case IncrementalAggrKind::kGeomean:
      FoldPoints(values, totals, counts, [](double a, double b) { return std::isnan(b) ? a : a * b; });
      break;
    case IncrementalAggrKind::kCount:
    case IncrementalAggrKind::kGroup:
      for (size_t i = 0; i < values.size(); ++i) totals[i] += !std::isnan(values[i]);
      break;
    case IncrementalAggrKind::kAny:
      break;
  }
}

void IncrementalAggr::MergeGroup(Group& to, Group&& from) const {
  const bool is_earlier = from.first_index < to.first_index;
  to.first_index = std::min(to.first_index, from.first_index);
  auto& totals = to.series.values;
  const auto& more = from.series.values;
  for (size_t i = 0; i < totals.size(); ++i) {
    switch (kind_) {
      case IncrementalAggrKind::kMin:
        totals[i] = std::min(totals[i], more[i]);
        break;
      case IncrementalAggrKind::kMax:
        totals[i] = std::max(totals[i], more[i]);
        break;
      case IncrementalAggrKind::kGeomean:
        totals[i] *= more[i];
        break;
      case IncrementalAggrKind::kAny:
        break;
      default:
        totals[i] += more[i];
    }
  }
  for (size_t i = 0; i < to.counts.size(); ++i) to.counts[i] += from.counts[i];
  if (kind_ == IncrementalAggrKind::kAny && is_earlier) to.series = std::move(from.series);
}

void IncrementalAggr::Merge(IncrementalAggr&& other) {
  for (auto& [key, position] : other.index_) {
    Group& group = other.groups_[position];
    const auto [it, is_new] = index_.try_emplace(key, groups_.size());
    if (is_new) groups_.push_back(std::move(group));
    else MergeGroup(groups_[it->second], std::move(group));
  }
  other.index_.clear();
  other.groups_.clear();
}

void IncrementalAggr::FinishGroup(Group& group) const {
  auto& values = group.series.values;
  for (size_t i = 0; i < values.size(); ++i) {
    switch (kind_) {
      case IncrementalAggrKind::kSum:
      case IncrementalAggrKind::kMin:
      case IncrementalAggrKind::kMax:
      case IncrementalAggrKind::kSum2:
        if (group.counts[i] == 0) values[i] = kNaN;
        break;
      case IncrementalAggrKind::kAvg:
        values[i] = group.counts[i] == 0 ? kNaN : values[i] / group.counts[i];
        break;
      case IncrementalAggrKind::kGeomean:
        values[i] = group.counts[i] == 0 ? kNaN : std::pow(values[i], 1 / group.counts[i]);
        break;
      case IncrementalAggrKind::kCount:
        if (values[i] == 0) values[i] = kNaN;
        break;
      case IncrementalAggrKind::kGroup:
        values[i] = values[i] == 0 ? kNaN : 1;
        break;
      case IncrementalAggrKind::kAny:
        break;
    }
  }
}

std::vector<TimeSeries> IncrementalAggr::Finish() {
  std::sort(groups_.begin(), groups_.end(), [](const Group& a, const Group& b) { return a.first_index < b.first_index; });
  if (expr_.limit > 0 && groups_.size() > static_cast<size_t>(expr_.limit)) groups_.resize(static_cast<size_t>(expr_.limit));
  std::vector<TimeSeries> out;
  out.reserve(groups_.size());
  for (Group& group : groups_) {
    FinishGroup(group);
    out.push_back(std::move(group.series));
  }
  groups_.clear();
  index_.clear();
  return out;
}

}  // namespace vm::select
