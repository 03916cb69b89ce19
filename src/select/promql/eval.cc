#include "select/promql/eval.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "lib/decimal/decimal.h"
#include "select/promql/rollup.h"
#include "select/promql/transform.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;
using metricsql::As;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kSilenceMs = 5 * 60 * 1000;

Error Invalid(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

TimeSeries MakeScalar(const EvalContext& c, double value) {
  TimeSeries s;
  s.name.tenant = c.tenant;
  for (int64_t t = c.start; t <= c.end; t += c.step) s.timestamps.push_back(t);
  s.values.assign(s.timestamps.size(), value);
  return s;
}

std::vector<TimeSeries> OneSeries(TimeSeries s) {
  std::vector<TimeSeries> list;
  list.push_back(std::move(s));
  return list;
}

Result<int64_t> DurationMs(const metricsql::DurationExpr* d, int64_t step) {
  if (d == nullptr) return int64_t{0};
  return metricsql::ParseDuration(d->text, step);
}

/// Samples a rollup runs over.
awaitable<Result<std::vector<TimeSeries>>> RollupInput(const EvalContext& c, std::string_view func, const metricsql::Expr& inner, int64_t window,
                                        const metricsql::RollupExpr* rollup) {
  const auto* metric = As<metricsql::MetricExpr>(&inner);
  if (metric != nullptr && (rollup == nullptr || !rollup->ForSubquery())) {
    if (metric->IsEmpty()) co_return std::vector<TimeSeries>();
    model::SearchQuery query;
    query.tenant = c.tenant;
    const int64_t silence = RollupNeedsSilence(func) || window == 0 ? kSilenceMs : 0;
    query.time_range = {std::max<int64_t>(0, c.start - silence - std::max(window, c.step)), c.end};
    query.tag_filter_groups = ToTagFilters(*metric, c.enforced_filters);
    query.max_metrics = c.max_series;
    VM_CO_ASSIGN_OR_RETURN(auto series, co_await c.source->FetchSeries(query, c.deadline));
    if (c.series_fetched != nullptr) *c.series_fetched += series.size();
    if (func == "default_rollup") co_return std::move(series);
    for (auto& s : series) {
      size_t kept = 0;
      for (size_t i = 0; i < s.values.size(); ++i) {
        if (decimal::IsStaleNaN(s.values[i])) continue;
        s.values[kept] = s.values[i];
        s.timestamps[kept++] = s.timestamps[i];
      }
      s.values.resize(kept);
      s.timestamps.resize(kept);
    }
    co_return std::move(series);
  }
  EvalContext sub = c;
  VM_CO_ASSIGN_OR_RETURN(int64_t step, DurationMs(rollup == nullptr ? nullptr : rollup->step.get(), c.step));
  if (step <= 0) step = c.step;
  sub.step = step;
  const auto floor = [step](int64_t t) { return t - ((t % step) + step) % step; };
  sub.start = floor(c.start - window - step - kSilenceMs);
  sub.end = floor(c.end + step + step - 1);
  VM_CO_ASSIGN_OR_RETURN(auto series, co_await Eval(sub, inner));
  for (auto& s : series) {
    size_t kept = 0;
    for (size_t i = 0; i < s.values.size(); ++i) {
      if (std::isnan(s.values[i])) continue;
      s.values[kept] = s.values[i];
      s.timestamps[kept++] = s.timestamps[i];
    }
    s.values.resize(kept);
    s.timestamps.resize(kept);
  }
  co_return std::move(series);
}

awaitable<Result<std::vector<TimeSeries>>> EvalRollupExpr(const EvalContext& outer, std::string_view func, bool keep_names, const metricsql::Expr& arg) {
  if (!IsSupportedRollup(func)) co_return Invalid("unknown function \"" + std::string(func) + "\"");
  EvalContext c = outer;
  const auto* rollup = As<metricsql::RollupExpr>(&arg);
  const metricsql::Expr& inner = rollup != nullptr ? *rollup->expr : arg;
  int64_t window = 0, offset = 0;
  if (rollup != nullptr) {
    VM_CO_ASSIGN_OR_RETURN(window, DurationMs(rollup->window.get(), c.step));
    VM_CO_ASSIGN_OR_RETURN(offset, DurationMs(rollup->offset.get(), c.step));
  }
  const bool has_at = rollup != nullptr && rollup->at != nullptr;
  if (has_at) {
    VM_CO_ASSIGN_OR_RETURN(const auto at, co_await Eval(outer, *rollup->at));
    if (at.size() != 1) {
      co_return Invalid("`@` modifier must return a single series; it returns " + std::to_string(at.size()) + " series instead");
    }
    const auto it = std::find_if(at[0].values.begin(), at[0].values.end(), [](double x) { return !std::isnan(x); });
    if (it == at[0].values.end() || std::fabs(*it) > 9e15) co_return Invalid("`@` modifier must return a non-NaN value");
    c.start = c.end = static_cast<int64_t>(*it * 1000);
  }
  c.start -= offset;
  c.end -= offset;
  VM_CO_ASSIGN_OR_RETURN(auto series, co_await RollupInput(c, func, inner, window, rollup));
  RollupConfig config{func, c.start, c.end, c.step, window, c.lookback_delta};
  const TimeSeries grid = MakeScalar(outer, 0);
  std::vector<TimeSeries> out;
  for (auto& s : series) {
    if (outer.deadline.Expired()) co_return Error(ErrorCode::kLimitExceeded, "timeout exceeded during the query");
    if (s.values.empty()) continue;
    TimeSeries r;
    r.values = EvalRollup(config, s);
    if (has_at) r.values.assign(grid.timestamps.size(), r.values[0]);
    r.timestamps = grid.timestamps;
    r.name = std::move(s.name);
    if (!keep_names && !RollupKeepsName(func)) r.name.metric_group.clear();
    out.push_back(std::move(r));
  }
  co_return std::move(out);
}

awaitable<Result<std::vector<TimeSeries>>> EvalTransform(const EvalContext& c, const metricsql::FuncExpr& func) {
  const TransformFunc transform = FindTransform(metricsql::ToLower(func.name));
  if (transform == nullptr) co_return Invalid("unknown func \"" + func.name + "\"");
  TransformCall call{c, func, {}};
  for (const auto& arg : func.args) {
    VM_CO_ASSIGN_OR_RETURN(auto series, co_await Eval(c, *arg));
    call.args.push_back(std::move(series));
  }
  auto result = transform(call);
  if (result.ok()) co_return std::move(result);
  std::string text;
  metricsql::AppendGoQuoted(text, metricsql::ToString(func));
  co_return std::move(result).error().WithContext("cannot evaluate " + text);
}

bool IsSorting(const metricsql::Expr& expr) {
  if (const auto* func = As<metricsql::FuncExpr>(&expr)) {
    const auto name = metricsql::ToLower(func->name);
    return name.starts_with("sort") || name == "limit_offset";
  }
  if (const auto* aggr = As<metricsql::AggrFuncExpr>(&expr)) return aggr->name == "topk" || aggr->name == "bottomk";
  const auto* op = As<metricsql::BinaryOpExpr>(&expr);
  return op != nullptr && op->op == "or";
}

bool NameLess(const TimeSeries& a, const TimeSeries& b) {
  return std::tie(a.name.metric_group, a.name.tags) < std::tie(b.name.metric_group, b.name.tags);
}

}  // namespace

