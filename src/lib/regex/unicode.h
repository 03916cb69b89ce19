#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vm::regex {

/// Stands for a byte that is no UTF-8.
inline constexpr uint32_t kRuneError = 0xfffd;

struct Rune {
  uint32_t code = kRuneError;
  size_t size = 0;  // Bytes taken: 1 for an invalid byte, 0 at the end.
};

/// The code point that `text` starts with. Surrogates, overlong forms and cut sequences are invalid bytes.
Rune DecodeRune(std::string_view text);

/// Append `code` as UTF-8; what is no code point becomes U+FFFD.
void AppendRune(std::string& dst, uint32_t code);

/// Unicode categories L*.
bool IsLetter(uint32_t code);

/// Letters, marks, numbers, punctuation, symbols and the ASCII space: what Go prints as it is.
bool IsPrint(uint32_t code);

/// Append `text` as Go's `%q` writes it: double quotes, escapes for what cannot be printed.
void AppendGoQuoted(std::string& dst, std::string_view text);

}  // namespace vm::regex
