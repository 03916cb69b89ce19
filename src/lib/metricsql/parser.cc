#include "lib/metricsql/parser.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "lib/metricsql/lexer.h"
#include "lib/metricsql/printer.h"
#include "lib/regex/unicode.h"

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

bool IsLogicalSetOp(std::string_view op) { return op == "and" || op == "or" || op == "unless"; }
bool IsSetOp(std::string_view op) { return IsLogicalSetOp(op) || Priority(op) <= 0; }

std::string Quoted(std::string_view text) {
  std::string quoted;
  regex::AppendGoQuoted(quoted, text);
  return quoted;
}

/// A tree of binary operators that grows at its right end. An operator costs little, however long the chain is.
class OperatorTree {
 public:
  explicit OperatorTree(ExprPtr root) : root_(std::move(root)) { Follow(root_); }

  /// Hang `node`, which has no left side yet, where its priority belongs: what is there becomes its left side.
  void Add(std::unique_ptr<BinaryOpExpr> node) {
    const int priority = Priority(node->op);
    const bool is_right_associative = node->op == "^";
    // The first node from the top that binds the operator's left side more tightly than the operator does.
    const auto binds_first = [&](const Node& above) {
      return priority < above.max_priority || (priority == above.max_priority && !is_right_associative);
    };
    const auto at = std::partition_point(right_side_.begin(), right_side_.end(), [&](const Node& above) { return !binds_first(above); });
    ExprPtr& slot = at == right_side_.end() ? (right_side_.empty() ? root_ : right_side_.back().op->right) : *at->slot;
    right_side_.erase(at, right_side_.end());
    node->left = std::move(slot);
    slot = std::move(node);
    Follow(slot);
  }

  ExprPtr Take() { return std::move(root_); }

 private:
  struct Node {
    ExprPtr* slot;
    BinaryOpExpr* op;
    int max_priority;  // Of this node and those above.
  };

  void Follow(ExprPtr& from) {
    for (ExprPtr* slot = &from;; slot = &right_side_.back().op->right) {
      auto* op = As<BinaryOpExpr>(slot->get());
      if (op == nullptr) return;
      const int above = right_side_.empty() ? Priority(op->op) : right_side_.back().max_priority;
      right_side_.push_back({slot, op, std::max(above, Priority(op->op))});
    }
  }

  ExprPtr root_;
  std::vector<Node> right_side_;  // From the root down.
};

/// Recursive descent; a failed function returns null or false and leaves the first error behind. A function that
/// returns a tree leaves its depth, or a little more, in depth_: a chain of operators of any length makes a tree of
/// that depth, and walking or destroying it takes as many stack frames.
class Parser {
 public:
  explicit Parser(std::string_view query) : lexer_(query) {}

  Result<ExprPtr> Run() {
    if (!Next()) return TakeError().WithContext("cannot find the first token");
    ExprPtr expr = ParseExpr();
    if (expr == nullptr) {
      error_ += "; unparsed data: " + Quoted(lexer_.Context());
      return TakeError();
    }
    if (!Token().empty()) {
      Fail("unparsed data left: " + Quoted(lexer_.Context()));
      return TakeError();
    }
    return expr;
  }

  Result<WithDefinition> RunDefinition() {
    WithDefinition definition;
    if (!Next() || !ParseDefinition(definition)) return TakeError();
    return definition;
  }

 private:
  /// Counts the nesting for as long as it lives.
  class Nested {
   public:
    explicit Nested(size_t& depth) : depth_(++depth) {}
    ~Nested() { --depth_; }
    bool too_deep() const { return depth_ > kMaxNesting; }

   private:
    size_t& depth_;
  };

