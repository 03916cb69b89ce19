#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "lib/metricsql/ast.h"
#include "lib/metricsql/lexer.h"

namespace vm::metricsql {
namespace {

int Priority(std::string_view op) {
  if (op == "default") return -1;
  if (op == "if" || op == "ifnot") return 0;
  if (op == "or") return 1;
  if (op == "and" || op == "unless") return 2;
  if (IsCmpOp(op)) return 3;
  if (op == "+" || op == "-") return 4;
  return op == "^" ? 6 : 5;
}

bool IsSetOp(std::string_view op) { return op == "and" || op == "or" || op == "unless"; }
bool IsWhole(size_t n, std::string_view token) { return n > 0 && n == token.size(); }
bool IsBinaryOp(std::string_view token) { return IsWhole(ScanBinaryOp(token), token); }
bool IsIdent(std::string_view token) {
  const char c = token.empty() ? '\0' : token[0];
  return c == '\\' || ScanIdent(token.substr(0, std::min<size_t>(token.size(), 4))) > 0;
}
bool IsString(std::string_view token) {
  return !token.empty() && (token[0] == '"' || token[0] == '\'' || token[0] == '`');
}
bool IsNumber(std::string_view token) {
  if (token.empty()) return false;
  const bool digit = token[0] >= '0' && token[0] <= '9';
  return digit || (token[0] == '.' && token.size() > 1);
}
bool IsDuration(std::string_view token) {
  return token == "$__interval" || IsWhole(ScanDuration(token), token);
}

ExprPtr BalanceBinaryOp(std::unique_ptr<BinaryOpExpr> node) {
  auto* left = As<BinaryOpExpr>(node->left.get());
  if (left == nullptr) return node;
  const int lp = Priority(left->op);
  const int rp = Priority(node->op);
  if (rp < lp || (rp == lp && node->op != "^")) return node;
  std::unique_ptr<BinaryOpExpr> root(static_cast<BinaryOpExpr*>(node->left.release()));
  node->left = std::move(root->right);
  root->right = BalanceBinaryOp(std::move(node));
  return root;
}

class Parser {
 public:
  explicit Parser(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {}

  Result<ExprPtr> Run() {
    ExprPtr expr = ParseExpr();
    if (expr != nullptr && !Token().empty()) Fail("unparsed data left: \"" + Token() + "\"");
    if (!error_.empty()) return Error(ErrorCode::kInvalidInput, error_);
    return expr;
  }

 private:
  static constexpr int kMaxDepth = 500;

  const std::string& Token() const { return tokens_[pos_]; }
  std::string Lower() const { return ToLower(Token()); }
  const std::string& Peek(size_t n) const { return tokens_[std::min(pos_ + n, tokens_.size() - 1)]; }
  void Next() { pos_ = std::min(pos_ + 1, tokens_.size() - 1); }
  std::nullptr_t Fail(std::string message) {
    if (error_.empty()) error_ = std::move(message);
    return nullptr;
  }
  std::nullptr_t Unexpected(std::string_view where, std::string_view want) {
    return Fail(std::string(where) + ": unexpected token \"" + Token() + "\"; want " + std::string(want));
  }
  bool Expect(std::string_view token, std::string_view where) {
    if (Token() != token) {
      Unexpected(where, "\"" + std::string(token) + "\"");
      return false;
    }
    Next();
    return true;
  }

  ExprPtr ParseExpr() {
    if (++depth_ > kMaxDepth) return Fail("too deep nesting of the query");
    ExprPtr expr = ParseExprInner();
    --depth_;
    return expr;
  }

  ExprPtr ParseExprInner() {
    ExprPtr expr = ParseSingle();
    while (expr != nullptr && IsBinaryOp(Token())) {
      auto node = std::make_unique<BinaryOpExpr>();
      node->op = Lower();
      Next();
      if (Lower() == "bool") {
        if (!IsCmpOp(node->op)) return Fail("bool modifier cannot be applied to \"" + node->op + "\"");
        node->is_bool = true;
        Next();
      }
      if (!ParseBinaryModifiers(*node)) return nullptr;
      ExprPtr right = ParseSingle();
      if (right == nullptr) return nullptr;
      node->left = std::move(expr);
      node->right = std::move(right);
      if (Lower() == "keep_metric_names") {
        node->keep_metric_names = true;
        Next();
      }
      expr = BalanceBinaryOp(std::move(node));
    }
    return expr;
  }

  bool ParseBinaryModifiers(BinaryOpExpr& node) {
    if (const auto op = Lower(); op == "on" || op == "ignoring") {
      node.group_modifier.op = op;
      Next();
      if (!ParseLabels(node.group_modifier.args, false)) return false;
      if (const auto join = Lower(); join == "group_left" || join == "group_right") {
        if (IsSetOp(node.op)) {
          Fail("modifier \"" + join + "\" cannot be applied to \"" + node.op + "\"");
          return false;
        }
        node.join_modifier.op = join;
        Next();
        if (Token() == "(" && !ParseLabels(node.join_modifier.args, true)) return false;
        if (Lower() == "prefix") {
          Next();
          auto prefix = ParseStringToken();
          if (!prefix) return false;
          node.join_prefix = std::move(*prefix);
        }
      }
    }
    while (true) {
      const auto op = Lower();
      if (op != "fill" && op != "fill_left" && op != "fill_right") return true;
      const bool no_fill = IsSetOp(node.op) || Priority(node.op) <= 0;
      if (no_fill) {
        Fail("fill modifier cannot be applied to \"" + node.op + "\"");
        return false;
      }
      if (Peek(1) != "(") return true;
      Next();
      Next();
      std::string text;
      if (Token() == "-") {
        text = "-";
        Next();
      }
      auto value = ParseNumber(Token());
      if (!value.ok()) {
        Fail(value.error().message());
        return false;
      }
      text += Token();
      Next();
      if (!Expect(")", "fill")) return false;
      const double number = text[0] == '-' ? -value.value() : value.value();
      if (op != "fill_right") node.fill_left.emplace(number, text);
      if (op != "fill_left") node.fill_right.emplace(number, text);
      node.fill_both = op == "fill";
    }
  }

  ExprPtr ParseSingle() {
    if (Lower() == "with" && Peek(1) == "(") return Fail("WITH templates are not supported");
    ExprPtr expr = ParsePrimary();
    if (expr == nullptr) return nullptr;
    if (Token() != "[" && Token() != "@" && Lower() != "offset") return expr;
    auto rollup = std::make_unique<RollupExpr>();
    if (Token() == "[") {
      Next();
      if (!ParseWindow(*rollup)) return nullptr;
    }
    while (Token() == "@" || Lower() == "offset") {
      if (Token() == "@") {
        if (rollup->at != nullptr) return Fail("duplicate `@` token");
        Next();
        rollup->at = ParsePrimary();
        if (rollup->at == nullptr) return nullptr;
      } else {
        if (rollup->offset != nullptr) break;
        Next();
        rollup->offset = ParseDurationToken(true);
        if (rollup->offset == nullptr) return nullptr;
      }
    }
    rollup->expr = std::move(expr);
    return rollup;
  }

  bool ParseWindow(RollupExpr& rollup) {
    if (Token() == "$__interval") {
      Next();
    } else if (Token()[0] != ':') {
      rollup.window = ParseDurationToken(false);
      if (rollup.window == nullptr) return false;
    }
    if (!Token().empty() && Token()[0] == ':') {
      const std::string step = Token().substr(1);
      if (step.empty()) {
        Next();
        if (Token() == "]") {
          rollup.inherit_step = true;
        } else {
          rollup.step = ParseDurationToken(false);
          if (rollup.step == nullptr) return false;
        }
      } else {
        tokens_[pos_] = step;
        rollup.step = ParseDurationToken(false);
        if (rollup.step == nullptr) return false;
      }
    }
    return Expect("]", "rollupExpr");
  }

  std::unique_ptr<DurationExpr> ParseDurationToken(bool can_be_negative) {
    std::string text;
    if (can_be_negative && Token() == "-") {
      text = "-";
      Next();
    }
    if (IsDuration(Token())) {
      text += Token() == "$__interval" ? "1i" : Token();
    } else if (IsNumber(Token())) {
      const auto number = ParseNumber(Token());
      if (!number.ok()) return Fail(number.error().message());
      text += Token();
    } else {
      return Unexpected("duration", "valid duration");
    }
    const auto value = ParseDuration(text, 1);
    if (!value.ok()) return Fail(value.error().message());
    if (!can_be_negative && value.value() < 0) return Fail("duration cannot be negative; got \"" + text + "\"");
    Next();
    return std::make_unique<DurationExpr>(std::move(text));
  }

  ExprPtr ParsePrimary() {
    if (++depth_ > kMaxDepth) return Fail("too deep nesting of the query");
    ExprPtr expr = ParsePrimaryInner();
    --depth_;
    return expr;
  }

  ExprPtr ParsePrimaryInner() {
    const std::string token = Token();
    if (IsDuration(token)) {
      Next();
      return std::make_unique<DurationExpr>(token == "$__interval" ? "1i" : token);
    }
    if (IsString(token)) {
      auto value = ParseStringToken();
      if (!value) return nullptr;
      return std::make_unique<StringExpr>(std::move(*value));
    }
    if (const auto lower = ToLower(token); IsNumber(token) || lower == "inf" || lower == "nan") {
      const auto value = ParseNumber(token);
      if (!value.ok()) return Fail(value.error().message());
      Next();
      return std::make_unique<NumberExpr>(value.value(), token);
    }
    if (IsIdent(token)) return ParseIdentExpr();
    if (token == "(") return ParseParens();
    if (token == "{") return ParseMetric();
    if (token == "-") {
      Next();
      ExprPtr operand = ParseSingle();
      if (operand == nullptr) return nullptr;
      auto node = std::make_unique<BinaryOpExpr>();
      node->op = "-";
      node->left = std::make_unique<NumberExpr>(0, "0");
      node->right = std::move(operand);
      return node;
    }
    if (token == "+") {
      Next();
      return ParseSingle();
    }
    return Unexpected("singleExpr", "\"(\", \"{\", \"-\", \"+\"");
  }

  ExprPtr ParseIdentExpr() {
    const std::string& next = Peek(1);
    const bool is_aggr = IsAggrFunc(Token());
    if (next.empty() || ToLower(next) == "offset") return ParseMetric();
    if (IsIdent(next)) return is_aggr ? ParseAggr() : ParseMetric();
    if (IsBinaryOp(next)) return ParseMetric();
    if (next == "(") return is_aggr ? ParseAggr() : ParseFunc();
    if (next == "{" || next == "[" || next == ")" || next == "," || next == "@") return ParseMetric();
    Next();
    return Unexpected("identExpr", "\"(\", \"{\", \"[\", \")\", \",\" or \"@\"");
  }

  ExprPtr ParseFunc() {
    auto func = std::make_unique<FuncExpr>();
    func->name = UnescapeIdent(Token());
    Next();
    if (!ParseArgs(func->args)) return nullptr;
    if (Lower() == "keep_metric_names") {
      func->keep_metric_names = true;
      Next();
    }
    return func;
  }

  ExprPtr ParseAggr() {
    auto aggr = std::make_unique<AggrFuncExpr>();
    aggr->name = Lower();
    Next();
    const auto modifier = [&] {
      const auto op = Lower();
      if (op != "by" && op != "without") return true;
      aggr->modifier.op = op;
      Next();
      return ParseLabels(aggr->modifier.args, false);
    };
    if (IsIdent(Token()) && Lower() != "by" && Lower() != "without") {
      return Unexpected("AggrFuncExpr", "aggregate func modifier");
    }
    if (!modifier() || !ParseArgs(aggr->args)) return nullptr;
    if (aggr->modifier.op.empty() && !modifier()) return nullptr;
    if (Lower() == "limit") {
      Next();
      const auto& text = Token();
      const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), aggr->limit);
      if (ec != std::errc() || end != text.data() + text.size()) {
        return Fail("cannot parse limit \"" + text + "\"");
      }
      Next();
    }
    return aggr;
  }

