#include <cmath>
#include <limits>

#include "lib/metricsql/parser.h"

namespace vm::metricsql {
namespace {

void FoldBinaryOp(ExprPtr& expr) {
  auto& op = static_cast<BinaryOpExpr&>(*expr);
  const auto* left_number = As<NumberExpr>(op.left.get());
  const auto* right_number = As<NumberExpr>(op.right.get());
  if (left_number != nullptr && right_number != nullptr) {
    expr = std::make_unique<NumberExpr>(
        BinaryOpNumber(op.op, left_number->value, right_number->value, op.is_bool));
    return;
  }
  const auto* left = As<StringExpr>(op.left.get());
  const auto* right = As<StringExpr>(op.right.get());
  if (left == nullptr || right == nullptr) return;
  if (op.op == "+") {
    expr = std::make_unique<StringExpr>(left->value + right->value);
  } else if (IsCmpOp(op.op)) {
    const bool is_true = BinaryOpNumber(op.op, left->value.compare(right->value), 0, true) != 0;
    const double no = op.is_bool ? 0 : std::numeric_limits<double>::quiet_NaN();
    expr = std::make_unique<NumberExpr>(is_true ? 1 : no);
  }
}

}  // namespace

void RemoveParens(ExprPtr& expr) {
  const auto all = [](std::vector<ExprPtr>& exprs) {
    for (auto& e : exprs) RemoveParens(e);
  };
  switch (expr->kind) {
    case ExprKind::kParens: {
      std::vector<ExprPtr> exprs = std::move(static_cast<ParensExpr&>(*expr).exprs);
      all(exprs);
      if (exprs.size() == 1) {
        expr = std::move(exprs[0]);
        return;
      }
      auto list = std::make_unique<FuncExpr>();
      list->args = std::move(exprs);
      expr = std::move(list);
      return;
    }
    case ExprKind::kFunc: return all(static_cast<FuncExpr&>(*expr).args);
    case ExprKind::kAggr: return all(static_cast<AggrFuncExpr&>(*expr).args);
    case ExprKind::kBinaryOp:
      RemoveParens(static_cast<BinaryOpExpr&>(*expr).left);
      return RemoveParens(static_cast<BinaryOpExpr&>(*expr).right);
    case ExprKind::kRollup: {
      auto& rollup = static_cast<RollupExpr&>(*expr);
      RemoveParens(rollup.expr);
      if (rollup.at != nullptr) RemoveParens(rollup.at);
      return;
    }
    case ExprKind::kWith: {
      auto& with = static_cast<WithExpr&>(*expr);
      for (auto& definition : with.definitions) RemoveParens(definition.expr);
      return RemoveParens(with.expr);
    }
    default: return;
  }
}

void FoldConstants(ExprPtr& expr) {
  const auto all = [](std::vector<ExprPtr>& exprs) {
    for (auto& e : exprs) FoldConstants(e);
  };
  switch (expr->kind) {
    case ExprKind::kFunc: return all(static_cast<FuncExpr&>(*expr).args);
    case ExprKind::kAggr: return all(static_cast<AggrFuncExpr&>(*expr).args);
    case ExprKind::kBinaryOp:
      FoldConstants(static_cast<BinaryOpExpr&>(*expr).left);
      FoldConstants(static_cast<BinaryOpExpr&>(*expr).right);
      return FoldBinaryOp(expr);
    case ExprKind::kRollup: {
      auto& rollup = static_cast<RollupExpr&>(*expr);
      FoldConstants(rollup.expr);
      if (rollup.at != nullptr) FoldConstants(rollup.at);
      return;
    }
    default: return;
  }
}

bool IsCmpOp(std::string_view op) {
  return op == "==" || op == "!=" || op == "<" || op == ">" || op == "<=" || op == ">=";
}

double BinaryOpNumber(std::string_view op, double l, double r, bool is_bool) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (IsCmpOp(op)) {
    bool yes = false;
    if (op == "==") yes = std::isnan(l) ? std::isnan(r) : l == r;
    else if (op == "!=") yes = std::isnan(l) ? !std::isnan(r) : l != r;
    else if (op == "<") yes = l < r;
    else if (op == ">") yes = l > r;
    else if (op == "<=") yes = l <= r;
    else yes = l >= r;
    if (!is_bool) return yes ? l : nan;
    return yes ? 1 : 0;
  }
  if (op == "+") return l + r;
  if (op == "-") return l - r;
  if (op == "*") return l * r;
  if (op == "/") return l / r;
  if (op == "%") return std::fmod(l, r);
  if (op == "^") return std::isnan(l) ? nan : std::pow(l, r);
  if (op == "atan2") return std::atan2(l, r);
  if (op == "and") return std::isnan(l) || std::isnan(r) ? nan : l;
  if (op == "or" || op == "default") return std::isnan(l) ? r : l;
  if (op == "if") return std::isnan(r) ? nan : l;
  if (op == "ifnot") return std::isnan(r) ? l : nan;
  return nan;
}

}  // namespace vm::metricsql
