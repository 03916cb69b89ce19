#include <algorithm>

#include "lib/metricsql/parser.h"

namespace vm::metricsql {
namespace {

bool IsNameFilter(const LabelFilter& f) { return f.label == "__name__" && !f.is_negative && !f.is_regexp; }

std::vector<ExprPtr> CloneAll(const std::vector<ExprPtr>& exprs) {
  std::vector<ExprPtr> copies;
  for (const auto& e : exprs) copies.push_back(Clone(*e));
  return copies;
}

std::unique_ptr<DurationExpr> CloneDuration(const std::unique_ptr<DurationExpr>& duration) {
  return duration == nullptr ? nullptr : std::make_unique<DurationExpr>(duration->text, duration->is_template);
}

/// Functions exist, windows and steps are not negative; children first.
Status Check(const Expr& expr) {
  Status status = Ok();
  VisitAll(expr, [&](const Expr& e) {
    if (!status.ok()) return;
    if (const auto* func = As<FuncExpr>(&e); func != nullptr && !IsSupportedFunction(func->name)) {
      std::string message = "unsupported function ";
      AppendGoQuoted(message, func->name);
      status = Error(ErrorCode::kInvalidInput, std::move(message));
    }
    const auto* rollup = As<RollupExpr>(&e);
    if (rollup == nullptr) return;
    for (const auto* duration : {rollup->window.get(), rollup->step.get()}) {
      if (duration == nullptr || !status.ok()) continue;
      if (auto value = ParsePositiveDuration(duration->text, 0); !value.ok()) status = std::move(value).error();
    }
  });
  return status;
}

bool IsImplicitSubquery(const Expr& expr) {
  const auto* func = As<FuncExpr>(&expr);
  // `timestamp` is a rollup function here, but Prometheus takes any vector.
  if (func == nullptr || func->name == "timestamp") return false;
  const int index = RollupArgIndex(func->name, func->args.size());
  if (index < 0 || static_cast<size_t>(index) >= func->args.size()) return false;
  const Expr* arg = func->args[static_cast<size_t>(index)].get();
  const auto* rollup = As<RollupExpr>(arg);
  if (rollup == nullptr) return arg->kind != ExprKind::kMetric;
  return rollup->expr->kind != ExprKind::kMetric && rollup->window == nullptr;
}

}  // namespace

std::string_view MetricExpr::Name() const {
  if (filter_groups.empty()) return {};
  const auto same_name = [&](const std::vector<LabelFilter>& group) {
    return !group.empty() && IsNameFilter(group[0]) && group[0].value == filter_groups[0][0].value;
  };
  return std::all_of(filter_groups.begin(), filter_groups.end(), same_name) ? filter_groups[0][0].value
                                                                            : std::string_view();
}

bool MetricExpr::IsOnlyName() const {
  return !Name().empty() &&
         std::all_of(filter_groups.begin(), filter_groups.end(), [](const auto& group) { return group.size() == 1; });
}

ExprPtr Clone(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kNumber: return std::make_unique<NumberExpr>(static_cast<const NumberExpr&>(expr));
    case ExprKind::kString: return std::make_unique<StringExpr>(static_cast<const StringExpr&>(expr));
    case ExprKind::kDuration: return std::make_unique<DurationExpr>(static_cast<const DurationExpr&>(expr));
    case ExprKind::kMetric: return std::make_unique<MetricExpr>(static_cast<const MetricExpr&>(expr));
    case ExprKind::kFunc: {
      const auto& func = static_cast<const FuncExpr&>(expr);
      auto copy = std::make_unique<FuncExpr>();
      copy->name = func.name;
      copy->args = CloneAll(func.args);
      copy->keep_metric_names = func.keep_metric_names;
      return copy;
    }
    case ExprKind::kAggr: {
      const auto& aggr = static_cast<const AggrFuncExpr&>(expr);
      auto copy = std::make_unique<AggrFuncExpr>();
      copy->name = aggr.name;
      copy->args = CloneAll(aggr.args);
      copy->modifier = aggr.modifier;
      copy->limit = aggr.limit;
      return copy;
    }
    case ExprKind::kBinaryOp: {
      const auto& op = static_cast<const BinaryOpExpr&>(expr);
      auto copy = std::make_unique<BinaryOpExpr>();
      copy->op = op.op;
      copy->is_bool = op.is_bool;
      copy->group_modifier = op.group_modifier;
      copy->join_modifier = op.join_modifier;
      copy->join_prefix = op.join_prefix;
      copy->join_prefix_template = op.join_prefix_template;
      if (op.fill_left) copy->fill_left.emplace(*op.fill_left);
      if (op.fill_right) copy->fill_right.emplace(*op.fill_right);
      copy->fill_both = op.fill_both;
      copy->keep_metric_names = op.keep_metric_names;
      copy->left = Clone(*op.left);
      copy->right = Clone(*op.right);
      return copy;
    }
    case ExprKind::kRollup: {
      const auto& rollup = static_cast<const RollupExpr&>(expr);
      auto copy = std::make_unique<RollupExpr>();
      copy->expr = Clone(*rollup.expr);
      copy->window = CloneDuration(rollup.window);
      copy->step = CloneDuration(rollup.step);
      copy->inherit_step = rollup.inherit_step;
      copy->offset = CloneDuration(rollup.offset);
      if (rollup.at != nullptr) copy->at = Clone(*rollup.at);
      return copy;
    }
    case ExprKind::kParens: {
      auto copy = std::make_unique<ParensExpr>();
      copy->exprs = CloneAll(static_cast<const ParensExpr&>(expr).exprs);
      return copy;
    }
    case ExprKind::kWith: {
      const auto& with = static_cast<const WithExpr&>(expr);
      auto copy = std::make_unique<WithExpr>();
      for (const auto& d : with.definitions) copy->definitions.push_back({d.name, d.args, Clone(*d.expr)});
      copy->expr = Clone(*with.expr);
      return copy;
    }
  }
  return nullptr;
}

