// Functions that make few series of many, or relate lists to each other.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "select/graphite/functions.h"

namespace vm::select::graphite {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

/// Keep the tags that `other` has alike.
void KeepCommonTags(Tags& tags, const Tags& other) {
  std::erase_if(tags, [&other](const auto& tag) {
    const auto found = other.find(tag.first);
    return found == other.end() ? !tag.second.empty() : found->second != tag.second;
  });
}

Series OnGrid(const Call& call, int64_t step, std::vector<double> values) {
  Series series;
  series.timestamps = GridTimestamps(call.window.start, call.window.end, step);
  series.values = std::move(values);
  series.step = step;
  return series;
}

Result<SeriesList> AggregateList(Call& call, SeriesList list, const std::string& function, double x_files_factor) {
  VM_TRY(FindAggregate(function));
  if (list.empty()) return list;
  const int64_t step = call.StepOf(list);
  VM_TRY(call.ConsolidateAll(list, step));
  const size_t points = PointsCount(call.window.start, call.window.end, step);
  VM_TRY(call.eval.Charge(1, points));
  VM_ASSIGN_OR_RETURN(auto values, AggregateRows(RowsOf(list), points, function, x_files_factor));
  Series series = OnGrid(call, step, std::move(values));
  series.tags = list[0].tags;
  for (const Series& other : list) KeepCommonTags(series.tags, other.tags);
  series.name = AggregateName(function, PathsOf(list));
  series.path = call.eval.CutPath(series.name);
  series.tags["aggregatedBy"] = function;
  if (std::string& name = series.tags["name"]; name.empty()) name = series.name;
  SeriesList result;
  result.push_back(std::move(series));
  return result;
}

/// All arguments as one list.
Result<SeriesList> AllLists(Call& call) {
  SeriesList all;
  for (size_t i = 0; i < call.size(); ++i) {
    VM_ASSIGN_OR_RETURN(SeriesList list, call.List("seriesList", i));
    std::move(list.begin(), list.end(), std::back_inserter(all));
  }
  return all;
}

template <const char* kFunction>
Result<SeriesList> AggregateAll(Call& call) {
  VM_ASSIGN_OR_RETURN(SeriesList list, AllLists(call));
  return AggregateList(call, std::move(list), kFunction, call.window.x_files_factor);
}

constexpr char kAverage[] = "average";
constexpr char kCount[] = "count";
constexpr char kDiff[] = "diff";
constexpr char kDivide[] = "divide";
constexpr char kMax[] = "max";
constexpr char kMin[] = "min";
constexpr char kMultiply[] = "multiply";
constexpr char kPow[] = "pow";
constexpr char kRangeOf[] = "rangeOf";
constexpr char kStddev[] = "stddev";
constexpr char kSum[] = "sum";

Result<SeriesList> AggregateBy(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string function, call.Text("func", 1));
  VM_ASSIGN_OR_RETURN(const double factor, call.NumberOr("xFilesFactor", 2, call.window.x_files_factor));
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  return AggregateList(call, std::move(list), std::string(WithoutSeriesSuffix(function)), factor);
}

/// One series for each key of `key_of(series)`, named after it.
template <class KeyOf>
Result<SeriesList> GroupBy(Call& call, SeriesList list, const std::string& function, const KeyOf& key_of) {
  VM_TRY(FindAggregate(function));
  const int64_t step = call.StepOf(list);
  const size_t points = PointsCount(call.window.start, call.window.end, step);
  std::map<std::string, SeriesList> groups;
  for (Series& series : list) {
    std::string key = key_of(series);
    VM_TRY(call.eval.Consolidate(series, call.window, step));
    groups[std::move(key)].push_back(std::move(series));
  }
  VM_TRY(call.eval.Charge(groups.size(), points));
  SeriesList result;
  for (const auto& [key, group] : groups) {
    VM_ASSIGN_OR_RETURN(auto values, AggregateRows(RowsOf(group), points, function, call.window.x_files_factor));
    Series series = OnGrid(call, step, std::move(values));
    series.tags = group[0].tags;
    for (const Series& other : group) KeepCommonTags(series.tags, other.tags);
    if (std::string& name = series.tags["name"]; name.empty()) {
      name = fmt::format("{}Series({})", WithoutSeriesSuffix(function), JoinedPaths(PathsOf(group), true));
    }
    series.tags["aggregatedBy"] = function;
    series.name = key;
    series.path = series.tags["name"];
    result.push_back(std::move(series));
  }
  return result;
}

