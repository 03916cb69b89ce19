#include "select/promql/rollup.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <unordered_map>

#include "select/promql/names.h"
#include "select/promql/rollup_loop.h"
#include "select/promql/stats.h"

namespace vm::select {
namespace {

using metricsql::As;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Error Invalid(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

/// Scrape interval in the samples: a high quantile of the last gaps, so that a few missing samples do not count.
int64_t EstimateScrapeInterval(std::span<const int64_t> t, int64_t fallback) {
  constexpr size_t kGaps = 20;
  if (t.size() < 2) return fallback;
  double gaps[kGaps];
  const size_t count = std::min(kGaps, t.size() - 1);
  for (size_t i = 0; i < count; ++i) {
    const size_t k = t.size() - 1 - i;
    gaps[i] = static_cast<double>(t[k] - t[k - 1]);
  }
  const int64_t interval = BoundedInt(SelectQuantile(0.6, {gaps, count}));
  return interval > 0 ? interval : fallback;
}

/// Short intervals jitter more, so they get more room.
int64_t InflateInterval(int64_t interval) {
  if (interval <= 2000) return 5 * interval;
  if (interval <= 4000) return 3 * interval;
  if (interval <= 8000) return 2 * interval;
  if (interval <= 16000) return interval + interval / 2;
  if (interval <= 32000) return interval + interval / 4;
  return interval + interval / 8;
}

/// How old a sample before the window may be.
int64_t MaxPrevInterval(const RollupConfig& c, std::span<const int64_t> timestamps) {
  int64_t interval = c.step;
  if (c.start < c.end) interval = InflateInterval(EstimateScrapeInterval(timestamps, c.step));
  if (c.lookback_delta > 0) interval = std::min(interval, c.lookback_delta);
  if (c.min_staleness_interval > 0) interval = std::max(interval, c.min_staleness_interval);
  return interval;
}

int64_t EffectiveWindow(const RollupConfig& c, int64_t max_prev_interval) {
  if (c.window > 0) return c.window;
  int64_t window = c.step;
  if (c.may_adjust_window) window = std::max(window, max_prev_interval);
  if (c.is_default_rollup && c.lookback_delta > 0) window = std::min(window, c.lookback_delta);
  return window;
}

RollupRun MakeRun(const RollupConfig& c, std::span<const double> values, std::span<const int64_t> timestamps, std::span<const double> arg0,
                  std::span<const double> arg1, RollupScratch& scratch) {
  const int64_t max_prev = MaxPrevInterval(c, timestamps);
  return {c, EffectiveWindow(c, max_prev), max_prev, values, timestamps, arg0, arg1, &scratch.values};
}

/// Seconds since the previous sample.
void IntervalValues(std::span<double> values, std::span<const int64_t> timestamps) {
  double prev = kNaN;
  for (size_t i = 0; i < values.size(); ++i) {
    const double t = static_cast<double>(timestamps[i]) / 1e3;
    values[i] = t - prev;
    prev = t;
  }
  // The first one is unknown: take it to be like the second.
  if (values.size() > 1) values[0] = values[1];
}

/// Series that one source series makes, by the value of a label. Values that never came up are NaN.
class SeriesByLabel {
 public:
  SeriesByLabel(const model::MetricName& name, std::string_view label, size_t points) : name_(name), label_(label), points_(points) {}

  std::vector<double>& ValuesOf(std::string_view label_value) {
    const auto it = index_.find(std::string(label_value));
    if (it != index_.end()) return list_[it->second].values;
    index_.emplace(label_value, list_.size());
    TimeSeries& s = list_.emplace_back();
    s.name = name_;
    RemoveTag(s.name, label_);
    s.name.AddTag(label_, label_value);
    s.values.assign(points_, kNaN);
    return s.values;
  }
  std::vector<TimeSeries>& list() { return list_; }

 private:
  const model::MetricName& name_;
  const std::string_view label_;
  const size_t points_;
  std::unordered_map<std::string, size_t> index_;
  std::vector<TimeSeries> list_;
};

uint64_t CountValues(const RollupRun& run, SeriesByLabel& dst) {
  uint64_t samples = 0;
  std::string text;
  ForEachWindow(run, [&](const RollupWindow& w) {
    samples += w.values.size();
    for (const double v : w.values) {
      text.clear();
      metricsql::AppendGoFloat(text, v);
      double& count = dst.ValuesOf(text)[w.index];
      count = std::isnan(count) ? 1 : count + 1;
    }
  });
  return samples;
}

uint64_t Quantiles(const RollupRun& run, const std::vector<double>& phis, SeriesByLabel& dst) {
  uint64_t samples = 0;
  std::vector<std::string> texts(phis.size());
  for (size_t i = 0; i < phis.size(); ++i) metricsql::AppendGoFloat(texts[i], phis[i]);
  ForEachWindow(run, [&](const RollupWindow& w) {
    if (w.values.empty()) return;
    samples += w.values.size();
    CopyValues(*w.scratch, w.values);
    std::sort(w.scratch->begin(), w.scratch->end());
    for (size_t i = 0; i < phis.size(); ++i) dst.ValuesOf(texts[i])[w.index] = SortedQuantile(phis[i], *w.scratch);
  });
  return samples;
}

uint64_t Histogram(const RollupRun& run, SeriesByLabel& dst) {
  uint64_t samples = 0;
  VmrangeHistogram histogram;
  ForEachWindow(run, [&](const RollupWindow& w) {
    samples += w.values.size();
    histogram.Reset();
    for (const double v : w.values) histogram.Add(v);
    histogram.VisitNonZero([&](std::string_view range, uint64_t count) { dst.ValuesOf(range)[w.index] = static_cast<double>(count); });
  });
  return samples;
}

bool MakesSeriesByLabel(const RollupFunction& function) {
  return function.args == RollupArgs::kLabelSeries || function.args == RollupArgs::kLabelScalarsSeries || function.name == "histogram_over_time";
}

Result<std::vector<double>> ScalarArg(std::span<const std::vector<TimeSeries>> args, size_t i) {
  if (args[i].size() != 1) return Invalid("arg #" + std::to_string(i + 1) + " must be a scalar");
  return args[i][0].values;
}

Status CheckArgsCount(size_t got, size_t want) {
  if (got == want) return Ok();
  return Invalid("unexpected number of args; got " + std::to_string(got) + "; want " + std::to_string(want));
}

/// The second argument of the `rollup` functions; empty when there is none.
Result<std::string> RollupTag(const metricsql::FuncExpr& expr) {
  if (expr.args.size() < 2) return std::string();
  const auto* tag = As<metricsql::StringExpr>(expr.args[1].get());
  if (tag == nullptr) return Invalid("unexpected rollup tag type: " + metricsql::ToString(*expr.args[1]) + "; expecting string");
  if (tag->value.empty()) return Invalid("rollup tag cannot be empty");
  return tag->value;
}

Result<std::vector<std::string>> AggrNames(const metricsql::Expr& arg) {
  std::vector<std::string> names;
  if (const auto* one = As<metricsql::StringExpr>(&arg)) {
    names.push_back(one->value);
  } else {
    const auto* list = As<metricsql::FuncExpr>(&arg);
    if (list == nullptr || !list->name.empty()) {
      return Invalid(metricsql::ToString(arg) +
                     " cannot be passed to aggr_over_time(); expecting quoted aggregate function name or a list of quoted aggregate function names");
    }
    for (const auto& item : list->args) {
      const auto* name = As<metricsql::StringExpr>(item.get());
      if (name == nullptr) return Invalid(metricsql::ToString(*item) + " cannot be passed here; expecting quoted aggregate function name");
      names.push_back(name->value);
    }
  }
  if (names.empty()) return Invalid("aggr_over_time() must contain at least a single aggregate function name");
  for (const auto& name : names) {
    if (FindAggrOverTimeFunction(name) == nullptr) {
      std::string quoted;
      metricsql::AppendGoQuoted(quoted, name);
      return Invalid(quoted + " cannot be used in `aggr_over_time` function; expecting quoted aggregate function name");
    }
  }
  return names;
}

struct NamedLoop {
  std::string_view name;
  RollupLoop loop;
};

/// All of `loops`, or the one that `tag` asks for.
Status AddTagged(RollupCall& call, std::span<const NamedLoop> loops, const std::string& tag, bool tag_single, const std::string& text) {
  for (const auto& [name, loop] : loops) {
    if (tag.empty()) {
      call.columns.push_back({std::string(name), loop});
    } else if (tag == name) {
      call.columns.push_back({tag_single ? tag : std::string(), loop});
    }
  }
  if (!call.columns.empty()) return Ok();
  std::string quoted;
  metricsql::AppendGoQuoted(quoted, tag);
  return Invalid("unexpected second arg for " + text + ": " + quoted + "; want `min`, `max` or `avg`");
}

}  // namespace

Result<RollupCall> MakeRollupCall(const RollupFunction& function, const metricsql::FuncExpr* expr,
                                  std::span<const std::vector<TimeSeries>> args) {
  RollupCall call;
  call.function = &function;
  call.keep_name = function.keeps_name || (expr != nullptr && expr->keep_metric_names);
  if (expr == nullptr) return call;
  const size_t count = args.size();
  switch (function.args) {
    case RollupArgs::kSeries:
      VM_TRY(CheckArgsCount(count, 1));
      break;
    case RollupArgs::kSeriesScalar: {
      VM_TRY(CheckArgsCount(count, 2));
      VM_ASSIGN_OR_RETURN(call.arg0, ScalarArg(args, 1));
      break;
    }
    case RollupArgs::kSeriesTwoScalars: {
      VM_TRY(CheckArgsCount(count, 3));
      VM_ASSIGN_OR_RETURN(call.arg0, ScalarArg(args, 1));
      VM_ASSIGN_OR_RETURN(call.arg1, ScalarArg(args, 2));
      break;
    }
    case RollupArgs::kScalarSeries: {
      VM_TRY(CheckArgsCount(count, 2));
      VM_ASSIGN_OR_RETURN(call.arg0, ScalarArg(args, 0));
      break;
    }
    case RollupArgs::kSeriesTag:
      if (count < 1 || count > 2) return Invalid("unexpected number of args; got " + std::to_string(count) + "; want 1...2");
      break;
    case RollupArgs::kNamesSeries:
      VM_TRY(CheckArgsCount(count, 2));
      break;
    case RollupArgs::kLabelSeries: {
      VM_TRY(CheckArgsCount(count, 2));
      auto label = TextArg(args[0], 1);
      if (!label.ok()) return std::move(label).error().WithContext("cannot get labelName");
      call.label = std::move(label).value();
      break;
    }
    case RollupArgs::kLabelScalarsSeries: {
      if (count < 3) return Invalid("unexpected number of args: " + std::to_string(count) + "; want at least 3 args");
      VM_ASSIGN_OR_RETURN(call.label, TextArg(args[0], 1));
      for (size_t i = 1; i + 1 < count; ++i) {
        auto phi = ScalarArg(args, i);
        if (!phi.ok()) return std::move(phi).error().WithContext("cannot obtain phi from arg #" + std::to_string(i));
        call.phis.push_back(phi.value()[0]);
      }
      break;
    }
  }
  return call;
}

Status AddRollupColumns(RollupCall& call, const metricsql::FuncExpr* expr, const std::string& text) {
  const RollupFunction& f = *call.function;
  call.removes_resets = f.removes_resets;
  if (f.args == RollupArgs::kSeriesTag) {
    auto tag = RollupTag(*expr);
    if (!tag.ok()) return std::move(tag).error().WithContext("invalid args for " + text);
    if (f.name == "rollup_candlestick") {
      const NamedLoop loops[] = {{"open", kOpenLoop}, {"close", kCloseLoop}, {"low", kLowLoop}, {"high", kHighLoop}};
      return AddTagged(call, loops, tag.value(), true, text);
    }
    if (f.name == "rollup_delta" || f.name == "rollup_increase") call.transform = SampleTransform::kDelta;
    if (f.name == "rollup_deriv" || f.name == "rollup_rate") call.transform = SampleTransform::kDeriv;
    if (f.name == "rollup_scrape_interval") call.transform = SampleTransform::kInterval;
    const auto loop = [](std::string_view name) { return FindRollup(name)->loop; };
    const NamedLoop loops[] = {{"min", loop("min_over_time")}, {"max", loop("max_over_time")}, {"avg", loop("avg_over_time")}};
    return AddTagged(call, loops, tag.value(), false, text);
  }
  if (f.args == RollupArgs::kNamesSeries) {
    auto names = AggrNames(*expr->args[0]);
    if (!names.ok()) return std::move(names).error().WithContext("invalid args to " + text);
    for (auto& name : names.value()) {
      const RollupFunction& column = *FindAggrOverTimeFunction(name);
      call.removes_resets |= column.removes_resets;
      call.columns.push_back({std::move(name), column.loop});
    }
    return Ok();
  }
  call.columns.push_back({{}, f.loop});
  return Ok();
}

uint64_t RunRollup(const RollupConfig& config, const RollupCall& call, TimeSeries& samples, RollupScratch& scratch,
                   std::vector<TimeSeries>& dst) {
  const std::span<double> values(samples.values);
  const std::span<const int64_t> timestamps(samples.timestamps);
  if (call.removes_resets) {
    // A gap counts only when the window does not bridge it.
    RemoveCounterResets(values, timestamps, config.lookback_delta == 0 ? 0 : config.lookback_delta + config.window);
  }
  switch (call.transform) {
    case SampleTransform::kNone:
      break;
    case SampleTransform::kDelta:
      DeltaValues(values);
      break;
    case SampleTransform::kDeriv:
      DerivValues(values, timestamps);
      break;
    case SampleTransform::kInterval:
      IntervalValues(values, timestamps);
      break;
  }
  if (!call.keep_name) samples.name.metric_group.clear();
  const RollupRun run = MakeRun(config, values, timestamps, call.arg0, call.arg1, scratch);
  const size_t points = config.PointsCount();
  const RollupFunction& f = *call.function;
  uint64_t scanned = 0;
  if (MakesSeriesByLabel(f)) {
    const std::string_view label = call.label.empty() && f.args == RollupArgs::kSeries ? "vmrange" : std::string_view(call.label);
    SeriesByLabel by_label(samples.name, label, points);
    if (f.args == RollupArgs::kLabelSeries) {
      scanned = CountValues(run, by_label);
    } else if (f.args == RollupArgs::kLabelScalarsSeries) {
      scanned = Quantiles(run, call.phis, by_label);
    } else {
      scanned = Histogram(run, by_label);
    }
    std::move(by_label.list().begin(), by_label.list().end(), std::back_inserter(dst));
    return scanned + values.size();
  }
  for (size_t i = 0; i < call.columns.size(); ++i) {
    const RollupColumn& column = call.columns[i];
    TimeSeries& s = dst.emplace_back();
    s.values = std::move(scratch.spare);
    scratch.spare.clear();
    s.values.resize(points);
    const uint64_t in_windows = column.loop(run, s.values.data());
    scanned += values.size() + (f.scanned_per_call > 0 ? f.scanned_per_call * points : in_windows);
    if (i + 1 == call.columns.size()) {
      s.name = std::move(samples.name);
    } else {
      s.name = samples.name;
    }
    if (!column.tag_value.empty()) s.name.AddTag("rollup", column.tag_value);
  }
  return scanned;
}

uint64_t RunRollupLoop(const RollupConfig& config, RollupLoop loop, uint8_t scanned_per_call, std::span<const double> values,
                       std::span<const int64_t> timestamps, std::span<const double> arg0, std::span<const double> arg1,
                       RollupScratch& scratch, double* out) {
  const RollupRun run = MakeRun(config, values, timestamps, arg0, arg1, scratch);
  const uint64_t in_windows = loop(run, out);
  return values.size() + (scanned_per_call > 0 ? scanned_per_call * config.PointsCount() : in_windows);
}

void RemoveCounterResets(std::span<double> values, std::span<const int64_t> timestamps, int64_t staleness_interval) {
  // Nothing changes up to the first drop: most counters have none.
  size_t i = 1;
  while (i < values.size() && !(values[i] < values[i - 1])) ++i;
  if (i >= values.size()) return;
  double correction = 0;
  double prev = values[i - 1];
  double prev_result = prev;
  for (; i < values.size(); ++i) {
    const double v = values[i];
    const double d = v - prev;
    if (d < 0) {
      // A small drop is a counter that lost a part of its growth, not one that started anew.
      correction += -d * 8 < prev ? prev - v : prev;
    }
    prev = v;
    if (staleness_interval > 0 && timestamps[i] - timestamps[i - 1] > staleness_interval) {
      correction = 0;
      prev_result = v;
      continue;
    }
    // Rounding must not look like another reset.
    const double result = v + correction;
    prev_result = result < prev_result ? prev_result : result;
    values[i] = prev_result;
  }
}

void DeltaValues(std::span<double> values) {
  if (values.empty()) return;
  double delta = 0;
  for (size_t i = 0; i + 1 < values.size(); ++i) {
    delta = values[i + 1] - values[i];
    values[i] = delta;
  }
  values.back() = delta;
}

void DerivValues(std::span<double> values, std::span<const int64_t> timestamps) {
  if (values.empty()) return;
  double deriv = 0;
  double prev = values[0];
  int64_t prev_timestamp = timestamps[0];
  for (size_t i = 1; i < values.size(); ++i) {
    const double v = values[i];
    if (timestamps[i] != prev_timestamp) {
      deriv = (v - prev) / (static_cast<double>(timestamps[i] - prev_timestamp) / 1e3);
      prev = v;
      prev_timestamp = timestamps[i];
    }
    values[i - 1] = deriv;
  }
  values.back() = deriv;
}

}  // namespace vm::select
