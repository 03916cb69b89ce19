#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace vm::metricsql {

/// All tokens of `query`, closed by an empty one. Blanks and comments are left out.
/// Errors: kInvalidInput.
Result<std::vector<std::string>> Lex(std::string_view query);

/// Bytes of the identifier, the number or the duration that `text` starts with; 0 when there is none.
size_t ScanIdent(std::string_view text);
Result<size_t> ScanNumber(std::string_view text);
size_t ScanDuration(std::string_view text);
size_t ScanSingleDuration(std::string_view text, bool can_be_negative);
size_t ScanNumberMultiplier(std::string_view text);
bool IsSpecialIntegerPrefix(std::string_view text);
/// The longest binary operator that `text` starts with.
size_t ScanBinaryOp(std::string_view text);

std::string UnescapeIdent(std::string_view text);
void AppendEscapedIdent(std::string& dst, std::string_view text);
/// The value of a quoted token. Errors: kInvalidInput.
Result<std::string> UnquoteString(std::string_view token);

/// Append `code_point` as UTF-8.
void AppendUtf8(std::string& dst, uint32_t code_point);

}  // namespace vm::metricsql
