#include "lib/metricsql/lexer.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>

#include "lib/metricsql/ast.h"
#include "lib/regex/unicode.h"

namespace vm::metricsql {
namespace {

constexpr std::string_view kInterval = "$__interval";
constexpr std::string_view kRateInterval = "$__rate_interval";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsHex(char c) { return IsDigit(c) || (Lower(c) >= 'a' && Lower(c) <= 'f'); }
uint32_t HexValue(char c) {
  return static_cast<uint32_t>(IsDigit(c) ? c - '0' : Lower(c) - 'a' + 10);
}
bool IsFirstIdentRune(uint32_t r) { return r == '_' || r == ':' || regex::IsLetter(r); }
bool IsIdentRune(uint32_t r) { return IsFirstIdentRune(r) || r == '.' || (r >= '0' && r <= '9'); }

/// The escape sequence behind a backslash: what it stands for and its bytes; 0 bytes when it is invalid.
regex::Rune DecodeEscape(std::string_view text) {
  if (text.empty()) return {};
  const char kind = Lower(text[0]);
  const size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : 0;
  if (digits > 0) {
    if (text.size() < 1 + digits) return {};
    uint32_t code = 0;
    for (size_t i = 1; i <= digits; ++i) {
      if (!IsHex(text[i])) return {};
      code = code * 16 + HexValue(text[i]);
    }
    if (code == regex::kRuneError) return {};
    return {code, 1 + digits};
  }
  const regex::Rune rune = regex::DecodeRune(text);
  if (rune.code == regex::kRuneError || !regex::IsPrint(rune.code)) return {};
  return rune;
}

void AppendEscape(std::string& dst, uint32_t code) {
  static constexpr char kHex[] = "0123456789abcdef";
  dst += '\\';
  if (regex::IsPrint(code)) {
    regex::AppendRune(dst, code);
    return;
  }
  dst += code < 256 ? 'x' : 'u';
  for (int shift = code < 256 ? 4 : 12; shift >= 0; shift -= 4) dst += kHex[(code >> shift) & 15];
}

bool HasPrefixFold(std::string_view text, std::string_view lower_prefix) {
  if (text.size() < lower_prefix.size()) return false;
  for (size_t i = 0; i < lower_prefix.size(); ++i) {
    if (Lower(text[i]) != lower_prefix[i]) return false;
  }
  return true;
}

double MultiplierFactor(std::string_view suffix) {
  if (suffix.empty()) return 1;
  const bool binary = suffix.size() > 1 && Lower(suffix[1]) == 'i';
  const double base = binary ? 1024 : 1000;
  switch (Lower(suffix[0])) {
    case 'k': return base;
    case 'm': return base * base;
    case 'g': return base * base * base;
    default: return base * base * base * base;
  }
}

Error GoNumError(std::string_view func, std::string_view text, std::string_view reason) {
  std::string message = "strconv." + std::string(func) + ": parsing ";
  regex::AppendGoQuoted(message, text);
  message += ": ";
  message += reason;
  return Error(ErrorCode::kInvalidInput, std::move(message));
}

/// Leave out the underscores between digits; false when one stands elsewhere. A prefix such as 0b counts as a digit.
bool StripUnderscores(std::string_view text, bool after_prefix, std::string& digits) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits += text[i];
    } else if (i + 1 == text.size() || !IsDigit(text[i + 1]) || (i == 0 ? !after_prefix : !IsDigit(text[i - 1]))) {
      return false;
    }
  }
  return true;
}

Result<double> ParseGoFloat(std::string_view text) {
  std::string digits;
  const bool plus = !text.empty() && text[0] == '+';
  if (!StripUnderscores(text.substr(plus ? 1 : 0), false, digits) || digits.empty() || (plus && digits[0] == '-')) {
    return GoNumError("ParseFloat", text, "invalid syntax");
  }
  double value = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end != digits.data() + digits.size() || ec == std::errc::invalid_argument) {
    return GoNumError("ParseFloat", text, "invalid syntax");
  }
  if (ec == std::errc::result_out_of_range) {
    value = std::strtod(digits.c_str(), nullptr);  // Tells too small (zero) from too big.
    if (std::isinf(value)) return GoNumError("ParseFloat", text, "value out of range");
  }
  return value;
}

