#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "select/promql/transform_util.h"

namespace vm::select::transform {
namespace {

/// The labels that a selector asks for; a function of series has none.
void AddSelectedLabels(const metricsql::Expr& expr, model::MetricName& name) {
  const auto* metric = metricsql::As<metricsql::MetricExpr>(&expr);
  if (metric == nullptr || metric->filter_groups.size() != 1) return;
  for (const metricsql::LabelFilter& filter : metric->filter_groups[0]) {
    if (filter.label.empty() || filter.label == kNameLabel || filter.is_regexp || filter.is_negative) continue;
    name.tags.push_back({filter.label, filter.value});
  }
}

Result<SeriesList> Absent(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 1));
  TimeSeries series = MakeGridSeries(call.context, 1);
  if (!call.expr.args.empty()) AddSelectedLabels(*call.expr.args[0], series.name);
  for (const TimeSeries& other : call.args[0]) {
    for (size_t i = 0; i < series.values.size(); ++i) {
      if (!std::isnan(other.values[i])) series.values[i] = kNaN;
    }
  }
  return OneSeries(std::move(series));
}

Result<SeriesList> DropEmptySeries(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 1));
  RemoveEmptySeries(call.args[0]);
  return std::move(call.args[0]);
}

Result<SeriesList> LimitOffset(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 3));
  auto limit = IntArg(call.args[0], 1);
  if (!limit.ok()) return std::move(limit).error().WithContext("cannot obtain limit arg");
  auto offset = IntArg(call.args[1], 2);
  if (!offset.ok()) return std::move(offset).error().WithContext("cannot obtain offset arg");
  if (limit.value() < 0) return Invalid("limit cannot be negative; got " + std::to_string(limit.value()));
  if (offset.value() < 0) return Invalid("offset cannot be negative; got " + std::to_string(offset.value()));
  SeriesList list = std::move(call.args[2]);
  RemoveEmptySeries(list);
  const auto skipped = std::min<uint64_t>(static_cast<uint64_t>(offset.value()), list.size());
  list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(skipped));
  if (static_cast<uint64_t>(limit.value()) < list.size()) list.resize(static_cast<size_t>(limit.value()));
  return list;
}

Result<SeriesList> Union(TransformCall& call) {
  if (call.args.empty()) return OneSeries(MakeGridSeries(call.context, kNaN));
  SeriesList out;
  if (std::all_of(call.args.begin(), call.args.end(), IsScalar)) {
    // `q == (1, 2, 3)` needs all of them, though their names are equal.
    for (SeriesList& arg : call.args) out.push_back(std::move(arg[0]));
    return out;
  }
  std::unordered_set<std::string> seen;
  std::string key;
  for (SeriesList& arg : call.args) {
    for (TimeSeries& series : arg) {
      key.clear();
      SortTagsByKey(series.name);
      AppendNameKey(key, series.name);
      if (seen.insert(key).second) out.push_back(std::move(series));
    }
  }
  return out;
}

constexpr Entry kFunctions[] = {
    {"", Union},
    {"absent", Absent},
    {"drop_empty_series", DropEmptySeries},
    {"limit_offset", LimitOffset},
    {"union", Union},
};

}  // namespace

std::span<const Entry> SeriesFunctions() { return kFunctions; }

}  // namespace vm::select::transform