  const std::string& Token() const { return lexer_.token(); }
  bool Is(std::string_view lower) const { return EqualsFold(Token(), lower); }
  bool Next() {
    if (Status status = lexer_.Next(); !status.ok()) return Fail(status.error().message());
    return true;
  }
  /// The token behind the current one; empty when there is none or it cannot be read.
  std::string Peek() {
    if (!lexer_.Next().ok()) return {};
    std::string token = Token();
    lexer_.Prev();
    return token;
  }
  /// False and null at once.
  struct Failure {
    operator bool() const { return false; }      // NOLINT: implicit
    operator ExprPtr() const { return nullptr; }  // NOLINT: implicit
  };
  Failure Fail(std::string message) {
    if (error_.empty()) error_ = std::move(message);
    return {};
  }
  Failure FailTooDeep() {
    is_limit_ = true;
    return Fail("too deep nesting of the query");
  }
  Failure Unexpected(std::string_view where, std::string_view want) {
    return Fail(std::string(where) + ": unexpected token " + Quoted(Token()) + "; want " + std::string(want));
  }
  Failure Wrap(std::string_view context) {
    error_.insert(0, std::string(context) + ": ");
    return {};
  }
  Error TakeError() {
    return Error(is_limit_ ? ErrorCode::kLimitExceeded : ErrorCode::kInvalidInput, std::move(error_));
  }

  ExprPtr ParseWith() {
    auto with = std::make_unique<WithExpr>();
    size_t depth = 0;
    if (!Next()) return nullptr;  // The opening parenthesis is known to follow.
    while (true) {
      if (!Next()) return nullptr;
      if (Token() == ")") break;
      WithDefinition definition;
      if (!ParseDefinition(definition)) return nullptr;
      depth = std::max(depth, depth_);
      with->definitions.push_back(std::move(definition));
      if (Token() == ")") break;
      if (Token() != ",") return Unexpected("withExpr", "\",\", \")\"");
    }
    if (!CheckUniqueNames(with->definitions) || !Next()) return nullptr;
    with->expr = ParseExpr();
    if (with->expr == nullptr) return nullptr;
    depth_ = std::max(depth, depth_) + 1;
    return with;
  }

  bool CheckUniqueNames(const std::vector<WithDefinition>& definitions) {
    std::vector<const WithDefinition*> sorted;
    for (const auto& d : definitions) sorted.push_back(&d);
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
    const auto same = [](const auto* a, const auto* b) { return a->name == b->name; };
    const auto at = std::adjacent_find(sorted.begin(), sorted.end(), same);
    if (at == sorted.end()) return true;
    std::string message = "duplicate `with` arg name for: ";
    AppendDefinition(message, *at[1]);
    message += "; previous one: ";
    AppendDefinition(message, *at[0]);
    return Fail(std::move(message));
  }

  bool ParseDefinition(WithDefinition& definition) {
    if (!IsIdentPrefix(Token())) return Unexpected("withArgExpr", "\"ident\"");
    definition.name = UnescapeIdent(Token());
    if (!Next()) return false;
    if (Token() == "(") {
      if (!ParseLabels(definition.args, false)) {
        return Wrap("withArgExpr: cannot parse args for " + Quoted(definition.name));
      }
      std::vector<std::string> sorted = definition.args;
      std::sort(sorted.begin(), sorted.end());
      if (const auto at = std::adjacent_find(sorted.begin(), sorted.end()); at != sorted.end()) {
        return Fail("withArgExpr: duplicate func arg found in " + Quoted(definition.name) + ": " + Quoted(*at));
      }
    }
    if (Token() != "=") return Unexpected("withArgExpr", "\"=\"");
    if (!Next()) return false;
    definition.expr = ParseExpr();
    if (definition.expr == nullptr) return Wrap("withArgExpr: cannot parse " + Quoted(definition.name));
    return true;
  }