/// An integer literal with a prefix such as 0x; a leading zero alone means octal.
Result<double> ParseGoInt(std::string_view text) {
  const char c = Lower(text[1]);
  const int base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
  std::string digits;
  const bool valid = StripUnderscores(text.substr(IsDigit(c) ? 1 : 2), !IsDigit(c), digits);
  int64_t value = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (ec == std::errc::result_out_of_range) return GoNumError("ParseInt", text, "value out of range");
  if (!valid || digits.empty() || digits[0] == '-' || ec != std::errc() || end != digits.data() + digits.size()) {
    return GoNumError("ParseInt", text, "invalid syntax");
  }
  return static_cast<double>(value);
}

Error Invalid(std::string_view before, std::string_view quoted, std::string_view after = {}) {
  std::string message(before);
  regex::AppendGoQuoted(message, quoted);
  message += after;
  return Error(ErrorCode::kInvalidInput, std::move(message));
}

/// The value of a literal in double quotes, given without them.
Result<std::string> UnquoteBody(const std::string_view whole) {
  std::string_view body = whole;
  const auto bad = [&] {
    return Invalid("cannot parse string literal ", '"' + std::string(whole) + '"', ": invalid syntax");
  };
  std::string dst;
  while (!body.empty()) {
    const char c = body[0];
    if (c == '\n' || c == '"') return bad();
    if (c != '\\') {
      const regex::Rune rune = regex::DecodeRune(body);
      regex::AppendRune(dst, rune.code);
      body.remove_prefix(rune.size);
      continue;
    }
    if (body.size() < 2) return bad();
    const char escape = body[1];
    body.remove_prefix(2);
    size_t digits = 0;
    switch (escape) {
      case 'a': dst += '\a'; continue;
      case 'b': dst += '\b'; continue;
      case 'f': dst += '\f'; continue;
      case 'n': dst += '\n'; continue;
      case 'r': dst += '\r'; continue;
      case 't': dst += '\t'; continue;
      case 'v': dst += '\v'; continue;
      case '\\': dst += '\\'; continue;
      case '"': dst += '"'; continue;
      case 'x': digits = 2; break;
      case 'u': digits = 4; break;
      case 'U': digits = 8; break;
      default: break;
    }
    uint32_t code = 0;
    if (digits > 0) {
      if (body.size() < digits) return bad();
      for (size_t i = 0; i < digits; ++i) {
        if (!IsHex(body[i])) return bad();
        code = code * 16 + HexValue(body[i]);
      }
      body.remove_prefix(digits);
      if (digits == 2) {
        dst += static_cast<char>(code);
        continue;
      }
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return bad();
      regex::AppendRune(dst, code);
      continue;
    }
    if (escape < '0' || escape > '7' || body.size() < 2) return bad();
    code = static_cast<uint32_t>(escape - '0');
    for (size_t i = 0; i < 2; ++i) {
      if (body[i] < '0' || body[i] > '7') return bad();
      code = code * 8 + static_cast<uint32_t>(body[i] - '0');
    }
    if (code > 255) return bad();
    dst += static_cast<char>(code);
    body.remove_prefix(2);
  }
  return dst;
}

std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to) {
  std::string dst;
  for (size_t at; (at = text.find(from)) != text.npos; text.remove_prefix(at + from.size())) {
    dst += text.substr(0, at);
    dst += to;
  }
  dst += text;
  return dst;
}

/// Bytes of the string literal at the start of `text`.
Result<size_t> ScanString(std::string_view text) {
  if (text.size() < 2) return Invalid("cannot find end of string in ", text);
  for (size_t i = 1;; ++i) {
    i = text.find(text[0], i);
    if (i == text.npos) {
      return Invalid("cannot find closing quote " + std::string(1, text[0]) + " for the string ", text);
    }
    size_t slashes = 0;
    while (text[i - 1 - slashes] == '\\') ++slashes;
    if (slashes % 2 == 0) return i + 1;
  }
}

}  // namespace

std::string ToLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = Lower(c);
  return lower;
}

size_t ScanIdent(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    if (text[i] == '\\') {
      const size_t n = DecodeEscape(text.substr(i + 1)).size;
      if (n == 0) break;
      i += 1 + n;
      continue;
    }
    const regex::Rune rune = regex::DecodeRune(text.substr(i));
    if (!(i == 0 ? IsFirstIdentRune(rune.code) : IsIdentRune(rune.code))) break;
    i += rune.size;
  }
  return i;
}

