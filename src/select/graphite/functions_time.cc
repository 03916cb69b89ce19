// Functions of windows, steps and shifts of time.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/still_busy.h"
#include "select/graphite/functions.h"
#include "select/graphite/time.h"

namespace vm::select::graphite {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

struct WindowSize {
  int64_t ms = 0;
  double steps = 0;  // 0: given as a time.
};

int64_t StepsToMs(double steps, int64_t step) {
  const double bound = static_cast<double>(kMaxTimeMs);
  const double ms = steps * static_cast<double>(step);
  return std::isnan(ms) ? 0 : static_cast<int64_t>(std::clamp(ms, -bound, bound));
}

Result<WindowSize> SizeOf(const Call& call, const Expr& expr) {
  WindowSize size;
  if (expr.is(Expr::Kind::kNumber)) {
    size.steps = expr.number;
    size.ms = StepsToMs(expr.number, call.eval.options().storage_step);
  } else if (expr.is(Expr::Kind::kString)) {
    auto interval = ParseInterval(expr.text);
    if (!interval.ok()) return std::move(interval).error().WithContext("cannot parse windowSize");
    size.ms = interval.value();
  } else {
    return Bad("unexpected type for windowSize arg; expecting number or string");
  }
  return size;
}

/// A window of that size moves over the list, and each place of it gives a value.
Result<SeriesList> MovingWindow(Call& call, const std::string& function, double x_files_factor) {
  VM_ASSIGN_OR_RETURN(const Expr* size_arg, call.Get("windowSize", 1));
  VM_ASSIGN_OR_RETURN(WindowSize size, SizeOf(call, *size_arg));
  if (size.ms <= 0) return Bad(fmt::format("windowSize must be positive; got {}ms", size.ms));
  VM_ASSIGN_OR_RETURN(const Aggregate aggregate, FindAggregate(function));
  Window window = call.window;
  window.start -= size.ms;
  VM_ASSIGN_OR_RETURN(SeriesList list, call.ListOf(window));
  const int64_t step = call.StepOf(list);
  if (step <= 0) return Bad("the step of the series must be positive");
  if (size.steps > 0 && step != call.eval.options().storage_step) {
    // A function inside has changed the step that the size is counted in.
    size.ms = StepsToMs(size.steps, step);
    window.start = call.window.start - size.ms;
    VM_ASSIGN_OR_RETURN(list, call.ListOf(window));
  }
  const std::string size_text = size_arg->ToString();
  std::string tag = function;
  if (!tag.empty() && tag[0] >= 'a' && tag[0] <= 'z') tag[0] = static_cast<char>(tag[0] - 'a' + 'A');
  tag.insert(0, "moving");
  const size_t points = PointsCount(call.window.start, call.window.end + step, step);
  VM_TRY(call.eval.Charge(list.size(), points));
  for (Series& s : list) {
    std::vector<double> values(points);
    std::vector<int64_t> timestamps(points);
    size_t first = 0, last = 0;
    for (size_t i = 0; i < points; ++i) {
      StillBusy();
      // A wide window over many points takes long.
      if (i % 256 == 0 && call.eval.options().check) VM_TRY(call.eval.options().check());
      const int64_t end = call.window.start + static_cast<int64_t>(i) * step;
      while (first < s.timestamps.size() && s.timestamps[first] < end - size.ms) ++first;
      last = std::max(first, last);
      while (last < s.timestamps.size() && s.timestamps[last] < end) ++last;
      values[i] = ApplyAggregate(aggregate, x_files_factor, std::span(s.values).subspan(first, last - first));
      timestamps[i] = end;
    }
    s.values = std::move(values);
    s.timestamps = std::move(timestamps);
    s.tags[tag] = size_text;
    Rename(s, fmt::format("{}({},{})", tag, s.name, size_text));
  }
  return list;
}
template <const char* kFunction>
Result<SeriesList> Moving(Call& call) {
  VM_ASSIGN_OR_RETURN(const double factor, call.NumberOr("xFilesFactor", 2, call.window.x_files_factor));
  return MovingWindow(call, kFunction, factor);
}
Result<SeriesList> MovingAny(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string function, call.TextOr("func", 2, "avg"));
  VM_ASSIGN_OR_RETURN(const double factor, call.NumberOr("xFilesFactor", 3, call.window.x_files_factor));
  return MovingWindow(call, function, factor);
}

constexpr char kAverage[] = "average";
constexpr char kMax[] = "max";
constexpr char kMedian[] = "median";
constexpr char kMin[] = "min";
constexpr char kSum[] = "sum";