Result<SeriesList> GroupWithWildcards(Call& call, const std::string& function, size_t first_position) {
  std::set<int> positions;
  for (size_t i = first_position; i < call.size(); ++i) {
    VM_ASSIGN_OR_RETURN(const double position, call.Number("position", i));
    positions.insert(ToInt(position));
  }
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  return GroupBy(call, std::move(list), function, [&positions](const Series& series) {
    std::vector<std::string> kept;
    int position = 0;
    for (std::string& part : SplitPath(PathOfName(series.name))) {
      if (!positions.contains(position++)) kept.push_back(std::move(part));
    }
    return JoinPath(kept);
  });
}
Result<SeriesList> AggregateWithWildcards(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string function, call.Text("func", 1));
  return GroupWithWildcards(call, function, 2);
}
template <const char* kFunction>
Result<SeriesList> WithWildcards(Call& call) {
  return GroupWithWildcards(call, kFunction, 1);
}

Result<SeriesList> GroupByNodes(Call& call, const std::string& function, std::vector<const Expr*> nodes) {
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  return GroupBy(call, std::move(list), function, [&nodes](const Series& series) { return NameFromNodes(series, nodes); });
}
Result<SeriesList> GroupByNode(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string function, call.TextOr("callback", 2, "average"));
  const Expr& node = call.expr.args[1].value;
  if (!node.is(Expr::Kind::kNumber) && !node.is(Expr::Kind::kString)) return Bad("unexpected arg type for `nodes`; expecting number or string");
  return GroupByNodes(call, function, {&node});
}
Result<SeriesList> GroupByManyNodes(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string function, call.Text("callback", 1));
  VM_ASSIGN_OR_RETURN(auto nodes, call.Nodes(2));
  return GroupByNodes(call, function, std::move(nodes));
}

Result<SeriesList> GroupByTags(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string function, call.Text("callback", 1));
  std::set<std::string> names;
  for (size_t i = 2; i < call.size(); ++i) {
    const Expr& tag = call.expr.args[i].value;
    if (!tag.is(Expr::Kind::kString)) return Bad("unexpected tag type; expecting string");
    names.insert(tag.text);
  }
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  return GroupBy(call, std::move(list), function, [&](const Series& series) {
    Tags tags;
    if (!names.contains("name")) tags["name"] = function;
    for (const std::string& name : names) {
      const auto found = series.tags.find(name);
      tags[name] = found == series.tags.end() ? std::string() : found->second;
    }
    return MarshalTags(tags);
  });
}

Result<SeriesList> PercentileOfSeries(Call& call) {
  VM_ASSIGN_OR_RETURN(const double n, call.Number("n", 1));
  VM_TRY(call.BoolOr("interpolate", 2, false));  // Without effect, as in the reference.
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  if (list.empty()) return list;
  const int64_t step = call.StepOf(list);
  VM_TRY(call.ConsolidateAll(list, step));
  const size_t points = PointsCount(call.window.start, call.window.end, step);
  VM_TRY(call.eval.Charge(1, points));
  const auto percentile = [n](std::span<const double> values) { return Percentile(values, n); };
  Series series = OnGrid(call, step, AggregateRows(RowsOf(list), points, percentile, call.window.x_files_factor));
  const std::vector<std::string> paths = PathsOf(list);
  Rename(series, fmt::format("percentileOfSeries({},{})", *std::min_element(paths.begin(), paths.end()), NumberText(n)));
  series.tags["name"] = series.name;
  SeriesList result;
  result.push_back(std::move(series));
  return result;
}

Result<SeriesList> DivideSeries(Call& call) {
  VM_ASSIGN_OR_RETURN(SeriesList divisors, call.List("divisorSeries", 1));
  const int64_t step = call.StepOf(divisors);
  VM_TRY(call.ConsolidateAll(divisors, step));
  if (divisors.size() > 1) return Bad(fmt::format("unexpected number of divisorSeries; got {}; want 1", divisors.size()));
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List("dividendSeriesList", 0));
  for (Series& s : list) {
    if (divisors.empty()) {
      std::fill(s.values.begin(), s.values.end(), kNaN);
      Rename(s, fmt::format("divideSeries({},MISSING)", s.name));
      continue;
    }
    VM_TRY(call.eval.Consolidate(s, call.window, step));
    for (size_t i = 0; i < s.values.size(); ++i) s.values[i] /= divisors[0].values[i];
    Rename(s, fmt::format("divideSeries({},{})", s.name, divisors[0].name));
  }
  return list;
}