bool IsIdentPrefix(std::string_view text) {
  if (text.empty()) return false;
  if (text[0] == '\\') return DecodeEscape(text.substr(1)).size > 0;
  return IsFirstIdentRune(regex::DecodeRune(text).code);
}

bool IsStringPrefix(std::string_view text) {
  return !text.empty() && (text[0] == '"' || text[0] == '\'' || text[0] == '`');
}

bool IsNumberPrefix(std::string_view text) {
  if (text.empty()) return false;
  return IsDigit(text[0]) || (text[0] == '.' && text.size() > 1 && IsDigit(text[1]));
}

bool IsDurationToken(std::string_view token) {
  return token == kInterval || (!token.empty() && ScanDuration(token) == token.size());
}

bool IsBinaryOpToken(std::string_view token) { return !token.empty() && ScanBinaryOp(token) == token.size(); }

bool EqualsFold(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && HasPrefixFold(text, lower);
}
bool IsInfOrNan(std::string_view token) { return EqualsFold(token, "inf") || EqualsFold(token, "nan"); }
bool IsGroupModifier(std::string_view word) { return EqualsFold(word, "on") || EqualsFold(word, "ignoring"); }
bool IsJoinModifier(std::string_view word) {
  return EqualsFold(word, "group_left") || EqualsFold(word, "group_right");
}
bool IsBoolModifier(std::string_view word) { return EqualsFold(word, "bool"); }
bool IsFillModifier(std::string_view word) {
  return EqualsFold(word, "fill") || EqualsFold(word, "fill_left") || EqualsFold(word, "fill_right");
}
bool IsAggrModifier(std::string_view word) { return EqualsFold(word, "by") || EqualsFold(word, "without"); }

std::string UnescapeIdent(std::string_view text) {
  std::string dst;
  for (size_t i = 0; i < text.size(); ++i) {
    const regex::Rune rune = text[i] == '\\' ? DecodeEscape(text.substr(i + 1)) : regex::Rune{};
    if (rune.size == 0) {
      dst += text[i];
      continue;
    }
    regex::AppendRune(dst, rune.code);
    i += rune.size;
  }
  return dst;
}

bool NeedsEscape(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const regex::Rune rune = regex::DecodeRune(text.substr(i));
    if (!(i == 0 ? IsFirstIdentRune(rune.code) : IsIdentRune(rune.code))) return true;
    i += rune.size;
  }
  return false;
}

void AppendEscapedIdent(std::string& dst, std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const regex::Rune rune = regex::DecodeRune(text.substr(i));
    if (i == 0 ? IsFirstIdentRune(rune.code) : IsIdentRune(rune.code)) {
      regex::AppendRune(dst, rune.code);
    } else {
      AppendEscape(dst, rune.code);
    }
    i += rune.size;
  }
}

void AppendQuotedIdent(std::string& dst, std::string_view text) {
  dst += '"';
  while (!text.empty()) {
    const regex::Rune rune = regex::DecodeRune(text);
    if (rune.code == '"' || rune.code == '\\') dst += '\\';
    regex::AppendRune(dst, rune.code);
    text.remove_prefix(rune.size);
  }
  dst += '"';
}

size_t ScanNumberMultiplier(std::string_view text) {
  if (text.empty()) return 0;
  const char first = Lower(text[0]);
  if (first != 'k' && first != 'm' && first != 'g' && first != 't') return 0;
  size_t n = 1;
  if (n < text.size() && Lower(text[n]) == 'i') ++n;
  if (n < text.size() && Lower(text[n]) == 'b') ++n;
  return n;
}

bool IsSpecialIntegerPrefix(std::string_view text) {
  if (text.size() < 2 || text[0] != '0') return false;
  const char c = Lower(text[1]);
  return IsDigit(c) || c == 'x' || c == 'o' || c == 'b';
}

