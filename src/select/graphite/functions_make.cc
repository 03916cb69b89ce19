// Functions that make series of the storage, or of nothing.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "lib/base/still_busy.h"
#include "select/graphite/functions.h"
#include "select/graphite/time.h"

namespace vm::select::graphite {
namespace {

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

SeriesList One(Series series) {
  SeriesList list;
  list.push_back(std::move(series));
  return list;
}

Result<SeriesList> SeriesByTag(Call& call) {
  std::vector<model::TagFilter> filters;
  for (size_t i = 0; i < call.size(); ++i) {
    VM_ASSIGN_OR_RETURN(const std::string text, call.Text("tagExpressions", i));
    auto filter = ParseTagExpression(text);
    if (!filter.ok()) return std::move(filter).error().WithContext("cannot parse `expr` query arg");
    filters.push_back(std::move(filter).value());
  }
  return call.eval.Fetch(std::move(filters), call.expr.ToString(), call.window);
}

/// `value_of(timestamp)` each `step` ms from the start of the window on, up to its end or with it.
template <class ValueOf>
Result<SeriesList> Made(const Call& call, const std::string& name, int64_t step, bool with_end, const ValueOf& value_of) {
  if (step <= 0) return Bad(fmt::format("step must be positive; got {}ms", step));
  const size_t points = PointsCount(call.window.start, call.window.end + step - (with_end ? 0 : 1), step);
  VM_TRY(call.eval.Charge(1, points));
  Series series;
  series.tags = UnmarshalTags(name);
  Rename(series, name);
  series.step = step;
  for (size_t i = 0; i < points; ++i) {
    StillBusy();
    series.timestamps.push_back(call.window.start + static_cast<int64_t>(i) * step);
    series.values.push_back(value_of(series.timestamps.back()));
  }
  return One(std::move(series));
}

Result<int64_t> StepArg(const Call& call, size_t index) {
  VM_ASSIGN_OR_RETURN(const double seconds, call.NumberOr("step", index, 60));
  if (!(seconds > 0)) return Bad("step must be positive; got " + NumberText(seconds));
  return static_cast<int64_t>(std::min(seconds * 1000, static_cast<double>(kMaxTimeMs)));
}

Result<SeriesList> Identity(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string name, call.Text("name", 0));
  return Made(call, name, 60'000, false, [](int64_t timestamp) { return static_cast<double>(timestamp) / 1000; });
}

Result<SeriesList> TimeFunction(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string name, call.Text("name", 0));
  VM_ASSIGN_OR_RETURN(const int64_t step, StepArg(call, 1));
  return Made(call, name, step, true, [](int64_t timestamp) { return static_cast<double>(timestamp / 1000); });
}

Result<SeriesList> SinFunction(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string name, call.Text("name", 0));
  VM_ASSIGN_OR_RETURN(const double amplitude, call.NumberOr("amplitude", 1, 1));
  VM_ASSIGN_OR_RETURN(const int64_t step, StepArg(call, 2));
  return Made(call, name, step, false, [amplitude](int64_t timestamp) { return amplitude * std::sin(static_cast<double>(timestamp) / 1000); });
}

Result<SeriesList> RandomWalk(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string name, call.Text("name", 0));
  VM_ASSIGN_OR_RETURN(const int64_t step, StepArg(call, 1));
  std::minstd_rand random{std::random_device{}()};
  std::uniform_real_distribution<double> by(-0.5, 0.5);
  double value = 0;
  return Made(call, name, step, false, [&](int64_t) { return std::exchange(value, value + by(random)); });
}

Series Line(const Call& call, double value) {
  const int64_t step = (call.window.end - call.window.start) / 2;
  Series series;
  series.name = NumberText(value);
  series.tags = UnmarshalTags(series.name);
  series.path = call.eval.CutPath(call.expr.ToString());
  series.timestamps = {call.window.start, call.window.start + step, call.window.start + 2 * step};
  series.values = {value, value, value};
  series.step = step;
  return series;
}
Result<SeriesList> ConstantLine(Call& call) {
  VM_ASSIGN_OR_RETURN(const double value, call.Number("value", 0));
  return One(Line(call, value));
}
Result<SeriesList> Threshold(Call& call) {
  VM_ASSIGN_OR_RETURN(const double value, call.Number("value", 0));
  VM_ASSIGN_OR_RETURN(const std::string label, call.TextOr("label", 1, ""));
  VM_TRY(call.TextOr("color", 2, ""));
  Series series = Line(call, value);
  if (!label.empty()) series.name = label;
  return One(std::move(series));
}

Result<SeriesList> VerticalLine(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string text, call.Text("ts", 0));
  VM_ASSIGN_OR_RETURN(const int64_t at, ParseTime(text, call.eval.options().now_ms));
  VM_ASSIGN_OR_RETURN(const std::string name, call.TextOr("label", 1, ""));
  if (at < call.window.start) return Bad(fmt::format("verticalLine(): timestamp {} exists before start of range: {}", at, call.window.start));
  if (at > call.window.end) return Bad(fmt::format("verticalLine(): timestamp {} exists after end of range: {}", at, call.window.end));
  Series series;
  series.tags = UnmarshalTags(name);
  Rename(series, name);
  series.timestamps = {at, at};
  series.values = {1, 1};
  series.step = call.window.end - call.window.start;
  return One(std::move(series));
}

Result<SeriesList> Events(Call& call) {
  std::string texts;
  for (const Arg& arg : call.expr.args) {
    if (!arg.value.is(Expr::Kind::kString)) return Bad("expecting string tag");
    if (!texts.empty()) texts += ',';
    texts += QuoteString(arg.value.text);
  }
  const int64_t step = call.eval.options().storage_step;
  VM_TRY(call.eval.Charge(1, PointsCount(call.window.start, call.window.end, step)));
  Series series = EmptySeries(call.window, step);
  Rename(series, fmt::format("events({})", texts));
  series.tags["name"] = series.name;
  return One(std::move(series));
}

constexpr FunctionEntry kFunctions[] = {
    {"constantLine", 1, 1, ConstantLine},
    {"events", 0, kAnyArgs, Events},
    {"identity", 1, 1, Identity},
    {"randomWalk", 1, 2, RandomWalk},
    {"randomWalkFunction", 1, 2, RandomWalk},
    {"seriesByTag", 1, kAnyArgs, SeriesByTag},
    {"sin", 1, 3, SinFunction},
    {"sinFunction", 1, 3, SinFunction},
    {"threshold", 1, 3, Threshold},
    {"time", 1, 2, TimeFunction},
    {"timeFunction", 1, 2, TimeFunction},
    {"verticalLine", 1, 3, VerticalLine},
};

}  // namespace

std::span<const FunctionEntry> MakeFunctions() { return kFunctions; }

}  // namespace vm::select::graphite