/// The first series of one list with the first of the other, and so on.
template <class Combine>
Result<SeriesList> CombineLists(Call& call, const char* first_name, const char* second_name, std::string_view function, const Combine& combine) {
  VM_ASSIGN_OR_RETURN(SeriesList first, call.List(first_name, 0));
  VM_ASSIGN_OR_RETURN(SeriesList second, call.List(second_name, 1));
  const int64_t first_step = call.StepOf(first);
  const int64_t second_step = call.StepOf(second);
  VM_TRY(call.ConsolidateAll(first, first_step));
  VM_TRY(call.ConsolidateAll(second, second_step));
  if (first.size() != second.size()) {
    return Bad(fmt::format("first and second lists must have equal number of series; got {} vs {} series", first.size(), second.size()));
  }
  if (first_step != second_step) return Bad(fmt::format("step mismatch for first and second: {} vs {}", first_step, second_step));
  for (size_t k = 0; k < first.size(); ++k) {
    Series& s = first[k];
    for (size_t i = 0; i < s.values.size(); ++i) {
      const std::array<double, 2> pair = {s.values[i], second[k].values[i]};
      s.values[i] = combine(std::span<const double>(pair));
    }
    Rename(s, fmt::format("{}Series({},{})", function, s.name, second[k].name));
  }
  return first;
}
Result<SeriesList> AggregateLists(Call& call, const std::string& function) {
  VM_ASSIGN_OR_RETURN(const Aggregate aggregate, FindAggregate(function));
  return CombineLists(call, "seriesListFirstPos", "seriesListSecondPos", function, aggregate);
}
Result<SeriesList> AggregateSeriesLists(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string function, call.Text("func", 2));
  return AggregateLists(call, function);
}
template <const char* kFunction>
Result<SeriesList> Lists(Call& call) {
  return AggregateLists(call, kFunction);
}
Result<SeriesList> DivideLists(Call& call) {
  return CombineLists(call, "dividendSeriesList", "divisorSeriesList", kDivide, [](std::span<const double> pair) { return pair[0] / pair[1]; });
}

// asPercent.

/// All of `list` as parts of `totals`, in per cent.
void AsPercentOf(Series& s, std::span<const double> totals, std::string_view total_name) {
  for (size_t i = 0; i < s.values.size(); ++i) s.values[i] = i < totals.size() ? s.values[i] / totals[i] * 100 : kNaN;
  Rename(s, fmt::format("asPercent({},{})", s.name, total_name));
  s.tags["name"] = s.name;
}

struct Total {
  std::vector<double> values;
  std::string name;
};
Result<Total> TotalOf(const Call& call, const SeriesList& list, int64_t step) {
  Total total;
  const size_t points = PointsCount(call.window.start, call.window.end, step);
  VM_ASSIGN_OR_RETURN(total.values, AggregateRows(RowsOf(list), points, kSum, call.window.x_files_factor));
  total.name = list.size() == 1 ? list[0].path : AggregateName(kSum, PathsOf(list));
  return total;
}

using Groups = std::map<std::string, SeriesList>;
Result<Groups> GroupsByNodes(const Call& call, SeriesList list, int64_t step, const std::vector<const Expr*>& nodes) {
  Groups groups;
  VM_TRY(call.ConsolidateAll(list, step));
  for (Series& s : list) {
    std::string key = NameFromNodes(s, nodes);
    groups[std::move(key)].push_back(std::move(s));
  }
  return groups;
}