Result<size_t> ScanNumber(std::string_view text) {
  size_t i = 0;
  const auto digits = [&] {
    while (i < text.size() && (IsDigit(text[i]) || text[i] == '_')) ++i;
  };
  if (IsSpecialIntegerPrefix(text)) {
    const char c = Lower(text[1]);
    i = IsDigit(c) ? 1 : 2;
    if (c == 'x') {
      while (i < text.size() && IsHex(text[i])) ++i;
      return i;
    }
  }
  digits();
  if (i == 0 && (text.empty() || text[0] != '.')) return Error(ErrorCode::kInvalidInput, "missing positive number");
  if (const size_t n = ScanNumberMultiplier(text.substr(i)); n > 0) return i + n;
  if (i < text.size() && text[i] == '.') {
    ++i;
    digits();
    if (const size_t n = ScanNumberMultiplier(text.substr(i)); n > 0) return i + n;
  }
  if (i < text.size() && Lower(text[i]) == 'e') {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    const size_t start = i;
    while (i < text.size() && IsDigit(text[i])) ++i;
    if (i == start) return Invalid("missing exponent part in ", text);
  }
  return i;
}

Result<double> ParseNumber(std::string_view text) {
  if (IsSpecialIntegerPrefix(text)) return ParseGoInt(text);
  const std::string lower = ToLower(text);
  if (lower == "inf") return std::numeric_limits<double>::infinity();
  if (lower == "nan") return std::numeric_limits<double>::quiet_NaN();
  size_t suffix = text.size();
  for (size_t n = 1; n <= 3 && n < text.size(); ++n) {
    if (ScanNumberMultiplier(text.substr(text.size() - n)) == n) suffix = text.size() - n;
  }
  VM_ASSIGN_OR_RETURN(const double value, ParseGoFloat(std::string_view(lower).substr(0, suffix)));
  return value * MultiplierFactor(text.substr(suffix));
}

size_t ScanSingleDuration(std::string_view text, bool can_be_negative) {
  size_t i = can_be_negative && !text.empty() && text[0] == '-' ? 1 : 0;
  if (text.substr(i) == kInterval) return text.size();
  while (i < text.size() && IsDigit(text[i])) ++i;
  // A lone minus is taken for a number here; it is an error later, and no subtraction.
  if (i == 0 || i == text.size()) return 0;
  if (text[i] == '.') {
    ++i;
    while (i < text.size() && IsDigit(text[i])) ++i;
    if (i == text.size()) return 0;
  }
  switch (Lower(text[i])) {
    case 'm':
      if (i + 1 < text.size()) {
        const char next = Lower(text[i + 1]);
        if (next == 's') return i + 2;
        if (next == 'i' || next == 'b') return 0;
      }
      return text[i] == 'm' ? i + 1 : 0;
    case 's': case 'h': case 'd': case 'w': case 'y': case 'i':
      return i + 1;
    default:
      return 0;
  }
}

size_t ScanDuration(std::string_view text) {
  size_t total = ScanSingleDuration(text, false);
  if (total == 0) return 0;
  while (const size_t n = ScanSingleDuration(text.substr(total), true)) total += n;
  return total;
}

Result<int64_t> ParseDuration(std::string_view text, int64_t step_ms) {
  if (text.empty()) return Error(ErrorCode::kInvalidInput, "duration cannot be empty");
  const auto saturate = [](double ms) {
    if (std::isnan(ms)) return int64_t{0};
    if (ms >= 9223372036854775807.0) return std::numeric_limits<int64_t>::max();
    if (ms <= -9223372036854775808.0) return std::numeric_limits<int64_t>::min();
    return static_cast<int64_t>(ms);
  };
  if (IsDigit(text.back()) || text.back() == '.') {
    if (auto seconds = ParseGoFloat(text); seconds.ok()) return saturate(seconds.value() * 1000);
  }
  double total = 0;
  bool is_minus = false;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t n = ScanSingleDuration(rest, true);
    if (n == 0) return Invalid("cannot parse duration ", rest);
    const std::string_view part = rest.substr(0, n);
    const bool is_ms = n > 2 && Lower(part[n - 2]) == 'm' && Lower(part[n - 1]) == 's';
    if (part == kInterval) {
      total += static_cast<double>(step_ms) * (is_minus ? -1 : 1);
      break;
    }
    const auto number = ParseGoFloat(part.substr(0, n - (is_ms ? 2 : 1)));
    if (!number.ok()) return Invalid("cannot parse duration ", ToLower(part), ": " + number.error().message());
    double factor = 1;
    if (!is_ms) {
      switch (Lower(part[n - 1])) {
        case 's': factor = 1e3; break;
        case 'm': factor = 60e3; break;
        case 'h': factor = 3600e3; break;
        case 'd': factor = 86400e3; break;
        case 'w': factor = 604800e3; break;
        case 'y': factor = 31536000e3; break;
        default: factor = static_cast<double>(step_ms);
      }
    }
    double value = number.value() * factor;
    if (is_minus && value > 0) value = -value;
    if (value < 0) is_minus = true;
    total += value;
    rest.remove_prefix(n);
  }
  return saturate(total);
}