Result<SeriesList> ExponentialMovingAverage(Call& call) {
  VM_ASSIGN_OR_RETURN(const Expr* size_arg, call.Get("windowSize", 1));
  VM_ASSIGN_OR_RETURN(const WindowSize size, SizeOf(call, *size_arg));
  const double count = size_arg->is(Expr::Kind::kNumber) ? size_arg->number : static_cast<double>(size.ms) / 1000;
  const double weight = 2 / (count + 1);
  Window window = call.window;
  window.start -= std::abs(size.ms);
  VM_ASSIGN_OR_RETURN(SeriesList list, call.ListOf(window));
  for (Series& s : list) {
    const auto begin = std::find_if(s.timestamps.begin(), s.timestamps.end(), [&](int64_t t) { return t >= call.window.start; });
    const auto skipped = begin - s.timestamps.begin();
    double average = Average(std::span(s.values).first(static_cast<size_t>(skipped)));
    if (std::isnan(average)) average = 0;
    s.timestamps.erase(s.timestamps.begin(), begin);
    s.values.erase(s.values.begin(), s.values.begin() + skipped);
    ChangeValues(s, [&](double v) { return average = weight * v + (1 - weight) * average; });
    const std::string text = size_arg->ToString();
    s.tags["exponentialMovingAverage"] = text;
    Rename(s, fmt::format("exponentialMovingAverage({},{})", s.name, text));
  }
  return list;
}

/// New steps for the list of `window`, in [start, end).
Result<SeriesList> Summarized(Call& call, const Window& window, int64_t interval, std::string_view function) {
  VM_ASSIGN_OR_RETURN(const Aggregate aggregate, FindAggregate(function));
  VM_ASSIGN_OR_RETURN(SeriesList list, call.ListOf(window));
  VM_TRY(call.eval.Charge(list.size(), PointsCount(window.start, window.end, interval)));
  for (Series& s : list) {
    StillBusy();
    s.values = SummarizeValues(s.timestamps, s.values, aggregate, window.start, window.end, interval, s.x_files_factor);
    s.timestamps = GridTimestamps(window.start, window.end, interval);
    s.step = interval;
  }
  return list;
}

Result<SeriesList> Summarize(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string text, call.Text("intervalString", 1));
  VM_ASSIGN_OR_RETURN(const int64_t interval, call.Interval(text));
  VM_ASSIGN_OR_RETURN(const std::string function, call.TextOr("func", 2, "sum"));
  VM_ASSIGN_OR_RETURN(const bool is_from_start, call.BoolOr("alignToFrom", 3, false));
  Window window = call.window;
  if (!is_from_start) {
    window.start -= window.start % interval;
    window.end += interval - window.end % interval;
  }
  VM_ASSIGN_OR_RETURN(SeriesList list, Summarized(call, window, interval, function));
  for (Series& s : list) {
    s.tags["summarize"] = text;
    s.tags["summarizeFunction"] = function;
    Rename(s, fmt::format("summarize({},{},{}{})", s.name, QuoteString(text), QuoteString(function), is_from_start ? ",true" : ""));
  }
  return list;
}

Result<SeriesList> SmartSummarize(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string text, call.Text("intervalString", 1));
  VM_ASSIGN_OR_RETURN(const int64_t interval, call.Interval(text));
  VM_ASSIGN_OR_RETURN(const std::string function, call.TextOr("func", 2, "sum"));
  VM_ASSIGN_OR_RETURN(const std::string unit, call.TextOr("alignTo", 3, ""));
  Window window = call.window;
  if (!unit.empty()) {
    VM_ASSIGN_OR_RETURN(window.start, AlignToUnit(window.start, unit));
  }
  VM_ASSIGN_OR_RETURN(SeriesList list, Summarized(call, window, interval, function));
  for (Series& s : list) {
    s.tags["smartSummarize"] = text;
    s.tags["smartSummarizeFunction"] = function;
    Rename(s, fmt::format("smartSummarize({},{},{})", s.name, QuoteString(text), QuoteString(function)));
  }
  return list;
}

