// Functions that choose some of many series, or order them.
#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "select/graphite/functions.h"
#include "select/promql/transform_text.h"

namespace vm::select::graphite {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

using Comparison = bool (*)(double value, double threshold);
Result<Comparison> FindComparison(std::string_view name) {
  if (name == "=") return +[](double a, double b) { return a == b; };
  if (name == "!=") return +[](double a, double b) { return a != b; };
  if (name == ">") return +[](double a, double b) { return a > b; };
  if (name == ">=") return +[](double a, double b) { return a >= b; };
  if (name == "<") return +[](double a, double b) { return a < b; };
  if (name == "<=") return +[](double a, double b) { return a <= b; };
  return Bad(fmt::format("unknown operator \"{}\"", name));
}

Result<SeriesList> Filter(Call& call, std::string_view function, std::string_view comparison, double threshold) {
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  VM_ASSIGN_OR_RETURN(const Aggregate aggregate, FindAggregate(function));
  VM_ASSIGN_OR_RETURN(const Comparison compare, FindComparison(comparison));
  std::erase_if(list, [&](const Series& s) { return !compare(aggregate(s.values), threshold); });
  return list;
}
Result<SeriesList> FilterSeries(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string function, call.Text("func", 1));
  VM_ASSIGN_OR_RETURN(const std::string comparison, call.Text("operator", 2));
  VM_ASSIGN_OR_RETURN(const double threshold, call.Number("threshold", 3));
  return Filter(call, function, comparison, threshold);
}
template <const char* kFunction, const char* kComparison>
Result<SeriesList> FilterBy(Call& call) {
  VM_ASSIGN_OR_RETURN(const double n, call.Number("n", 1));
  return Filter(call, kFunction, kComparison, n);
}

/// The `n` series that are greatest by an aggregate, those with the greatest `sign` times it last.
Result<SeriesList> Top(Call& call, double n, std::string_view function, double sign) {
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  VM_ASSIGN_OR_RETURN(const Aggregate aggregate, FindAggregate(function));
  std::vector<std::pair<double, size_t>> order;
  for (size_t i = 0; i < list.size(); ++i) {
    const double weight = sign * aggregate(list[i].values);
    order.emplace_back(std::isnan(weight) ? -kInfinity : weight, i);
  }
  // Of equal ones the first stays.
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  order.resize(std::min<size_t>(order.size(), static_cast<size_t>(std::max(ToInt(n), 0))));
  SeriesList result;
  for (auto at = order.rbegin(); at != order.rend(); ++at) result.push_back(std::move(list[at->second]));
  return result;
}
template <const char* kFunction, int kSign>
Result<SeriesList> TopBy(Call& call) {
  VM_ASSIGN_OR_RETURN(const double n, call.Number("n", 1));
  return Top(call, n, kFunction, kSign);
}
template <int kSign>
Result<SeriesList> TopOfAny(Call& call) {
  VM_ASSIGN_OR_RETURN(const double n, call.NumberOr("n", 1, 1));
  VM_ASSIGN_OR_RETURN(const std::string function, call.TextOr("func", 2, "average"));
  return Top(call, n, function, kSign);
}

constexpr char kAverage[] = "average";
constexpr char kCurrent[] = "current";
constexpr char kMax[] = "max";
constexpr char kMin[] = "min";
constexpr char kStddev[] = "stddev";
constexpr char kAbove[] = ">";
constexpr char kBelow[] = "<";

Result<SeriesList> AverageOutsidePercentile(Call& call) {
  VM_ASSIGN_OR_RETURN(double n, call.Number("n", 1));
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  std::vector<double> averages;
  for (const Series& s : list) averages.push_back(Average(s.values));
  if (n > 50) n = 100 - n;
  const double low = Percentile(averages, n);
  const double high = Percentile(averages, 100 - n);
  SeriesList result;
  for (size_t i = 0; i < list.size(); ++i) {
    if (averages[i] < low || averages[i] > high) result.push_back(std::move(list[i]));
  }
  return result;
}

Result<SeriesList> RemoveBetweenPercentile(Call& call) {
  VM_ASSIGN_OR_RETURN(double n, call.Number("n", 1));
  if (n > 50) n = 100 - n;
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  const int64_t step = call.StepOf(list);
  VM_TRY(call.ConsolidateAll(list, step));
  const size_t points = PointsCount(call.window.start, call.window.end, step);
  VM_TRY(call.eval.Charge(2, points));
  const auto bound = [&](double per_cent) {
    return AggregateRows(RowsOf(list), points, [per_cent](std::span<const double> values) { return Percentile(values, per_cent); },
                         call.window.x_files_factor);
  };
  const std::vector<double> lows = bound(n);
  const std::vector<double> highs = bound(100 - n);
  std::erase_if(list, [&](const Series& s) {
    for (size_t i = 0; i < s.values.size(); ++i) {
      if (s.values[i] < lows[i] || s.values[i] > highs[i]) return false;
    }
    return true;
  });
  return list;
}

Result<SeriesList> RemoveEmptySeries(Call& call) {
  VM_ASSIGN_OR_RETURN(const double factor, call.NumberOr("xFilesFactor", 1, call.window.x_files_factor));
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  std::erase_if(list, [factor](const Series& s) {
    const double needed = s.x_files_factor == 0 ? factor : s.x_files_factor;
    return CountValues(s.values) / static_cast<double>(s.values.size()) <= needed;
  });
  return list;
}

