#include "select/graphite/expr.h"

#include <charconv>
#include <optional>
#include <utility>

#include "lib/metricsql/ast.h"
#include "select/promql/transform_util.h"

namespace vm::select::graphite {
namespace {

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

std::string Quoted(std::string_view text) {
  std::string out;
  metricsql::AppendGoQuoted(out, text);
  return out;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char c) { return IsDigit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }
bool IsIdentChar(char c) {
  return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || IsDigit(c) || (c != '\0' && std::string_view("-_$:*{[").find(c) != std::string_view::npos);
}
bool IsFirstIdentChar(char c) { return IsIdentChar(c) && !IsDigit(c); }
bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool IsStringStart(std::string_view text) { return text.starts_with('"') || text.starts_with('\''); }
bool IsNumberStart(std::string_view text) {
  return !text.empty() && (IsDigit(text[0]) || (text[0] == '.' && text.size() > 1 && IsDigit(text[1])));
}
bool IsIdentStart(std::string_view text) { return !text.empty() && (text[0] == '\\' || IsFirstIdentChar(text[0])); }

/// Length of `0x`, `0b`, `0o` or `0` in front of an integer that is not decimal; 0: it is.
size_t PrefixSize(std::string_view text) {
  if (text.size() < 2 || text[0] != '0') return 0;
  if (IsDigit(text[1])) return 1;
  const char base = static_cast<char>(text[1] | 0x20);
  return base == 'x' || base == 'o' || base == 'b' ? 2 : 0;
}

size_t SkipDigits(std::string_view text, size_t at) {
  while (at < text.size() && IsDigit(text[at])) ++at;
  return at;
}

Result<size_t> ScanNumber(std::string_view text) {
  const size_t prefix = PrefixSize(text);
  size_t at = prefix;
  if (prefix == 2 && (text[1] | 0x20) == 'x') {
    while (at < text.size() && IsHexDigit(text[at])) ++at;
    if (at == prefix) return Bad("number cannot be empty");
    return at;
  }
  at = SkipDigits(text, at);
  if (at == text.size() && at == prefix) return Bad("number cannot be empty");
  if (at < text.size() && text[at] == '.') {
    const size_t fraction = at + 1;
    at = SkipDigits(text, fraction);
    if (at == fraction) return Bad("missing fractional part in " + Quoted(text));
  }
  if (at < text.size() && (text[at] | 0x20) == 'e') {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    const size_t exponent = at;
    at = SkipDigits(text, exponent);
    if (at == exponent) return Bad("missing exponent part in " + Quoted(text));
  }
  return at;
}

Result<size_t> ScanString(std::string_view text) {
  for (size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '\\') ++at;
    else if (text[at] == text[0]) return at + 1;
  }
  return Bad("cannot find closing quote for the string " + Quoted(text));
}

Result<size_t> ScanIdent(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '\\') {
      at += 2;
      if (at > text.size()) return Bad("missing escaped char in the end of " + Quoted(text));
    } else if (c == '[' || c == '{') {
      const size_t end = text.find(c == '[' ? ']' : '}', at + 1);
      if (end == std::string_view::npos) return Bad(std::string("missing `") + (c == '[' ? ']' : '}') + "` char in " + Quoted(text));
      at = end + 1;
    } else if (c == '.' || IsIdentChar(c)) {
      ++at;
    } else {
      break;
    }
  }
  if (at == 0) return Bad("cannot find a single ident char in " + Quoted(text));
  return at;
}

int HexValue(char c) { return IsDigit(c) ? c - '0' : IsHexDigit(c) ? (c | 0x20) - 'a' + 10 : -1; }

