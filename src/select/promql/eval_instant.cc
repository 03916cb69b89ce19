#include "select/promql/eval_instant.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "lib/base/still_busy.h"
#include "select/promql/names.h"
#include "select/promql/rollup_cache.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;
using metricsql::As;
using SeriesList = std::vector<TimeSeries>;

constexpr int64_t kMaxOffsetMs = 30 * 60 * 1000;

/// When the pieces that are read get longer than this, the window itself is read.
bool IsTooFar(int64_t offset, int64_t window) { return offset >= std::min(window / 2, kMaxOffsetMs); }

using ByName = std::unordered_map<std::string, double*>;

ByName ValuesByName(SeriesList& list) {
  ByName by_name;
  by_name.reserve(list.size());
  for (auto& s : list) {
    StillBusy();
    by_name.emplace(NameKey(s.name), &s.values[0]);
  }
  return by_name;
}

double Pick(InstantRule rule, double a, double b) {
  if (rule == InstantRule::kMax) return a > b ? a : b;
  return a < b ? a : b;
}

/// Add what is new to `list`. Names differ within each list.
void AddNew(InstantRule rule, SeriesList& list, SeriesList added) {
  const ByName by_name = ValuesByName(list);
  const size_t known = list.size();
  list.reserve(known + added.size());  // Pointers stay.
  for (auto& s : added) {
    const double v = s.values[0];
    const auto found = by_name.find(NameKey(s.name));
    if (found == by_name.end()) {
      list.push_back(std::move(s));
      continue;
    }
    double& value = *found->second;
    if (std::isnan(value)) value = v;
    else if (!std::isnan(v)) value = rule == InstantRule::kSum ? value + v : Pick(rule, v, value);
  }
}

/// Take what is old off sums.
void Subtract(SeriesList& list, const SeriesList& old) {
  const ByName by_name = ValuesByName(list);
  for (const auto& s : old) {
    const auto found = by_name.find(NameKey(s.name));
    if (found == by_name.end() || std::isnan(s.values[0])) continue;
    double& value = *found->second;
    if (!std::isnan(value)) value -= s.values[0];
  }
}

/// Whether an extreme of `list` may have been in what is old, and not in what is new.
bool IsLost(InstantRule rule, SeriesList& list, SeriesList& added, const SeriesList& old) {
  const ByName by_name = ValuesByName(list), new_by_name = ValuesByName(added);
  for (const auto& s : old) {
    const double v = s.values[0];
    const auto found = by_name.find(NameKey(s.name));
    if (std::isnan(v) || found == by_name.end() || std::isnan(*found->second)) continue;
    if (v != Pick(rule, v, *found->second)) continue;
    const auto new_found = new_by_name.find(found->first);
    if (new_found == new_by_name.end() || std::isnan(*new_found->second)) return true;
    if (*new_found->second != Pick(rule, v, *new_found->second)) return true;
  }
  return false;
}

/// As in the reference names that are compared have their tags in the order of keys, which shows in the order of results.
void SortTagsOfAll(SeriesList& list) {
  for (auto& s : list) SortTagsByKey(s.name);
}

/// Values at an earlier time from the cache, or from the storage into the cache. `offset` is how much earlier; with `is_final`
/// the values are those that were asked for.
struct Earlier {
  SeriesList list;
  int64_t offset = 0;
  bool is_final = false;
};

awaitable<Result<Earlier>> GetEarlier(const EvalContext& c, const std::string& key, int64_t window, const EvalAt& eval_at) {
  RollupCache& cache = *c.cache;
  cache.requests().Inc();
  Earlier earlier;
  int64_t timestamp = 0;
  VM_CO_ASSIGN_OR_RETURN(earlier.list, cache.GetInstant(c, key, timestamp));
  if (!earlier.list.empty()) {
    earlier.offset = c.start - timestamp;
    if (earlier.offset >= 0 && !IsTooFar(earlier.offset, window)) {
      cache.partial_hits().Inc();
      if (c.series_fetched != nullptr) *c.series_fetched += earlier.list.size();
      co_return std::move(earlier);
    }
    // Nobody will ask for times before this one.
    cache.RemoveInstant(key);
  }
  cache.misses().Inc();
  // As late as samples are surely there.
  timestamp = std::min(c.start, cache.NowMs() - cache.options().timestamp_offset_ms);
  earlier.offset = c.start - timestamp;
  earlier.is_final = earlier.offset == 0;
  if (IsTooFar(earlier.offset, window)) {
    earlier.is_final = true;
    VM_CO_ASSIGN_OR_RETURN(earlier.list, co_await eval_at(c.start, window));
    co_return std::move(earlier);
  }
  VM_CO_ASSIGN_OR_RETURN(earlier.list, co_await eval_at(timestamp, window));
  if (HasDuplicates(earlier.list)) {
    earlier.is_final = true;
    VM_CO_ASSIGN_OR_RETURN(earlier.list, co_await eval_at(c.start, window));
    co_return std::move(earlier);
  }
  if (earlier.list.size() > 1) SortTagsOfAll(earlier.list);
  if (!c.source->is_partial()) cache.PutInstant(c, key, timestamp, earlier.list);
  co_return std::move(earlier);
}

