#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace vm::insert {

/// Read a whole token as a number of the text formats: decimal with optional minus and exponent, and
/// inf, infinity, nan in any case with an optional sign. A plus before digits, hex and `_` are refused.
/// Too large a magnitude gives an infinity, too small a one zero.
std::optional<double> ParseNumber(std::string_view text);

/// A decimal integer with an optional minus and nothing else.
std::optional<int64_t> ParseInteger(std::string_view text);

/// `value` without its fraction; the least integer for what does not fit and for NaN, as in the reference on amd64.
int64_t TruncateToInt64(double value);

}  // namespace vm::insert
