#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vm::regex {

/// What an expression is matched against: whole values, as in label filters and relabelling, or any part of a text.
enum class Anchoring { kWhole, kAnywhere };

/// Literal text that every match starts with, and the expression for the rest. Without captures.
struct Simplified {
  std::string prefix;
  std::string suffix;
  bool operator==(const Simplified&) const = default;
};

/// Split `expression`; anchors at its ends go with kWhole. An expression that does not parse becomes the prefix.
Simplified Simplify(std::string_view expression, Anchoring anchoring);

/// The sorted values that an alternation of literals and small classes stands for; empty when the expression is
/// something else or has more than 100 values. Values may repeat.
std::vector<std::string> OrValues(const Simplified& simplified);
/// The same for any expression, as the reference does it: with kWhole `^` and `$` at its ends are cut off as text.
std::vector<std::string> OrValues(std::string_view expression, Anchoring anchoring);

/// The literals that are parts of the outermost concatenation.
std::vector<std::string> Literals(std::string_view expression);

/// Without `^` at the start and `$` at the end.
std::string_view RemoveStartEndAnchors(std::string_view expression);

}  // namespace vm::regex