  bool ParseArgs(std::vector<ExprPtr>& args) {
    if (!Expect("(", "argListExpr")) return false;
    while (Token() != ")") {
      ExprPtr arg = ParseExpr();
      if (arg == nullptr) return false;
      args.push_back(std::move(arg));
      if (Token() == ",") {
        Next();
      } else if (Token() != ")") {
        Unexpected("argListExpr", "\",\", \")\"");
        return false;
      }
    }
    Next();
    return true;
  }

  ExprPtr ParseParens() {
    auto parens = std::make_unique<ParensExpr>();
    if (!ParseArgs(parens->exprs)) return nullptr;
    if (parens->exprs.size() == 1) {
      if (Lower() == "keep_metric_names") {
        if (auto* op = As<BinaryOpExpr>(parens->exprs[0].get())) {
          op->keep_metric_names = true;
          Next();
        }
      }
      if (auto* inner = As<StringExpr>(parens->exprs[0].get())) return std::make_unique<StringExpr>(inner->value);
    }
    return parens;
  }

  bool ParseLabels(std::vector<std::string>& labels, bool allow_star) {
    if (!Expect("(", "identList")) return false;
    if (allow_star && Token() == "*") {
      labels.emplace_back("*");
      Next();
      return Expect(")", "identList");
    }
    while (Token() != ")") {
      std::string text = Token();
      if (IsString(text)) text = text.substr(1, text.size() - 2);
      if (!IsIdent(text)) {
        Unexpected("identList", "identifier");
        return false;
      }
      labels.push_back(UnescapeIdent(text));
      Next();
      if (Token() == ",") {
        Next();
      } else if (Token() != ")") {
        Unexpected("identList", "\",\" or \")\"");
        return false;
      }
    }
    Next();
    return true;
  }

