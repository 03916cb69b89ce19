#include "lib/metricsql/printer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "lib/metricsql/lexer.h"
#include "lib/regex/unicode.h"

namespace vm::metricsql {
namespace {

constexpr int kMaxFixedExponent = 6;  // Go's %g with the shortest precision.

bool IsReservedWord(std::string_view name) {
  return IsGroupModifier(name) || IsJoinModifier(name) || IsBoolModifier(name) || IsFillModifier(name) ||
         EqualsFold(name, "prefix");
}

bool NeedsOperandParens(const Expr& operand) {
  if (operand.kind == ExprKind::kBinaryOp) return true;
  const auto* rollup = As<RollupExpr>(&operand);
  if (rollup == nullptr) return false;
  const auto* inner = As<BinaryOpExpr>(rollup->expr.get());
  return rollup->offset != nullptr || rollup->at != nullptr || (inner != nullptr && inner->keep_metric_names);
}

void AppendModifier(std::string& dst, const ModifierExpr& modifier) {
  dst += modifier.op;
  dst += '(';
  for (size_t i = 0; i < modifier.args.size(); ++i) {
    if (i > 0) dst += ',';
    if (modifier.args[i] == "*") dst += '*';
    else AppendEscapedIdent(dst, modifier.args[i]);
  }
  dst += ')';
}

void AppendArgs(std::string& dst, const std::vector<ExprPtr>& args) {
  dst += '(';
  for (size_t i = 0; i < args.size(); ++i) {
    if (i > 0) dst += ", ";
    AppendString(dst, *args[i]);
  }
  dst += ')';
}

void AppendInParens(std::string& dst, const Expr& expr, bool parens) {
  if (parens) dst += '(';
  AppendString(dst, expr);
  if (parens) dst += ')';
}

void AppendTokens(std::string& dst, const std::vector<std::string>& tokens) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) dst += '+';
    dst += tokens[i];
  }
}

void AppendFilterOp(std::string& dst, bool is_negative, bool is_regexp) {
  if (is_negative) dst += '!';
  if (!is_negative || !is_regexp) dst += '=';
  if (is_regexp) dst += '~';
}

void AppendMetricTemplate(std::string& dst, const MetricExpr& metric) {
  const std::string name = TemplateName(metric);
  const bool quoted = NeedsEscape(name);
  if (quoted) {
    dst += '{';
    AppendQuotedIdent(dst, name);
  } else {
    AppendEscapedIdent(dst, name);
  }
  if (IsOnlyTemplateName(metric)) {
    if (quoted) dst += '}';
    return;
  }
  dst += quoted ? ", " : "{";
  const size_t first = name.empty() ? 0 : 1;
  bool is_first_group = true;
  for (const auto& group : metric.filter_templates) {
    if (group.size() <= first) continue;
    if (!is_first_group) dst += " or ";
    is_first_group = false;
    AppendFilters(dst, group, first);
  }
  dst += '}';
}

void AppendMetric(std::string& dst, const MetricExpr& metric) {
  if (!metric.filter_templates.empty()) {
    AppendMetricTemplate(dst, metric);
    return;
  }
  if (metric.filter_groups.empty()) {
    dst += "{}";
    return;
  }
  const std::string_view name = metric.Name();
  AppendEscapedIdent(dst, name);
  if (metric.IsOnlyName()) return;
  dst += '{';
  const size_t first = name.empty() ? 0 : 1;
  bool is_first_group = true;
  for (const auto& group : metric.filter_groups) {
    if (group.size() <= first) continue;
    if (!is_first_group) dst += " or ";
    is_first_group = false;
    for (size_t i = first; i < group.size(); ++i) {
      if (i > first) dst += ',';
      AppendEscapedIdent(dst, group[i].label);
      AppendFilterOp(dst, group[i].is_negative, group[i].is_regexp);
      AppendGoQuoted(dst, group[i].value);
    }
  }
  dst += '}';
}

void AppendBinaryOp(std::string& dst, const BinaryOpExpr& op) {
  if (op.keep_metric_names) dst += '(';
  AppendInParens(dst, *op.left, NeedsLeftParens(op));
  dst += ' ';
  AppendOperator(dst, op);
  dst += ' ';
  AppendInParens(dst, *op.right, NeedsRightParens(op));
  if (op.keep_metric_names) dst += ") keep_metric_names";
}

