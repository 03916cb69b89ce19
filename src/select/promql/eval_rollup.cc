#include "select/promql/eval_rollup.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "lib/decimal/decimal.h"
#include "lib/sys/sys.h"
#include "select/promql/eval_instant.h"
#include "select/promql/names.h"
#include "select/promql/rollup_cache.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;
using metricsql::As;
using SeriesList = std::vector<TimeSeries>;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Error Invalid(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

template <class Drop>
void DropSamples(TimeSeries& s, Drop drop) {
  size_t kept = 0;
  for (size_t i = 0; i < s.values.size(); ++i) {
    if (drop(s.values[i])) continue;
    s.values[kept] = s.values[i];
    s.timestamps[kept++] = s.timestamps[i];
  }
  s.values.resize(kept);
  s.timestamps.resize(kept);
}

/// A rollup on its way. `whole` is the expression that errors show.
struct RollupTask {
  RollupCall call;
  const metricsql::FuncExpr* func_expr = nullptr;  // Null: default_rollup.
  const metricsql::Expr* whole = nullptr;
  RollupSource source;
  const metricsql::AggrFuncExpr* aggr = nullptr;  // Fold into it.
};

RollupConfig MakeConfig(const EvalContext& c, const RollupFunction& f, int64_t window) {
  RollupConfig config;
  config.start = c.start;
  config.end = c.end;
  config.step = c.step;
  config.window = window;
  config.lookback_delta = c.lookback_delta;
  config.min_staleness_interval = c.min_staleness_interval_ms;
  config.may_adjust_window = f.may_adjust_window;
  config.is_default_rollup = f.name == "default_rollup";
  return config;
}

int64_t SaturatingMul(int64_t a, int64_t b) {
  int64_t result;
  return __builtin_mul_overflow(a, b, &result) ? std::numeric_limits<int64_t>::max() : result;
}
int64_t SaturatingAdd(int64_t a, int64_t b) {
  int64_t result;
  return __builtin_add_overflow(a, b, &result) ? std::numeric_limits<int64_t>::max() : result;
}

/// What the rollup will hold in memory, as the reference estimates it; counted against the limits until `share` goes.
Status TakeMemory(const EvalContext& c, const RollupTask& task, size_t series_count, std::optional<BudgetShare>& share) {
  auto held = static_cast<int64_t>(series_count);
  if (task.aggr != nullptr) {
    auto groups = static_cast<int64_t>(sys::AvailableCpus());
    if (!task.aggr->modifier.op.empty()) groups = SaturatingMul(groups, task.aggr->limit > 0 ? task.aggr->limit : 1000);
    held = std::min(held, groups);
  }
  const auto points = static_cast<int64_t>(c.PointsCount());
  const int64_t columns = SaturatingMul(held, static_cast<int64_t>(task.call.columns.size()));
  const int64_t all_points = SaturatingMul(points, columns);
  const int64_t bytes = SaturatingAdd(SaturatingMul(held, 1000), SaturatingMul(all_points, 16));
  const auto error = [&](const std::string& limit, const char* advice) {
    std::string step;
    metricsql::AppendGoFloat(step, static_cast<double>(c.step) / 1e3);
    return Error(ErrorCode::kLimitExceeded, "not enough memory for processing " + metricsql::ToString(*task.whole) + ", which returns " +
                                                std::to_string(all_points) + " data points across " + std::to_string(columns) +
                                                " time series with " + std::to_string(points) + " points in each time series" + limit +
                                                "; requested memory: " + std::to_string(bytes) +
                                                " bytes; possible solutions are: reducing the number of matching time series; increasing `step` "
                                                "query arg (step=" + step + "s); " + advice);
  };
  if (c.max_memory_bytes > 0 && bytes > c.max_memory_bytes) {
    return error(" according to -search.maxMemoryPerQuery=" + std::to_string(c.max_memory_bytes), "increasing -search.maxMemoryPerQuery");
  }
  if (c.rollup_memory != nullptr) {
    share.emplace(*c.rollup_memory);
    if (!share->Take(bytes).ok()) {
      return error("; total available memory for concurrent requests: " + std::to_string(c.rollup_memory->limit_bytes()) + " bytes",
                   "switching to node with more RAM; increasing -memory.allowedPercent");
    }
  }
  if (c.stats != nullptr) c.stats->memory_bytes = SaturatingAdd(c.stats->memory_bytes, bytes);
  return Ok();
}

/// A rollup over the series of a set, by several workers.
class RollupRunner {
 public:
  /// All references outlive it.
  RollupRunner(const EvalContext& c, const RollupTask& task, const RollupConfig& config, bool drops_stale, size_t workers)
      : c_(c), task_(task), config_(config), drops_stale_(drops_stale), workers_(workers) {
    if (task.aggr == nullptr) return;
    for (auto& worker : workers_) worker.aggr.emplace(*task.aggr);
  }

  /// Calls with different `worker` may overlap. The memory of `samples` stays.
  Status Add(size_t worker_index, size_t index, TimeSeries& samples) {
    VM_TRY(CheckAlive(c_));
    Worker& worker = workers_[worker_index];
    if (drops_stale_) DropStaleMarkers(samples);
    const size_t before = worker.out.size();
    worker.scanned += RunRollup(config_, task_.call, samples, worker.scratch, worker.out);
    if (!worker.aggr) {
      worker.indexes.resize(worker.out.size(), index);
      return Ok();
    }
    for (size_t i = before; i < worker.out.size(); ++i) {
      worker.aggr->Add(index, worker.out[i]);
      worker.scratch.spare = std::move(worker.out[i].values);
      samples.name = std::move(worker.out[i].name);
    }
    worker.out.clear();
    return Ok();
  }

  /// What came out, in the order of the set.
  SeriesList Finish() {
    uint64_t scanned = 0;
    for (const auto& worker : workers_) scanned += worker.scanned;
    if (c_.stats != nullptr) {
      c_.stats->samples_scanned += scanned;
      ++c_.stats->rollups_count;
    }
    if (c_.rows_scanned != nullptr) c_.rows_scanned->Update(static_cast<double>(scanned));
    if (task_.aggr == nullptr) return JoinOutputs();
    for (size_t i = 1; i < workers_.size(); ++i) workers_[0].aggr->Merge(std::move(*workers_[i].aggr));
    return workers_[0].aggr->Finish();
  }

 private:
  struct alignas(64) Worker {
    RollupScratch scratch;
    std::optional<IncrementalAggr> aggr;
    SeriesList out;
    std::vector<size_t> indexes;  // Of the series that `out` was made of.
    uint64_t scanned = 0;
  };

  static void DropStaleMarkers(TimeSeries& samples) {
    // A look for any NaN is cheaper, and mostly there is none.
    uint64_t nans = 0;
    for (const double v : samples.values) nans += v != v;
    if (nans > 0) DropSamples(samples, decimal::IsStaleNaN);
  }

  SeriesList JoinOutputs() {
    if (workers_.size() == 1) return std::move(workers_[0].out);
    size_t count = 0;
    for (const auto& worker : workers_) count += worker.out.size();
    SeriesList joined;
    joined.reserve(count);
    std::vector<size_t> next(workers_.size(), 0);
    while (joined.size() < count) {
      size_t first = workers_.size();
      for (size_t i = 0; i < workers_.size(); ++i) {
        if (next[i] == workers_[i].out.size()) continue;
        if (first == workers_.size() || workers_[i].indexes[next[i]] < workers_[first].indexes[next[first]]) first = i;
      }
      joined.push_back(std::move(workers_[first].out[next[first]++]));
    }
    return joined;
  }

  const EvalContext& c_;
  const RollupTask& task_;
  const RollupConfig config_;
  const bool drops_stale_;
  std::vector<Worker> workers_;
};

/// Run the rollup over all of `set`. The samples of a series go as soon as they are used.
awaitable<Result<SeriesList>> RunOverSet(const EvalContext& c, const RollupTask& task, int64_t window, bool drops_stale, SeriesSet& set) {
  RollupRunner runner(c, task, MakeConfig(c, *task.call.function, window), drops_stale, set.workers());
  RollupRunner* const to = &runner;
  SeriesSet::Visit visit = [to](size_t worker, size_t index, TimeSeries& samples) { return to->Add(worker, index, samples); };
  VM_CO_TRY(co_await set.ForEach(std::move(visit)));
  co_return runner.Finish();
}

/// Charge the query for `list`, as long as a series of it is there.
Status HoldList(const EvalContext& c, SeriesList& list) {
  if (c.source == nullptr) return Ok();
  uint64_t bytes = 0;
  for (const auto& s : list) bytes += MemoryOf(s);
  VM_ASSIGN_OR_RETURN(const auto charge, c.source->Hold(bytes));
  if (charge == nullptr) return Ok();
  for (auto& s : list) s.charge = charge;
  return Ok();
}

/// Search and roll up, whatever is in the cache. Requires AddRollupColumns.
awaitable<Result<SeriesList>> SearchAndRun(const EvalContext& c, const RollupTask& task, const metricsql::MetricExpr& metric, int64_t window) {
  const RollupFunction& f = *task.call.function;
  SeriesList list;
  if (c.end < 0) co_return std::move(list);
  model::SearchQuery query;
  query.tenant = c.tenant;
  query.time_range = {std::max<int64_t>(0, c.start - (f.needs_silence ? c.SilenceMs() : 0) - std::max(window, c.step)), c.end};
  query.tag_filter_groups = ToTagFilters(metric, c.enforced_filters);
  query.max_metrics = c.max_series;
  VM_CO_ASSIGN_OR_RETURN(const auto set, co_await c.source->Search(std::move(query), c.deadline));
  if (c.series_fetched != nullptr) *c.series_fetched += set->size();
  if (set->size() == 0) co_return std::move(list);
  std::optional<BudgetShare> memory;
  VM_CO_TRY(TakeMemory(c, task, set->size(), memory));
  // Staleness markers end a series where the last value decides; elsewhere they are no samples.
  const bool drops_stale = !c.no_stale_markers && f.name != "default_rollup" && f.name != "stale_samples_over_time";
  VM_CO_ASSIGN_OR_RETURN(list, co_await RunOverSet(c, task, window, drops_stale, *set));
  // What there is instead of what was expected.
  memory.reset();
  VM_CO_TRY(HoldList(c, list));
  co_return std::move(list);
}

size_t RollupArg(const metricsql::FuncExpr& expr) {
  return static_cast<size_t>(std::max(0, metricsql::RollupArgIndex(expr.name, expr.args.size())));
}

/// Whether the grid is one on which results can be joined.
bool IsCacheable(const EvalContext& c) {
  if (c.cache == nullptr) return false;
  return c.start == c.end || (c.start % c.step == 0 && c.end % c.step == 0);
}

/// True when the arguments beside the selector are the same on every grid.
bool HasFixedArgs(const metricsql::FuncExpr* func) {
  if (func == nullptr) return true;
  const auto is_literal = [](const metricsql::ExprPtr& e) {
    return e->kind == metricsql::ExprKind::kNumber || e->kind == metricsql::ExprKind::kString || e->kind == metricsql::ExprKind::kDuration;
  };
  const size_t rollup_arg = RollupArg(*func);
  for (size_t i = 0; i < func->args.size(); ++i) {
    if (i == rollup_arg || is_literal(func->args[i])) continue;
    // The names of aggr_over_time.
    const auto* list = As<metricsql::FuncExpr>(func->args[i].get());
    if (list == nullptr || !list->name.empty() || !std::all_of(list->args.begin(), list->args.end(), is_literal)) return false;
  }
  return true;
}

/// False when the value at a time hangs on the samples at the ends of the range.
bool IsIndependentOfRange(const RollupTask& task) {
  const RollupCall& call = task.call;
  // The last sample has no next one to be compared with.
  if (call.transform != SampleTransform::kNone) return false;
  // The resets that one function of aggr_over_time removes are gone for the others, too.
  const bool shares_resets = call.function->args == RollupArgs::kNamesSeries && call.removes_resets && call.columns.size() > 1;
  return !shares_resets && HasFixedArgs(task.func_expr);
}

/// As in the reference names that are compared have their tags in the order of keys, which shows in the order of results.
void SortTagsOfAll(SeriesList& list) {
  for (auto& s : list) SortTagsByKey(s.name);
}

/// The front of the grid from the cache, the rest from the storage.
awaitable<Result<SeriesList>> RunOverCache(const EvalContext& c, const RollupTask& task, const metricsql::MetricExpr& metric, int64_t window) {
  const std::string key = RollupCache::RangeKey(c, *task.whole, window);
  VM_CO_ASSIGN_OR_RETURN(auto front, c.cache->Get(c, key));
  if (c.series_fetched != nullptr) *c.series_fetched += front.series.size();
  if (front.next > c.end) {
    VM_CO_TRY(HoldList(c, front.series));
    co_return std::move(front.series);
  }
  EvalContext rest = c;
  rest.start = front.next;
  VM_CO_ASSIGN_OR_RETURN(auto list, co_await SearchAndRun(rest, task, metric, window));
  if (front.next > c.start) {
    const auto front_points = static_cast<size_t>((front.next - c.start) / c.step);
    if (JoinFront(std::move(front.series), list, front_points, c.PointsCount())) {
      SortTagsOfAll(list);
    } else {
      VM_CO_ASSIGN_OR_RETURN(list, co_await SearchAndRun(c, task, metric, window));
    }
    VM_CO_TRY(HoldList(c, list));
  }
  if (!c.source->is_partial()) c.cache->Put(c, key, list);
  co_return std::move(list);
}

awaitable<Result<SeriesList>> RunAtTime(const EvalContext& c, const RollupTask& task, const metricsql::MetricExpr& metric, int64_t timestamp,
                                        int64_t window) {
  EvalContext at = c;
  at.start = at.end = timestamp;
  co_return co_await SearchAndRun(at, task, metric, window);
}

/// At one time. Long windows are not read again as a whole.
awaitable<Result<SeriesList>> RunInstant(const EvalContext& c, const RollupTask& task, const metricsql::MetricExpr& metric, int64_t window) {
  if (window < c.cache->options().min_instant_window_ms) co_return co_await SearchAndRun(c, task, metric, window);
  if (const auto other = RewriteInstant(*task.whole, c.step)) co_return co_await Eval(c, *other);
  const InstantRule rule = InstantRuleOf(task.call.function->name, task.aggr == nullptr ? "" : std::string_view(task.aggr->name));
  if (rule == InstantRule::kNone) co_return co_await SearchAndRun(c, task, metric, window);
  const std::string key = RollupCache::InstantKey(c, *task.whole, window);
  const EvalAt eval_at = [&c, &task, &metric](int64_t timestamp, int64_t length) { return RunAtTime(c, task, metric, timestamp, length); };
  VM_CO_ASSIGN_OR_RETURN(auto list, co_await EvalInstant(c, rule, key, window, eval_at));
  VM_CO_TRY(HoldList(c, list));
  co_return std::move(list);
}

awaitable<Result<SeriesList>> RunOverSelector(const EvalContext& c, RollupTask& task, const metricsql::MetricExpr& metric) {
  const auto* duration = task.source.rollup == nullptr ? nullptr : task.source.rollup->window.get();
  VM_CO_ASSIGN_OR_RETURN(const int64_t window, NonNegativeDurationMs(duration, c.step, "lookbehind window", metricsql::ToString(*task.whole)));
  if (metric.IsEmpty()) {
    SeriesList list;
    list.push_back(MakeGridSeries(c, kNaN));
    co_return std::move(list);
  }
  VM_CO_TRY(AddRollupColumns(task.call, task.func_expr, metricsql::ToString(*task.whole)));
  if (!IsCacheable(c)) co_return co_await SearchAndRun(c, task, metric, window);
  const bool is_independent = IsIndependentOfRange(task);
  if (c.start == c.end) {
    if (is_independent) co_return co_await RunInstant(c, task, metric, window);
    co_return co_await SearchAndRun(c, task, metric, window);
  }
  SeriesList list;
  if (is_independent) {
    VM_CO_ASSIGN_OR_RETURN(list, co_await RunOverCache(c, task, metric, window));
  } else {
    VM_CO_ASSIGN_OR_RETURN(list, co_await SearchAndRun(c, task, metric, window));
  }
  // A single name is not looked at before it is kept.
  if (list.size() > 1) SortTagsOfAll(list);
  co_return std::move(list);
}

awaitable<Result<SeriesList>> RunOverSubquery(const EvalContext& c, RollupTask& task) {
  const auto* rollup = task.source.rollup;
  const std::string whole = metricsql::ToString(*task.whole);
  VM_CO_ASSIGN_OR_RETURN(int64_t step, NonNegativeDurationMs(rollup == nullptr ? nullptr : rollup->step.get(), c.step, "step", whole));
  VM_CO_ASSIGN_OR_RETURN(const int64_t window,
                         NonNegativeDurationMs(rollup == nullptr ? nullptr : rollup->window.get(), c.step, "lookbehind window", whole));
  if (step == 0) step = c.step;
  EvalContext sub = c;
  sub.step = step;
  sub.start = c.start - (window + step + c.SilenceMs());
  sub.end = c.end + step;
  const int64_t points = (sub.end - sub.start) / step + 1;
  if (points > c.max_points_per_subquery_series) {
    co_return Error(ErrorCode::kLimitExceeded,
                    "too many points for the given start=" + std::to_string(sub.start) + ", end=" + std::to_string(sub.end) + " and step=" +
                        std::to_string(step) + ": " + std::to_string(points) + "; the maximum number of points is " +
                        std::to_string(c.max_points_per_subquery_series) + "; (see -search.maxPointsSubqueryPerTimeseries command-line flag)");
  }
  // Times before 1970 round towards it, as the reference does.
  sub.start -= sub.start % step;
  if (const int64_t rest = sub.end % step; rest > 0) sub.end += step - rest;
  VM_CO_ASSIGN_OR_RETURN(auto list, co_await Eval(sub, *task.source.inner));
  if (list.empty()) co_return std::move(list);
  VM_CO_TRY(AddRollupColumns(task.call, task.func_expr, metricsql::ToString(*task.whole)));
  // What was evaluated on the grid of the subquery becomes samples.
  const auto timestamps = GridTimestamps(sub);
  for (auto& s : list) {
    s.timestamps = timestamps;
    DropSamples(s, [](double v) { return std::isnan(v); });
  }
  const auto set = MakeSeriesSet(std::move(list));
  VM_CO_ASSIGN_OR_RETURN(auto results, co_await RunOverSet(c, task, window, false, *set));
  VM_CO_TRY(HoldList(c, results));
  co_return std::move(results);
}

/// One series that is 1 where no series had samples, with the labels that the selector demands.
SeriesList CollapseAbsent(const EvalContext& c, const metricsql::Expr& inner, const SeriesList& list) {
  TimeSeries s = MakeGridSeries(c, 1);
  if (const auto* metric = As<metricsql::MetricExpr>(&inner); metric != nullptr && metric->filter_groups.size() == 1) {
    for (const auto& filter : metric->filter_groups[0]) {
      if (filter.label == "__name__" || filter.label.empty() || filter.is_negative || filter.is_regexp) continue;
      s.name.AddTag(filter.label, filter.value);
    }
  }
  for (const auto& other : list) {
    for (size_t i = 0; i < s.values.size(); ++i) {
      if (std::isnan(other.values[i])) s.values[i] = kNaN;
    }
  }
  SeriesList one;
  one.push_back(std::move(s));
  return one;
}

awaitable<Result<SeriesList>> RunWithoutAt(const EvalContext& outer, RollupTask& task) {
  EvalContext c = outer;
  const RollupFunction& f = *task.call.function;
  if (task.source.rollup != nullptr) {
    VM_CO_ASSIGN_OR_RETURN(const int64_t offset, DurationMs(task.source.rollup->offset.get(), c.step));
    c.start -= offset;
    c.end -= offset;
  }
  if (f.name == "rollup_candlestick") {
    // The candle of a point covers the step that follows it.
    c.start += c.step;
    c.end += c.step;
  }
  const auto* metric = As<metricsql::MetricExpr>(task.source.inner);
  SeriesList list;
  if (metric != nullptr && !task.source.is_subquery) {
    auto result = co_await RunOverSelector(c, task, *metric);
    if (!result.ok()) co_return Readable(c, std::move(result).error());
    list = std::move(result).value();
  } else {
    auto result = co_await RunOverSubquery(c, task);
    if (!result.ok()) co_return Readable(c, std::move(result).error());
    list = std::move(result).value();
  }
  if (f.name == "absent_over_time") list = CollapseAbsent(c, *task.source.inner, list);
  co_return std::move(list);
}

/// The rollup at one time, which holds for the whole grid.
awaitable<Result<SeriesList>> RunAt(const EvalContext& outer, RollupTask& task) {
  auto at = co_await Eval(outer, *task.source.rollup->at);
  if (!at.ok()) co_return Readable(outer, std::move(at).error().WithContext("cannot evaluate `@` modifier"));
  if (at.value().size() != 1) {
    co_return Readable(outer, Invalid("`@` modifier must return a single series; it returns " + std::to_string(at.value().size()) + " series instead"));
  }
  const auto& values = at.value()[0].values;
  const auto it = std::find_if(values.begin(), values.end(), [](double v) { return !std::isnan(v); });
  if (it == values.end()) co_return Readable(outer, Invalid("`@` modifier must return a non-NaN value"));
  EvalContext c = outer;
  // Nothing is stored at times beyond the bound of durations; as in the reference they are as good as long before 1970.
  const bool is_time = std::fabs(*it) <= static_cast<double>(kMaxBracketMs) / 1e3;
  c.start = c.end = is_time ? static_cast<int64_t>(*it * 1000) : -kMaxBracketMs;
  VM_CO_ASSIGN_OR_RETURN(auto list, co_await RunWithoutAt(c, task));
  for (auto& s : list) s.values.assign(outer.PointsCount(), s.values[0]);
  co_return std::move(list);
}

/// Whatever `offset` and `@` say, the values belong to the grid of the query.
awaitable<Result<SeriesList>> Run(const EvalContext& c, RollupTask& task) {
  const bool has_at = task.source.rollup != nullptr && task.source.rollup->at != nullptr;
  if (has_at) co_return co_await RunAt(c, task);
  co_return co_await RunWithoutAt(c, task);
}

RollupSource SourceOf(const metricsql::Expr& arg) {
  RollupSource source;
  source.rollup = As<metricsql::RollupExpr>(&arg);
  source.inner = source.rollup == nullptr ? &arg : source.rollup->expr.get();
  source.is_subquery = As<metricsql::MetricExpr>(source.inner) == nullptr || (source.rollup != nullptr && source.rollup->ForSubquery());
  return source;
}

/// Evaluate the arguments of a rollup function; the one with the samples stays empty.
awaitable<Result<std::vector<SeriesList>>> EvalArgs(const EvalContext& c, const metricsql::FuncExpr& expr, size_t rollup_arg) {
  if (expr.args.size() <= rollup_arg) {
    std::string name;
    metricsql::AppendGoQuoted(name, expr.name);
    co_return Invalid("expecting at least " + std::to_string(rollup_arg + 1) + " args to " + name + "; got " + std::to_string(expr.args.size()) +
                      " args; expr: " + QuotedText(expr));
  }
  std::vector<SeriesList> args(expr.args.size());
  for (size_t i = 0; i < expr.args.size(); ++i) {
    if (i == rollup_arg) continue;
    auto values = co_await Eval(c, *expr.args[i]);
    if (!values.ok()) {
      co_return InExpr(std::move(values).error(), "cannot evaluate arg #" + std::to_string(i + 1) + " for", expr);
    }
    args[i] = std::move(values).value();
  }
  co_return std::move(args);
}

/// The task of a call of a rollup function. `whole` is the call, or the aggregate around it.
awaitable<Result<RollupTask>> MakeTask(const EvalContext& c, const RollupFunction& f, const metricsql::FuncExpr& expr, const metricsql::Expr& whole,
                                       std::string_view what) {
  const size_t rollup_arg = RollupArg(expr);
  VM_CO_ASSIGN_OR_RETURN(const auto args, co_await EvalArgs(c, expr, rollup_arg));
  auto call = MakeRollupCall(f, &expr, args);
  if (!call.ok()) co_return InExpr(std::move(call).error(), "cannot evaluate args for" + std::string(what), whole);
  RollupTask task;
  task.call = std::move(call).value();
  task.func_expr = &expr;
  task.whole = &whole;
  task.source = SourceOf(*expr.args[rollup_arg]);
  co_return std::move(task);
}

/// True for a selector with filters, alone or with a window.
bool IsPlainSelector(const metricsql::Expr& arg) {
  const RollupSource source = SourceOf(arg);
  if (source.is_subquery) return false;
  return !As<metricsql::MetricExpr>(source.inner)->IsEmpty();
}

}  // namespace