std::string UnescapeIdent(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (++i == text.size()) break;
    if (text[i] == 'x' && i + 2 < text.size() && HexValue(text[i + 1]) >= 0 && HexValue(text[i + 2]) >= 0) {
      out += static_cast<char>(HexValue(text[i + 1]) << 4 | HexValue(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  /// The next token; empty at the end.
  Status Next() {
    while (!rest_.empty() && IsSpace(rest_.front())) rest_.remove_prefix(1);
    size_t size = 0;
    if (!rest_.empty()) {
      if (std::string_view("(),|=+-").find(rest_.front()) != std::string_view::npos) {
        size = 1;
      } else if (IsStringStart(rest_)) {
        VM_ASSIGN_OR_RETURN(size, ScanString(rest_));
      } else if (IsNumberStart(rest_)) {
        VM_ASSIGN_OR_RETURN(size, ScanNumber(rest_));
      } else {
        VM_ASSIGN_OR_RETURN(size, ScanIdent(rest_));
      }
    }
    token_ = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return Ok();
  }
  std::string_view token() const { return token_; }
  std::string context() const { return Quoted(std::string(token_) + std::string(rest_)); }

  /// Requires the first token.
  Result<Expr> TakeExpr(int depth) {
    if (depth > kMaxDepth) return Bad("calls may nest " + std::to_string(kMaxDepth) + " deep");
    Expr expr;
    if (IsNumberStart(token_) || token_ == "+" || token_ == "-") {
      VM_ASSIGN_OR_RETURN(expr, TakeNumber());
    } else if (IsStringStart(token_)) {
      VM_ASSIGN_OR_RETURN(expr, TakeString());
    } else if (IsIdentStart(token_)) {
      VM_ASSIGN_OR_RETURN(expr, TakePathOrCall(depth));
    } else {
      return Bad("unexpected token when parsing expression: " + Quoted(token_));
    }
    while (token_ == "|") {
      if (++depth > kMaxDepth) return Bad("calls may nest " + std::to_string(kMaxDepth) + " deep");
      VM_TRY(Next());
      if (!IsIdentStart(token_)) return Bad("expecting function name after " + Quoted(expr.ToString()) + "|, got " + Quoted(token_));
      Expr call;
      call.kind = Expr::Kind::kCall;
      call.is_chained = true;
      call.text = UnescapeIdent(token_);
      call.args.push_back(Arg{"", std::move(expr)});
      VM_TRY(Next());
      if (token_ == "(") VM_TRY(TakeArgs(call.args, depth));
      expr = std::move(call);
    }
    return expr;
  }

 private:
  Result<Expr> TakeNumber() {
    const bool is_negative = token_ == "-";
    if (is_negative || token_ == "+") VM_TRY(Next());
    Expr expr;
    expr.kind = Expr::Kind::kNumber;
    if (const size_t prefix = PrefixSize(token_); prefix > 0) {
      const char letter = static_cast<char>(token_[1] | 0x20);
      const int base = prefix == 1 || letter == 'o' ? 8 : letter == 'x' ? 16 : 2;
      const std::string_view digits = token_.substr(prefix);
      int64_t value = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
      if (error != std::errc() || end != digits.data() + digits.size()) return Bad("cannot parse integer " + Quoted(token_));
      expr.number = static_cast<double>(value);
    } else {
      const std::optional<double> value = transform::ParseGoFloat(token_);
      if (!value) return Bad("cannot parse floating-point number " + Quoted(token_));
      expr.number = *value;
    }
    if (is_negative) expr.number = -expr.number;
    VM_TRY(Next());
    return expr;
  }

  Result<Expr> TakeString() {
    Expr expr;
    expr.kind = Expr::Kind::kString;
    const char quote = token_[0];
    // First the quotes, then the backslashes, as in the reference.
    std::string text;
    const std::string_view inner = token_.substr(1, token_.size() - 2);
    for (size_t i = 0; i < inner.size(); ++i) {
      if (inner[i] == '\\' && i + 1 < inner.size() && inner[i + 1] == quote) ++i;
      text += inner[i];
    }
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '\\') ++i;
      expr.text += text[i];
    }
    VM_TRY(Next());
    return expr;
  }

  Result<Expr> TakePathOrCall(int depth) {
    Expr expr;
    expr.text = UnescapeIdent(token_);
    VM_TRY(Next());
    if (token_ == "(") {
      expr.kind = Expr::Kind::kCall;
      if (Status status = TakeArgs(expr.args, depth); !status.ok()) {
        return std::move(status).error().WithContext("cannot parse args for function " + Quoted(expr.text));
      }
      return expr;
    }
    const std::string word = metricsql::ToLower(expr.text);
    if (word == "true" || word == "false") {
      expr.kind = Expr::Kind::kBool;
      expr.flag = word == "true";
      expr.text.clear();
    } else if (word == "none") {
      expr.kind = Expr::Kind::kNone;
      expr.text.clear();
    } else {
      expr.kind = Expr::Kind::kPath;
    }
    return expr;
  }

  /// Behind `(`, up to behind `)`.
  Status TakeArgs(std::vector<Arg>& args, int depth) {
    for (;;) {
      VM_TRY(Next());
      if (token_ == ")") return Next();
      Arg arg;
      VM_ASSIGN_OR_RETURN(arg.value, TakeExpr(depth + 1));
      if (token_ == "=") {
        if (!arg.value.is(Expr::Kind::kPath)) return Bad("expecting a name for named expression; got " + Quoted(arg.value.ToString()));
        arg.name = std::move(arg.value.text);
        VM_TRY(Next());
        VM_ASSIGN_OR_RETURN(arg.value, TakeExpr(depth + 1));
      }
      args.push_back(std::move(arg));
      if (token_ == ",") continue;
      if (token_ == ")") return Next();
      return Bad("unexpected token detected in func args: " + Quoted(token_));
    }
  }

  std::string_view rest_;
  std::string_view token_;
};

void AppendArg(std::string& dst, const Arg& arg) {
  if (!arg.name.empty()) {
    AppendEscapedIdent(dst, arg.name);
    dst += '=';
  }
  arg.value.AppendTo(dst);
}

}  // namespace

