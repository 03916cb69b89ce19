#include "select/promql/aggr_incremental.h"

#include <cmath>
#include <limits>
#include <span>

#include "select/promql/names.h"

namespace vm::select {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

/// Fold the points that have a value, without branches: a point without one adds what changes nothing.
/// `combine(total, value)` returns `total` unchanged for NaN.
template <class Combine>
void Fold(std::span<const double> values, double* totals, double* counts, Combine combine) {
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

void IncrementalAggr::Add(TimeSeries& series) {
  key_.clear();
  model::MetricName name;
  if (kind_ == IncrementalAggrKind::kAny) name = series.name;
  ApplyAggrModifier(series.name, expr_.modifier);
  AppendNameKey(key_, series.name);
  auto it = index_.find(key_);
  if (it == index_.end()) {
    if (expr_.limit > 0 && groups_.size() >= static_cast<size_t>(expr_.limit)) return;
    it = index_.emplace(key_, groups_.size()).first;
    Group& group = groups_.emplace_back();
    group.series.name = kind_ == IncrementalAggrKind::kAny ? std::move(name) : std::move(series.name);
    if (kind_ == IncrementalAggrKind::kAny) {
      group.series.values = series.values;
      return;
    }
    group.series.values.assign(series.values.size(), StartOf(kind_));
    group.counts.assign(series.values.size(), 0);
  }
  Group& group = groups_[it->second];
  double* totals = group.series.values.data();
  double* counts = group.counts.data();
  const std::span<const double> values(series.values);
  switch (kind_) {
    case IncrementalAggrKind::kSum:
    case IncrementalAggrKind::kAvg:
      Fold(values, totals, counts, [](double a, double b) { return std::isnan(b) ? a : a + b; });
      break;
    case IncrementalAggrKind::kMin:
      Fold(values, totals, counts, [](double a, double b) { return b < a ? b : a; });
      break;
    case IncrementalAggrKind::kMax:
      Fold(values, totals, counts, [](double a, double b) { return b > a ? b : a; });
      break;
    case IncrementalAggrKind::kSum2:
      Fold(values, totals, counts, [](double a, double b) { return std::isnan(b) ? a : a + b * b; });
      break;
    case IncrementalAggrKind::kGeomean:
      Fold(values, totals, counts, [](double a, double b) { return std::isnan(b) ? a : a * b; });
      break;
    case IncrementalAggrKind::kCount:
    case IncrementalAggrKind::kGroup:
      for (size_t i = 0; i < values.size(); ++i) totals[i] += !std::isnan(values[i]);
      break;
    case IncrementalAggrKind::kAny:
      break;
  }
}

std::vector<TimeSeries> IncrementalAggr::Finish() {
  std::vector<TimeSeries> out;
  out.reserve(groups_.size());
  for (Group& group : groups_) {
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
    out.push_back(std::move(group.series));
  }
  groups_.clear();
  index_.clear();
  return out;
}

}  // namespace vm::select
