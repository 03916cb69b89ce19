#include "lib/regex/regex.h"

#include <re2/re2.h>

#include <algorithm>

#include "lib/regex/syntax.h"
#include "lib/regex/unicode.h"

namespace vm::regex {
namespace {

constexpr int64_t kMaxMatcherBytes = int64_t{64} << 20;

bool IsDot(const Node& node, Op repetition) { return node.op == repetition && node.subs[0].op == Op::kAnyChar; }

/// The literal between two `.*` or two `.+`; empty when `node` is something else.
std::string LiteralBetween(const Node& node, Op repetition) {
  if (node.op != Op::kConcat || node.subs.size() != 3) return {};
  const Node& middle = node.subs[1];
  if (!IsDot(node.subs[0], repetition) || !IsDot(node.subs[2], repetition)) return {};
  if (middle.op != Op::kLiteral || middle.fold_case) return {};
  std::string text;
  for (const uint32_t r : middle.runes) AppendRune(text, r);
  return text;
}

Result<std::shared_ptr<const re2::RE2>> MakeMatcher(std::string_view expression, std::string_view shown, bool dot_nl) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(dot_nl);
  options.set_max_mem(kMaxMatcherBytes);
  auto matcher =
      std::make_shared<const re2::RE2>(re2::StringPiece(expression.data(), expression.size()), options);
  if (matcher->ok()) return matcher;
  return Error(ErrorCode::kInvalidInput,
               "error parsing regexp: " + matcher->error() + ": `" + std::string(shown) + "`");
}

}  // namespace

Result<Regex> Regex::Compile(std::string_view expression, Anchoring anchoring) {
  VM_TRY(Check(expression));
  Regex result;
  result.anchoring_ = anchoring;
  if (anchoring == Anchoring::kAnywhere) {
    VM_ASSIGN_OR_RETURN(result.matcher_, MakeMatcher(expression, expression, true));
    return result;
  }
  Simplified simplified = Simplify(expression, anchoring);
  result.or_values_ = OrValues(simplified);
  result.prefix_ = std::move(simplified.prefix);
  if (!result.or_values_.empty()) {
    const auto last = std::unique(result.or_values_.begin(), result.or_values_.end());
    result.or_values_.erase(last, result.or_values_.end());
    result.rest_ = Rest::kOrValues;
    return result;
  }
  if (auto suffix = ParseSyntax(simplified.suffix); suffix.ok()) {
    const Node& node = suffix.value();
    const auto contains = [&](Op repetition, Rest rest) {
      result.substring_ = LiteralBetween(node, repetition);
      if (!result.substring_.empty()) result.rest_ = rest;
      return !result.substring_.empty();
    };
    if (IsDot(node, Op::kStar)) result.rest_ = Rest::kAnything;
    else if (IsDot(node, Op::kPlus)) result.rest_ = Rest::kSomething;
    else if (!contains(Op::kStar, Rest::kContains)) contains(Op::kPlus, Rest::kContainsInside);
  }
  if (result.rest_ != Rest::kMatcher) return result;
  // Dots in the suffix have flags of their own. Only a single dot has lost its flag, and with it the line feed; the
  // reference has this too.
  VM_ASSIGN_OR_RETURN(result.matcher_, MakeMatcher(simplified.suffix, expression, false));
  return result;
}

bool Regex::Match(std::string_view value) const {
  if (anchoring_ == Anchoring::kAnywhere) {
    return re2::RE2::PartialMatch(re2::StringPiece(value.data(), value.size()), *matcher_);
  }
  if (rest_ == Rest::kOrValues) return std::binary_search(or_values_.begin(), or_values_.end(), value);
  if (!value.starts_with(prefix_)) return false;
  value.remove_prefix(prefix_.size());
  switch (rest_) {
    case Rest::kAnything: return true;
    case Rest::kSomething: return !value.empty();
    case Rest::kContains: return value.find(substring_) != value.npos;
    case Rest::kContainsInside: {
      // One character before it and one behind.
      const size_t at = value.find(substring_, 1);
      return at != value.npos && at + substring_.size() < value.size();
    }
    default: return re2::RE2::FullMatch(re2::StringPiece(value.data(), value.size()), *matcher_);
  }
}

Status Check(std::string_view expression) {
  auto parsed = ParseSyntax(expression);
  if (!parsed.ok()) return std::move(parsed).error();
  return Ok();
}

}  // namespace vm::regex
