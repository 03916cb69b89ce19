#pragma once

#include <cstdint>
#include <span>

namespace vm::decimal {

/// Bring mantissas with an exponent each to the common exponent that is returned; digits may be lost, as in the
/// reference. Requires equal lengths.
int16_t ToCommonExponent(std::span<int64_t> mantissas, std::span<const int16_t> exponents);

}  // namespace vm::decimal