  /// One or more string literals joined by `+`.
  std::optional<std::string> ParseStringToken() {
    std::string value;
    while (true) {
      if (!IsString(Token())) {
        Unexpected("stringExpr", "string");
        return std::nullopt;
      }
      auto part = UnquoteString(Token());
      if (!part.ok()) {
        Fail(part.error().message());
        return std::nullopt;
      }
      value += part.value();
      Next();
      if (Token() != "+") return value;
      if (IsString(Peek(1))) {
        Next();
        continue;
      }
      if (IsIdent(Peek(1)) && Peek(2) != "(" && Peek(2) != "{") {
        Fail("missing \"" + Peek(1) + "\" value inside StringExpr");
        return std::nullopt;
      }
      return value;
    }
  }

  ExprPtr ParseMetric() {
    auto metric = std::make_unique<MetricExpr>();
    std::string name;
    if (IsIdent(Token())) {
      name = UnescapeIdent(Token());
      Next();
    }
    std::vector<std::vector<LabelFilter>> groups;
    if (Token() == "{") {
      Next();
      std::vector<LabelFilter> group;
      while (Token() != "}") {
        if (!ParseFilter(group)) return nullptr;
        if (Token() == ",") {
          Next();
          if (Lower() == "or") return Unexpected("labelFilters", "label filter");
        } else if (Lower() == "or") {
          Next();
          groups.push_back(std::move(group));
          group.clear();
          if (Token() == "}") return Unexpected("labelFilters", "label filter");
        } else if (Token() != "}") {
          return Unexpected("labelFilters", "\",\", \"or\", \"}\"");
        }
      }
      Next();
      if (!group.empty()) groups.push_back(std::move(group));
    }
    if (!name.empty()) {
      if (groups.empty()) groups.emplace_back();
      for (auto& group : groups) group.insert(group.begin(), LabelFilter{"__name__", name});
    }
    if (!NormalizeFilters(groups)) return nullptr;
    metric->filter_groups = std::move(groups);
    return metric;
  }

