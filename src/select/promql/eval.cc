#include "select/promql/eval.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <unordered_set>

#include "lib/base/still_busy.h"
#include "lib/decimal/decimal.h"
#include "lib/metricsql/optimizer.h"
#include "select/promql/aggr.h"
#include "select/promql/binary_op.h"
#include "select/promql/eval_rollup.h"
#include "select/promql/transform.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;
using metricsql::As;
using SeriesList = std::vector<TimeSeries>;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Error Invalid(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

SeriesList OneSeries(TimeSeries s) {
  SeriesList list;
  list.push_back(std::move(s));
  return list;
}

}  // namespace

std::string QuotedText(const metricsql::Expr& expr) {
  std::string quoted;
  metricsql::AppendGoQuoted(quoted, metricsql::ToString(expr));
  return quoted;
}

/// Names the expression in `error`, unless many have been named: in a chain of thousands of operators each would show all before it.
Error InExpr(Error error, std::string_view what, const metricsql::Expr& expr) {
  constexpr size_t kMaxBytes = 64 << 10;
  if (error.message().size() > kMaxBytes) return error;
  return std::move(error).WithContext(std::string(what) + ' ' + QuotedText(expr));
}

namespace {

awaitable<Result<SeriesList>> EvalTransform(const EvalContext& c, const metricsql::FuncExpr& func) {
  const TransformFunc transform = FindTransform(metricsql::ToLower(func.name));
  if (transform == nullptr) co_return Readable(c, Invalid("unknown func \"" + func.name + "\""));
  TransformCall call{c, func, {}};
  for (const auto& arg : func.args) {
    VM_CO_ASSIGN_OR_RETURN(auto series, co_await Eval(c, *arg));
    call.args.push_back(std::move(series));
  }
  auto result = transform(call);
  if (!result.ok()) co_return Readable(c, InExpr(std::move(result).error(), "cannot evaluate", func));
  co_return result;
}

awaitable<Result<SeriesList>> EvalAggrFunc(const EvalContext& c, const metricsql::AggrFuncExpr& aggr) {
  if (IsIncremental(aggr)) co_return co_await EvalIncrementalAggr(c, aggr);
  std::vector<SeriesList> args;
  for (const auto& arg : aggr.args) {
    VM_CO_ASSIGN_OR_RETURN(auto series, co_await Eval(c, *arg));
    args.push_back(std::move(series));
  }
  auto result = EvalAggr(c, aggr, std::move(args));
  if (!result.ok()) co_return InExpr(std::move(result).error(), "cannot evaluate", aggr);
  co_return result;
}

/// `or` and `default` may have a result without the first operand; so may two filled sides.
bool NeedsBothOperands(const metricsql::BinaryOpExpr& op) {
  if (op.op == "or" || op.op == "default") return false;
  const auto ungrouped = [](const metricsql::Expr& e) {
    const auto* aggr = As<metricsql::AggrFuncExpr>(&e);
    return aggr != nullptr && aggr->modifier.args.empty();
  };
  if (ungrouped(*op.left) || ungrouped(*op.right)) return false;
  return !(op.fill_left && op.fill_right);
}

void AppendRegexpQuoted(std::string& dst, std::string_view text) {
  constexpr std::string_view kSpecial = "\\.+*?()|[]{}^$";
  for (const char ch : text) {
    if (kSpecial.find(ch) != kSpecial.npos) dst += '\\';
    dst += ch;
  }
}

/// Filters that all of `list` pass, from the labels that all of them have.
std::vector<metricsql::LabelFilter> CommonFilters(const SeriesList& list, size_t max_values) {
  struct Values {
    std::set<std::string_view> values;
    size_t count = 0;
  };
  std::map<std::string_view, Values> by_label;
  for (const auto& s : list) {
    for (const auto& tag : s.name.tags) {
      Values& v = by_label[tag.key];
      // Long lists of values cost the storage more than they save.
      if (v.values.size() > max_values) continue;
      ++v.count;
      v.values.insert(tag.value);
    }
  }
  std::vector<metricsql::LabelFilter> filters;
  for (const auto& [label, v] : by_label) {
    if (v.count != list.size()) continue;
    auto& filter = filters.emplace_back();
    filter.label = label;
    if (v.values.size() == 1) {
      filter.value = *v.values.begin();
      continue;
    }
    filter.is_regexp = true;
    for (const auto value : v.values) {
      if (!filter.value.empty()) filter.value += '|';
      AppendRegexpQuoted(filter.value, value);
    }
  }
  return filters;
}

awaitable<Result<SeriesList>> EvalBinaryOpExpr(const EvalContext& c, const metricsql::BinaryOpExpr& op) {
  // The side that is likely to have fewer series goes first: its labels may narrow what the other one reads.
  const bool right_first = op.op == "and" || op.op == "if" || (op.fill_left && !op.fill_right);
  const metricsql::Expr* first_expr = right_first ? op.right.get() : op.left.get();
  const metricsql::Expr* second_expr = right_first ? op.left.get() : op.right.get();
  auto first = co_await Eval(c, *first_expr);
  if (!first.ok()) co_return InExpr(std::move(first).error(), "cannot execute", op);
  metricsql::ExprPtr narrowed;
  if (NeedsBothOperands(op)) {
    if (first.value().empty()) co_return SeriesList();
    const auto filters = metricsql::TrimByGroupModifier(CommonFilters(first.value(), c.max_pushdown_values), op);
    if (!filters.empty()) {
      narrowed = metricsql::Clone(*second_expr);
      metricsql::PushDownFilters(*narrowed, filters);
      second_expr = narrowed.get();
    }
  }
  auto second = co_await Eval(c, *second_expr);
  if (!second.ok()) co_return InExpr(std::move(second).error(), "cannot execute", op);
  SeriesList left = std::move(first).value();
  SeriesList right = std::move(second).value();
  if (right_first) std::swap(left, right);
  auto result = EvalBinaryOp(op, std::move(left), std::move(right));
  if (!result.ok()) co_return InExpr(std::move(result).error(), "cannot evaluate", op);
  co_return result;
}

/// True when the outermost operation fixes the order of the result.
bool IsSorting(const metricsql::Expr& expr) {
  static constexpr std::string_view kSorting[] = {"sort",          "sort_desc",          "limit_offset",
                                                  "sort_by_label", "sort_by_label_desc", "sort_by_label_numeric",
                                                  "sort_by_label_numeric_desc"};
  if (const auto* func = As<metricsql::FuncExpr>(&expr)) {
    return std::find(std::begin(kSorting), std::end(kSorting), metricsql::ToLower(func->name)) != std::end(kSorting);
  }
  if (const auto* aggr = As<metricsql::AggrFuncExpr>(&expr)) return IsSortingAggr(aggr->name);
  const auto* op = As<metricsql::BinaryOpExpr>(&expr);
  return op != nullptr && op->op == "or";
}

/// Empty series go, the others are sorted unless they are, and no two may be the same.
Result<SeriesList> Finish(const EvalContext& c, const metricsql::Expr& expr, SeriesList list) {
  RemoveEmptySeries(list);
  if (!IsSorting(expr)) SortByName(list);
  std::unordered_set<std::string> keys;
  for (auto& s : list) {
    SortTagsByKey(s.name);
    if (keys.insert(NameKey(s.name)).second) continue;
    std::string text = "duplicate output timeseries: " + s.name.metric_group;
    AppendTagsText(text, s.name);
    return Invalid(std::move(text));
  }
  if (c.max_response_series > 0 && list.size() > c.max_response_series) {
    return Error(ErrorCode::kLimitExceeded, "the response contains more than -search.maxResponseSeries=" + std::to_string(c.max_response_series) +
                                                " time series: " + std::to_string(list.size()) +
                                                " series; either increase -search.maxResponseSeries or change the query in order to return "
                                                "smaller number of series");
  }
  if (c.round_digits < 100) {
    for (auto& s : list) {
      for (double& v : s.values) v = decimal::RoundToDecimalDigits(v, c.round_digits);
    }
  }
  const auto timestamps = GridTimestamps(c);
  for (auto& s : list) s.timestamps = timestamps;
  return list;
}

/// What the user sees of an error.
Error Shown(const EvalContext& c, const ErrorScope& scope, Error error) {
  const std::string& message = error.message();
  if (scope.is_readable) return Error(error.code(), message.substr(message.size() - std::min(message.size(), scope.readable_size)));
  if (c.error_context.empty()) return error;
  return std::move(error).WithContext(c.error_context);
}

}  // namespace

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

