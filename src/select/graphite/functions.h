#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "select/graphite/eval.h"

// The functions of the render API, a group a file, and what they share.
namespace vm::select::graphite {

std::span<const FunctionEntry> ValueFunctions();     // Each value of each series.
std::span<const FunctionEntry> NameFunctions();      // Names, and what only draws.
std::span<const FunctionEntry> CombineFunctions();   // Many series to fewer.
std::span<const FunctionEntry> FilterFunctions();    // Some of many series, or their order.
std::span<const FunctionEntry> TimeFunctions();      // Windows, steps and shifts of time.
std::span<const FunctionEntry> MakeFunctions();      // Series from nothing.
std::span<const FunctionEntry> ForecastFunctions();  // Holt-Winters, regression.

/// Name and path of a series that a function has changed.
inline void Rename(Series& series, std::string name) {
  series.name = std::move(name);
  series.path = series.name;
}

/// Replace all `from` in `text`, at most to a megabyte.
std::string ReplaceAll(std::string text, std::string_view from, std::string_view to);
/// The parts between the dots.
std::vector<std::string> SplitPath(std::string_view path);
std::string JoinPath(std::span<const std::string> parts);
/// What groups are named: parts of the path of `series` by number, its tags by name.
std::string NameFromNodes(const Series& series, const std::vector<const Expr*>& nodes);
/// Where the part `index` stands; negative ones count from the end. -1: nowhere.
int NodeIndex(int index, int size);
/// As Go's int(value).
int ToInt(double value);
/// `funcSeries(a,b)`.
std::string AggregateName(std::string_view function, const std::vector<std::string>& paths);
/// Different paths with commas.
std::string JoinedPaths(std::vector<std::string> paths, bool is_sorted);
std::vector<std::string> PathsOf(const SeriesList& list);
std::vector<std::span<const double>> RowsOf(const SeriesList& list);
/// A series without values.
Series EmptySeries(const Window& window, int64_t step);

/// Order as people count: `a2` before `a10`.
bool NaturalLess(std::string_view a, std::string_view b);
/// `\1` of Graphite to `$1`.
std::string ToGoReplacement(std::string_view text);

/// Evaluate the list and change each of its series: `change(Series&)` returns nothing or a Status.
template <class Change>
Result<SeriesList> ChangeEach(Call& call, const Change& change) {
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  for (Series& series : list) change(series);
  return list;
}

/// The same for each value.
template <class Change>
void ChangeValues(Series& series, const Change& change) {
  for (double& v : series.values) v = change(v);
}

}  // namespace vm::select::graphite