  ExprPtr ParseExpr() {
    const Nested nested(nesting_);
    if (nested.too_deep()) return FailTooDeep();
    ExprPtr first = ParseSingle();
    if (first == nullptr || !IsBinaryOpToken(Token())) return first;
    OperatorTree tree(std::move(first));
    size_t depth = depth_;
    while (IsBinaryOpToken(Token())) {
      auto node = std::make_unique<BinaryOpExpr>();
      if (!ParseOperator(*node)) return nullptr;
      node->right = ParseSingle();
      if (node->right == nullptr) return nullptr;
      if (Is("keep_metric_names")) {
        node->keep_metric_names = true;
        if (!Next()) return nullptr;
      }
      tree.Add(std::move(node));
      depth = std::max(depth, depth_) + 1;
      if (depth > kMaxTreeDepth) return FailTooDeep();
    }
    depth_ = depth;
    return tree.Take();
  }

  bool ParseOperator(BinaryOpExpr& node) {
    node.op = ToLower(Token());
    if (!Next()) return false;
    if (IsBoolModifier(Token())) {
      if (!IsCmpOp(node.op)) return Fail("bool modifier cannot be applied to " + Quoted(node.op));
      node.is_bool = true;
      if (!Next()) return false;
    }
    if (IsGroupModifier(Token())) {
      if (!ParseModifier(node.group_modifier, false)) return false;
      if (IsJoinModifier(Token())) {
        if (IsLogicalSetOp(node.op)) {
          return Fail("modifier " + Quoted(Token()) + " cannot be applied to " + Quoted(node.op));
        }
        if (!ParseModifier(node.join_modifier, true)) return false;
        if (Is("prefix")) {
          if (!Next()) return Wrap("cannot read prefix for " + ToString(node.join_modifier));
          if (!ParseString(node.join_prefix_template)) {
            return Wrap("cannot parse prefix for " + ToString(node.join_modifier));
          }
        }
      }
    }
    while (IsFillModifier(Token())) {
      if (IsSetOp(node.op)) return Fail("fill modifier cannot be applied to " + Quoted(node.op));
      if (Peek() != "(") return true;
      const std::string op = ToLower(Token());
      if (!Next() || !Next()) return false;
      auto value = ParseFillValue();
      if (!value) return Wrap("cannot parse " + op + " fill value");
      if (Token() != ")") return Unexpected(op, "\")\"");
      if (!Next()) return false;
      if (op != "fill_right") node.fill_left.emplace(*value);
      if (op != "fill_left") node.fill_right.emplace(*value);
      node.fill_both = op == "fill";
    }
    return true;
  }

  std::optional<NumberExpr> ParseFillValue() {
    const bool negative = Token() == "-";
    if (negative && !Next()) return std::nullopt;
    auto number = ParsePositiveNumber();
    if (!number || !negative) return number;
    return NumberExpr(-number->value, "-" + number->text);
  }

  std::optional<NumberExpr> ParsePositiveNumber() {
    if (!IsNumberPrefix(Token()) && !IsInfOrNan(Token())) {
      Unexpected("positiveNumberExpr", "\"number\"");
      return std::nullopt;
    }
    const auto value = ParseNumber(Token());
    if (!value.ok()) {
      Fail("positivenumberExpr: cannot parse " + Quoted(Token()) + ": " + value.error().message());
      return std::nullopt;
    }
    NumberExpr number(value.value(), Token());
    if (!Next()) return std::nullopt;
    return number;
  }

  ExprPtr ParseSingle() {
    if (Is("with") && Peek() == "(") return ParseWith();
    ExprPtr expr = ParsePrimary();
    if (expr == nullptr || !(Token() == "[" || Token() == "@" || Is("offset"))) return expr;
    const size_t depth = depth_;
    auto rollup = std::make_unique<RollupExpr>();
    rollup->expr = std::move(expr);
    if (Token() == "[" && !ParseWindow(*rollup)) return nullptr;
    if (Token() == "@" && !ParseAt(*rollup)) return nullptr;
    if (Is("offset")) {
      if (!Next()) return nullptr;
      const bool negative = Token() == "-";
      if (negative && !Next()) return nullptr;
      rollup->offset = ParseDurationOrName();
      if (rollup->offset == nullptr) return nullptr;
      if (negative) rollup->offset->text.insert(0, "-");
    }
    if (Token() == "@") {
      if (rollup->at != nullptr) return Fail("duplicate `@` token");
      if (!ParseAt(*rollup)) return nullptr;
    }
    depth_ = std::max(depth, depth_) + 1;
    return rollup;
  }

