#include "select/promql/query.h"

#include <utility>

namespace vm::select {
namespace {

using metricsql::As;

/// Call `visit` for `expr` and all below it, children first.
template <class Visit>
void VisitAll(metricsql::Expr* expr, const Visit& visit) {
  if (expr == nullptr) return;
  if (auto* func = As<metricsql::FuncExpr>(expr)) {
    for (auto& arg : func->args) VisitAll(arg.get(), visit);
  } else if (auto* aggr = As<metricsql::AggrFuncExpr>(expr)) {
    for (auto& arg : aggr->args) VisitAll(arg.get(), visit);
  } else if (auto* op = As<metricsql::BinaryOpExpr>(expr)) {
    VisitAll(op->left.get(), visit);
    VisitAll(op->right.get(), visit);
  } else if (auto* rollup = As<metricsql::RollupExpr>(expr)) {
    VisitAll(rollup->expr.get(), visit);
    VisitAll(rollup->at.get(), visit);
  }
  visit(*expr);
}

bool IsScalarLike(const metricsql::Expr& expr) {
  if (expr.kind == metricsql::ExprKind::kNumber) return true;
  const auto* func = As<metricsql::FuncExpr>(&expr);
  return func != nullptr && metricsql::ToLower(func->name) == "time";
}

void SwapScalarComparison(metricsql::Expr& expr) {
  auto* op = As<metricsql::BinaryOpExpr>(&expr);
  if (op == nullptr || !metricsql::IsCmpOp(op->op)) return;
  if (op->right->kind == metricsql::ExprKind::kNumber || !IsScalarLike(*op->left)) return;
  std::swap(op->left, op->right);
  if (op->op[0] == '<') {
    op->op[0] = '>';
  } else if (op->op[0] == '>') {
    op->op[0] = '<';
  }
}

}  // namespace

Result<metricsql::ExprPtr> ParseQuery(std::string_view query) {
  VM_ASSIGN_OR_RETURN(auto expr, metricsql::Parse(query));
  VisitAll(expr.get(), SwapScalarComparison);
  return expr;
}

}  // namespace vm::select