Result<int64_t> DurationMs(const metricsql::DurationExpr* duration, int64_t step) {
  if (duration == nullptr) return int64_t{0};
  VM_ASSIGN_OR_RETURN(const int64_t ms, metricsql::ParseDuration(duration->text, step));
  return std::clamp(ms, -kMaxBracketMs, kMaxBracketMs);
}

Result<int64_t> NonNegativeDurationMs(const metricsql::DurationExpr* duration, int64_t step, std::string_view what, std::string_view whole) {
  if (duration == nullptr) return int64_t{0};
  auto ms = metricsql::ParseDuration(duration->text, step);
  if (ms.ok()) {
    int64_t& value = ms.value();
    if (value == std::numeric_limits<int64_t>::max()) value = std::numeric_limits<int64_t>::min();
    if (value >= 0) return std::min(value, kMaxBracketMs);
    ms = Error(ErrorCode::kInvalidInput, "unexpected negative duration " + std::to_string(value) + "ms");
  }
  return std::move(ms).error().WithContext("cannot parse " + std::string(what) + " in square brackets at " + std::string(whole));
}

std::vector<int64_t> GridTimestamps(const EvalContext& c) {
  std::vector<int64_t> timestamps(c.PointsCount());
  int64_t t = c.start;
  for (int64_t& timestamp : timestamps) {
    timestamp = t;
    t += c.step;
  }
  return timestamps;
}