  bool ParseAt(RollupExpr& rollup) {
    if (!Next()) return false;
    rollup.at = ParsePrimary();
    // The reference has this typo.
    return rollup.at != nullptr || Wrap("cannot parse `@` expresion");
  }

  bool ParseWindow(RollupExpr& rollup) {
    if (!Next()) return false;
    if (!Token().starts_with(':')) {
      // A window of one $__interval is the default window.
      if (Token() == "$__interval") {
        if (!Next()) return false;
      } else if (rollup.window = ParseDurationOrName(); rollup.window == nullptr) {
        return false;
      }
    }
    if (Token().starts_with(':')) {
      lexer_.ReplaceToken(Token().substr(1));
      if (Token().empty()) {
        if (!Next()) return false;
        rollup.inherit_step = Token() == "]";
      }
      if (Token() != "]") {
        rollup.step = ParseDurationOrName();
        if (rollup.step == nullptr) return false;
      }
    }
    return Token() == "]" ? Next() : Unexpected("windowAndStep", "\"]\"");
  }

  /// A duration, a number of seconds, or the name of a template.
  std::unique_ptr<DurationExpr> ParseDurationOrName() {
    if (IsIdentPrefix(Token())) {
      if (const size_t colon = Token().find(':'); colon != std::string::npos) lexer_.SplitToken(colon);
      auto name = std::make_unique<DurationExpr>(Token(), true);
      if (!Next()) return nullptr;
      return name;
    }
    std::string text = Token();
    if (IsDurationToken(text)) {
      if (!Next()) return nullptr;
    } else if (!IsNumberPrefix(text)) {
      Unexpected("duration", "valid duration");
      return nullptr;
    } else if (!ParsePositiveNumber()) {
      Wrap("duration: parse error");
      return nullptr;
    }
    if (text == "$__interval") text = "1i";
    if (const auto value = ParseDuration(text, 0); !value.ok()) {
      Fail("cannot parse duration " + Quoted(text) + ": " + value.error().message());
      return nullptr;
    }
    return std::make_unique<DurationExpr>(std::move(text));
  }

  ExprPtr ParsePrimary() {
    const Nested nested(nesting_);
    if (nested.too_deep()) return FailTooDeep();
    depth_ = 1;
    if (IsDurationToken(Token())) return ParseDurationOrName();
    if (IsStringPrefix(Token())) {
      auto string = std::make_unique<StringExpr>("");
      if (!ParseString(string->tokens)) return nullptr;
      return string;
    }
    if (IsNumberPrefix(Token()) || IsInfOrNan(Token())) {
      auto number = ParsePositiveNumber();
      return number ? std::make_unique<NumberExpr>(std::move(*number)) : nullptr;
    }
    if (IsIdentPrefix(Token())) return ParseIdent();
    if (Token() == "(") return ParseParens();
    if (Token() == "{") return ParseMetric();
    if (Token() == "-") {
      if (!Next()) return nullptr;
      auto node = std::make_unique<BinaryOpExpr>();
      node->op = "-";
      node->left = std::make_unique<NumberExpr>(0);
      node->right = ParseSingle();
      if (node->right == nullptr) return nullptr;
      ++depth_;
      return node;
    }
    if (Token() == "+") return Next() ? ParseSingle() : nullptr;
    return Unexpected("singleExpr", "\"(\", \"{\", \"-\", \"+\"");
  }