  bool ParseFilter(std::vector<LabelFilter>& group) {
    const bool quoted = IsString(Token());
    if (!quoted && !IsIdent(Token())) {
      Unexpected("labelFilterExpr", "identifier");
      return false;
    }
    LabelFilter filter;
    filter.label = UnescapeIdent(quoted ? Token().substr(1, Token().size() - 2) : Token());
    Next();
    const std::string op = Token();
    if (op != "=" && op != "!=" && op != "=~" && op != "!~") {
      if (!quoted) {
        Fail("cannot find WITH template for \"" + filter.label + "\"");
        return false;
      }
      group.push_back(LabelFilter{"__name__", filter.label});
      return true;
    }
    Next();
    filter.is_negative = op[0] == '!';
    filter.is_regexp = op.size() == 2 && op[1] == '~';
    auto value = ParseStringToken();
    if (!value) return false;
    filter.value = std::move(*value);
    if (filter.is_regexp) {
      RE2::Options options;
      options.set_log_errors(false);
      const RE2 re("^(?:" + filter.value + ")$", options);
      if (!re.ok()) {
        Fail("invalid regexp in " + filter.label + "=\"" + filter.value + "\": " + re.error());
        return false;
      }
    }
    group.push_back(std::move(filter));
    return true;
  }

  static const LabelFilter* FindName(const std::vector<LabelFilter>& group) {
    for (const auto& f : group) {
      if (f.label == "__name__" && !f.is_negative && !f.is_regexp) return &f;
    }
    return nullptr;
  }

