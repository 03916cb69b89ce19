#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace vm::regex {

/// In the order of how much a node can match: alternatives are merged into the greater one.
enum class Op : uint8_t {
  kNoMatch,
  kEmptyMatch,
  kLiteral,
  kCharClass,
  kAnyCharNotNl,
  kAnyChar,
  kBeginLine,
  kEndLine,
  kBeginText,
  kEndText,
  kWordBoundary,
  kNoWordBoundary,
  kOpaque,  // A class by name, such as \pL, that is kept as text.
  kCapture,
  kStar,
  kPlus,
  kQuest,
  kRepeat,
  kConcat,
  kAlternate,
  kLeftParen,    // On the parser's stack alone.
  kVerticalBar,  // On the parser's stack alone.
};

/// A part of a regular expression.
struct Node {
  Op op = Op::kEmptyMatch;
  bool fold_case = false;
  bool non_greedy = false;
  bool was_dollar = false;       // kEndText: `$` and not `\z`.
  uint8_t parser_flags = 0;      // kLeftParen: what holds again behind the closing one.
  uint8_t print_flags = 0;       // Scratch of ToString.
  uint16_t height = 1;
  int min = 0;
  int max = 0;                   // kRepeat: -1 is no limit.
  std::vector<uint32_t> runes = {};  // kLiteral: the text. kCharClass: pairs of first and last, ascending.
  std::vector<Node> subs = {};
  std::string text = {};         // kOpaque.

  bool operator==(const Node& other) const;
};

/// Parse `expression` as Go's regexp package does; `.` matches line feeds. Common prefixes of alternatives are
/// factored out. Errors: kInvalidInput, with Go's text.
/// Reference: Go regexp/syntax, with the flags Perl|DotNL.
Result<Node> ParseSyntax(std::string_view expression);

/// Write counted repetitions out and drop what is redundant. False when the result would be too big.
bool SimplifySyntax(Node& node);

/// The expression as Go prints it.
std::string ToString(Node& node);

}  // namespace vm::regex