void AppendWith(std::string& dst, const WithExpr& with) {
  dst += "WITH (";
  for (size_t i = 0; i < with.definitions.size(); ++i) {
    if (i > 0) dst += ", ";
    AppendDefinition(dst, with.definitions[i]);
  }
  dst += ") ";
  AppendString(dst, *with.expr);
}

}  // namespace

bool NeedsLeftParens(const BinaryOpExpr& op) { return NeedsOperandParens(*op.left); }

bool NeedsRightParens(const BinaryOpExpr& op) {
  if (NeedsOperandParens(*op.right)) return true;
  if (const auto* metric = As<MetricExpr>(op.right.get())) {
    return IsReservedWord(metric->filter_templates.empty() ? std::string(metric->Name()) : TemplateName(*metric));
  }
  const auto* func = As<FuncExpr>(op.right.get());
  return func != nullptr && (IsReservedWord(func->name) || func->keep_metric_names || op.keep_metric_names);
}

bool NeedsInnerParens(const RollupExpr& rollup) {
  const auto* aggr = As<AggrFuncExpr>(rollup.expr.get());
  if (aggr != nullptr) return !aggr->modifier.op.empty();
  return rollup.expr->kind == ExprKind::kRollup || rollup.expr->kind == ExprKind::kBinaryOp;
}

void AppendOperator(std::string& dst, const BinaryOpExpr& op) {
  dst += op.op;
  if (op.is_bool) dst += "bool";
  if (!op.group_modifier.op.empty()) {
    dst += ' ';
    AppendModifier(dst, op.group_modifier);
  }
  if (!op.join_modifier.op.empty()) {
    dst += ' ';
    AppendModifier(dst, op.join_modifier);
    if (op.join_prefix || !op.join_prefix_template.empty()) dst += " prefix ";
    if (op.join_prefix) AppendGoQuoted(dst, *op.join_prefix);
    AppendTokens(dst, op.join_prefix_template);
  }
  const auto fill = [&](std::string_view word, const NumberExpr& value) {
    dst += word;
    AppendString(dst, value);
    dst += ')';
  };
  if (op.fill_both) return fill(" fill(", *op.fill_left);
  if (op.fill_left) fill(" fill_left(", *op.fill_left);
  if (op.fill_right) fill(" fill_right(", *op.fill_right);
}

void AppendSuffix(std::string& dst, const FuncExpr& func) {
  if (func.keep_metric_names) dst += " keep_metric_names";
}

void AppendSuffix(std::string& dst, const AggrFuncExpr& aggr) {
  if (!aggr.modifier.op.empty()) {
    dst += ' ';
    AppendModifier(dst, aggr.modifier);
  }
  if (aggr.limit > 0) dst += " limit " + std::to_string(aggr.limit);
}

void AppendSuffix(std::string& dst, const RollupExpr& rollup) {
  if (rollup.window != nullptr || rollup.ForSubquery()) {
    dst += '[';
    if (rollup.window != nullptr) dst += rollup.window->text;
    if (rollup.ForSubquery()) dst += ':';
    if (rollup.step != nullptr) dst += rollup.step->text;
    dst += ']';
  }
  if (rollup.offset != nullptr) dst += " offset " + rollup.offset->text;
  if (rollup.at != nullptr) {
    dst += " @ ";
    AppendInParens(dst, *rollup.at, rollup.at->kind == ExprKind::kBinaryOp);
  }
}

void AppendHead(std::string& dst, const WithDefinition& definition, std::string_view separator) {
  AppendEscapedIdent(dst, definition.name);
  for (size_t i = 0; i < definition.args.size(); ++i) {
    dst += i == 0 ? "(" : separator;
    AppendEscapedIdent(dst, definition.args[i]);
  }
  if (!definition.args.empty()) dst += ')';
}

void AppendDefinition(std::string& dst, const WithDefinition& definition) {
  AppendHead(dst, definition, ",");
  dst += " = ";
  AppendString(dst, *definition.expr);
}