bool IsAllNaN(const TimeSeries& s) {
  return std::all_of(s.values.begin(), s.values.end(), [](double x) { return std::isnan(x); });
}
void RemoveEmptySeries(std::vector<TimeSeries>& series) { std::erase_if(series, IsAllNaN); }
bool IsScalar(const std::vector<TimeSeries>& s) {
  return s.size() == 1 && s[0].name.metric_group.empty() && s[0].name.tags.empty();
}

std::vector<std::vector<model::TagFilter>> ToTagFilters(const metricsql::MetricExpr& metric, const std::vector<std::vector<model::TagFilter>>& enforced) {
  std::vector<std::vector<model::TagFilter>> groups;
  for (const auto& group : metric.filter_groups) {
    std::vector<model::TagFilter> filters;
    for (const auto& f : group) filters.push_back({f.label == "__name__" ? "" : f.label, f.value, f.is_negative, f.is_regexp});
    if (enforced.empty()) groups.push_back(filters);
    for (const auto& extra : enforced) {
      groups.push_back(filters);
      groups.back().insert(groups.back().end(), extra.begin(), extra.end());
    }
  }
  return groups;
}

awaitable<Result<std::vector<TimeSeries>>> Eval(const EvalContext& c, const metricsql::Expr& expr) {
  if (c.deadline.Expired()) co_return Error(ErrorCode::kLimitExceeded, "timeout exceeded during the query");
  if (expr.kind == metricsql::ExprKind::kMetric || expr.kind == metricsql::ExprKind::kRollup) {
    co_return co_await EvalRollupExpr(c, "default_rollup", true, expr);
  }
  if (const auto* number = As<metricsql::NumberExpr>(&expr)) co_return OneSeries(MakeScalar(c, number->value));
  if (const auto* text = As<metricsql::StringExpr>(&expr)) {
    TimeSeries s = MakeScalar(c, kNaN);
    s.name.metric_group = text->value;
    co_return OneSeries(std::move(s));
  }
  if (const auto* duration = As<metricsql::DurationExpr>(&expr)) {
    VM_CO_ASSIGN_OR_RETURN(const int64_t ms, metricsql::ParseDuration(duration->text, c.step));
    co_return OneSeries(MakeScalar(c, static_cast<double>(ms) / 1e3));
  }
  if (const auto* func = As<metricsql::FuncExpr>(&expr)) {
    if (!metricsql::IsRollupFunc(func->name)) co_return co_await EvalTransform(c, *func);
    const int index = metricsql::RollupArgIndex(func->name, func->args.size());
    const auto name = metricsql::ToLower(func->name);
    if (!IsSupportedRollup(name)) co_return Invalid("unknown function \"" + func->name + "\"");
    if (func->args.size() != 1) co_return Invalid("unexpected number of args; got " + std::to_string(func->args.size()) + "; want 1");
    co_return co_await EvalRollupExpr(c, name, func->keep_metric_names, *func->args[static_cast<size_t>(index)]);
  }
  if (const auto* aggr = As<metricsql::AggrFuncExpr>(&expr)) {
    if (aggr->args.empty()) co_return Invalid("expecting at least one arg");
    std::vector<std::vector<TimeSeries>> args;
    for (const auto& arg : aggr->args) {
      VM_CO_ASSIGN_OR_RETURN(auto series, co_await Eval(c, *arg));
      args.push_back(std::move(series));
    }
    co_return EvalAggr(*aggr, std::move(args));
  }
  if (const auto* op = As<metricsql::BinaryOpExpr>(&expr)) {
    VM_CO_ASSIGN_OR_RETURN(auto left, co_await Eval(c, *op->left));
    VM_CO_ASSIGN_OR_RETURN(auto right, co_await Eval(c, *op->right));
    co_return EvalBinaryOp(*op, std::move(left), std::move(right));
  }
  co_return Invalid("unexpected expression \"" + metricsql::ToString(expr) + "\"");
}

awaitable<Result<std::vector<TimeSeries>>> Exec(const EvalContext& c, const metricsql::Expr& expr) {
  VM_CO_ASSIGN_OR_RETURN(auto series, co_await Eval(c, expr));
  RemoveEmptySeries(series);
  if (!IsSorting(expr)) std::stable_sort(series.begin(), series.end(), NameLess);
  std::vector<const TimeSeries*> sorted;
  for (auto& s : series) {
    std::sort(s.name.tags.begin(), s.name.tags.end());
    sorted.push_back(&s);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return NameLess(*a, *b); });
  for (size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i - 1]->name == sorted[i]->name) co_return Invalid("duplicate output timeseries: " + sorted[i]->name.metric_group);
  }
  co_return std::move(series);
}

}  // namespace vm::select
