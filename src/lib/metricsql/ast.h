#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace vm::metricsql {

enum class ExprKind : uint8_t {
  kNumber, kString, kDuration, kMetric, kFunc, kAggr, kBinaryOp, kRollup,
  kParens, kWith,  // Never in what Parse returns.
};

/// A node of a parsed query. Downcast with `As<T>` after looking at `kind`. Members called `..._template` and
/// `tokens` hold what WITH templates still have to fill in; they are empty in what Parse returns.
struct Expr {
  explicit Expr(ExprKind k) : kind(k) {}
  virtual ~Expr() = default;
  const ExprKind kind;
};
using ExprPtr = std::unique_ptr<Expr>;

struct NumberExpr : Expr {
  static constexpr ExprKind kKind = ExprKind::kNumber;
  explicit NumberExpr(double v, std::string t = {}) : Expr(kKind), value(v), text(std::move(t)) {}
  double value;
  std::string text;  // As written; empty when computed.
};

struct StringExpr : Expr {
  static constexpr ExprKind kKind = ExprKind::kString;
  explicit StringExpr(std::string v) : Expr(kKind), value(std::move(v)) {}
  std::string value;
  std::vector<std::string> tokens;  // Literals and names, to be joined.
};

struct DurationExpr : Expr {
  static constexpr ExprKind kKind = ExprKind::kDuration;
  explicit DurationExpr(std::string t, bool i = false) : Expr(kKind), text(std::move(t)), is_template(i) {}
  std::string text;
  bool is_template;  // `text` names a template.
};

struct LabelFilter {
  std::string label;
  std::string value;
  bool is_negative = false;
  bool is_regexp = false;
  bool operator==(const LabelFilter&) const = default;
};

/// `label op value` before expansion; without tokens it names a template or, when quoted, a metric.
struct FilterTemplate {
  std::string label;
  std::vector<std::string> tokens;
  bool is_negative = false;
  bool is_regexp = false;
  bool is_quoted_name = false;
};

/// Or-list of and-lists. A positive exact name filter stands first in its list.
struct MetricExpr : Expr {
  static constexpr ExprKind kKind = ExprKind::kMetric;
  MetricExpr() : Expr(kKind) {}
  bool IsEmpty() const { return filter_groups.empty(); }
  /// The metric name that all groups ask for; empty when there is none.
  std::string_view Name() const;
  bool IsOnlyName() const;
  std::vector<std::vector<LabelFilter>> filter_groups;
  std::vector<std::vector<FilterTemplate>> filter_templates;
};

struct FuncExpr : Expr {
  static constexpr ExprKind kKind = ExprKind::kFunc;
  FuncExpr() : Expr(kKind) {}
  std::string name;  // As written; empty for a list in parentheses.
  std::vector<ExprPtr> args;
  bool keep_metric_names = false;
};

/// `by (a)`, `on (a)`, `group_left (a)`; op is lower case and empty when absent.
struct ModifierExpr {
  std::string op;
  std::vector<std::string> args;
};

struct AggrFuncExpr : Expr {
  static constexpr ExprKind kKind = ExprKind::kAggr;
  AggrFuncExpr() : Expr(kKind) {}
  std::string name;  // Lower case.
  std::vector<ExprPtr> args;
  ModifierExpr modifier;
  int limit = 0;
};

struct BinaryOpExpr : Expr {
  static constexpr ExprKind kKind = ExprKind::kBinaryOp;
  BinaryOpExpr() : Expr(kKind) {}
  std::string op;  // Lower case.
  bool is_bool = false;
  ModifierExpr group_modifier;
  ModifierExpr join_modifier;
  std::optional<std::string> join_prefix;
  std::vector<std::string> join_prefix_template;
  std::optional<NumberExpr> fill_left;
  std::optional<NumberExpr> fill_right;
  bool fill_both = false;  // Both sides come from one `fill`.
  bool keep_metric_names = false;
  ExprPtr left;
  ExprPtr right;
};

struct RollupExpr : Expr {
  static constexpr ExprKind kKind = ExprKind::kRollup;
  RollupExpr() : Expr(kKind) {}
  bool ForSubquery() const { return inherit_step || step != nullptr; }
  ExprPtr expr;
  std::unique_ptr<DurationExpr> window;
  std::unique_ptr<DurationExpr> step;
  bool inherit_step = false;
  std::unique_ptr<DurationExpr> offset;
  ExprPtr at;
};

