#include "lib/metricsql/optimizer.h"

#include <algorithm>
#include <array>
#include <span>

namespace vm::metricsql {
namespace {

using Filters = std::vector<LabelFilter>;

/// Filters that one optimization may compare or copy. A long chain of operators with different filters takes the third
/// power of its length; what is not optimized any more stays correct.
constexpr size_t kMaxCost = 2'000'000;

constexpr std::string_view kNameLabel = "__name__";

bool IsOneOf(std::string_view name, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool Contains(const Filters& filters, const LabelFilter& filter) {
  return std::find(filters.begin(), filters.end(), filter) != filters.end();
}

void Keep(Filters& filters, const std::vector<std::string>& labels) {
  std::erase_if(filters, [&](const LabelFilter& f) {
    return std::find(labels.begin(), labels.end(), f.label) == labels.end();
  });
}

void Drop(Filters& filters, const std::vector<std::string>& labels) {
  std::erase_if(filters, [&](const LabelFilter& f) {
    return std::find(labels.begin(), labels.end(), f.label) != labels.end();
  });
}

int AggrArgIndex(std::string_view name, size_t args_count) {
  static constexpr auto kSecond = std::to_array<std::string_view>(
      {"bottomk", "bottomk_avg", "bottomk_last", "bottomk_max", "bottomk_median", "bottomk_min", "limitk",
       "outliers_mad", "outliersk", "quantile", "topk", "topk_avg", "topk_last", "topk_max", "topk_median",
       "topk_min"});
  if (name == "quantiles") return static_cast<int>(args_count) - 1;
  return IsOneOf(name, kSecond) ? 1 : 0;
}

int TransformArgIndex(std::string_view name, size_t args_count) {
  static constexpr auto kNone = std::to_array<std::string_view>(
      {"absent", "drop_common_labels", "end", "now", "pi", "ru", "scalar", "start", "step", "time"});
  static constexpr auto kSecond = std::to_array<std::string_view>(
      {"buckets_limit", "histogram_quantile", "histogram_share", "range_quantile", "range_trim_outliers",
       "range_trim_spikes", "range_trim_zscore"});
  if (IsOneOf(name, kNone)) return -1;
  if (name == "limit_offset" || name == "histogram_fraction") return 2;
  if (name == "histogram_quantiles") return static_cast<int>(args_count) - 1;
  return IsOneOf(name, kSecond) ? 1 : 0;
}

int FuncArgIndex(std::string_view name, size_t args_count) {
  if (name == "absent_over_time") return -1;
  if (IsRollupFunc(name)) return RollupArgIndex(name, args_count);
  return IsTransformFunc(name) ? TransformArgIndex(name, args_count) : -1;
}

bool TakesSeriesInAllArgs(std::string_view aggr) {
  static constexpr auto kNames = std::to_array<std::string_view>(
      {"any", "avg", "count", "distinct", "geomean", "group", "histogram", "mad", "max", "median", "min", "mode",
       "share", "stddev", "stdvar", "sum", "sum2", "zscore"});
  return IsOneOf(aggr, kNames);
}

/// How filters pass a function or an aggregate, in both directions: through which arguments, and with which labels.
struct Flow {
  std::vector<const Expr*> args;  // Empty: nothing passes.
  std::vector<std::string> labels;
  bool keeps_labels = false;  // `labels` pass, or all but them.

  void Apply(Filters& filters) const {
    if (keeps_labels) Keep(filters, labels);
    else Drop(filters, labels);
  }
};

class FlowBuilder {
 public:
  explicit FlowBuilder(const std::vector<ExprPtr>& args) : args_(args) {}

  Flow All() const {
    Flow flow;
    for (const auto& arg : args_) flow.args.push_back(arg.get());
    return flow;
  }
  Flow Arg(int index) const {
    Flow flow;
    const auto i = static_cast<size_t>(index);
    if (index >= 0 && i < args_.size()) flow.args.push_back(args_[i].get());
    return flow;
  }
  /// Through argument `index`, without the labels that the arguments from `first` on name, each `stride`-th.
  Flow Without(int index, size_t first, size_t stride, size_t end = SIZE_MAX) const {
    Flow flow = Arg(index);
    for (size_t i = first; i < std::min(end, args_.size()); i += stride) {
      const auto* label = As<StringExpr>(args_[i].get());
      if (label == nullptr) return {};
      flow.labels.push_back(label->value);
    }
    return flow;
  }
  Flow With(int index, size_t first) const {
    Flow flow = Without(index, first, 1);
    flow.keeps_labels = true;
    return flow;
  }

 private:
  const std::vector<ExprPtr>& args_;
};

Flow FuncFlow(const FuncExpr& func) {
  static constexpr auto kReplace = std::to_array<std::string_view>(
      {"label_replace", "label_join", "label_map", "label_match", "label_mismatch", "label_transform"});
  static constexpr auto kChange = std::to_array<std::string_view>(
      {"label_del", "label_uppercase", "label_lowercase", "labels_equal"});
  const FlowBuilder builder(func.args);
  const std::string name = ToLower(func.name);
  const size_t count = func.args.size();
  if (name == "label_set") return builder.Without(0, 1, 2);
  if (IsOneOf(name, kReplace)) return count < 2 ? Flow() : builder.Without(0, 1, 1, 2);
  if (name == "label_copy" || name == "label_move") return count % 2 == 0 ? Flow() : builder.Without(0, 2, 2);
  if (IsOneOf(name, kChange)) return builder.Without(0, 1, 1);
  if (name == "label_keep") return builder.With(0, 1);
  if (name == "count_values_over_time") return count != 2 ? Flow() : builder.Without(1, 0, 1, 1);
  if (name == "range_normalize" || name == "union" || name.empty()) return builder.All();
  return builder.Arg(FuncArgIndex(name, count));
}

Flow AggrFlow(const AggrFuncExpr& aggr) {
  const FlowBuilder builder(aggr.args);
  if (aggr.name == "count_values") return aggr.args.size() != 2 ? Flow() : builder.Without(1, 0, 1, 1);
  if (TakesSeriesInAllArgs(aggr.name)) return builder.All();
  return builder.Arg(AggrArgIndex(aggr.name, aggr.args.size()));
}

void TrimByAggrModifier(Filters& filters, const AggrFuncExpr& aggr) {
  if (aggr.modifier.op == "by") Keep(filters, aggr.modifier.args);
  else if (aggr.modifier.op == "without") Drop(filters, aggr.modifier.args);
  else filters.clear();
}

bool HasBinaryOp(const Expr& expr) {
  const auto any = [](const std::vector<ExprPtr>& exprs) {
    return std::any_of(exprs.begin(), exprs.end(), [](const ExprPtr& e) { return HasBinaryOp(*e); });
  };
  if (expr.kind == ExprKind::kBinaryOp) return true;
  if (const auto* func = As<FuncExpr>(&expr)) return any(func->args);
  if (const auto* aggr = As<AggrFuncExpr>(&expr)) return any(aggr->args);
  const auto* rollup = As<RollupExpr>(&expr);
  return rollup != nullptr && (HasBinaryOp(*rollup->expr) || (rollup->at != nullptr && HasBinaryOp(*rollup->at)));
}

bool IsScalar(const Expr& expr) {
  if (expr.kind == ExprKind::kNumber) return true;
  const auto* func = As<FuncExpr>(&expr);
  return func != nullptr && ToLower(func->name) == "time";
}

class Optimizer {
 public:
  /// Filters move on after each operator, innermost first: those of one operator reach the next one.
  void Optimize(Expr& expr) {
    if (auto* func = As<FuncExpr>(&expr)) {
      for (auto& arg : func->args) Optimize(*arg);
    } else if (auto* aggr = As<AggrFuncExpr>(&expr)) {
      for (auto& arg : aggr->args) Optimize(*arg);
    } else if (auto* rollup = As<RollupExpr>(&expr)) {
      Optimize(*rollup->expr);
      if (rollup->at != nullptr) Optimize(*rollup->at);
    } else if (auto* op = As<BinaryOpExpr>(&expr)) {
      Optimize(*op->left);
      Optimize(*op->right);
      // Series that are missing on a side are filled in: its filters say nothing about the result.
      if (op->fill_left && op->fill_right) return;
      if (op->fill_left) {
        PushDown(*op->left, TrimByGroupModifier(Common(*op->right), *op));
      } else if (op->fill_right) {
        PushDown(*op->right, TrimByGroupModifier(Common(*op->left), *op));
      } else {
        PushDown(*op, CommonOfBinaryOp(*op));
      }
    }
  }

  /// Some of the filters that all series of `expr` pass: all of them, unless the cost has become too high.
  Filters Common(const Expr& expr) {
    if (!Spend(1)) return {};
    switch (expr.kind) {
      case ExprKind::kMetric: return CommonOfMetric(static_cast<const MetricExpr&>(expr));
      case ExprKind::kRollup: return Common(*static_cast<const RollupExpr&>(expr).expr);
      case ExprKind::kBinaryOp: return CommonOfBinaryOp(static_cast<const BinaryOpExpr&>(expr));
      case ExprKind::kFunc: {
        const auto& func = static_cast<const FuncExpr&>(expr);
        return ToLower(func.name) == "label_set" ? CommonOfLabelSet(func) : CommonOfFlow(FuncFlow(func));
      }
      case ExprKind::kAggr: {
        const auto& aggr = static_cast<const AggrFuncExpr&>(expr);
        Filters common = CommonOfFlow(AggrFlow(aggr));
        TrimByAggrModifier(common, aggr);
        return common;
      }
      default: return {};
    }
  }

  void PushDown(Expr& expr, const Filters& filters) {
    if (filters.empty() || !Spend(filters.size())) return;
    const auto through = [&](const Flow& flow, Filters passing) {
      flow.Apply(passing);
      // The flow points at arguments of `expr`, which may change here.
      for (const Expr* arg : flow.args) PushDown(const_cast<Expr&>(*arg), passing);
    };
    switch (expr.kind) {
      case ExprKind::kMetric: return PushDownToMetric(static_cast<MetricExpr&>(expr), filters);
      case ExprKind::kRollup: return PushDown(*static_cast<RollupExpr&>(expr).expr, filters);
      case ExprKind::kFunc: return through(FuncFlow(static_cast<FuncExpr&>(expr)), filters);
      case ExprKind::kAggr: {
        auto& aggr = static_cast<AggrFuncExpr&>(expr);
        Filters passing = filters;
        TrimByAggrModifier(passing, aggr);
        return through(AggrFlow(aggr), std::move(passing));
      }
      case ExprKind::kBinaryOp: {
        auto& op = static_cast<BinaryOpExpr&>(expr);
        const Filters passing = TrimByGroupModifier(filters, op);
        PushDown(*op.left, passing);
        return PushDown(*op.right, passing);
      }
      default: return;
    }
  }

 private:
  bool Spend(size_t cost) {
    cost_ += cost;
    return cost_ <= kMaxCost;
  }

  /// In the order of `b`. Nothing when it costs too much: that is always right.
  Filters Intersect(const Filters& a, const Filters& b) {
    Filters both;
    if (!Spend(a.size() * b.size())) return both;
    for (const auto& f : b) {
      if (Contains(a, f)) both.push_back(f);
    }
    return both;
  }

  /// Only `a` when it costs too much.
  Filters Union(const Filters& a, const Filters& b) {
    if (a.empty()) return b;
    Filters all = a;
    if (!Spend(a.size() * (b.size() + 1))) return all;
    for (const auto& f : b) {
      if (!Contains(a, f)) all.push_back(f);
    }
    return all;
  }

  Filters CommonOfMetric(const MetricExpr& metric) {
    Filters common;
    for (size_t i = 0; i < metric.filter_groups.size(); ++i) {
      if (!Spend(metric.filter_groups[i].size())) return {};
      Filters filters = metric.filter_groups[i];
      std::erase_if(filters, [](const LabelFilter& f) { return f.label == kNameLabel; });
      common = i == 0 ? std::move(filters) : Intersect(common, filters);
    }
    return common;
  }

  Filters CommonOfFlow(const Flow& flow) {
    Filters common;
    for (size_t i = 0; i < flow.args.size(); ++i) {
      Filters filters = Common(*flow.args[i]);
      common = i == 0 ? std::move(filters) : Intersect(common, filters);
    }
    flow.Apply(common);
    return common;
  }

  /// The labels it sets are known, too.
  Filters CommonOfLabelSet(const FuncExpr& func) {
    if (func.args.size() % 2 == 0) return {};
    Filters common = Common(*func.args[0]);
    for (size_t i = 1; i < func.args.size(); i += 2) {
      const auto* label = As<StringExpr>(func.args[i].get());
      const auto* value = As<StringExpr>(func.args[i + 1].get());
      if (label == nullptr || value == nullptr || !Spend(common.size())) return {};
      if (label->value == kNameLabel) continue;
      Drop(common, {label->value});
      common.push_back({label->value, value->value});
    }
    return common;
  }

  Filters CommonOfBinaryOp(const BinaryOpExpr& op) {
    Filters left = Common(*op.left);
    Filters right = Common(*op.right);
    if (op.op == "or") return TrimByGroupModifier(Intersect(left, right), op);
    if (op.op == "unless" || op.op == "ifnot") return TrimByGroupModifier(std::move(left), op);
    if (op.join_modifier.op == "group_left") return Union(left, TrimByGroupModifier(std::move(right), op));
    if (op.join_modifier.op == "group_right") return Union(TrimByGroupModifier(std::move(left), op), right);
    return TrimByGroupModifier(Union(left, right), op);
  }

  void PushDownToMetric(MetricExpr& metric, const Filters& filters) {
    for (auto& group : metric.filter_groups) {
      group = Union(group, filters);
      const bool has_name = group[0].label == kNameLabel && !group[0].is_negative && !group[0].is_regexp;
      std::stable_sort(group.begin() + (has_name ? 1 : 0), group.end(), [](const auto& a, const auto& b) {
        return a.label != b.label ? a.label < b.label : a.value < b.value;
      });
    }
  }

  size_t cost_ = 0;
};

}  // namespace

std::vector<LabelFilter> TrimByGroupModifier(std::vector<LabelFilter> filters, const BinaryOpExpr& op) {
  if (op.group_modifier.op == "on") Keep(filters, op.group_modifier.args);
  else if (op.group_modifier.op == "ignoring") Drop(filters, op.group_modifier.args);
  return filters;
}

std::vector<LabelFilter> CommonLabelFilters(const Expr& expr) { return Optimizer().Common(expr); }

void PushDownFilters(Expr& expr, const std::vector<LabelFilter>& filters) { Optimizer().PushDown(expr, filters); }

void Optimize(ExprPtr& expr) {
  if (HasBinaryOp(*expr)) Optimizer().Optimize(*expr);
}

void SwapScalarComparisons(Expr& expr) {
  MutateAll(expr, [](Expr& e) {
    auto* op = As<BinaryOpExpr>(&e);
    if (op == nullptr || !IsCmpOp(op->op)) return;
    if (op->right->kind == ExprKind::kNumber || !IsScalar(*op->left)) return;
    std::swap(op->left, op->right);
    if (op->op[0] == '<') op->op[0] = '>';
    else if (op->op[0] == '>') op->op[0] = '<';
  });
}

}  // namespace vm::metricsql