awaitable<Result<SeriesList>> EvalDefaultRollup(const EvalContext& c, const metricsql::Expr& expr) {
  RollupTask task;
  auto call = MakeRollupCall(*FindRollup("default_rollup"), nullptr, {});
  task.call = std::move(call).value();
  task.whole = &expr;
  task.source = SourceOf(expr);
  // Brackets around a selector alone are no subquery, even with a step in them.
  if (As<metricsql::MetricExpr>(task.source.inner) != nullptr) task.source.is_subquery = false;
  auto result = co_await Run(c, task);
  if (!result.ok()) co_return InExpr(std::move(result).error(), "cannot evaluate", expr);
  co_return std::move(result).value();
}

awaitable<Result<SeriesList>> EvalRollupFunc(const EvalContext& c, const RollupFunction& function, const metricsql::FuncExpr& expr) {
  VM_CO_ASSIGN_OR_RETURN(auto task, co_await MakeTask(c, function, expr, expr, ""));
  auto result = co_await Run(c, task);
  if (!result.ok()) co_return InExpr(std::move(result).error(), "cannot evaluate", expr);
  co_return std::move(result).value();
}

bool IsIncremental(const metricsql::AggrFuncExpr& aggr) {
  if (aggr.args.size() != 1 || !FindIncrementalAggr(aggr.name)) return false;
  const metricsql::Expr& arg = *aggr.args[0];
  const auto* func = As<metricsql::FuncExpr>(&arg);
  if (func == nullptr) return (arg.kind == metricsql::ExprKind::kMetric || arg.kind == metricsql::ExprKind::kRollup) && IsPlainSelector(arg);
  if (FindRollup(metricsql::ToLower(func->name)) == nullptr) return false;
  const size_t rollup_arg = RollupArg(*func);
  return rollup_arg < func->args.size() && IsPlainSelector(*func->args[rollup_arg]);
}

awaitable<Result<SeriesList>> EvalIncrementalAggr(const EvalContext& c, const metricsql::AggrFuncExpr& aggr) {
  RollupTask task;
  if (const auto* func = As<metricsql::FuncExpr>(aggr.args[0].get())) {
    VM_CO_ASSIGN_OR_RETURN(task, co_await MakeTask(c, *FindRollup(metricsql::ToLower(func->name)), *func, aggr, " aggregate func"));
  } else {
    auto call = MakeRollupCall(*FindRollup("default_rollup"), nullptr, {});
    task.call = std::move(call).value();
    task.whole = &aggr;
    task.source = SourceOf(*aggr.args[0]);
  }
  task.aggr = &aggr;
  VM_CO_ASSIGN_OR_RETURN(auto list, co_await Run(c, task));
  co_return std::move(list);
}

}  // namespace vm::select
