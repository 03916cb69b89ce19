#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "select/promql/eval.h"

namespace vm::select {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

void ApplyModifier(model::MetricName& name, const metricsql::ModifierExpr& m) {
  const auto listed = [&](std::string_view key) { return std::find(m.args.begin(), m.args.end(), key) != m.args.end(); };
  const bool without = m.op == "without";
  if (without || !listed("__name__")) name.metric_group.clear();
  std::erase_if(name.tags, [&](const model::Tag& tag) { return listed(tag.key) == without; });
}

double Aggregate(std::string_view f, const std::vector<double>& v) {
  if (v.empty()) return kNaN;
  const auto n = static_cast<double>(v.size());
  double sum = 0, sum2 = 0, product = 1;
  for (const double x : v) {
    sum += x;
    sum2 += x * x;
    product *= x;
  }
  if (f == "sum") return sum;
  if (f == "sum2") return sum2;
  if (f == "avg") return sum / n;
  if (f == "count") return n;
  if (f == "group") return 1;
  if (f == "min") return *std::min_element(v.begin(), v.end());
  if (f == "max") return *std::max_element(v.begin(), v.end());
  if (f == "distinct") return static_cast<double>(std::set<double>(v.begin(), v.end()).size());
  if (f == "geomean") return std::pow(product, 1 / n);
  double mean = 0, count = 0, q = 0;
  for (const double x : v) {
    ++count;
    const double next = mean + (x - mean) / count;
    q += (x - mean) * (x - next);
    mean = next;
  }
  return f == "stdvar" ? q / count : std::sqrt(q / count);
}

bool IsPlain(std::string_view f) {
  return f == "sum" || f == "sum2" || f == "avg" || f == "count" || f == "group" || f == "min" || f == "max" ||
         f == "distinct" || f == "geomean" || f == "stdvar" || f == "stddev";
}

void KeepTop(std::vector<TimeSeries>& group, const TimeSeries& k, bool top) {
  for (size_t p = 0; p < k.values.size(); ++p) {
    std::stable_sort(group.begin(), group.end(), [&](const TimeSeries& a, const TimeSeries& b) {
      const double x = a.values[p], y = b.values[p];
      if (std::isnan(x)) return !std::isnan(y);
      if (std::isnan(y)) return false;
      return top ? x < y : x > y;
    });
    const double limit = std::isnan(k.values[p]) || k.values[p] < 0 ? 0 : std::min(k.values[p], static_cast<double>(group.size()));
    const size_t drop = group.size() - static_cast<size_t>(limit);
    for (size_t i = 0; i < drop; ++i) group[i].values[p] = kNaN;
  }
  RemoveEmptySeries(group);
  std::reverse(group.begin(), group.end());
}

}  // namespace

Result<std::vector<TimeSeries>> EvalAggr(const metricsql::AggrFuncExpr& aggr, std::vector<std::vector<TimeSeries>> args) {
  const bool is_topk = aggr.name == "topk" || aggr.name == "bottomk";
  const bool is_any = aggr.name == "any";
  if (!IsPlain(aggr.name) && !is_topk && !is_any) {
    return Error(ErrorCode::kInvalidInput, "unknown function \"" + aggr.name + "\"");
  }
  TimeSeries k;
  if (is_topk) {
    if (args.size() != 2) {
      return Error(ErrorCode::kInvalidInput, "unexpected number of args; got " + std::to_string(args.size()) + "; want 2");
    }
    if (args[0].size() != 1) {
      return Error(ErrorCode::kInvalidInput, "arg #1 must be a scalar; got " + std::to_string(args[0].size()) + " series");
    }
    k = std::move(args[0][0]);
    args.erase(args.begin());
  }
  std::map<std::pair<std::string, std::vector<model::Tag>>, std::vector<TimeSeries>> groups;
  for (auto& list : args) {
    RemoveEmptySeries(list);
    for (auto& s : list) {
      model::MetricName name = s.name;
      ApplyModifier(name, aggr.modifier);
      auto key = std::pair(std::move(name.metric_group), std::move(name.tags));
      if (aggr.limit > 0 && groups.size() >= static_cast<size_t>(aggr.limit) && !groups.contains(key)) continue;
      groups[std::move(key)].push_back(std::move(s));
    }
  }
  std::vector<TimeSeries> out;
  for (auto& [key, group] : groups) {
    if (is_topk) {
      KeepTop(group, k, aggr.name == "topk");
      std::move(group.begin(), group.end(), std::back_inserter(out));
      continue;
    }
    if (is_any) {
      out.push_back(std::move(group[0]));
      continue;
    }
    TimeSeries r;
    r.name.tenant = group[0].name.tenant;
    r.name.metric_group = key.first;
    r.name.tags = key.second;
    r.timestamps = group[0].timestamps;
    std::vector<double> column;
    for (size_t p = 0; p < r.timestamps.size(); ++p) {
      column.clear();
      for (const auto& s : group) {
        if (!std::isnan(s.values[p])) column.push_back(s.values[p]);
      }
      r.values.push_back(Aggregate(aggr.name, column));
    }
    out.push_back(std::move(r));
  }
  return out;
}

}  // namespace vm::select
