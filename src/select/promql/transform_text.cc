#include "select/promql/transform_text.h"

#include <locale.h>
#include <re2/re2.h>
#include <wctype.h>

#include <algorithm>
#include <optional>

namespace vm::select::transform {
namespace {

constexpr uint32_t kRuneError = 0xfffd;

struct Rune {
  uint32_t code;
  size_t size;  // 1 for a byte that starts no valid sequence; code is U+FFFD then.
};

/// Decode the rune at the front of `text`. Requires that there is one.
Rune DecodeRune(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80) return {byte(0), 1};
  const size_t size = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < size) return {kRuneError, 1};
  uint32_t code = byte(0) & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {kRuneError, 1};
    code = (code << 6) | (byte(i) & 0x3fu);
  }
  const uint32_t least = size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
  if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {kRuneError, 1};
  return {code, size};
}

void AppendRune(std::string& dst, uint32_t code) {
  if (code < 0x80) {
    dst.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    dst.push_back(static_cast<char>(0xc0 | (code >> 6)));
    dst.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  } else if (code < 0x10000) {
    dst.push_back(static_cast<char>(0xe0 | (code >> 12)));
    dst.push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3f)));
    dst.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  } else {
    dst.push_back(static_cast<char>(0xf0 | (code >> 18)));
    dst.push_back(static_cast<char>(0x80 | ((code >> 12) & 0x3f)));
    dst.push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3f)));
    dst.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  }
}

/// glibc's own UTF-8 locale has the Unicode tables and needs no locale package. Null when there is none.
locale_t UnicodeLocale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

uint32_t ToUpper(uint32_t code) {
  if (code < 0x80) return code >= 'a' && code <= 'z' ? code - 32 : code;
  return UnicodeLocale() == nullptr ? code : towupper_l(code, UnicodeLocale());
}

uint32_t ToLower(uint32_t code) {
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  return UnicodeLocale() == nullptr ? code : towlower_l(code, UnicodeLocale());
}

bool IsLetterOrDigit(uint32_t code) {
  if (code < 0x80) return (code >= '0' && code <= '9') || ((code | 0x20) >= 'a' && (code | 0x20) <= 'z');
  return UnicodeLocale() != nullptr && iswalnum_l(code, UnicodeLocale()) != 0;
}

template <auto kMap>
std::string MapRunes(std::string_view text) {
  std::string dst;
  dst.reserve(text.size());
  while (!text.empty()) {
    const Rune rune = DecodeRune(text);
    AppendRune(dst, kMap(rune.code));
    text.remove_prefix(rune.size);
  }
  return dst;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const Rune rune = DecodeRune(text);
    if (rune.code == kRuneError && rune.size == 1) return false;
    text.remove_prefix(rune.size);
  }
  return true;
}

/// RE2 matches nothing against bytes that are no UTF-8.
std::string ToUtf8(std::string_view text) {
  return MapRunes<[](uint32_t code) { return code; }>(text);
}

std::string_view GoErrorText(re2::RE2::ErrorCode code) {
  switch (code) {
    case re2::RE2::ErrorBadEscape: return "invalid escape sequence";
    case re2::RE2::ErrorBadCharClass: return "invalid character class";
    case re2::RE2::ErrorBadCharRange: return "invalid character class range";
    case re2::RE2::ErrorMissingBracket: return "missing closing ]";
    case re2::RE2::ErrorMissingParen: return "missing closing )";
    case re2::RE2::ErrorUnexpectedParen: return "unexpected )";
    case re2::RE2::ErrorTrailingBackslash: return "trailing backslash at end of expression";
    case re2::RE2::ErrorRepeatArgument: return "missing argument to repetition operator";
    case re2::RE2::ErrorRepeatSize: return "invalid repeat count";
    case re2::RE2::ErrorRepeatOp: return "invalid nested repetition operator";
    case re2::RE2::ErrorBadPerlOp: return "invalid or unsupported Perl syntax";
    case re2::RE2::ErrorBadUTF8: return "invalid UTF-8";
    case re2::RE2::ErrorBadNamedCapture: return "invalid named capture";
    default: return "expression too large";
  }
}

Error RegexError(std::string_view what, std::string_view where) {
  std::string message = "error parsing regexp: ";
  message += what;
  message += ": `";
  message += where;
  message += '`';
  return Error(ErrorCode::kInvalidInput, std::move(message));
}

/// RE2 of our system knows named groups only as `(?P<name>`, and `\C` for any byte, which Go refuses.
Result<std::string> ToRe2Syntax(std::string_view expression) {
  constexpr std::string_view kNamedGroup = "(?<";
  std::string translated;
  bool in_class = false;
  for (size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    translated.push_back(c);
    if (c == '\\' && i + 1 < expression.size()) {
      const char escaped = expression[++i];
      if (escaped == 'C') return RegexError("invalid escape sequence", "\\C");
      translated.push_back(escaped);
      if (escaped == 'Q' && !in_class) {
        const size_t end = std::min(expression.find("\\E", i), expression.size());
        translated += expression.substr(i + 1, end - i - 1);
        i = end - 1;
      }
    } else if (in_class && expression.substr(i, 2) == "[:" && expression.find(":]", i) != std::string_view::npos) {
      const size_t end = expression.find(":]", i) + 1;
      translated += expression.substr(i + 1, end - i);
      i = end;
    } else if (in_class) {
      in_class = c != ']';
    } else if (c == '[') {
      in_class = true;
      // A bracket at the front closes nothing.
      for (const char front : {'^', ']'}) {
        if (i + 1 < expression.size() && expression[i + 1] == front) translated.push_back(expression[++i]);
      }
    } else if (expression.substr(i, kNamedGroup.size()) == kNamedGroup) {
      translated += "?P";
      ++i;
    }
  }
  return translated;
}

