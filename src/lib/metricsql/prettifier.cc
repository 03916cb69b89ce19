#include "lib/metricsql/lexer.h"
#include "lib/metricsql/parser.h"
#include "lib/metricsql/printer.h"

namespace vm::metricsql {
namespace {

/// Longest line that is left as it is, indent included.
constexpr size_t kMaxLineBytes = 80;

/// Each line begins with blanks for all that it is in: a deeper text would consist of them.
constexpr size_t kMaxIndent = 1000;

/// Counts the nodes of `expr` off `left`, until that is 0.
void CountNodes(const Expr& expr, size_t& left) {
  if (left == 0) return;
  --left;
  const auto count = [&left](const ExprPtr& child) {
    if (child != nullptr) CountNodes(*child, left);
  };
  switch (expr.kind) {
    case ExprKind::kBinaryOp:
      count(static_cast<const BinaryOpExpr&>(expr).left);
      return count(static_cast<const BinaryOpExpr&>(expr).right);
    case ExprKind::kFunc:
      for (const auto& arg : static_cast<const FuncExpr&>(expr).args) count(arg);
      return;
    case ExprKind::kAggr:
      for (const auto& arg : static_cast<const AggrFuncExpr&>(expr).args) count(arg);
      return;
    case ExprKind::kRollup:
      count(static_cast<const RollupExpr&>(expr).expr);
      return count(static_cast<const RollupExpr&>(expr).at);
    case ExprKind::kWith:
      for (const auto& definition : static_cast<const WithExpr&>(expr).definitions) count(definition.expr);
      return count(static_cast<const WithExpr&>(expr).expr);
    default: return;
  }
}

class Prettifier {
 public:
  Result<std::string> Run(const Expr& expr) {
    Append(expr, 0, false);
    if (is_too_deep_) return Error(ErrorCode::kLimitExceeded, "too deep nesting of the query");
    return std::move(dst_);
  }

 private:
  void Indent(size_t indent) { dst_.append(2 * indent, ' '); }

  /// Append what `write` writes if it fits a line.
  template <class Write>
  bool TryLine(size_t indent, const Write& write) {
    const size_t start = dst_.size();
    Indent(indent);
    write();
    if (dst_.size() - start <= kMaxLineBytes) return true;
    dst_.resize(start);
    return false;
  }

  /// No node takes less than a byte: to print each long part only to see that it is long would take the square of the time.
  static bool MayFit(const Expr& expr) {
    size_t left = kMaxLineBytes + 1;
    CountNodes(expr, left);
    return left > 0;
  }

  void Append(const Expr& expr, size_t indent, bool parens) {
    if (indent > kMaxIndent) is_too_deep_ = true;
    if (is_too_deep_) return;
    const bool fits = MayFit(expr) && TryLine(indent, [&] {
      if (parens) dst_ += '(';
      AppendString(dst_, expr);
      if (parens) dst_ += ')';
    });
    if (fits) return;
    if (parens) {
      Indent(indent);
      dst_ += "(\n";
    }
    Split(expr, parens ? indent + 1 : indent);
    if (parens) {
      dst_ += '\n';
      Indent(indent);
      dst_ += ')';
    }
  }

  void Split(const Expr& expr, size_t indent) {
    switch (expr.kind) {
      case ExprKind::kWith: return SplitWith(static_cast<const WithExpr&>(expr), indent);
      case ExprKind::kBinaryOp: return SplitBinaryOp(static_cast<const BinaryOpExpr&>(expr), indent);
      case ExprKind::kMetric: return SplitMetric(static_cast<const MetricExpr&>(expr), indent);
      case ExprKind::kRollup: {
        const auto& rollup = static_cast<const RollupExpr&>(expr);
        Append(*rollup.expr, indent, NeedsInnerParens(rollup));
        return AppendSuffix(dst_, rollup);
      }
      case ExprKind::kAggr: {
        const auto& aggr = static_cast<const AggrFuncExpr&>(expr);
        SplitCall(aggr.name, aggr.args, indent);
        return AppendSuffix(dst_, aggr);
      }
      case ExprKind::kFunc: {
        const auto& func = static_cast<const FuncExpr&>(expr);
        SplitCall(func.name, func.args, indent);
        return AppendSuffix(dst_, func);
      }
      default: AppendString(dst_, expr);
    }
  }

