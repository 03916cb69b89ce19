#pragma once

#include <string_view>

namespace vm::select {

/// Natural order: numbers inside the texts are compared as numbers, `a2` < `a10`. A number sorts before other text.
bool NumericLess(std::string_view a, std::string_view b);

/// The number at the front: a sign, digits, at most one point. Empty when there is none.
std::string_view NumericPrefix(std::string_view text);

}  // namespace vm::select