  ExprPtr ParseIdent() {
    if (!Next()) return nullptr;
    const std::string next = Token();
    const bool is_metric = next.empty() || EqualsFold(next, "offset") || IsBinaryOpToken(next);
    const bool is_call = next == "(" || (IsIdentPrefix(next) && !EqualsFold(next, "offset"));
    if (!is_metric && !is_call && next != "{" && next != "[" && next != ")" && next != "," && next != "@") {
      return Unexpected("identExpr", "\"(\", \"{\", \"[\", \")\", \",\" or \"@\"");
    }
    lexer_.Prev();
    if (is_call && IsAggrFunc(Token())) return ParseAggr();
    return next == "(" ? ParseFunc() : ParseMetric();
  }

  ExprPtr ParseFunc() {
    auto func = std::make_unique<FuncExpr>();
    func->name = UnescapeIdent(Token());
    if (!Next() || !ParseArgs(func->args, "argList", "\",\", \")\"")) return nullptr;
    if (Is("keep_metric_names")) {
      func->keep_metric_names = true;
      if (!Next()) return nullptr;
    }
    return func;
  }

  ExprPtr ParseAggr() {
    auto aggr = std::make_unique<AggrFuncExpr>();
    aggr->name = ToLower(Token());
    if (!Next()) return nullptr;
    if (Token() != "(") {
      if (!IsAggrModifier(Token())) return Unexpected("AggrFuncExpr", "aggregate func modifier");
      if (!ParseModifier(aggr->modifier, false)) return nullptr;
    }
    if (Token() != "(") return Unexpected("argList", "\"(\"");
    if (!ParseArgs(aggr->args, "argList", "\",\", \")\"")) return nullptr;
    if (aggr->modifier.op.empty() && IsAggrModifier(Token()) && !ParseModifier(aggr->modifier, false)) {
      return nullptr;
    }
    if (Is("limit")) {
      if (!Next()) return nullptr;
      const std::string& text = Token();
      const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), aggr->limit);
      if (text.empty() || ec != std::errc() || end != text.data() + text.size()) {
        const char* reason = ec == std::errc::result_out_of_range ? "value out of range" : "invalid syntax";
        return Fail("cannot parse limit " + Quoted(text) + ": strconv.Atoi: parsing " + Quoted(text) + ": " + reason);
      }
      if (!Next()) return nullptr;
    }
    return aggr;
  }

  /// `(a, b)`. Requires: the current token is the opening parenthesis.
  bool ParseArgs(std::vector<ExprPtr>& args, std::string_view where, std::string_view want) {
    size_t depth = 0;
    while (true) {
      if (!Next()) return false;
      if (Token() == ")") break;
      ExprPtr arg = ParseExpr();
      if (arg == nullptr) return false;
      args.push_back(std::move(arg));
      depth = std::max(depth, depth_);
      if (Token() == ")") break;
      if (Token() != ",") return Unexpected(where, want);
    }
    depth_ = depth + 1;
    return Next();
  }

  ExprPtr ParseParens() {
    auto parens = std::make_unique<ParensExpr>();
    if (!ParseArgs(parens->exprs, "parensExpr", "\",\" or \")\"")) return nullptr;
    if (parens->exprs.size() == 1 && Is("keep_metric_names")) {
      if (auto* op = As<BinaryOpExpr>(parens->exprs[0].get())) {
        op->keep_metric_names = true;
        if (!Next()) return nullptr;
      }
    }
    return parens;
  }

  bool ParseModifier(ModifierExpr& modifier, bool is_join) {
    modifier.op = ToLower(Token());
    if (!Next()) return false;
    if (is_join && Token() != "(") return true;
    return ParseLabels(modifier.args, is_join) || Wrap("ModifierExpr");
  }

  bool ParseLabels(std::vector<std::string>& labels, bool allow_star) {
    if (Token() != "(") return Unexpected("identList", "\"(\"");
    if (!Next()) return false;
    if (allow_star && Token() == "*") {
      if (!Next()) return false;
      if (Token() != ")") {
        return Fail("identList: unexpected token " + Quoted(Token()) + " after \"*\"; want \")\"");
      }
      labels.emplace_back("*");
      return Next();
    }
    while (Token() != ")") {
      if (IsStringPrefix(Token())) lexer_.ReplaceToken(Token().substr(1, Token().size() - 2));
      if (!IsIdentPrefix(Token())) return Unexpected("identList", "\"ident\"");
      labels.push_back(UnescapeIdent(Token()));
      if (!Next()) return false;
      if (Token() == ",") {
        if (!Next()) return false;
      } else if (Token() != ")") {
        return Unexpected("identList", "\",\", \")\"");
      }
    }
    return Next();
  }

  /// Literals and names joined by `+`; a name before `(` or `{` is the operand of an operator instead.
  bool ParseString(std::vector<std::string>& tokens) {
    while (true) {
      if (!IsStringPrefix(Token()) && !IsIdentPrefix(Token())) return Unexpected("StringExpr", "\"string\"");
      tokens.push_back(Token());
      if (!Next()) return false;
      if (Token() != "+") return true;
      if (!Next()) return false;
      if (IsStringPrefix(Token())) continue;
      if (!IsIdentPrefix(Token())) {
        lexer_.Prev();
        return true;
      }
      if (!Next()) return false;
      const bool is_operand = Token() == "(" || Token() == "{";
      lexer_.Prev();
      if (is_operand) {
        lexer_.Prev();
        return true;
      }
    }
  }

  ExprPtr ParseMetric() {
    auto metric = std::make_unique<MetricExpr>();
    std::vector<FilterTemplate> name;
    if (IsIdentPrefix(Token())) {
      name.push_back({.label = "__name__", .tokens = {Quoted(UnescapeIdent(Token()))}});
      if (!Next()) return nullptr;
      if (Token() != "{") {
        metric->filter_templates.push_back(std::move(name));
        return metric;
      }
    }
    if (!Next()) return nullptr;
    if (Token() == "}") {
      if (!Next()) return nullptr;
      if (!name.empty()) metric->filter_templates.push_back(std::move(name));
      return metric;
    }
    while (true) {
      auto& group = metric->filter_templates.emplace_back(name);
      if (!ParseFilters(group)) return nullptr;
      const bool done = Token() == "}";
      if (done || Is("or")) {
        if (!Next()) return nullptr;
      }
      if (done) return metric;
    }
  }

  /// One and-list, up to `or` or `}`.
  bool ParseFilters(std::vector<FilterTemplate>& group) {
    while (true) {
      if (!ParseFilter(group.emplace_back())) return false;
      if (Is("or") || Token() == "}") return true;
      if (Token() != ",") return Unexpected("labelFilters", "\",\", \"or\", \"}\"");
      if (!Next()) return false;
      if (Token() == "}") return true;
    }
  }

  bool ParseFilter(FilterTemplate& filter) {
    const bool quoted = IsStringPrefix(Token());
    if (quoted) {
      lexer_.ReplaceToken(Token().substr(1, Token().size() - 2));
    } else if (!IsIdentPrefix(Token())) {
      return Unexpected("labelFilterExpr", "\"ident\"");
    }
    filter.label = UnescapeIdent(Token());
    if (!Next()) return false;
    const std::string_view op = Token();
    if (op == "," || op == "}" || Is("or")) {
      filter.is_quoted_name = quoted;
      return true;
    }
    if (op != "=" && op != "!=" && op != "=~" && op != "!~") {
      return Unexpected("labelFilterExpr", "\"=\", \"!=\", \"=~\", \"!~\", \",\", \"or\", \"}\"");
    }
    filter.is_negative = op[0] == '!';
    filter.is_regexp = op.size() == 2 && op[1] == '~';
    return Next() && ParseString(filter.tokens);
  }

  Lexer lexer_;
  size_t nesting_ = 0;
  size_t depth_ = 0;
  bool is_limit_ = false;
  std::string error_;
};

}  // namespace

Result<ExprPtr> ParseTemplate(std::string_view query) { return Parser(query).Run(); }

Result<WithDefinition> ParseDefinition(std::string_view text) { return Parser(text).RunDefinition(); }

}  // namespace vm::metricsql