void VisitAll(const Expr& expr, const std::function<void(const Expr&)>& on_expr,
              const std::function<void(const ModifierExpr&)>& on_modifier) {
  const auto visit = [&](const Expr* e) {
    if (e != nullptr) VisitAll(*e, on_expr, on_modifier);
  };
  const auto visit_modifier = [&](const ModifierExpr& modifier) {
    if (on_modifier) on_modifier(modifier);
  };
  switch (expr.kind) {
    case ExprKind::kBinaryOp: {
      const auto& op = static_cast<const BinaryOpExpr&>(expr);
      visit(op.left.get());
      visit(op.right.get());
      visit_modifier(op.group_modifier);
      visit_modifier(op.join_modifier);
      if (op.join_prefix) on_expr(StringExpr(*op.join_prefix));
      break;
    }
    case ExprKind::kFunc:
      for (const auto& arg : static_cast<const FuncExpr&>(expr).args) visit(arg.get());
      break;
    case ExprKind::kAggr:
      for (const auto& arg : static_cast<const AggrFuncExpr&>(expr).args) visit(arg.get());
      visit_modifier(static_cast<const AggrFuncExpr&>(expr).modifier);
      break;
    case ExprKind::kRollup: {
      const auto& rollup = static_cast<const RollupExpr&>(expr);
      visit(rollup.expr.get());
      visit(rollup.window.get());
      visit(rollup.step.get());
      visit(rollup.offset.get());
      visit(rollup.at.get());
      break;
    }
    default: break;
  }
  on_expr(expr);
}

void MutateAll(Expr& expr, const std::function<void(Expr&)>& on_expr) {
  // What VisitAll shows is part of `expr`, which may change.
  VisitAll(expr, [&](const Expr& e) { on_expr(const_cast<Expr&>(e)); });
}

bool IsLikelyInvalid(const Expr& expr) {
  bool found = false;
  VisitAll(expr, [&](const Expr& e) { found = found || IsImplicitSubquery(e); });
  return found;
}

std::string EscapeDots(std::string_view regexp) {
  std::string escaped;
  for (size_t i = 0; i < regexp.size(); ++i) {
    const bool has_backslash = i > 0 && regexp[i - 1] == '\\';
    const char next = i + 1 < regexp.size() ? regexp[i + 1] : '\0';
    if (regexp[i] == '.' && !has_backslash && next != '*' && next != '+' && next != '{') escaped += '\\';
    escaped += regexp[i];
  }
  return escaped;
}

void EscapeDotsInRegexps(Expr& expr) {
  MutateAll(expr, [](Expr& e) {
    auto* metric = As<MetricExpr>(&e);
    if (metric == nullptr) return;
    for (auto& group : metric->filter_groups) {
      for (auto& filter : group) {
        if (filter.is_regexp) filter.value = EscapeDots(filter.value);
      }
    }
  });
}

Result<ExprPtr> Parse(std::string_view query) {
  VM_ASSIGN_OR_RETURN(const ExprPtr templates, ParseTemplate(query));
  VM_ASSIGN_OR_RETURN(ExprPtr expr, ExpandTemplates(*templates));
  RemoveParens(expr);
  FoldConstants(expr);
  VM_TRY(Check(*expr));
  return expr;
}

Result<std::string> ExpandWith(std::string_view query) {
  VM_ASSIGN_OR_RETURN(const ExprPtr expr, Parse(query));
  return ToString(*expr);
}

Result<std::unique_ptr<MetricExpr>> ParseMetricSelector(std::string_view text) {
  VM_ASSIGN_OR_RETURN(ExprPtr expr, Parse(text));
  if (expr->kind != ExprKind::kMetric) {
    std::string message = "expecting metricSelector; got ";
    AppendGoQuoted(message, ToString(*expr));
    return Error(ErrorCode::kInvalidInput, std::move(message));
  }
  auto metric = std::unique_ptr<MetricExpr>(static_cast<MetricExpr*>(expr.release()));
  if (metric->IsEmpty()) return Error(ErrorCode::kInvalidInput, "labelFilterss cannot be empty");
  return metric;
}

}  // namespace vm::metricsql
