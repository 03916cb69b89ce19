#pragma once

#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "select/promql/eval.h"
#include "select/promql/transform.h"

/// Calls of transform functions as text, for tests.
namespace vm::select::transform {

using Series = std::vector<TimeSeries>;
using Tags = std::vector<model::Tag>;

inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInf = std::numeric_limits<double>::infinity();

/// A grid of seconds from 0 on.
inline EvalContext Grid(size_t points) {
  EvalContext context;
  context.tenant = {1, 2};
  context.start = 0;
  context.step = 1000;
  context.end = (static_cast<int64_t>(points) - 1) * context.step;
  return context;
}

inline TimeSeries Make(std::string name, Tags tags, std::vector<double> values) {
  TimeSeries series;
  series.name.tenant = {1, 2};
  series.name.metric_group = std::move(name);
  series.name.tags = std::move(tags);
  series.values = std::move(values);
  return series;
}

/// Arguments of a call as the evaluator passes them: series, numbers, texts.
class Args {
 public:
  explicit Args(size_t points = 1) : points_(points) {}

  Args& Add(Series list) {
    list_.push_back(std::move(list));
    return *this;
  }
  Args& Add(TimeSeries series) {
    Series list;
    list.push_back(std::move(series));
    return Add(std::move(list));
  }
  Args& Add(double number) { return Add(Make("", {}, std::vector<double>(points_, number))); }
  Args& Add(const std::string& text) { return Add(Make(text, {}, std::vector<double>(points_, kNaN))); }

  size_t points() const { return points_; }
  std::vector<Series> Take() { return std::move(list_); }

 private:
  size_t points_;
  std::vector<Series> list_;
};

inline std::string NumberText(double value) {
  if (std::isnan(value)) return "-";
  char buffer[64];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof(buffer), value).ptr);
}

/// `name{key=value} 1 - 3`, one series a line.
inline std::string ToText(const Series& list) {
  std::string text;
  for (const TimeSeries& series : list) {
    if (!text.empty()) text += '\n';
    text += series.name.metric_group + '{';
    for (const model::Tag& tag : series.name.tags) {
      if (text.back() != '{') text += ',';
      text += tag.key + '=' + tag.value;
    }
    text += '}';
    for (const double value : series.values) text += ' ' + NumberText(value);
  }
  return text;
}

inline std::string Apply(const std::string& name, Args args, bool keep_metric_names = false) {
  const TransformFunc function = FindTransform(name);
  if (function == nullptr) return "no such function";
  const EvalContext context = Grid(args.points());
  metricsql::FuncExpr expr;
  expr.name = name;
  expr.keep_metric_names = keep_metric_names;
  TransformCall call{context, expr, args.Take()};
  const auto result = function(call);
  if (!result.ok()) return "error: " + result.error().message();
  for (const TimeSeries& series : result.value()) EXPECT_EQ(series.values.size(), context.PointsCount()) << name;
  return ToText(result.value());
}

/// The function on one series `m{a=b}`.
inline std::string ApplyToValues(const std::string& name, std::vector<double> values) {
  Args args(values.size());
  args.Add(Make("m", {{"a", "b"}}, std::move(values)));
  return Apply(name, std::move(args));
}

/// Buckets `h{le=bound} count`.
inline Series Buckets(const std::vector<std::pair<std::string, double>>& buckets, const std::string& label = "le") {
  Series list;
  for (const auto& [bound, count] : buckets) list.push_back(Make("h", {{label, bound}}, {count}));
  return list;
}

inline const std::vector<std::pair<std::string, double>> kBuckets = {{"+Inf", 10}, {"1", 2}, {"2", 6}, {"4", 8}};

}  // namespace vm::select::transform
