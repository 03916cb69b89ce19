#include "lib/metricsql/lexer.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

#include "lib/metricsql/ast.h"

namespace vm::metricsql {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsHex(char c) { return IsDigit(c) || (Lower(c) >= 'a' && Lower(c) <= 'f'); }
uint32_t HexValue(char c) {
  return static_cast<uint32_t>(IsDigit(c) ? c - '0' : Lower(c) - 'a' + 10);
}
bool IsFirstIdentByte(char c) {
  return (Lower(c) >= 'a' && Lower(c) <= 'z') || c == '_' || c == ':' || (c & 0x80) != 0;
}
bool IsIdentByte(char c) { return IsFirstIdentByte(c) || IsDigit(c) || c == '.'; }

size_t Utf8Length(char c) {
  const auto b = static_cast<unsigned char>(c);
  if (b < 0xc0) return 1;
  if (b < 0xe0) return 2;
  return b < 0xf0 ? 3 : 4;
}

/// Length of the escape at the start of `text` and what it stands for; 0 when it is invalid.
size_t TakeEscape(std::string_view text, std::string& dst) {
  if (text.size() < 2 || text[0] != '\\') return 0;
  const char kind = Lower(text[1]);
  const size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : 0;
  if (digits > 0) {
    if (text.size() < 2 + digits) return 0;
    uint32_t code = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (!IsHex(text[2 + i])) return 0;
      code = code * 16 + HexValue(text[2 + i]);
    }
    AppendUtf8(dst, code);
    return 2 + digits;
  }
  const auto byte = static_cast<unsigned char>(text[1]);
  if (byte < 0x20 || byte == 0x7f) return 0;
  const size_t n = std::min(Utf8Length(text[1]), text.size() - 1);
  dst.append(text.substr(1, n));
  return 1 + n;
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

Result<double> ParseGoFloat(std::string_view text, std::string_view whole) {
  const auto bad = [&] {
    return Error(ErrorCode::kInvalidInput, "cannot parse number \"" + std::string(whole) + "\"");
  };
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_') {
      if (i == 0 || i + 1 == text.size() || !IsDigit(text[i - 1]) || !IsDigit(text[i + 1])) return bad();
      continue;
    }
    digits += text[i];
  }
  double value = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end != digits.data() + digits.size() || digits.empty()) return bad();
  if (ec == std::errc::result_out_of_range) return bad();
  return value;
}

}  // namespace

std::string ToLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = Lower(c);
  return lower;
}

void AppendUtf8(std::string& dst, uint32_t c) {
  if (c < 0x80) {
    dst += static_cast<char>(c);
  } else if (c < 0x800) {
    dst += static_cast<char>(0xc0 | (c >> 6));
    dst += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    dst += static_cast<char>(0xe0 | (c >> 12));
    dst += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    dst += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    dst += static_cast<char>(0xf0 | (c >> 18));
    dst += static_cast<char>(0x80 | ((c >> 12) & 0x3f));
    dst += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    dst += static_cast<char>(0x80 | (c & 0x3f));
  }
}

size_t ScanIdent(std::string_view text) {
  size_t i = 0;
  std::string ignored;
  while (i < text.size()) {
    if (text[i] == '\\') {
      const size_t n = TakeEscape(text.substr(i), ignored);
      if (n == 0) break;
      i += n;
      continue;
    }
    if (!(i == 0 ? IsFirstIdentByte(text[i]) : IsIdentByte(text[i]))) break;
    ++i;
  }
  return i;
}

std::string UnescapeIdent(std::string_view text) {
  std::string dst;
  for (size_t i = 0; i < text.size();) {
    const size_t n = TakeEscape(text.substr(i), dst);
    if (n == 0) dst += text[i];
    i += n == 0 ? 1 : n;
  }
  return dst;
}

