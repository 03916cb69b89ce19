#include "lib/regex/simplify.h"

#include <algorithm>
#include <optional>

#include "lib/regex/syntax.h"
#include "lib/regex/unicode.h"

namespace vm::regex {
namespace {

constexpr size_t kMaxOrValues = 100;  // With more, matching is cheaper than looking up.

/// The text of a literal in one case, also in parentheses.
std::optional<std::string> LiteralText(const Node& node) {
  if (node.op == Op::kCapture) return LiteralText(node.subs[0]);
  if (node.op != Op::kLiteral || node.fold_case) return std::nullopt;
  std::string text;
  for (const uint32_t r : node.runes) AppendRune(text, r);
  return text;
}

bool IsDotStar(const Node& node) { return node.op == Op::kStar && node.subs[0].op == Op::kAnyChar; }

/// Captures become groups, empty parts go, and so do anchors at the ends unless they are to be kept.
void Strip(Node& node, bool keep_begin, bool keep_end) {
  switch (node.op) {
    case Op::kCapture:
    case Op::kStar:
    case Op::kPlus:
    case Op::kQuest:
    case Op::kRepeat:
      Strip(node.subs[0], keep_begin, keep_end);
      if (node.subs[0].op == Op::kEmptyMatch) node = Node();
      else if (node.op == Op::kCapture) node.op = Op::kAlternate;
      return;
    case Op::kAlternate:
      // An empty alternative means something.
      for (Node& sub : node.subs) Strip(sub, keep_begin, keep_end);
      return;
    case Op::kConcat: {
      std::vector<Node> kept;
      for (size_t i = 0; i < node.subs.size(); ++i) {
        Strip(node.subs[i], keep_begin || !kept.empty(), keep_end || i + 1 < node.subs.size());
        if (node.subs[i].op != Op::kEmptyMatch) kept.push_back(std::move(node.subs[i]));
      }
      const auto is_not = [](Op op) { return [op](const Node& n) { return n.op != op; }; };
      if (!keep_begin) kept.erase(kept.begin(), std::find_if(kept.begin(), kept.end(), is_not(Op::kBeginText)));
      if (!keep_end) {
        kept.erase(std::find_if(kept.rbegin(), kept.rend(), is_not(Op::kEndText)).base(), kept.end());
      }
      if (kept.empty()) {
        node = Node();
      } else if (kept.size() == 1) {
        Node only = std::move(kept[0]);
        node = std::move(only);
      } else {
        node.subs = std::move(kept);
      }
      return;
    }
    default: return;
  }
}

/// Strip and simplify until nothing changes; false when the result cannot be parsed any more.
bool StripAll(Node& node, bool keep_begin, bool keep_end) {
  std::string text = ToString(node);
  while (true) {
    Strip(node, keep_begin, keep_end);
    if (!SimplifySyntax(node)) return false;
    if ((!keep_begin && node.op == Op::kBeginText) || (!keep_end && node.op == Op::kEndText)) node = Node();
    std::string next = ToString(node);
    if (next == text) return true;
    text = std::move(next);
    auto parsed = ParseSyntax(text);
    if (!parsed.ok()) return false;
    node = std::move(parsed).value();
  }
}

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) text.replace(at, from.size(), to);
}

Simplified SimplifyAnchors(std::string_view expression, bool keep_anchors) {
  auto parsed = ParseSyntax(expression);
  if (!parsed.ok()) return {std::string(expression), {}};
  Node node = std::move(parsed).value();
  if (!StripAll(node, keep_anchors, keep_anchors)) return {{}, std::string(expression)};
  if (node.op == Op::kEmptyMatch) return {};
  if (auto text = LiteralText(node)) return {std::move(*text), {}};
  Simplified result;
  if (node.op == Op::kConcat) {
    if (auto text = LiteralText(node.subs[0])) {
      result.prefix = std::move(*text);
      node.subs.erase(node.subs.begin());
      Node rest = node;
      if (StripAll(rest, true, keep_anchors)) node = std::move(rest);
    }
  }
  result.suffix = ToString(node);
  ReplaceAll(result.suffix, "(?:)", "");
  ReplaceAll(result.suffix, "(?s:.)", ".");
  ReplaceAll(result.suffix, "(?m:$)", "$");
  return result;
}

