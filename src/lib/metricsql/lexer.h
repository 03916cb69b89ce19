#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace vm::metricsql {

/// Tokens of a query, read on demand, with as much look-ahead as the parser asks for. `query` must outlive it.
/// Thread-compatible.
class Lexer {
 public:
  explicit Lexer(std::string_view query) : tail_(query) {}

  /// The current token; empty before the first `Next` and at the end of the query.
  const std::string& token() const { return tokens_[pos_]; }
  /// Step to the next token. After an error the token stays and every later call gives the same error.
  Status Next();
  /// Step back to the token before.
  void Prev() { --pos_; }
  /// Keep the first `size` bytes of the current token and put the others back into the query. Requires: no token
  /// beyond the current one was read, and the token is still as it stands in the query.
  void SplitToken(size_t size);
  void ReplaceToken(std::string token) { tokens_[pos_] = std::move(token); }
  /// What an error message shows of the query: the current token and the text behind the last token read.
  std::string Context() const { return token() + std::string(tail_); }

 private:
  Status Read(std::string& token);

  std::string_view tail_;
  std::vector<std::string> tokens_ = {std::string()};
  size_t pos_ = 0;
  Status error_ = Ok();
};

/// All tokens of `query`. Blanks and comments are left out. Errors: kInvalidInput.
Result<std::vector<std::string>> Lex(std::string_view query);

/// Bytes of the identifier, the number or the duration that `text` starts with; 0 when there is none.
size_t ScanIdent(std::string_view text);
Result<size_t> ScanNumber(std::string_view text);
size_t ScanDuration(std::string_view text);
size_t ScanSingleDuration(std::string_view text, bool can_be_negative);
size_t ScanNumberMultiplier(std::string_view text);
/// The longest binary operator that `text` starts with.
size_t ScanBinaryOp(std::string_view text);

bool IsIdentPrefix(std::string_view text);
bool IsStringPrefix(std::string_view text);
bool IsNumberPrefix(std::string_view text);
bool IsSpecialIntegerPrefix(std::string_view text);
bool IsDurationToken(std::string_view token);
bool IsBinaryOpToken(std::string_view token);
bool IsInfOrNan(std::string_view token);

/// Keywords in any case.
bool IsGroupModifier(std::string_view word);
bool IsJoinModifier(std::string_view word);
bool IsBoolModifier(std::string_view word);
bool IsFillModifier(std::string_view word);
bool IsAggrModifier(std::string_view word);
/// `text` in any case is `lower`.
bool EqualsFold(std::string_view text, std::string_view lower);

std::string UnescapeIdent(std::string_view text);
/// Does `text` hold characters that an identifier must escape?
bool NeedsEscape(std::string_view text);
void AppendEscapedIdent(std::string& dst, std::string_view text);
void AppendQuotedIdent(std::string& dst, std::string_view text);
/// The value of a quoted token. Errors: kInvalidInput.
Result<std::string> UnquoteString(std::string_view token);

}  // namespace vm::metricsql