  void SplitWith(const WithExpr& with, size_t indent) {
    Indent(indent);
    dst_ += "WITH (\n";
    for (const auto& definition : with.definitions) {
      AppendDefinitionLines(definition, indent + 1);
      dst_ += ",\n";
    }
    Indent(indent);
    dst_ += ")\n";
    Append(*with.expr, indent, false);
  }

  void AppendDefinitionLines(const WithDefinition& definition, size_t indent) {
    if (MayFit(*definition.expr) && TryLine(indent, [&] { AppendDefinition(dst_, definition); })) return;
    Indent(indent);
    AppendHead(dst_, definition, ", ");
    dst_ += " = (\n";
    Append(*definition.expr, indent + 1, false);
    dst_ += '\n';
    Indent(indent);
    dst_ += ')';
  }

  void SplitBinaryOp(const BinaryOpExpr& op, size_t outer) {
    const size_t indent = op.keep_metric_names ? outer + 1 : outer;
    if (op.keep_metric_names) {
      Indent(outer);
      dst_ += "(\n";
    }
    Append(*op.left, indent, NeedsLeftParens(op));
    dst_ += '\n';
    Indent(indent + 1);
    AppendOperator(dst_, op);
    dst_ += '\n';
    Append(*op.right, indent, NeedsRightParens(op));
    if (op.keep_metric_names) {
      dst_ += '\n';
      Indent(outer);
      dst_ += ") keep_metric_names";
    }
  }

  void SplitCall(std::string_view name, const std::vector<ExprPtr>& args, size_t indent) {
    Indent(indent);
    AppendEscapedIdent(dst_, name);
    dst_ += "(\n";
    for (size_t i = 0; i < args.size(); ++i) {
      Append(*args[i], indent + 1, false);
      dst_ += i + 1 < args.size() ? ",\n" : "\n";
    }
    Indent(indent);
    dst_ += ')';
  }

  void SplitMetric(const MetricExpr& metric, size_t indent) {
    const std::string name = TemplateName(metric);
    const bool quoted = NeedsEscape(name);
    const bool is_only_name = IsOnlyTemplateName(metric);
    Indent(indent);
    if (!quoted) AppendEscapedIdent(dst_, name);
    if (is_only_name) {
      if (!quoted) return;
      dst_ += '{';
      AppendQuotedIdent(dst_, name);
      dst_ += '}';
      return;
    }
    dst_ += "{\n";
    if (quoted) {
      AppendQuotedIdent(dst_, name);
      dst_ += ", \n";
    }
    const size_t first = name.empty() ? 0 : 1;
    bool is_first_group = true;
    for (const auto& group : metric.filter_templates) {
      if (group.size() <= first) continue;
      if (!is_first_group) {
        Indent(indent + 2);
        dst_ += "or\n";
      }
      is_first_group = false;
      SplitFilters(group, first, indent + 1);
      dst_ += '\n';
    }
    Indent(indent);
    dst_ += '}';
  }

  void SplitFilters(const std::vector<FilterTemplate>& filters, size_t first, size_t indent) {
    if (TryLine(indent, [&] { AppendFilters(dst_, filters, first); })) return;
    for (size_t i = first; i < filters.size(); ++i) {
      if (i > first) dst_ += ",\n";
      Indent(indent);
      AppendFilter(dst_, filters[i]);
    }
  }

  std::string dst_;
  bool is_too_deep_ = false;
};

}  // namespace

Result<std::string> Prettify(std::string_view query) {
  VM_ASSIGN_OR_RETURN(ExprPtr expr, ParseTemplate(query));
  RemoveParens(expr);
  return Prettifier().Run(*expr);
}

}  // namespace vm::metricsql