void Expr::AppendTo(std::string& dst) const {
  switch (kind) {
    case Kind::kPath: AppendEscapedIdent(dst, text); break;
    case Kind::kString: dst += QuoteString(text); break;
    case Kind::kNumber: metricsql::AppendGoFloat(dst, number); break;
    case Kind::kBool: dst += flag ? "True" : "False"; break;
    case Kind::kNone: dst += "None"; break;
    case Kind::kCall: {
      const size_t first = is_chained ? 1 : 0;
      if (is_chained) {
        AppendArg(dst, args[0]);
        dst += '|';
      }
      AppendEscapedIdent(dst, text);
      if (is_chained && args.size() == 1) break;
      dst += '(';
      for (size_t i = first; i < args.size(); ++i) {
        if (i > first) dst += ',';
        AppendArg(dst, args[i]);
      }
      dst += ')';
    }
  }
}

std::string Expr::ToString() const {
  std::string out;
  AppendTo(out);
  return out;
}

Result<Expr> ParseExpr(std::string_view text) {
  Parser parser(text);
  const auto fail = [&parser](Error error) {
    return std::move(error).WithContext("cannot parse target expression near " + parser.context());
  };
  if (Status status = parser.Next(); !status.ok()) return fail(std::move(status).error());
  auto expr = parser.TakeExpr(0);
  if (!expr.ok()) return fail(std::move(expr).error());
  if (!parser.token().empty()) return Bad("unexpected tail left after parsing " + Quoted(expr.value().ToString()) + ": " + parser.context());
  return expr;
}

Result<std::vector<std::string>> Tokens(std::string_view text) {
  Parser parser(text);
  std::vector<std::string> tokens;
  for (;;) {
    VM_TRY(parser.Next());
    if (parser.token().empty()) return tokens;
    tokens.emplace_back(parser.token());
  }
}

std::string QuoteString(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\\' || c == '\'') out += '\\';
    out += c;
  }
  return out + '\'';
}

void AppendEscapedIdent(std::string& dst, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = IsIdentChar(c) || (c != '\0' && std::string_view(".]},").find(c) != std::string_view::npos);
    if (is_plain && (i > 0 || IsFirstIdentChar(c))) {
      dst += c;
    } else if (!is_plain && byte >= 0x20 && byte < 0x7f) {
      dst += '\\';
      dst += c;
    } else {
      dst += "\\x";
      dst += kHex[byte >> 4];
      dst += kHex[byte & 15];
    }
  }
}

std::string NumberText(double value) {
  std::string out;
  metricsql::AppendGoFloat(out, value);
  return out;
}

std::string PathOfName(const std::string& name) {
  const auto parsed = ParseExpr(name);
  if (!parsed.ok()) return name;
  for (const Expr* expr = &parsed.value();;) {
    switch (expr->kind) {
      case Expr::Kind::kPath:
      case Expr::Kind::kString: return expr->text;
      case Expr::Kind::kNumber: return expr->ToString();
      case Expr::Kind::kBool: return expr->flag ? "true" : "false";
      case Expr::Kind::kNone: return name;
      case Expr::Kind::kCall:
        for (const Arg& arg : expr->args) {
          if (arg.value.is(Expr::Kind::kPath)) return arg.value.text;
        }
        if (expr->args.empty()) return name;
        expr = &expr->args[0].value;
    }
  }
}

}  // namespace vm::select::graphite