/// Lives only while parsing.
struct ParensExpr : Expr {
  static constexpr ExprKind kKind = ExprKind::kParens;
  ParensExpr() : Expr(kKind) {}
  std::vector<ExprPtr> exprs;
};

/// `name(args) = expr` of a WITH list.
struct WithDefinition {
  std::string name;
  std::vector<std::string> args;
  ExprPtr expr;
};

/// `WITH (definitions) expr`; lives only while parsing.
struct WithExpr : Expr {
  static constexpr ExprKind kKind = ExprKind::kWith;
  WithExpr() : Expr(kKind) {}
  std::vector<WithDefinition> definitions;
  ExprPtr expr;
};

/// Null when `expr` is another node.
template <class T>
T* As(Expr* expr) {
  return expr != nullptr && expr->kind == T::kKind ? static_cast<T*>(expr) : nullptr;
}
template <class T>
const T* As(const Expr* expr) {
  return expr != nullptr && expr->kind == T::kKind ? static_cast<const T*>(expr) : nullptr;
}

/// What a thread needs for the deepest queries that Parse takes, with a good margin; usual ones need 100 KiB.
inline constexpr size_t kStackBytes = size_t{32} << 20;

/// Parse a query: WITH templates expanded, parentheses removed, constants folded, function names checked.
///
/// Nesting, the depth of the tree and the size of what templates expand to are bounded, so that a hostile query
/// ends in an error. Errors: kInvalidInput; kLimitExceeded when a bound is hit.
/// Reference: github.com/VictoriaMetrics/metricsql v0.87.3.
Result<ExprPtr> Parse(std::string_view query);

/// The canonical text of `query` after `Parse`. Errors: as `Parse`.
Result<std::string> ExpandWith(std::string_view query);

/// `query` on lines of at most 80 bytes where that is possible; WITH templates and constants stay as they are.
/// Function names are not checked. Errors: as `Parse`.
Result<std::string> Prettify(std::string_view query);

/// A deep copy.
ExprPtr Clone(const Expr& expr);

/// Call `on_expr` for `expr` and everything below it, children first; modifiers go to `on_modifier`, if there is one.
void VisitAll(const Expr& expr, const std::function<void(const Expr&)>& on_expr,
              const std::function<void(const ModifierExpr&)>& on_modifier = {});

/// The same for nodes that are to change; a node must not replace itself.
void MutateAll(Expr& expr, const std::function<void(Expr&)>& on_expr);

/// Does `expr` rely on an implicit conversion to a subquery, as `rate(sum(foo))` does?
bool IsLikelyInvalid(const Expr& expr);

/// Escape the dots of all regexp filters, see EscapeDots.
void EscapeDotsInRegexps(Expr& expr);
/// Put a backslash before dots that neither have one nor are followed by `*`, `+` or `{`.
std::string EscapeDots(std::string_view regexp);

/// Parse a series selector such as `foo{bar="baz"}`. Errors: kInvalidInput, also for `{}`.
Result<std::unique_ptr<MetricExpr>> ParseMetricSelector(std::string_view text);

/// Append the canonical text of `expr`.
void AppendString(std::string& dst, const Expr& expr);
std::string ToString(const Expr& expr);
std::string ToString(const ModifierExpr& modifier);

bool IsAggrFunc(std::string_view name);
bool IsRollupFunc(std::string_view name);
/// Neither rollup nor aggregate.
bool IsTransformFunc(std::string_view name);
/// Rollup, transform or aggregate, in any case.
bool IsSupportedFunction(std::string_view name);
bool IsCmpOp(std::string_view lower_case_op);
/// Position of the argument that holds the samples; -1 when `name` is no rollup function.
int RollupArgIndex(std::string_view name, size_t args_count);

/// `left op right` on two numbers. Comparisons without `bool` give `left` or NaN.
double BinaryOpNumber(std::string_view op, double left, double right, bool is_bool);

/// Milliseconds of a duration such as `5m`, `1.5`, `2i`. Errors: kInvalidInput.
Result<int64_t> ParseDuration(std::string_view text, int64_t step_ms);
/// As ParseDuration; a negative duration is an error too.
Result<int64_t> ParsePositiveDuration(std::string_view text, int64_t step_ms);
/// Value of a number token with an optional suffix such as `Ki`. Errors: kInvalidInput.
Result<double> ParseNumber(std::string_view text);

/// Shortest text as Go's `%g` prints it.
void AppendGoFloat(std::string& dst, double value);
/// Go-quoted with double quotes.
void AppendGoQuoted(std::string& dst, std::string_view value);
std::string ToLower(std::string_view text);

}  // namespace vm::metricsql