Result<SeriesList> AsPercentByNodes(const Call& call, SeriesList list, SeriesList totals, const std::vector<const Expr*>& nodes) {
  const int64_t step = call.StepOf(list);
  const int64_t total_step = call.StepOf(totals);
  VM_ASSIGN_OR_RETURN(Groups groups, GroupsByNodes(call, std::move(list), step, nodes));
  VM_ASSIGN_OR_RETURN(Groups total_groups, GroupsByNodes(call, std::move(totals), total_step, nodes));
  if (step != total_step) return Bad(fmt::format("step mismatch for series and total series: {} vs {}", step, total_step));
  SeriesList result;
  for (const auto& [key, group] : total_groups) {
    VM_ASSIGN_OR_RETURN(const Total total, TotalOf(call, group, step));
    if (!groups.contains(key)) {
      VM_TRY(call.eval.Charge(1, total.values.size()));
      Series missing = EmptySeries(call.window, step);
      Rename(missing, fmt::format("asPercent(MISSING,{})", total.name));
      missing.tags["name"] = missing.name;
      result.push_back(std::move(missing));
      continue;
    }
    for (Series& s : groups[key]) {
      AsPercentOf(s, total.values, total.name);
      result.push_back(std::move(s));
    }
  }
  for (auto& [key, group] : groups) {
    if (total_groups.contains(key)) continue;
    for (Series& s : group) {
      AsPercentOf(s, {}, "MISSING");
      result.push_back(std::move(s));
    }
  }
  return result;
}

Result<SeriesList> AsPercent(Call& call) {
  const Expr* total = call.Find("total", 1);
  std::vector<const Expr*> nodes;
  if (call.size() > 2) {
    VM_ASSIGN_OR_RETURN(nodes, call.Nodes(2));
  }
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  if (total == nullptr || total->is(Expr::Kind::kNone)) {
    const int64_t step = call.StepOf(list);
    VM_ASSIGN_OR_RETURN(Groups groups, GroupsByNodes(call, std::move(list), step, nodes));
    SeriesList result;
    for (auto& [key, group] : groups) {
      VM_ASSIGN_OR_RETURN(const Total sum, TotalOf(call, group, step));
      for (Series& s : group) {
        AsPercentOf(s, sum.values, sum.name);
        result.push_back(std::move(s));
      }
    }
    return result;
  }
  if (total->is(Expr::Kind::kNumber)) {
    if (!nodes.empty()) return Bad("unexpected non-empty nodes for numeric total");
    for (Series& s : list) {
      ChangeValues(s, [total](double v) { return v / total->number * 100; });
      Rename(s, fmt::format("asPercent({},{})", s.name, NumberText(total->number)));
    }
    return list;
  }
  VM_ASSIGN_OR_RETURN(SeriesList totals, call.eval.Eval(*total, call.window));
  if (!nodes.empty()) return AsPercentByNodes(call, std::move(list), std::move(totals), nodes);
  const int64_t total_step = call.StepOf(totals);
  VM_TRY(call.ConsolidateAll(totals, total_step));
  if (totals.empty()) return SeriesList();
  if (totals.size() > 1) {
    if (list.size() != totals.size()) {
      return Bad(fmt::format("unexpected number of series returned by total expression; got {}; want {}", totals.size(), list.size()));
    }
    if (const int64_t step = call.StepOf(list); step != total_step) {
      return Bad(fmt::format("step mismatch for series and total series: {} vs {}", step, total_step));
    }
  }
  VM_TRY(call.ConsolidateAll(list, total_step));
  for (size_t k = 0; k < list.size(); ++k) {
    const Series& of = totals[totals.size() == 1 ? 0 : k];
    AsPercentOf(list[k], of.values, of.name);
  }
  return list;
}