std::string TemplateName(const MetricExpr& metric) {
  std::string common;
  for (const auto& group : metric.filter_templates) {
    const FilterTemplate& f = group[0];
    std::string name;
    if (f.label == "__name__" && f.tokens.size() == 1 && !f.is_negative && !f.is_regexp) {
      if (auto value = UnquoteString(f.tokens[0]); value.ok()) name = std::move(value).value();
    } else if (f.is_quoted_name) {
      name = f.label;
    }
    if (name.empty() || (!common.empty() && name != common)) return {};
    common = std::move(name);
  }
  return common;
}

bool IsOnlyTemplateName(const MetricExpr& metric) {
  return !TemplateName(metric).empty() && std::all_of(metric.filter_templates.begin(), metric.filter_templates.end(),
                                                      [](const auto& group) { return group.size() == 1; });
}

void AppendFilter(std::string& dst, const FilterTemplate& filter) {
  if (NeedsEscape(filter.label)) AppendQuotedIdent(dst, filter.label);
  else AppendEscapedIdent(dst, filter.label);
  if (filter.tokens.empty()) return;
  AppendFilterOp(dst, filter.is_negative, filter.is_regexp);
  AppendTokens(dst, filter.tokens);
}

void AppendFilters(std::string& dst, const std::vector<FilterTemplate>& filters, size_t first) {
  for (size_t i = first; i < filters.size(); ++i) {
    if (i > first) dst += ',';
    AppendFilter(dst, filters[i]);
  }
}

void AppendGoFloat(std::string& dst, double value) {
  if (std::isnan(value)) {
    dst += "NaN";
    return;
  }
  if (std::isinf(value)) {
    dst += value > 0 ? "+Inf" : "-Inf";
    return;
  }
  std::array<char, 400> buf;
  auto end = std::to_chars(buf.data(), buf.data() + buf.size(), value, std::chars_format::scientific).ptr;
  const std::string_view text(buf.data(), static_cast<size_t>(end - buf.data()));
  const size_t e = text.find('e');
  int exponent = 0;
  const size_t digits = e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(text.data() + digits, text.data() + text.size(), exponent);
  if (exponent < -4 || exponent >= kMaxFixedExponent) {
    dst += text;
    return;
  }
  end = std::to_chars(buf.data(), buf.data() + buf.size(), value, std::chars_format::fixed).ptr;
  dst.append(buf.data(), end);
}

void AppendGoQuoted(std::string& dst, std::string_view value) { regex::AppendGoQuoted(dst, value); }

void AppendString(std::string& dst, const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kNumber: {
      const auto& number = static_cast<const NumberExpr&>(expr);
      if (number.text.empty()) AppendGoFloat(dst, number.value);
      else dst += number.text;
      return;
    }
    case ExprKind::kString: {
      const auto& string = static_cast<const StringExpr&>(expr);
      if (string.tokens.empty()) AppendGoQuoted(dst, string.value);
      else AppendTokens(dst, string.tokens);
      return;
    }
    case ExprKind::kDuration: dst += static_cast<const DurationExpr&>(expr).text; return;
    case ExprKind::kMetric: return AppendMetric(dst, static_cast<const MetricExpr&>(expr));
    case ExprKind::kFunc: {
      const auto& func = static_cast<const FuncExpr&>(expr);
      AppendEscapedIdent(dst, func.name);
      AppendArgs(dst, func.args);
      return AppendSuffix(dst, func);
    }
    case ExprKind::kAggr: {
      const auto& aggr = static_cast<const AggrFuncExpr&>(expr);
      dst += aggr.name;
      AppendArgs(dst, aggr.args);
      return AppendSuffix(dst, aggr);
    }
    case ExprKind::kRollup: {
      const auto& rollup = static_cast<const RollupExpr&>(expr);
      AppendInParens(dst, *rollup.expr, NeedsInnerParens(rollup));
      return AppendSuffix(dst, rollup);
    }
    case ExprKind::kBinaryOp: return AppendBinaryOp(dst, static_cast<const BinaryOpExpr&>(expr));
    case ExprKind::kParens: return AppendArgs(dst, static_cast<const ParensExpr&>(expr).exprs);
    case ExprKind::kWith: return AppendWith(dst, static_cast<const WithExpr&>(expr));
  }
}

std::string ToString(const Expr& expr) {
  std::string dst;
  AppendString(dst, expr);
  return dst;
}

std::string ToString(const ModifierExpr& modifier) {
  std::string dst;
  AppendModifier(dst, modifier);
  return dst;
}

}  // namespace vm::metricsql