void AppendEscapedIdent(std::string& dst, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (i == 0 ? IsFirstIdentByte(c) : IsIdentByte(c)) {
      dst += c;
    } else if (c >= 0x20 && c != 0x7f) {
      dst += '\\';
      dst += c;
    } else {
      dst += "\\x";
      dst += kHex[(c >> 4) & 15];
      dst += kHex[c & 15];
    }
  }
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
    if (i == start) {
      return Error(ErrorCode::kInvalidInput, "missing exponent part in \"" + std::string(text.substr(0, i)) + "\"");
    }
  }
  return i;
}

Result<double> ParseNumber(std::string_view text) {
  if (IsSpecialIntegerPrefix(text)) {
    const char c = Lower(text[1]);
    const int base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
    const std::string_view digits = text.substr(IsDigit(c) ? 1 : 2);
    int64_t value = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (ec != std::errc() || end != digits.data() + digits.size()) {
      return Error(ErrorCode::kInvalidInput, "cannot parse number \"" + std::string(text) + "\"");
    }
    return static_cast<double>(value);
  }
  const std::string lower = ToLower(text);
  if (lower == "inf") return std::numeric_limits<double>::infinity();
  if (lower == "nan") return std::numeric_limits<double>::quiet_NaN();
  size_t suffix = text.size();
  for (size_t n = 1; n <= 3 && n < text.size(); ++n) {
    if (ScanNumberMultiplier(text.substr(text.size() - n)) == n) suffix = text.size() - n;
  }
  VM_ASSIGN_OR_RETURN(const double value, ParseGoFloat(text.substr(0, suffix), text));
  return value * MultiplierFactor(text.substr(suffix));
}

size_t ScanSingleDuration(std::string_view text, bool can_be_negative) {
  size_t i = 0;
  if (can_be_negative && !text.empty() && text[0] == '-') ++i;
  const size_t start = i;
  while (i < text.size() && IsDigit(text[i])) ++i;
  if (i == start && !can_be_negative) return 0;
  size_t digits = i - start;
  if (i < text.size() && text[i] == '.') {
    ++i;
    while (i < text.size() && IsDigit(text[i])) ++i, ++digits;
  }
  if (digits == 0 || i >= text.size()) return 0;
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
  const auto clamp = [](double ms) {
    if (ms >= 9223372036854775807.0) return std::numeric_limits<int64_t>::max();
    if (ms <= -9223372036854775808.0) return std::numeric_limits<int64_t>::min();
    return static_cast<int64_t>(ms);
  };
  if (IsDigit(text.back()) || text.back() == '.') {
    if (auto seconds = ParseGoFloat(text, text); seconds.ok()) return clamp(seconds.value() * 1000);
  }
  double total = 0;
  bool is_minus = false;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t n = ScanSingleDuration(rest, true);
    if (n == 0) {
      return Error(ErrorCode::kInvalidInput, "cannot parse duration \"" + std::string(rest) + "\"");
    }
    const std::string_view part = rest.substr(0, n);
    const bool is_ms = n > 2 && Lower(part[n - 2]) == 'm' && Lower(part[n - 1]) == 's';
    double number = 0;
    const size_t digits = n - (is_ms ? 2 : 1);
    std::from_chars(part.data(), part.data() + digits, number);
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
    double value = number * factor;
    if (is_minus && value > 0) value = -value;
    if (value < 0) is_minus = true;
    total += value;
    rest.remove_prefix(n);
  }
  return clamp(total);
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
  const auto bad = [&] {
    return Error(ErrorCode::kInvalidInput, "cannot parse string literal " + std::string(token) + ": invalid syntax");
  };
  if (token.size() < 2) return bad();
  const char quote = token[0];
  const std::string_view body = token.substr(1, token.size() - 2);
  std::string dst;
  if (quote == '`') {
    for (const char c : body) {
      if (c != '\r') dst += c;
    }
    return dst;
  }
  for (size_t i = 0; i < body.size();) {
    const char c = body[i];
    if (c == '\n') return bad();
    if (c != '\\') {
      dst += c;
      ++i;
      continue;
    }
    if (i + 1 >= body.size()) return bad();
    const char e = body[i + 1];
    i += 2;
    size_t digits = 0;
    switch (e) {
      case 'a': dst += '\a'; continue;
      case 'b': dst += '\b'; continue;
      case 'f': dst += '\f'; continue;
      case 'n': dst += '\n'; continue;
      case 'r': dst += '\r'; continue;
      case 't': dst += '\t'; continue;
      case 'v': dst += '\v'; continue;
      case '\\': dst += '\\'; continue;
      case '"': dst += '"'; continue;
      case '\'':
        if (quote != '\'') return bad();
        dst += '\'';
        continue;
      case 'x': digits = 2; break;
      case 'u': digits = 4; break;
      case 'U': digits = 8; break;
      default: break;
    }
    uint32_t code = 0;
    if (digits > 0) {
      if (body.size() - i < digits) return bad();
      for (size_t k = 0; k < digits; ++k) {
        if (!IsHex(body[i + k])) return bad();
        code = code * 16 + HexValue(body[i + k]);
      }
      i += digits;
      if (digits == 2) {
        dst += static_cast<char>(code);
      } else {
        if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return bad();
        AppendUtf8(dst, code);
      }
      continue;
    }
    if (e < '0' || e > '7' || body.size() - i < 2) return bad();
    code = static_cast<uint32_t>(e - '0');
    for (size_t k = 0; k < 2; ++k, ++i) {
      if (body[i] < '0' || body[i] > '7') return bad();
      code = code * 8 + static_cast<uint32_t>(body[i] - '0');
    }
    if (code > 255) return bad();
    dst += static_cast<char>(code);
  }
  return dst;
}