Result<SeriesList> MatchNames(Call& call, bool keeps_matches) {
  VM_ASSIGN_OR_RETURN(const std::string pattern, call.Text("pattern", 1));
  auto regex = transform::CompileGoRegex(pattern);
  if (!regex.ok()) return std::move(regex).error().WithContext("cannot compile search regexp \"" + pattern + "\"");
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  std::erase_if(list, [&](const Series& s) { return transform::Matches(*regex.value(), s.name) != keeps_matches; });
  return list;
}
Result<SeriesList> Grep(Call& call) { return MatchNames(call, true); }
Result<SeriesList> Exclude(Call& call) { return MatchNames(call, false); }

Result<SeriesList> FallbackSeries(Call& call) {
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  if (!list.empty()) return list;
  return call.List("fallback", 1);
}

Result<SeriesList> Limit(Call& call) {
  VM_ASSIGN_OR_RETURN(const double n, call.Number("n", 1));
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  const auto limit = static_cast<size_t>(std::max(ToInt(n), 0));
  if (list.size() > limit) list.resize(limit);
  return list;
}

Result<SeriesList> SortByAggregate(SeriesList list, std::string_view function, bool is_reverse) {
  VM_ASSIGN_OR_RETURN(const Aggregate aggregate, FindAggregate(function));
  std::vector<std::pair<double, size_t>> order;
  for (size_t i = 0; i < list.size(); ++i) {
    const double weight = aggregate(list[i].values);
    order.emplace_back(std::isnan(weight) ? -kInfinity : weight, i);
  }
  std::stable_sort(order.begin(), order.end(), [is_reverse](const auto& a, const auto& b) {
    return is_reverse ? b.first < a.first : a.first < b.first;
  });
  SeriesList result;
  for (const auto& [weight, i] : order) result.push_back(std::move(list[i]));
  return result;
}
Result<SeriesList> SortBy(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string function, call.TextOr("func", 1, "average"));
  VM_ASSIGN_OR_RETURN(const bool is_reverse, call.BoolOr("reverse", 2, false));
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  return SortByAggregate(std::move(list), function, is_reverse);
}
Result<SeriesList> SortByTotal(Call& call) {
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  return SortByAggregate(std::move(list), "sum", true);
}
Result<SeriesList> SortByMaxima(Call& call) {
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  return SortByAggregate(std::move(list), "max", true);
}
Result<SeriesList> SortByMinima(Call& call) {
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  std::erase_if(list, [](const Series& s) { return !(Maximum(s.values) > 0); });
  return SortByAggregate(std::move(list), "min", false);
}
Result<SeriesList> SortByName(Call& call) {
  VM_ASSIGN_OR_RETURN(const bool is_natural, call.BoolOr("natural", 1, false));
  VM_ASSIGN_OR_RETURN(const bool is_reverse, call.BoolOr("reverse", 2, false));
  VM_ASSIGN_OR_RETURN(SeriesList list, call.List());
  std::stable_sort(list.begin(), list.end(), [&](const Series& a, const Series& b) {
    const std::string& left = is_reverse ? b.name : a.name;
    const std::string& right = is_reverse ? a.name : b.name;
    return is_natural ? NaturalLess(left, right) : left < right;
  });
  return list;
}

Result<SeriesList> Unique(Call& call) {
  std::set<std::string> seen;
  SeriesList result;
  for (size_t i = 0; i < call.size(); ++i) {
    VM_ASSIGN_OR_RETURN(SeriesList list, call.List("seriesList", i));
    for (Series& s : list) {
      if (seen.insert(s.name).second) result.push_back(std::move(s));
    }
  }
  return result;
}

constexpr FunctionEntry kFunctions[] = {
    {"averageAbove", 2, 2, FilterBy<kAverage, kAbove>},
    {"averageBelow", 2, 2, FilterBy<kAverage, kBelow>},
    {"averageOutsidePercentile", 2, 2, AverageOutsidePercentile},
    {"currentAbove", 2, 2, FilterBy<kCurrent, kAbove>},
    {"currentBelow", 2, 2, FilterBy<kCurrent, kBelow>},
    {"exclude", 2, 2, Exclude},
    {"fallbackSeries", 2, 2, FallbackSeries},
    {"filterSeries", 4, 4, FilterSeries},
    {"grep", 2, 2, Grep},
    {"highest", 1, 3, TopOfAny<1>},
    {"highestAverage", 2, 2, TopBy<kAverage, 1>},
    {"highestCurrent", 2, 2, TopBy<kCurrent, 1>},
    {"highestMax", 2, 2, TopBy<kMax, 1>},
    {"limit", 2, 2, Limit},
    {"lowest", 1, 3, TopOfAny<-1>},
    {"lowestAverage", 2, 2, TopBy<kAverage, -1>},
    {"lowestCurrent", 2, 2, TopBy<kCurrent, -1>},
    {"maximumAbove", 2, 2, FilterBy<kMax, kAbove>},
    {"maximumBelow", 2, 2, FilterBy<kMax, kBelow>},
    {"minimumAbove", 2, 2, FilterBy<kMin, kAbove>},
    {"minimumBelow", 2, 2, FilterBy<kMin, kBelow>},
    {"mostDeviant", 2, 2, TopBy<kStddev, 1>},
    {"removeBetweenPercentile", 2, 2, RemoveBetweenPercentile},
    {"removeEmptySeries", 1, 2, RemoveEmptySeries},
    {"sortBy", 1, 3, SortBy},
    {"sortByMaxima", 1, 1, SortByMaxima},
    {"sortByMinima", 1, 1, SortByMinima},
    {"sortByName", 1, 3, SortByName},
    {"sortByTotal", 1, 1, SortByTotal},
    {"unique", 0, kAnyArgs, Unique},
};

}  // namespace

std::span<const FunctionEntry> FilterFunctions() { return kFunctions; }

}  // namespace vm::select::graphite