TimeSeries MakeGridSeries(const EvalContext& c, double value) {
  TimeSeries s;
  s.name.tenant = c.tenant;
  s.values.assign(c.PointsCount(), value);
  return s;
}

Status CheckAlive(const EvalContext& c) {
  if (c.deadline.Cancelled()) return Error(ErrorCode::kCancelled, "the query is canceled");
  StillBusy();
  if (c.deadline.Expired()) return Error(ErrorCode::kLimitExceeded, "timeout exceeded during query execution");
  return Ok();
}

Error Readable(const EvalContext& c, Error error) {
  if (c.error_scope != nullptr) *c.error_scope = {true, error.message().size()};
  return error;
}

awaitable<Result<SeriesList>> Eval(const EvalContext& c, const metricsql::Expr& expr) {
  VM_CO_TRY(CheckAlive(c));
  if (expr.kind == metricsql::ExprKind::kMetric || expr.kind == metricsql::ExprKind::kRollup) co_return co_await EvalDefaultRollup(c, expr);
  if (const auto* number = As<metricsql::NumberExpr>(&expr)) co_return OneSeries(MakeGridSeries(c, number->value));
  if (const auto* text = As<metricsql::StringExpr>(&expr)) {
    TimeSeries s = MakeGridSeries(c, kNaN);
    s.name.metric_group = text->value;
    co_return OneSeries(std::move(s));
  }
  if (const auto* duration = As<metricsql::DurationExpr>(&expr)) {
    VM_CO_ASSIGN_OR_RETURN(const int64_t ms, metricsql::ParseDuration(duration->text, c.step));
    co_return OneSeries(MakeGridSeries(c, static_cast<double>(ms) / 1e3));
  }
  if (const auto* func = As<metricsql::FuncExpr>(&expr)) {
    if (const RollupFunction* rollup = FindRollup(metricsql::ToLower(func->name))) co_return co_await EvalRollupFunc(c, *rollup, *func);
    co_return co_await EvalTransform(c, *func);
  }
  if (const auto* aggr = As<metricsql::AggrFuncExpr>(&expr)) co_return co_await EvalAggrFunc(c, *aggr);
  if (const auto* op = As<metricsql::BinaryOpExpr>(&expr)) co_return co_await EvalBinaryOpExpr(c, *op);
  co_return Invalid("unexpected expression " + QuotedText(expr));
}

awaitable<Result<SeriesList>> Exec(const EvalContext& context, const metricsql::Expr& expr) {
  EvalContext c = context;
  ErrorScope scope;
  c.error_scope = &scope;
  auto series = co_await Eval(c, expr);
  if (!series.ok()) co_return Shown(c, scope, std::move(series).error());
  auto result = Finish(c, expr, std::move(series).value());
  if (!result.ok()) co_return Shown(c, ErrorScope(), std::move(result).error());
  co_return result;
}

}  // namespace vm::select