Result<std::vector<std::string>> Lex(std::string_view query) {
  std::vector<std::string> tokens;
  std::string_view rest = query;
  const auto take = [&](size_t n) {
    tokens.emplace_back(rest.substr(0, n));
    rest.remove_prefix(n);
  };
  while (!rest.empty()) {
    const char c = rest[0];
    if (IsSpace(c)) {
      rest.remove_prefix(1);
    } else if (c == '#') {
      const size_t end = rest.find('\n');
      rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    } else if (std::string_view("{}[](),@").find(c) != std::string_view::npos) {
      take(1);
    } else if (const size_t ident = ScanIdent(rest); ident > 0) {
      take(ident);
    } else if (c == '"' || c == '\'' || c == '`') {
      if (rest.size() < 2) {
        return Error(ErrorCode::kInvalidInput, "cannot find end of string in " + std::string(rest));
      }
      size_t i = 1;
      while (true) {
        i = rest.find(c, i);
        if (i == rest.npos) {
          return Error(ErrorCode::kInvalidInput, std::string("cannot find closing quote ") + c +
                                                     " for the string " + std::string(rest));
        }
        size_t slashes = 0;
        while (rest[i - 1 - slashes] == '\\') ++slashes;
        if (slashes % 2 == 0) break;
        ++i;
      }
      take(i + 1);
    } else if (const size_t op = ScanBinaryOp(rest); op > 0) {
      take(op);
    } else if (rest.starts_with("=~") || rest.starts_with("!~")) {
      take(2);
    } else if (c == '=') {
      take(1);
    } else if (const size_t duration = ScanDuration(rest); duration > 0) {
      take(duration);
    } else if (IsDigit(c) || (c == '.' && rest.size() > 1 && IsDigit(rest[1]))) {
      VM_ASSIGN_OR_RETURN(const size_t n, ScanNumber(rest));
      take(n);
    } else if (rest.starts_with("$__interval")) {
      take(11);
    } else if (rest.starts_with("$__rate_interval")) {
      rest.remove_prefix(16);
      tokens.emplace_back("$__interval");
    } else {
      return Error(ErrorCode::kInvalidInput, "cannot recognize \"" + std::string(rest) + "\"");
    }
  }
  tokens.emplace_back();
  return tokens;
}

}  // namespace vm::metricsql
