#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "lib/metricsql/ast.h"
#include "lib/metricsql/lexer.h"

namespace vm::metricsql {
namespace {

constexpr int kMaxFixedExponent = 6;  // Go's %g with the shortest precision.

constexpr auto kRollupFuncs = std::to_array<std::string_view>({
    "absent_over_time", "aggr_over_time", "ascent_over_time", "avg_over_time", "changes",
    "changes_prometheus", "count_eq_over_time", "count_gt_over_time", "count_le_over_time",
    "count_ne_over_time", "count_over_time", "count_values_over_time", "decreases_over_time",
    "default_rollup", "delta", "delta_prometheus", "deriv", "deriv_fast", "descent_over_time",
    "distinct_over_time", "duration_over_time", "first_over_time", "geomean_over_time",
    "histogram_over_time", "hoeffding_bound_lower", "hoeffding_bound_upper", "holt_winters",
    "idelta", "ideriv", "increase", "increase_prometheus", "increase_pure", "increases_over_time",
    "integrate", "irate", "lag", "last_over_time", "lifetime", "mad_over_time", "max_over_time",
    "median_over_time", "min_over_time", "mode_over_time", "outlier_iqr_over_time",
    "predict_linear", "present_over_time", "quantile_over_time", "quantiles_over_time",
    "range_over_time", "rate", "rate_over_sum", "rate_prometheus", "resets", "rollup",
    "rollup_candlestick", "rollup_delta", "rollup_deriv", "rollup_increase", "rollup_rate",
    "rollup_scrape_interval", "scrape_interval", "share_eq_over_time", "share_gt_over_time",
    "share_le_over_time", "stale_samples_over_time", "stddev_over_time", "stdvar_over_time",
    "sum2_over_time", "sum_eq_over_time", "sum_gt_over_time", "sum_le_over_time", "sum_over_time",
    "tfirst_over_time", "timestamp", "timestamp_with_name", "tlast_change_over_time",
    "tlast_over_time", "tmax_over_time", "tmin_over_time", "zscore_over_time"});
constexpr auto kTransformFuncs = std::to_array<std::string_view>({
    "", "abs", "absent", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitmap_and",
    "bitmap_or", "bitmap_xor", "buckets_limit", "ceil", "clamp", "clamp_max", "clamp_min", "cos",
    "cosh", "day_of_month", "day_of_week", "day_of_year", "days_in_month", "deg",
    "drop_common_labels", "drop_empty_series", "end", "exp", "floor", "histogram_avg",
    "histogram_fraction", "histogram_quantile", "histogram_quantiles", "histogram_share",
    "histogram_stddev", "histogram_stdvar", "hour", "interpolate", "keep_last_value",
    "keep_next_value", "label_copy", "label_del", "label_graphite_group", "label_join",
    "label_keep", "label_lowercase", "label_map", "label_match", "label_mismatch", "label_move",
    "label_replace", "label_set", "label_transform", "label_uppercase", "label_value",
    "labels_equal", "limit_offset", "ln", "log10", "log2", "minute", "month", "now", "pi",
    "prometheus_buckets", "rad", "rand", "rand_exponential", "rand_normal", "range_avg",
    "range_first", "range_last", "range_linear_regression", "range_mad", "range_max", "range_min",
    "range_normalize", "range_quantile", "range_stddev", "range_stdvar", "range_sum",
    "range_trim_outliers", "range_trim_spikes", "range_trim_zscore", "range_zscore",
    "remove_resets", "round", "running_avg", "running_max", "running_min", "running_sum",
    "scalar", "sgn", "sin", "sinh", "smooth_exponential", "sort", "sort_by_label",
    "sort_by_label_desc", "sort_by_label_numeric", "sort_by_label_numeric_desc", "sort_desc",
    "sqrt", "start", "step", "tan", "tanh", "time", "timezone_offset", "union", "vector", "year"});
constexpr auto kAggrFuncs = std::to_array<std::string_view>({
    "any", "avg", "bottomk", "bottomk_avg", "bottomk_last", "bottomk_max", "bottomk_median",
    "bottomk_min", "count", "count_values", "distinct", "geomean", "group", "histogram", "limitk",
    "mad", "max", "median", "min", "mode", "outliers_iqr", "outliers_mad", "outliersk",
    "quantile", "quantiles", "share", "stddev", "stdvar", "sum", "sum2", "topk", "topk_avg",
    "topk_last", "topk_max", "topk_median", "topk_min", "zscore"});

template <class List>
bool Contains(const List& sorted, std::string_view name) {
  return std::binary_search(sorted.begin(), sorted.end(), std::string_view(ToLower(name)));
}

bool IsReservedWord(std::string_view name) {
  static constexpr auto kWords = std::to_array<std::string_view>(
      {"on", "ignoring", "group_left", "group_right", "bool", "prefix", "fill", "fill_left", "fill_right"});
  return std::find(kWords.begin(), kWords.end(), ToLower(name)) != kWords.end();
}

void AppendLabels(std::string& dst, const std::vector<std::string>& labels) {
  dst += '(';
  for (size_t i = 0; i < labels.size(); ++i) {
    if (i > 0) dst += ',';
    if (labels[i] == "*") dst += '*';
    else AppendEscapedIdent(dst, labels[i]);
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

bool HasName(const std::vector<LabelFilter>& group) {
  return !group.empty() && group[0].label == "__name__" && !group[0].is_negative && !group[0].is_regexp;
}

void AppendMetric(std::string& dst, const MetricExpr& metric) {
  const auto& groups = metric.filter_groups;
  if (groups.empty()) {
    dst += "{}";
    return;
  }
  const bool common = std::all_of(groups.begin(), groups.end(), [&](const auto& g) {
    return HasName(g) && g[0].value == groups[0][0].value;
  });
  if (common) AppendEscapedIdent(dst, groups[0][0].value);
  std::string body;
  for (const auto& group : groups) {
    const size_t first = common ? 1 : 0;
    if (group.size() <= first) continue;
    if (!body.empty()) body += " or ";
    for (size_t i = first; i < group.size(); ++i) {
      if (i > first) body += ',';
      AppendEscapedIdent(body, group[i].label);
      if (group[i].is_regexp) body += group[i].is_negative ? "!~" : "=~";
      else body += group[i].is_negative ? "!=" : "=";
      AppendGoQuoted(body, group[i].value);
    }
  }
  if (!body.empty() || !common) dst += '{' + body + '}';
}

void AppendRollup(std::string& dst, const RollupExpr& rollup) {
  const auto* aggr = As<AggrFuncExpr>(rollup.expr.get());
  const auto kind = rollup.expr->kind;
  AppendInParens(dst, *rollup.expr,
                 kind == ExprKind::kRollup || kind == ExprKind::kBinaryOp ||
                     (aggr != nullptr && !aggr->modifier.op.empty()));
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

bool NeedsOperandParens(const Expr& operand) {
  if (operand.kind == ExprKind::kBinaryOp) return true;
  const auto* rollup = As<RollupExpr>(&operand);
  if (rollup == nullptr) return false;
  const auto* inner = As<BinaryOpExpr>(rollup->expr.get());
  return rollup->offset != nullptr || rollup->at != nullptr || (inner != nullptr && inner->keep_metric_names);
}

void AppendBinaryOp(std::string& dst, const BinaryOpExpr& op) {
  if (op.keep_metric_names) dst += '(';
  AppendInParens(dst, *op.left, NeedsOperandParens(*op.left));
  dst += ' ' + op.op;
  if (op.is_bool) dst += "bool";
  if (!op.group_modifier.op.empty()) {
    dst += ' ' + op.group_modifier.op;
    AppendLabels(dst, op.group_modifier.args);
  }
  if (!op.join_modifier.op.empty()) {
    dst += ' ' + op.join_modifier.op;
    AppendLabels(dst, op.join_modifier.args);
    if (op.join_prefix) {
      dst += " prefix ";
      AppendGoQuoted(dst, *op.join_prefix);
    }
  }
  if (op.fill_both) {
    dst += " fill(" + op.fill_left->text + ')';
  } else {
    if (op.fill_left) dst += " fill_left(" + op.fill_left->text + ')';
    if (op.fill_right) dst += " fill_right(" + op.fill_right->text + ')';
  }
  dst += ' ';
  bool parens = NeedsOperandParens(*op.right);
  if (const auto* metric = As<MetricExpr>(op.right.get()); metric != nullptr && !metric->IsEmpty()) {
    parens |= HasName(metric->filter_groups[0]) && IsReservedWord(metric->filter_groups[0][0].value);
  } else if (const auto* func = As<FuncExpr>(op.right.get())) {
    parens |= IsReservedWord(func->name) || func->keep_metric_names || op.keep_metric_names;
  }
  AppendInParens(dst, *op.right, parens);
  if (op.keep_metric_names) dst += ") keep_metric_names";
}

}  // namespace

bool IsAggrFunc(std::string_view name) { return Contains(kAggrFuncs, name); }
bool IsRollupFunc(std::string_view name) { return Contains(kRollupFuncs, name); }
bool IsTransformFunc(std::string_view name) { return Contains(kTransformFuncs, name); }

int RollupArgIndex(std::string_view name, size_t args_count) {
  if (!IsRollupFunc(name)) return -1;
  const std::string lower = ToLower(name);
  if (lower == "quantiles_over_time") return static_cast<int>(args_count) - 1;
  const bool second = lower == "quantile_over_time" || lower == "aggr_over_time" ||
                      lower == "count_values_over_time" || lower.starts_with("hoeffding_bound_");
  return second ? 1 : 0;
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

void AppendGoQuoted(std::string& dst, std::string_view value) {
  static constexpr char kHex[] = "0123456789abcdef";
  dst += '"';
  for (const char c : value) {
    switch (c) {
      case '"': dst += "\\\""; break;
      case '\\': dst += "\\\\"; break;
      case '\a': dst += "\\a"; break;
      case '\b': dst += "\\b"; break;
      case '\f': dst += "\\f"; break;
      case '\n': dst += "\\n"; break;
      case '\r': dst += "\\r"; break;
      case '\t': dst += "\\t"; break;
      case '\v': dst += "\\v"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          dst += "\\x";
          dst += kHex[(c >> 4) & 15];
          dst += kHex[c & 15];
        } else {
          dst += c;
        }
    }
  }
  dst += '"';
}

void AppendString(std::string& dst, const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kNumber: {
      const auto& number = static_cast<const NumberExpr&>(expr);
      if (number.text.empty()) AppendGoFloat(dst, number.value);
      else dst += number.text;
      return;
    }
    case ExprKind::kString: AppendGoQuoted(dst, static_cast<const StringExpr&>(expr).value); return;
    case ExprKind::kDuration: dst += static_cast<const DurationExpr&>(expr).text; return;
    case ExprKind::kMetric: AppendMetric(dst, static_cast<const MetricExpr&>(expr)); return;
    case ExprKind::kFunc: {
      const auto& func = static_cast<const FuncExpr&>(expr);
      AppendEscapedIdent(dst, func.name);
      AppendArgs(dst, func.args);
      if (func.keep_metric_names) dst += " keep_metric_names";
      return;
    }
    case ExprKind::kAggr: {
      const auto& aggr = static_cast<const AggrFuncExpr&>(expr);
      dst += aggr.name;
      AppendArgs(dst, aggr.args);
      if (!aggr.modifier.op.empty()) {
        dst += ' ' + aggr.modifier.op;
        AppendLabels(dst, aggr.modifier.args);
      }
      if (aggr.limit > 0) dst += " limit " + std::to_string(aggr.limit);
      return;
    }
    case ExprKind::kBinaryOp: AppendBinaryOp(dst, static_cast<const BinaryOpExpr&>(expr)); return;
    case ExprKind::kRollup: AppendRollup(dst, static_cast<const RollupExpr&>(expr)); return;
    case ExprKind::kParens: AppendArgs(dst, static_cast<const ParensExpr&>(expr).exprs); return;
  }
}

std::string ToString(const Expr& expr) {
  std::string dst;
  AppendString(dst, expr);
  return dst;
}

}  // namespace vm::metricsql