  bool NormalizeFilters(std::vector<std::vector<LabelFilter>>& groups) {
    std::string common;
    bool agree = true;
    for (auto& group : groups) {
      std::vector<LabelFilter> unique;
      for (auto& f : group) {
        if (std::find(unique.begin(), unique.end(), f) == unique.end()) unique.push_back(f);
      }
      group = std::move(unique);
      const LabelFilter* name = nullptr;
      for (const auto& f : group) {
        if (f.label != "__name__" || f.is_negative || f.is_regexp) continue;
        if (name != nullptr) {
          Fail("parse error: metric name must not be set twice: \"" + name->value + "\" or \"" + f.value + "\"");
          return false;
        }
        name = &f;
      }
      if (name == nullptr) continue;
      const auto offset = name - group.data();
      std::rotate(group.begin(), group.begin() + offset, group.begin() + offset + 1);
      if (!common.empty() && common != group[0].value) agree = false;
      common = group[0].value;
    }
    if (!agree || common.empty()) return true;
    for (auto& group : groups) {
      const bool has_name = std::any_of(group.begin(), group.end(), [](const auto& f) { return f.label == "__name__"; });
      if (!has_name) group.insert(group.begin(), LabelFilter{"__name__", common});
    }
    return true;
  }

  std::vector<std::string> tokens_;
  size_t pos_ = 0;
  int depth_ = 0;
  std::string error_;
};

void Simplify(ExprPtr& expr, std::string& error);

void SimplifyAll(std::vector<ExprPtr>& exprs, std::string& error) {
  for (auto& e : exprs) Simplify(e, error);
}

/// Remove parentheses, fold constants, check function names.
void Simplify(ExprPtr& expr, std::string& error) {
  if (expr == nullptr) return;
  if (auto* parens = As<ParensExpr>(expr.get())) {
    SimplifyAll(parens->exprs, error);
    if (parens->exprs.size() == 1) {
      ExprPtr only = std::move(parens->exprs[0]);
      expr = std::move(only);
      return;
    }
    auto list = std::make_unique<FuncExpr>();
    list->args = std::move(parens->exprs);
    expr = std::move(list);
  } else if (auto* func = As<FuncExpr>(expr.get())) {
    SimplifyAll(func->args, error);
    if (!IsRollupFunc(func->name) && !IsTransformFunc(func->name) && error.empty()) {
      error = "unsupported function \"" + func->name + "\"";
    }
  } else if (auto* aggr = As<AggrFuncExpr>(expr.get())) {
    SimplifyAll(aggr->args, error);
  } else if (auto* rollup = As<RollupExpr>(expr.get())) {
    Simplify(rollup->expr, error);
    Simplify(rollup->at, error);
  } else if (auto* op = As<BinaryOpExpr>(expr.get())) {
    Simplify(op->left, error);
    Simplify(op->right, error);
    const auto* ln = As<NumberExpr>(op->left.get());
    const auto* rn = As<NumberExpr>(op->right.get());
    const auto* ls = As<StringExpr>(op->left.get());
    const auto* rs = As<StringExpr>(op->right.get());
    if (ln != nullptr && rn != nullptr) {
      expr = std::make_unique<NumberExpr>(BinaryOpNumber(op->op, ln->value, rn->value, op->is_bool));
    } else if (ls != nullptr && rs != nullptr && op->op == "+") {
      expr = std::make_unique<StringExpr>(ls->value + rs->value);
    } else if (ls != nullptr && rs != nullptr && IsCmpOp(op->op)) {
      const int c = ls->value.compare(rs->value);
      const bool is_true = BinaryOpNumber(op->op, c < 0 ? -1 : c > 0, 0, true) != 0;
      const double no = op->is_bool ? 0 : std::numeric_limits<double>::quiet_NaN();
      expr = std::make_unique<NumberExpr>(is_true ? 1 : no);
    }
  }
}

}  // namespace

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

Result<ExprPtr> Parse(std::string_view query) {
  VM_ASSIGN_OR_RETURN(auto tokens, Lex(query));
  VM_ASSIGN_OR_RETURN(ExprPtr expr, Parser(std::move(tokens)).Run());
  std::string error;
  Simplify(expr, error);
  if (!error.empty()) return Error(ErrorCode::kInvalidInput, std::move(error));
  return expr;
}

}  // namespace vm::metricsql
