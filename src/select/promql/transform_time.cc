#include <chrono>
#include <cmath>

#include "select/promql/transform_calendar.h"
#include "select/promql/transform_timezone.h"
#include "select/promql/transform_util.h"

namespace vm::select::transform {
namespace {

TimeSeries MakeTime(const EvalContext& context) {
  TimeSeries series = MakeGridSeries(context, 0);
  int64_t timestamp = context.start;
  for (double& value : series.values) {
    value = static_cast<double>(timestamp) / 1e3;
    timestamp += context.step;
  }
  return series;
}

Result<SeriesList> Time(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 0));
  return OneSeries(MakeTime(call.context));
}

template <auto kMilliseconds>
Result<SeriesList> ContextTime(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 0));
  return OneSeries(MakeGridSeries(call.context, static_cast<double>(call.context.*kMilliseconds) / 1e3));
}

Result<SeriesList> Now(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 0));
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  return OneSeries(MakeGridSeries(call.context, static_cast<double>(nanoseconds) / 1e9));
}

/// `kField` of the UTC time that each value is in Unix seconds; those of the grid when there is no argument.
template <auto kField>
Result<SeriesList> DateField(TransformCall& call) {
  if (call.args.size() > 1) return Invalid("too many args; got " + std::to_string(call.args.size()) + "; want up to 1");
  SeriesList list = call.args.empty() ? OneSeries(MakeTime(call.context)) : std::move(call.args[0]);
  for (TimeSeries& series : list) {
    if (!call.expr.keep_metric_names) series.name.metric_group.clear();
    for (double& value : series.values) {
      if (!std::isnan(value)) value = static_cast<double>(kField(GoInt64(value)));
    }
  }
  return list;
}

CivilDate DateAt(int64_t unix_seconds) { return DateOf(DaysOf(unix_seconds)); }

int DaysInMonthAt(int64_t unix_seconds) {
  const CivilDate date = DateAt(unix_seconds);
  return DaysInMonth(date.year, date.month);
}

Result<SeriesList> TimezoneOffset(TransformCall& call) {
  VM_TRY(CheckArgsCount(call, 1));
  auto name = TextArg(call.args[0], 1);
  if (!name.ok()) return std::move(name).error().WithContext("cannot get timezone name");
  auto zone = TimeZone::Load(name.value());
  if (!zone.ok()) return std::move(zone).error().WithContext("cannot load timezone " + Quoted(name.value()));
  TimeSeries series = MakeGridSeries(call.context, kNaN);
  int64_t timestamp = call.context.start;
  for (double& value : series.values) {
    value = static_cast<double>(zone.value().OffsetAt(timestamp / 1000));
    timestamp += call.context.step;
  }
  return OneSeries(std::move(series));
}

constexpr Entry kFunctions[] = {
    {"day_of_month", DateField<[](int64_t t) { return DateAt(t).day; }>},
    {"day_of_week", DateField<[](int64_t t) { return DayOfWeek(DaysOf(t)); }>},
    {"day_of_year", DateField<[](int64_t t) { return DateAt(t).day_of_year; }>},
    {"days_in_month", DateField<DaysInMonthAt>},
    {"end", ContextTime<&EvalContext::end>},
    {"hour", DateField<[](int64_t t) { return SecondOfDay(t) / 3600; }>},
    {"minute", DateField<[](int64_t t) { return SecondOfDay(t) / 60 % 60; }>},
    {"month", DateField<[](int64_t t) { return DateAt(t).month; }>},
    {"now", Now},
    {"start", ContextTime<&EvalContext::start>},
    {"step", ContextTime<&EvalContext::step>},
    {"time", Time},
    {"timezone_offset", TimezoneOffset},
    {"year", DateField<[](int64_t t) { return DateAt(t).year; }>},
};

}  // namespace

std::span<const Entry> TimeFunctions() { return kFunctions; }

}  // namespace vm::select::transform