std::vector<std::string> ClassValues(const Node& node) {
  std::vector<std::string> values;
  for (size_t i = 0; i < node.runes.size(); i += 2) {
    for (uint32_t r = node.runes[i]; r <= node.runes[i + 1]; ++r) {
      AppendRune(values.emplace_back(), r);
      if (values.size() > kMaxOrValues) return {};
    }
  }
  return values;
}

std::vector<std::string> NodeValues(const Node& node) {
  switch (node.op) {
    case Op::kCapture: return NodeValues(node.subs[0]);
    case Op::kEmptyMatch: return {""};
    case Op::kCharClass: return ClassValues(node);
    case Op::kLiteral: {
      auto text = LiteralText(node);
      return text ? std::vector{std::move(*text)} : std::vector<std::string>();
    }
    case Op::kAlternate: {
      std::vector<std::string> values;
      for (const Node& sub : node.subs) {
        const auto more = NodeValues(sub);
        if (more.empty()) return {};
        values.insert(values.end(), more.begin(), more.end());
        if (values.size() > kMaxOrValues) return {};
      }
      return values;
    }
    case Op::kConcat: {
      std::vector<std::string> values = {""};
      for (const Node& sub : node.subs) {
        const auto ends = NodeValues(sub);
        if (ends.empty() || values.size() * ends.size() > kMaxOrValues) return {};
        std::vector<std::string> longer;
        for (const auto& value : values) {
          for (const auto& end : ends) longer.push_back(value + end);
        }
        values = std::move(longer);
      }
      return values;
    }
    default: return {};
  }
}

}  // namespace

std::string_view RemoveStartEndAnchors(std::string_view expression) {
  while (expression.starts_with('^')) expression.remove_prefix(1);
  while (expression.ends_with('$') && !expression.ends_with("\\$")) expression.remove_suffix(1);
  return expression;
}

Simplified Simplify(std::string_view expression, Anchoring anchoring) {
  if (anchoring == Anchoring::kWhole) return SimplifyAnchors(expression, false);
  Simplified result = SimplifyAnchors(expression, true);
  auto parsed = ParseSyntax(result.suffix);
  if (!parsed.ok()) return result;
  Node node = std::move(parsed).value();
  if (IsDotStar(node)) return {result.prefix, {}};
  if (node.op != Op::kConcat) return result;
  // Anything may stand before and behind a match.
  auto begin = node.subs.begin();
  auto end = node.subs.end();
  while (result.prefix.empty() && begin != end && IsDotStar(*begin)) ++begin;
  while (begin != end && IsDotStar(*(end - 1))) --end;
  node.subs = std::vector<Node>(std::make_move_iterator(begin), std::make_move_iterator(end));
  result.suffix = node.subs.empty() ? std::string() : ToString(node);
  return result;
}

std::vector<std::string> OrValues(const Simplified& simplified) {
  if (simplified.suffix.empty()) return {simplified.prefix};
  const auto parsed = ParseSyntax(simplified.suffix);
  if (!parsed.ok()) return {};
  std::vector<std::string> values = NodeValues(parsed.value());
  for (auto& value : values) value.insert(0, simplified.prefix);
  std::sort(values.begin(), values.end());
  return values;
}

std::vector<std::string> OrValues(std::string_view expression, Anchoring anchoring) {
  const bool keep_anchors = anchoring == Anchoring::kAnywhere;
  if (!keep_anchors) expression = RemoveStartEndAnchors(expression);
  return OrValues(SimplifyAnchors(expression, keep_anchors));
}

std::vector<std::string> Literals(std::string_view expression) {
  const auto parsed = ParseSyntax(expression);
  if (!parsed.ok()) return {};
  const Node* node = &parsed.value();
  while (node->op == Op::kCapture) node = &node->subs[0];
  if (auto text = LiteralText(*node)) return {std::move(*text)};
  std::vector<std::string> literals;
  if (node->op != Op::kConcat) return literals;
  for (const Node& sub : node->subs) {
    if (auto text = LiteralText(sub)) literals.push_back(std::move(*text));
  }
  return literals;
}

}  // namespace vm::regex