Result<SeriesList> Hitcount(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string text, call.Text("intervalString", 1));
  VM_ASSIGN_OR_RETURN(const int64_t interval, call.Interval(text));
  VM_ASSIGN_OR_RETURN(const bool is_aligned, call.BoolOr("alignToInterval", 2, false));
  Window window = call.window;
  if (is_aligned) {
    const char* unit = interval >= 24 * 3600'000 ? "d" : interval >= 3600'000 ? "h" : interval >= 60'000 ? "min" : "ms";
    VM_ASSIGN_OR_RETURN(window.start, AlignToUnit(window.start, unit));
  }
  VM_ASSIGN_OR_RETURN(SeriesList list, call.ListOf(window));
  const size_t points = PointsCount(window.start, window.end + interval - 1, interval);
  VM_TRY(call.eval.Charge(list.size(), points));
  for (Series& s : list) {
    std::vector<double> values(points);
    std::vector<int64_t> timestamps(points);
    size_t at = 0;
    double previous = 0;
    for (size_t i = 0; i < points; ++i) {
      StillBusy();
      int64_t from = window.start + static_cast<int64_t>(i) * interval;
      const int64_t end = from + interval;
      timestamps[i] = from;
      double hits = 0;
      if (at < s.timestamps.size() && !std::isnan(previous)) hits = previous * static_cast<double>(s.timestamps[at] - from) / 1000;
      for (; at < s.timestamps.size() && s.timestamps[at] < end; ++at) {
        const double v = s.values[at];
        if (!std::isnan(v)) hits += v * (static_cast<double>(s.timestamps[at] - from) / 1000);
        from = s.timestamps[at];
        previous = v;
      }
      values[i] = hits == 0 ? kNaN : hits;
    }
    s.values = std::move(values);
    s.timestamps = std::move(timestamps);
    s.tags["hitcount"] = text;
    Rename(s, fmt::format("hitcount({},{}{})", s.name, QuoteString(text), is_aligned ? ",true" : ""));
  }
  return list;
}

Result<SeriesList> IntegralByInterval(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string text, call.Text("intervalUnit", 1));
  VM_ASSIGN_OR_RETURN(const int64_t interval, ParseInterval(text));
  if (interval == 0) return Bad("interval must not be 0");
  return ChangeEach(call, [&](Series& s) {
    double sum = 0;
    int64_t previous = 0;
    for (size_t i = 0; i < s.values.size(); ++i) {
      if (std::isnan(s.values[i])) continue;
      if (const int64_t current = s.timestamps[i] / interval; current != previous) {
        sum = 0;
        previous = current;
      }
      s.values[i] = sum += s.values[i];
    }
    s.tags["integralByInterval"] = "1";
    Rename(s, fmt::format("integralByInterval({},{})", s.name, QuoteString(text)));
  });
}

Result<SeriesList> Stdev(Call& call) {
  VM_ASSIGN_OR_RETURN(const double count, call.Number("points", 1));
  VM_ASSIGN_OR_RETURN(const double tolerance, call.NumberOr("windowTolerance", 2, 0.1));
  const int points = ToInt(count);
  if (points < 0) return Bad(fmt::format("points must not be negative; got {}", points));
  return ChangeEach(call, [&](Series& s) {
    double sum = 0, squares = 0, present = 0;
    std::vector<double> deviations(s.values.size());
    const auto window = static_cast<size_t>(points);
    for (size_t i = 0; i < s.values.size(); ++i) {
      const auto add = [&](double v, double sign) {
        if (std::isnan(v)) return;
        present += sign;
        sum += sign * v;
        squares += sign * (v * v);
      };
      add(s.values[i], 1);
      if (i >= window) add(s.values[i - window], -1);
      const bool is_enough = present > 0 && present / count >= tolerance;
      deviations[i] = is_enough ? std::sqrt(present * squares - sum * sum) / present : kNaN;
    }
    s.values = std::move(deviations);
    s.tags["stdev"] = std::to_string(points);
    s.name = fmt::format("stdev({},{})", s.name, points);
  });
}

/// Backwards, unless the text has a sign.
Result<int64_t> ParseShift(const std::string& text) {
  VM_ASSIGN_OR_RETURN(const int64_t shift, ParseInterval(text));
  return shift > 0 && !text.starts_with('+') ? -shift : shift;
}

Result<SeriesList> TimeShift(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string text, call.Text("timeShift", 1));
  VM_ASSIGN_OR_RETURN(const int64_t shift, ParseShift(text));
  VM_ASSIGN_OR_RETURN(const bool resets_end, call.BoolOr("resetEnd", 2, true));
  VM_TRY(call.BoolOr("alignDST", 3, false));  // Without effect, as in the reference.
  Window window = call.window;
  window.start += shift;
  window.end += shift;
  VM_ASSIGN_OR_RETURN(SeriesList list, call.ListOf(window));
  for (Series& s : list) {
    if (resets_end) {
      const auto end = std::find_if(s.timestamps.begin(), s.timestamps.end(), [&](int64_t t) { return t > call.window.end; });
      s.timestamps.erase(end, s.timestamps.end());
      s.values.resize(s.timestamps.size());
    }
    for (int64_t& timestamp : s.timestamps) timestamp -= shift;
    s.tags["timeShift"] = text;
    s.name = fmt::format("timeShift({},{})", s.name, QuoteString(text));
  }
  return list;
}