/// What follows a `$` in a template: a name, perhaps in braces.
struct Reference {
  std::string_view name;
  std::string_view rest;
};

std::optional<Reference> TakeReference(std::string_view text) {
  const bool braces = !text.empty() && text[0] == '{';
  if (braces) text.remove_prefix(1);
  size_t size = 0;
  while (size < text.size()) {
    const Rune rune = DecodeRune(text.substr(size));
    if (!IsLetterOrDigit(rune.code) && rune.code != '_') break;
    size += rune.size;
  }
  if (size == 0) return std::nullopt;
  if (braces && (size == text.size() || text[size] != '}')) return std::nullopt;
  return Reference{text.substr(0, size), text.substr(braces ? size + 1 : size)};
}

/// Number of a group; nullopt when `name` is a name.
std::optional<int> GroupNumber(std::string_view name) {
  constexpr size_t kMaxDigits = 8;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!std::all_of(name.begin(), name.end(), is_digit)) return std::nullopt;
  if (name.size() > kMaxDigits || (name[0] == '0' && name.size() > 1)) return std::nullopt;
  return std::stoi(std::string(name));
}

}  // namespace

std::string ToGoLower(std::string_view text) { return MapRunes<ToLower>(text); }
std::string ToGoUpper(std::string_view text) { return MapRunes<ToUpper>(text); }

Result<std::unique_ptr<re2::RE2>> CompileGoRegex(const std::string& expression, int64_t max_bytes) {
  VM_ASSIGN_OR_RETURN(const std::string translated, ToRe2Syntax(expression));
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(max_bytes);
  auto regex = std::make_unique<re2::RE2>(translated, options);
  if (!regex->ok()) {
    return RegexError(GoErrorText(regex->error_code()), regex->error_arg());
  }
  return regex;
}

bool Matches(const re2::RE2& regex, std::string_view value) {
  if (!IsUtf8(value)) return Matches(regex, ToUtf8(value));
  return re2::RE2::PartialMatch(re2::StringPiece(value.data(), value.size()), regex);
}

ReplaceTemplate::ReplaceTemplate(std::string_view text, const re2::RE2& regex) : regex_(regex) {
  const int known_groups = regex.NumberOfCapturingGroups() + 1;
  const auto& names = regex.NamedCapturingGroups();
  while (!text.empty()) {
    const size_t dollar = text.find('$');
    if (dollar > 0) parts_.push_back({text.substr(0, dollar)});
    if (dollar == std::string_view::npos) break;
    const std::string_view sign = text.substr(dollar, 1);
    text.remove_prefix(dollar + 1);
    if (!text.empty() && text[0] == '$') {
      parts_.push_back({sign});
      text.remove_prefix(1);
      continue;
    }
    const auto reference = TakeReference(text);
    if (!reference.has_value()) {
      parts_.push_back({sign});
      continue;
    }
    text = reference->rest;
    // Unknown groups are empty.
    if (const auto number = GroupNumber(reference->name)) {
      if (*number < known_groups) parts_.push_back({{}, *number});
    } else if (const auto it = names.find(std::string(reference->name)); it != names.end()) {
      parts_.push_back({{}, it->second});
    }
  }
  for (const Part& part : parts_) groups_count_ = std::max(groups_count_, part.group + 1);
}

bool ReplaceTemplate::ReplaceAll(std::string_view value, size_t max_bytes, std::string& dst) const {
  if (!IsUtf8(value)) return ReplaceAll(ToUtf8(value), max_bytes, dst);
  if (value.empty()) value = "";  // RE2 gives no position for a match in a null text.
  const re2::StringPiece input(value.data(), value.size());
  std::vector<re2::StringPiece> groups(static_cast<size_t>(groups_count_));
  size_t copied = 0;    // End of the match before.
  size_t position = 0;  // Where the next match is looked for.
  bool matched = false;
  while (position <= value.size() && dst.size() <= max_bytes) {
    if (!regex_.Match(input, position, value.size(), re2::RE2::UNANCHORED, groups.data(), groups_count_)) break;
    matched = true;
    const auto begin = static_cast<size_t>(groups[0].data() - value.data());
    const size_t end = begin + groups[0].size();
    dst += value.substr(copied, begin - copied);
    // An empty match directly after another match does not count.
    if (end > copied || begin == 0) {
      for (const Part& part : parts_) {
        if (dst.size() > max_bytes) return true;
        dst += part.literal;
        if (part.group < 0) continue;
        const re2::StringPiece& group = groups[static_cast<size_t>(part.group)];
        dst.append(group.data(), group.size());
      }
    }
    copied = end;
    const size_t width = position < value.size() ? DecodeRune(value.substr(position)).size : 1;
    position = std::max(end, position + width);
  }
  if (matched) dst += value.substr(copied);
  return matched;
}

}  // namespace vm::select::transform