Result<SeriesList> WeightedAverage(Call& call) {
  VM_ASSIGN_OR_RETURN(const auto nodes, call.Nodes(2));
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List("seriesListAvg", 0));
  VM_ASSIGN_OR_RETURN(SeriesList weights, call.List("seriesListWeight", 1));
  const int64_t step = call.StepOf(list);
  const int64_t weight_step = call.StepOf(weights);
  VM_TRY(call.ConsolidateAll(list, step));
  VM_TRY(call.ConsolidateAll(weights, weight_step));
  if (list.size() != weights.size()) {
    return Bad(fmt::format("series len mismatch, got seriesListAvg: {},seriesListWeight: {}", list.size(), weights.size()));
  }
  if (step != weight_step) return Bad(fmt::format("step mismatch for seriesListAvg and seriesListWeight: {} vs {}", step, weight_step));
  // The last series of each group counts.
  std::map<std::string, Series*> by_key;
  std::map<std::string, const Series*> weight_by_key;
  for (Series& s : list) by_key[NameFromNodes(s, nodes)] = &s;
  for (const Series& s : weights) weight_by_key[NameFromNodes(s, nodes)] = &s;
  std::vector<std::span<const double>> products;
  for (auto& [key, s] : by_key) {
    const auto weight = weight_by_key.find(key);
    if (weight == weight_by_key.end()) continue;
    for (size_t i = 0; i < s->values.size(); ++i) s->values[i] *= weight->second->values[i];
    products.emplace_back(s->values);
  }
  if (products.empty()) return SeriesList();
  const size_t points = PointsCount(call.window.start, call.window.end, step);
  VM_TRY(call.eval.Charge(1, points));
  VM_ASSIGN_OR_RETURN(auto values, AggregateRows(products, points, kSum, call.window.x_files_factor));
  VM_ASSIGN_OR_RETURN(const auto sums, AggregateRows(RowsOf(weights), points, kSum, call.window.x_files_factor));
  for (size_t i = 0; i < points; ++i) values[i] /= sums[i];
  std::string node_texts;
  for (const Expr* node : nodes) {
    if (!node_texts.empty()) node_texts += ',';
    node->AppendTo(node_texts);
  }
  Series series = OnGrid(call, step, std::move(values));
  Rename(series, fmt::format("weightedAverage({},{},{})", JoinedPaths(PathsOf(list), true), JoinedPaths(PathsOf(weights), true), node_texts));
  series.tags["name"] = series.name;
  SeriesList result;
  result.push_back(std::move(series));
  return result;
}

constexpr FunctionEntry kFunctions[] = {
    {"aggregate", 2, 3, AggregateBy},
    {"aggregateSeriesLists", 3, 4, AggregateSeriesLists},
    {"aggregateWithWildcards", 2, kAnyArgs, AggregateWithWildcards},
    {"asPercent", 1, kAnyArgs, AsPercent},
    {"averageSeries", 0, kAnyArgs, AggregateAll<kAverage>},
    {"averageSeriesWithWildcards", 1, kAnyArgs, WithWildcards<kAverage>},
    {"avg", 0, kAnyArgs, AggregateAll<kAverage>},
    {"countSeries", 0, kAnyArgs, AggregateAll<kCount>},
    {"diffSeries", 0, kAnyArgs, AggregateAll<kDiff>},
    {"diffSeriesLists", 0, kAnyArgs, Lists<kDiff>},
    {"divideSeries", 2, 2, DivideSeries},
    {"divideSeriesLists", 2, 2, DivideLists},
    {"group", 0, kAnyArgs, AllLists},
    {"groupByNode", 2, 3, GroupByNode},
    {"groupByNodes", 2, kAnyArgs, GroupByManyNodes},
    {"groupByTags", 2, kAnyArgs, GroupByTags},
    {"map", 0, kAnyArgs, nullptr},
    {"mapSeries", 0, kAnyArgs, nullptr},
    {"max", 0, kAnyArgs, AggregateAll<kMax>},
    {"maxSeries", 0, kAnyArgs, AggregateAll<kMax>},
    {"min", 0, kAnyArgs, AggregateAll<kMin>},
    {"minSeries", 0, kAnyArgs, AggregateAll<kMin>},
    {"multiplySeries", 0, kAnyArgs, AggregateAll<kMultiply>},
    {"multiplySeriesLists", 0, kAnyArgs, Lists<kMultiply>},
    {"multiplySeriesWithWildcards", 1, kAnyArgs, WithWildcards<kMultiply>},
    {"percentileOfSeries", 2, 3, PercentileOfSeries},
    {"powSeries", 0, kAnyArgs, AggregateAll<kPow>},
    {"rangeOfSeries", 0, kAnyArgs, AggregateAll<kRangeOf>},
    {"reduce", 0, kAnyArgs, nullptr},
    {"reduceSeries", 0, kAnyArgs, nullptr},
    {"stddevSeries", 0, kAnyArgs, AggregateAll<kStddev>},
    {"sum", 0, kAnyArgs, AggregateAll<kSum>},
    {"sumSeries", 0, kAnyArgs, AggregateAll<kSum>},
    {"sumSeriesLists", 0, kAnyArgs, Lists<kSum>},
    {"sumSeriesWithWildcards", 1, kAnyArgs, WithWildcards<kSum>},
    {"weightedAverage", 2, kAnyArgs, WeightedAverage},
};

}  // namespace

std::span<const FunctionEntry> CombineFunctions() { return kFunctions; }

}  // namespace vm::select::graphite
