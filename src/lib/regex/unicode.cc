#include "lib/regex/unicode.h"

#include <re2/re2.h>

namespace vm::regex {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

/// RE2 brings the tables of the Unicode categories; only text beyond ASCII comes here.
bool IsInCategories(uint32_t code, const re2::RE2& categories) {
  std::string text;
  AppendRune(text, code);
  return re2::RE2::FullMatch(text, categories);
}

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

void AppendHex(std::string& dst, uint32_t code, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) dst += kHexDigits[(code >> shift) & 15];
}

char ShortEscape(uint32_t code) {
  switch (code) {
    case '\a': return 'a';
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    case '\v': return 'v';
    case '"': return '"';
    case '\\': return '\\';
    default: return 0;
  }
}

}  // namespace

Rune DecodeRune(std::string_view text) {
  if (text.empty()) return {};
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return {first, 1};
  const size_t size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (size == 0 || text.size() < size) return {kRuneError, 1};
  uint32_t code = first & (0x7fU >> size);
  for (size_t i = 1; i < size; ++i) {
    if (!IsContinuation(text[i])) return {kRuneError, 1};
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3fU);
  }
  const bool overlong = code < (size == 2 ? 0x80U : size == 3 ? 0x800U : 0x10000U);
  if (overlong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {kRuneError, 1};
  return {code, size};
}

void AppendRune(std::string& dst, uint32_t code) {
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) code = kRuneError;
  const auto tail = [&](int shift) { dst += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
  if (code < 0x80) {
    dst += static_cast<char>(code);
  } else if (code < 0x800) {
    dst += static_cast<char>(0xc0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    dst += static_cast<char>(0xe0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    dst += static_cast<char>(0xf0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

bool IsLetter(uint32_t code) {
  if (code < 0x80) return (code | 0x20) >= 'a' && (code | 0x20) <= 'z';
  static const re2::RE2 kLetters("\\p{L}");
  return IsInCategories(code, kLetters);
}

bool IsPrint(uint32_t code) {
  if (code < 0x80) return code >= 0x20 && code != 0x7f;
  static const re2::RE2 kPrintable("[\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}]");
  return IsInCategories(code, kPrintable);
}

void AppendGoQuoted(std::string& dst, std::string_view text) {
  dst += '"';
  while (!text.empty()) {
    const Rune rune = DecodeRune(text);
    const bool invalid = rune.code == kRuneError && rune.size == 1;
    if (const char escape = ShortEscape(rune.code); escape != 0) {
      dst += '\\';
      dst += escape;
    } else if (!invalid && IsPrint(rune.code)) {
      dst += text.substr(0, rune.size);
    } else if (invalid || rune.code < 0x20 || rune.code == 0x7f) {
      dst += "\\x";
      AppendHex(dst, static_cast<unsigned char>(text[0]), 2);
    } else if (rune.code < 0x10000) {
      dst += "\\u";
      AppendHex(dst, rune.code, 4);
    } else {
      dst += "\\U";
      AppendHex(dst, rune.code, 8);
    }
    text.remove_prefix(rune.size);
  }
  dst += '"';
}

}  // namespace vm::regex