bool IsName(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

metricsql::ExprPtr CallOf(std::string name, const metricsql::FuncExpr& func, const metricsql::Expr& arg) {
  auto call = std::make_unique<metricsql::FuncExpr>();
  call->name = std::move(name);
  call->keep_metric_names = func.keep_metric_names;
  auto copy = metricsql::Clone(arg);
  // The context of the call is where both lead.
  static_cast<metricsql::RollupExpr&>(*copy).offset = nullptr;
  static_cast<metricsql::RollupExpr&>(*copy).at = nullptr;
  call->args.push_back(std::move(copy));
  return call;
}

metricsql::ExprPtr Quotient(metricsql::ExprPtr left, metricsql::ExprPtr right, bool keep_metric_names) {
  auto op = std::make_unique<metricsql::BinaryOpExpr>();
  op->op.push_back('/');
  op->keep_metric_names = keep_metric_names;
  op->left = std::move(left);
  op->right = std::move(right);
  return op;
}

}  // namespace

InstantRule InstantRuleOf(std::string_view function, std::string_view aggr) {
  const auto rule = function == "max_over_time"   ? InstantRule::kMax
                    : function == "min_over_time" ? InstantRule::kMin
                    : IsName(function, {"count_eq_over_time", "count_gt_over_time", "count_le_over_time", "count_ne_over_time", "count_over_time",
                                        "increase", "increase_pure", "sum_over_time"})
                        ? InstantRule::kSum
                        : InstantRule::kNone;
  if (aggr.empty()) return rule;
  const std::string_view needed = rule == InstantRule::kMax ? "max" : rule == InstantRule::kMin ? "min" : "sum";
  return aggr == needed ? rule : InstantRule::kNone;
}

awaitable<Result<SeriesList>> EvalInstant(const EvalContext& c, InstantRule rule, const std::string& key, int64_t window, const EvalAt& eval_at) {
  VM_CO_ASSIGN_OR_RETURN(auto earlier, co_await GetEarlier(c, key, window, eval_at));
  if (earlier.is_final || earlier.offset == 0) co_return std::move(earlier.list);
  VM_CO_ASSIGN_OR_RETURN(auto added, co_await eval_at(c.start, earlier.offset));
  VM_CO_ASSIGN_OR_RETURN(auto old, co_await eval_at(c.start - window, earlier.offset));
  bool is_possible = !HasDuplicates(added) && !HasDuplicates(old);
  if (is_possible && rule != InstantRule::kSum) {
    // As in the reference the old extreme counts as lost only when the joined one is no better.
    SeriesList copy;
    for (const auto& s : added) copy.push_back({s.name, {}, s.values});
    AddNew(rule, earlier.list, std::move(copy));
    is_possible = !IsLost(rule, earlier.list, added, old);
    if (!is_possible) c.cache->RemoveInstant(key);
  } else if (is_possible) {
    AddNew(rule, earlier.list, std::move(added));
    Subtract(earlier.list, old);
  }
  if (!is_possible) co_return co_await eval_at(c.start, window);
  SortTagsOfAll(earlier.list);
  co_return std::move(earlier.list);
}

metricsql::ExprPtr RewriteInstant(const metricsql::Expr& whole, int64_t step) {
  const auto* aggr = As<metricsql::AggrFuncExpr>(&whole);
  const auto* func = As<metricsql::FuncExpr>(aggr == nullptr ? &whole : aggr->args[0].get());
  if (func == nullptr || func->args.size() != 1) return nullptr;
  const auto* arg = As<metricsql::RollupExpr>(func->args[0].get());
  if (arg == nullptr || arg->window == nullptr) return nullptr;
  const std::string name = metricsql::ToLower(func->name);
  if (name == "avg_over_time" && aggr == nullptr) {
    return Quotient(CallOf("sum_over_time", *func, *arg), CallOf("count_over_time", *func, *arg), func->keep_metric_names);
  }
  if (name != "rate" || (aggr != nullptr && aggr->name != "sum")) return nullptr;
  const auto window = DurationMs(arg->window.get(), step);
  if (!window.ok()) return nullptr;
  auto seconds = std::make_unique<metricsql::NumberExpr>(static_cast<double>(window.value() == 0 ? step : window.value()) / 1e3);
  auto increase = CallOf("increase", *func, *arg);
  if (aggr == nullptr) return Quotient(std::move(increase), std::move(seconds), func->keep_metric_names);
  auto sum = metricsql::Clone(*aggr);
  static_cast<metricsql::AggrFuncExpr&>(*sum).args[0] = std::move(increase);
  return Quotient(std::move(sum), std::move(seconds), true);
}

}  // namespace vm::select