Result<int64_t> ParsePositiveDuration(std::string_view text, int64_t step_ms) {
  VM_ASSIGN_OR_RETURN(const int64_t value, ParseDuration(text, step_ms));
  if (value < 0) return Invalid("duration cannot be negative; got ", text);
  return value;
}

size_t ScanBinaryOp(std::string_view text) {
  static constexpr std::array<std::string_view, 20> kOps = {
      "default", "unless", "ifnot", "atan2", "and", "if", "or", "==", "!=", "<=", ">=",
      "+", "-", "*", "/", "%", "^", "<", ">", ""};
  for (const auto op : kOps) {
    if (HasPrefixFold(text, op)) return op.size();
  }
  return 0;
}

Result<std::string> UnquoteString(std::string_view token) {
  if (token.size() < 2) return Invalid("cannot parse string literal ", token, ": invalid syntax");
  const std::string_view body = token.substr(1, token.size() - 2);
  if (token[0] == '"') return UnquoteBody(body);
  if (token[0] == '`') return ReplaceAll(body, "\r", "");
  return UnquoteBody(ReplaceAll(ReplaceAll(body, "\\'", "'"), "\"", "\\\""));
}

Status Lexer::Next() {
  if (!error_.ok()) return error_;
  if (pos_ + 1 < tokens_.size()) {
    ++pos_;
    return Ok();
  }
  std::string token;
  if (Status status = Read(token); !status.ok()) {
    error_ = status;
    return status;
  }
  tokens_.push_back(std::move(token));
  ++pos_;
  return Ok();
}

void Lexer::SplitToken(size_t size) {
  std::string& token = tokens_[pos_];
  const size_t rest = token.size() - size;
  tail_ = std::string_view(tail_.data() - rest, tail_.size() + rest);
  token.resize(size);
}

Status Lexer::Read(std::string& token) {
  const auto take = [&](size_t n) {
    token = tail_.substr(0, n);
    tail_.remove_prefix(n);
    return Ok();
  };
  while (true) {
    while (!tail_.empty() && IsSpace(tail_[0])) tail_.remove_prefix(1);
    if (tail_.empty() || tail_[0] != '#') break;
    const size_t end = tail_.find('\n');
    tail_.remove_prefix(end == tail_.npos ? tail_.size() : end + 1);
  }
  if (tail_.empty()) return Ok();
  if (std::string_view("{}[](),@").find(tail_[0]) != std::string_view::npos) return take(1);
  if (const size_t n = ScanIdent(tail_); n > 0) return take(n);
  if (IsStringPrefix(tail_)) {
    VM_ASSIGN_OR_RETURN(const size_t n, ScanString(tail_));
    return take(n);
  }
  if (const size_t n = ScanBinaryOp(tail_); n > 0) return take(n);
  if (tail_.starts_with("=~") || tail_.starts_with("!~")) return take(2);
  if (tail_[0] == '=') return take(1);
  if (const size_t n = ScanDuration(tail_); n > 0) return take(n);
  if (IsNumberPrefix(tail_)) {
    VM_ASSIGN_OR_RETURN(const size_t n, ScanNumber(tail_));
    return take(n);
  }
  if (tail_.starts_with(kInterval)) return take(kInterval.size());
  if (tail_.starts_with(kRateInterval)) {
    tail_.remove_prefix(kRateInterval.size());
    token = kInterval;
    return Ok();
  }
  return Invalid("cannot recognize ", tail_);
}

Result<std::vector<std::string>> Lex(std::string_view query) {
  Lexer lexer(query);
  std::vector<std::string> tokens;
  while (true) {
    VM_TRY(lexer.Next());
    if (lexer.token().empty()) return tokens;
    tokens.push_back(lexer.token());
  }
}

}  // namespace vm::metricsql