Result<SeriesList> TimeStack(Call& call) {
  constexpr int kMaxShifts = 1000;
  VM_ASSIGN_OR_RETURN(const std::string text, call.TextOr("timeShiftUnit", 1, "1d"));
  VM_ASSIGN_OR_RETURN(const int64_t delta, ParseShift(text));
  VM_ASSIGN_OR_RETURN(const double start, call.NumberOr("timeShiftStart", 2, 0));
  VM_ASSIGN_OR_RETURN(const double end, call.NumberOr("timeShiftEnd", 3, 7));
  if (end < start) return Bad(fmt::format("timeShiftEnd={} cannot be smaller than timeShiftStart={}", NumberText(end), NumberText(start)));
  if (!(end - start <= kMaxShifts)) return Bad(fmt::format("too many shifts; the maximum is {}", kMaxShifts));
  SeriesList result;
  for (int shift = ToInt(start); shift <= ToInt(end); ++shift) {
    const int64_t by = StepsToMs(shift, delta);
    Window window = call.window;
    window.start += by;
    window.end += by;
    VM_ASSIGN_OR_RETURN(SeriesList list, call.ListOf(window));
    for (Series& s : list) {
      for (int64_t& timestamp : s.timestamps) timestamp -= by;
      s.tags["timeShiftUnit"] = text;
      s.tags["timeShift"] = std::to_string(shift);
      Rename(s, fmt::format("timeShift({},{},{})", s.name, text, shift));
      result.push_back(std::move(s));
    }
  }
  return result;
}

Result<SeriesList> TimeSlice(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string start_text, call.Text("startSliceAt", 1));
  VM_ASSIGN_OR_RETURN(const int64_t start, ParseTime(start_text, call.eval.options().now_ms));
  VM_ASSIGN_OR_RETURN(const std::string end_text, call.TextOr("endSliceAt", 2, "now"));
  VM_ASSIGN_OR_RETURN(const int64_t end, ParseTime(end_text, call.eval.options().now_ms));
  return ChangeEach(call, [&](Series& s) {
    for (size_t i = 0; i < s.values.size(); ++i) {
      if (s.timestamps[i] < start || s.timestamps[i] > end) s.values[i] = kNaN;
    }
    s.tags["timeSliceStart"] = std::to_string(start / 1000);
    s.tags["timeSliceEnd"] = std::to_string(end / 1000);
    s.name = fmt::format("timeSlice({},{},{})", s.name, start / 1000, end / 1000);
  });
}

Result<SeriesList> AggregateLine(Call& call) {
  VM_ASSIGN_OR_RETURN(const std::string function, call.TextOr("func", 1, "avg"));
  VM_ASSIGN_OR_RETURN(const Aggregate aggregate, FindAggregate(function));
  VM_ASSIGN_OR_RETURN(const bool keeps_step, call.BoolOr("keepStep", 2, false));
  const Window& window = call.window;
  return ChangeEach(call, [&](Series& s) {
    const double value = aggregate(s.values);
    if (keeps_step) {
      std::fill(s.values.begin(), s.values.end(), value);
    } else {
      s.timestamps = {window.start, (window.end + window.start) / 2, window.end};
      s.values = {value, value, value};
    }
    Rename(s, fmt::format("aggregateLine({},{})", s.name, std::isnan(value) ? "None" : NumberText(value)));
  });
}

constexpr FunctionEntry kFunctions[] = {
    {"aggregateLine", 1, 3, AggregateLine},
    {"exponentialMovingAverage", 2, 2, ExponentialMovingAverage},
    {"hitcount", 2, 3, Hitcount},
    {"integralByInterval", 2, 2, IntegralByInterval},
    {"movingAverage", 2, 3, Moving<kAverage>},
    {"movingMax", 2, 3, Moving<kMax>},
    {"movingMedian", 2, 3, Moving<kMedian>},
    {"movingMin", 2, 3, Moving<kMin>},
    {"movingSum", 2, 3, Moving<kSum>},
    {"movingWindow", 2, 4, MovingAny},
    {"smartSummarize", 2, 4, SmartSummarize},
    {"stdev", 2, 3, Stdev},
    {"summarize", 2, 4, Summarize},
    {"timeShift", 2, 4, TimeShift},
    {"timeSlice", 2, 3, TimeSlice},
    {"timeStack", 1, 4, TimeStack},
};

}  // namespace

std::span<const FunctionEntry> TimeFunctions() { return kFunctions; }

}  // namespace vm::select::graphite
