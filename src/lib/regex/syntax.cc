#include "lib/regex/syntax.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "lib/regex/unicode.h"

namespace vm::regex {
namespace {

using Runes = std::vector<uint32_t>;

constexpr uint32_t kMaxRune = 0x10ffff;
constexpr uint16_t kMaxHeight = 1000;      // As in Go: all walks recurse.
constexpr int kMaxRepeat = 1000;           // As in Go, of all nested repetitions together.
constexpr size_t kMaxSimplifiedSize = 1 << 16;  // Runes and nodes of an expression with its repetitions written out.

enum ParserFlag : uint8_t { kFoldCase = 1, kMultiLine = 2, kDotNl = 4, kNonGreedy = 8 };

bool IsAsciiLetter(uint32_t r) { return r < 0x80 && IsLetter(r); }
bool IsWordChar(uint32_t r) { return IsAsciiLetter(r) || (r >= '0' && r <= '9') || r == '_'; }

/// The two letters beyond ASCII that fold to ASCII ones, and what they fold to.
constexpr uint32_t kLongS = 0x17f;
constexpr uint32_t kKelvin = 0x212a;

uint32_t MinFold(uint32_t r) {
  if (r == kLongS) return 'S';
  if (r == kKelvin) return 'K';
  return r >= 'a' && r <= 'z' ? r - 32 : r;
}

void Clean(Runes& runes) {
  std::vector<std::pair<uint32_t, uint32_t>> ranges;
  for (size_t i = 0; i < runes.size(); i += 2) ranges.emplace_back(runes[i], runes[i + 1]);
  std::sort(ranges.begin(), ranges.end());
  runes.clear();
  for (const auto& [lo, hi] : ranges) {
    if (!runes.empty() && lo <= runes.back() + 1) {
      runes.back() = std::max(runes.back(), hi);
    } else {
      runes.insert(runes.end(), {lo, hi});
    }
  }
}

void Negate(Runes& runes) {
  Clean(runes);
  Runes gaps;
  uint32_t next = 0;
  for (size_t i = 0; i < runes.size(); i += 2) {
    if (runes[i] > next) gaps.insert(gaps.end(), {next, runes[i] - 1});
    next = runes[i + 1] + 1;
  }
  if (next <= kMaxRune) gaps.insert(gaps.end(), {next, kMaxRune});
  runes = std::move(gaps);
}

/// Both cases of the ASCII letters from `lo` to `hi`; false when that takes tables of letters beyond ASCII.
bool AppendFolded(Runes& runes, uint32_t lo, uint32_t hi) {
  runes.insert(runes.end(), {lo, hi});
  if (lo == 0 && hi == kMaxRune) return true;
  if (lo == hi && (lo == kLongS || lo == kKelvin)) {
    runes.insert(runes.end(), {MinFold(lo), MinFold(lo), MinFold(lo) | 0x20, MinFold(lo) | 0x20});
    return true;
  }
  if (hi >= 0x80) return false;
  for (uint32_t r = lo; r <= hi; ++r) {
    if (!IsAsciiLetter(r)) continue;
    runes.insert(runes.end(), {r ^ 0x20, r ^ 0x20});
    if (MinFold(r) == 'S') runes.insert(runes.end(), {kLongS, kLongS});
    if (MinFold(r) == 'K') runes.insert(runes.end(), {kKelvin, kKelvin});
  }
  return true;
}

struct NamedClass {
  std::string_view name;
  std::string_view ranges;  // Pairs of ASCII characters.
};

constexpr auto kPerlClasses = std::to_array<NamedClass>({
    {"d", "09"}, {"s", "\t\n\f\r  "}, {"w", "09AZ__az"}});
constexpr std::string_view kAscii("\0\x7f", 2);
constexpr std::string_view kCntrl("\0\x1f\x7f\x7f", 4);
constexpr auto kPosixClasses = std::to_array<NamedClass>({
    {"alnum", "09AZaz"}, {"alpha", "AZaz"}, {"ascii", kAscii}, {"blank", "\t\t  "}, {"cntrl", kCntrl},
    {"digit", "09"}, {"graph", "!~"}, {"lower", "az"}, {"print", " ~"}, {"punct", "!/:@[`{~"},
    {"space", "\t\r  "}, {"upper", "AZ"}, {"word", "09AZ__az"}, {"xdigit", "09AFaf"}});

template <class Classes>
const NamedClass* FindClass(const Classes& classes, std::string_view name) {
  const auto at = std::find_if(classes.begin(), classes.end(), [&](const auto& c) { return c.name == name; });
  return at == classes.end() ? nullptr : &*at;
}

bool IsSingleChar(const Node& node) {
  return (node.op == Op::kLiteral && node.runes.size() == 1) || node.op == Op::kCharClass ||
         node.op == Op::kAnyCharNotNl || node.op == Op::kAnyChar;
}

bool MatchesLineFeed(const Node& node) {
  if (node.op == Op::kLiteral) return node.runes[0] == '\n';
  if (node.op != Op::kCharClass) return node.op == Op::kAnyChar;
  for (size_t i = 0; i < node.runes.size(); i += 2) {
    if (node.runes[i] <= '\n' && '\n' <= node.runes[i + 1]) return true;
  }
  return false;
}

/// False when the letter needs tables that are not here.
bool AppendLiteral(Runes& runes, const Node& literal) {
  const uint32_t r = literal.runes[0];
  if (literal.fold_case) return AppendFolded(runes, r, r);
  runes.insert(runes.end(), {r, r});
  return true;
}

/// Make `dst` match what `src` matches, too. Requires: IsSingleChar of both, and dst.op >= src.op.
/// False, and nothing is changed, when that cannot be told.
bool MergeSingleChar(Node& dst, const Node& src) {
  if (dst.op == Op::kAnyChar) return true;
  if (dst.op == Op::kAnyCharNotNl) {
    if (MatchesLineFeed(src)) dst.op = Op::kAnyChar;
    return true;
  }
  if (dst.op == Op::kLiteral && src.runes == dst.runes && src.fold_case == dst.fold_case) return true;
  Runes runes;
  if (dst.op == Op::kCharClass) runes = dst.runes;
  else if (!AppendLiteral(runes, dst)) return false;
  if (src.op == Op::kCharClass) runes.insert(runes.end(), src.runes.begin(), src.runes.end());
  else if (!AppendLiteral(runes, src)) return false;
  Clean(runes);
  dst.op = Op::kCharClass;
  dst.fold_case = false;
  dst.runes = std::move(runes);
  return true;
}

void CleanAlternative(Node& node) {
  if (node.op != Op::kCharClass) return;
  if (node.runes == Runes{0, kMaxRune}) node.op = Op::kAnyChar;
  else if (node.runes == Runes{0, '\n' - 1, '\n' + 1, kMaxRune}) node.op = Op::kAnyCharNotNl;
  else return;
  node.runes.clear();
}

/// The literal that `node` begins with; null when it begins with something else.
const Node* LeadingLiteral(const Node& node) {
  const Node& first = node.op == Op::kConcat ? node.subs[0] : node;
  return first.op == Op::kLiteral ? &first : nullptr;
}

void SetHeight(Node& node) {
  node.height = 1;
  for (const Node& sub : node.subs) {
    node.height = std::max(node.height, static_cast<uint16_t>(sub.height + 1));
  }
}

/// A concatenation of which one part was taken away.
void ShrinkConcat(Node& node) {
  if (node.subs.size() == 1) {
    Node only = std::move(node.subs[0]);
    node = std::move(only);
  } else {
    SetHeight(node);
  }
}

void RemoveLeadingRunes(Node& node, size_t n) {
  if (node.op == Op::kConcat) {
    RemoveLeadingRunes(node.subs[0], n);
    if (node.subs[0].op == Op::kEmptyMatch) {
      node.subs.erase(node.subs.begin());
      ShrinkConcat(node);
    }
    return;
  }
  node.runes.erase(node.runes.begin(), node.runes.begin() + static_cast<ptrdiff_t>(n));
  if (node.runes.empty()) node.op = Op::kEmptyMatch;
}

/// The first part of `node`; null when it is empty.
const Node* LeadingPart(const Node& node) {
  const Node& first = node.op == Op::kConcat ? node.subs[0] : node;
  return first.op == Op::kEmptyMatch ? nullptr : &first;
}

void RemoveLeadingPart(Node& node) {
  if (node.op != Op::kConcat) {
    node = Node();
    return;
  }
  node.subs.erase(node.subs.begin());
  ShrinkConcat(node);
}

Node MakeConcat(Node first, Node second) {
  Node node;
  node.op = Op::kConcat;
  node.subs.push_back(std::move(first));
  node.subs.push_back(std::move(second));
  SetHeight(node);
  return node;
}

std::vector<Node> Factor(std::vector<Node> subs);

/// Join `subs` by `op`; those of the same operator are lifted up.
Node Collapse(std::vector<Node> subs, Op op) {
  if (subs.size() == 1) return std::move(subs[0]);
  Node node;
  node.op = op;
  for (Node& sub : subs) {
    if (sub.op == op) std::move(sub.subs.begin(), sub.subs.end(), std::back_inserter(node.subs));
    else node.subs.push_back(std::move(sub));
  }
  if (op == Op::kAlternate) {
    node.subs = Factor(std::move(node.subs));
    if (node.subs.size() == 1) {
      Node only = std::move(node.subs[0]);
      return only;
    }
  }
  SetHeight(node);
  return node;
}

/// `prefix` and the alternatives of what is left of [begin, end) behind it.
template <class Iterator, class Remove>
Node Factored(Node prefix, Iterator begin, Iterator end, const Remove& remove) {
  std::vector<Node> rests;
  for (auto at = begin; at != end; ++at) {
    remove(*at);
    rests.push_back(std::move(*at));
  }
  return MakeConcat(std::move(prefix), Collapse(std::move(rests), Op::kAlternate));
}

std::vector<Node> FactorLiterals(std::vector<Node> subs) {
  std::vector<Node> out;
  for (size_t i = 0; i < subs.size();) {
    const Node* literal = LeadingLiteral(subs[i]);
    size_t end = i + 1;
    if (literal != nullptr) {
      Node prefix;
      prefix.op = Op::kLiteral;
      prefix.fold_case = literal->fold_case;
      prefix.runes = literal->runes;
      for (; end < subs.size(); ++end) {
        const Node* next = LeadingLiteral(subs[end]);
        if (next == nullptr || next->fold_case != prefix.fold_case) break;
        const auto same =
            std::mismatch(prefix.runes.begin(), prefix.runes.end(), next->runes.begin(), next->runes.end());
        if (same.first == prefix.runes.begin()) break;
        prefix.runes.erase(same.first, prefix.runes.end());
      }
      if (end > i + 1) {
        const size_t n = prefix.runes.size();
        out.push_back(Factored(std::move(prefix), subs.begin() + static_cast<ptrdiff_t>(i),
                               subs.begin() + static_cast<ptrdiff_t>(end),
                               [n](Node& node) { RemoveLeadingRunes(node, n); }));
        i = end;
        continue;
      }
    }
    out.push_back(std::move(subs[i]));
    i = end;
  }
  return out;
}

/// Only a single character, or a fixed number of them, may be factored out: with other repetitions the rest could
/// match in other ways.
bool MayFactor(const Node& part) {
  return IsSingleChar(part) || (part.op == Op::kRepeat && part.min == part.max && IsSingleChar(part.subs[0]));
}

std::vector<Node> FactorParts(std::vector<Node> subs) {
  std::vector<Node> out;
  for (size_t i = 0; i < subs.size();) {
    const Node* part = LeadingPart(subs[i]);
    size_t end = i + 1;
    while (part != nullptr && MayFactor(*part) && end < subs.size()) {
      const Node* next = LeadingPart(subs[end]);
      if (next == nullptr || !(*next == *part)) break;
      ++end;
    }
    if (end == i + 1) {
      out.push_back(std::move(subs[i]));
    } else {
      Node prefix = *part;
      out.push_back(Factored(std::move(prefix), subs.begin() + static_cast<ptrdiff_t>(i),
                             subs.begin() + static_cast<ptrdiff_t>(end), RemoveLeadingPart));
    }
    i = end;
  }
  return out;
}

std::vector<Node> MergeSingleChars(std::vector<Node> subs) {
  std::vector<Node> out;
  bool may_merge = false;  // The last one of `out` is a single character.
  for (Node& sub : subs) {
    const bool single = IsSingleChar(sub);
    if (single && may_merge) {
      Node& last = out.back();
      if (last.op < sub.op) std::swap(last, sub);
      if (MergeSingleChar(last, sub)) {
        CleanAlternative(last);
        continue;
      }
    }
    may_merge = single;
    out.push_back(std::move(sub));
  }
  return out;
}

/// Factor common prefixes out of alternatives: ABC|ABD|AEF becomes A(?:B[CD]|EF).
std::vector<Node> Factor(std::vector<Node> subs) {
  if (subs.size() < 2) return subs;
  subs = MergeSingleChars(FactorParts(FactorLiterals(std::move(subs))));
  const auto both_empty = [](const Node& a, const Node& b) {
    return a.op == Op::kEmptyMatch && b.op == Op::kEmptyMatch;
  };
  subs.erase(std::unique(subs.begin(), subs.end(), both_empty), subs.end());
  return subs;
}

/// Do the nested repetitions make at most `n` copies of something?
bool RepeatIsValid(const Node& node, int n) {
  if (node.op == Op::kRepeat) {
    if (node.max == 0) return true;
    const int m = node.max < 0 ? node.min : node.max;
    if (m > n) return false;
    if (m > 0) n /= m;
  }
  return std::all_of(node.subs.begin(), node.subs.end(), [n](const Node& sub) { return RepeatIsValid(sub, n); });
}

/// Operator precedence by a stack, as in Go, so that the same trees come out.
class Parser {
 public:
  explicit Parser(std::string_view expression) : whole_(expression), rest_(expression) {}

  Result<Node> Run() {
    std::string_view last_repeat;
    while (!rest_.empty() && error_.empty()) {
      std::string_view repeat;
      const std::string_view before = rest_;
      if (ParseOne()) repeat = before;
      if (!repeat.empty() && !last_repeat.empty()) {
        Fail("invalid nested repetition operator", last_repeat.substr(0, last_repeat.size() - rest_.size()));
      }
      last_repeat = repeat;
    }
    if (error_.empty()) {
      Alternate();
      if (stack_.size() != 1) Fail("missing closing )", whole_);
    }
    if (!error_.empty()) return Error(ErrorCode::kInvalidInput, error_);
    return std::move(stack_[0]);
  }

 private:
  void Fail(std::string_view what, std::string_view expression) {
    if (!error_.empty()) return;
    error_ = "error parsing regexp: " + std::string(what) + ": `" + std::string(expression) + "`";
  }
  bool Has(ParserFlag flag) const { return (flags_ & flag) != 0; }
  bool Take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  std::optional<uint32_t> NextRune() {
    const Rune rune = DecodeRune(rest_);
    if (rune.code == kRuneError && rune.size <= 1) {
      Fail("invalid UTF-8", rest_);
      return std::nullopt;
    }
    rest_.remove_prefix(rune.size);
    return rune.code;
  }

  /// Take one item; true when it is a repetition.
  bool ParseOne() {
    switch (rest_[0]) {
      case '(':
        if (rest_.starts_with("(?")) {
          ParsePerlFlags();
          return false;
        }
        rest_.remove_prefix(1);
        PushParen(true);
        return false;
      case '|':
        rest_.remove_prefix(1);
        Concat();
        if (!SwapVerticalBar()) Push({.op = Op::kVerticalBar});
        return false;
      case ')': return ParseRightParen(), false;
      case '^':
        rest_.remove_prefix(1);
        Push({.op = Has(kMultiLine) ? Op::kBeginLine : Op::kBeginText});
        return false;
      case '$':
        rest_.remove_prefix(1);
        Push({.op = Has(kMultiLine) ? Op::kEndLine : Op::kEndText, .was_dollar = !Has(kMultiLine)});
        return false;
      case '.':
        rest_.remove_prefix(1);
        Push({.op = Has(kDotNl) ? Op::kAnyChar : Op::kAnyCharNotNl});
        return false;
      case '[': return ParseClass(), false;
      case '*': return ParseRepetition(Op::kStar, 0, 0, 1);
      case '+': return ParseRepetition(Op::kPlus, 0, 0, 1);
      case '?': return ParseRepetition(Op::kQuest, 0, 0, 1);
      case '{': return ParseCounted();
      case '\\': return ParseBackslash(), false;
      default:
        if (const auto rune = NextRune()) PushLiteral(*rune);
        return false;
    }
  }

  void PushParen(bool capture) {
    Push({.op = Op::kLeftParen, .parser_flags = flags_, .min = capture ? 1 : 0});
  }

  void PushLiteral(uint32_t rune) {
    Node node{.op = Op::kLiteral, .fold_case = Has(kFoldCase)};
    node.runes = {Has(kFoldCase) ? MinFold(rune) : rune};
    Push(std::move(node));
  }

  void Push(Node node) {
    const Runes& r = node.runes;
    if (node.op == Op::kCharClass && r.size() == 2 && r[0] == r[1]) {
      node.op = Op::kLiteral;
      node.runes.resize(1);
      node.fold_case = false;
    } else if (node.op == Op::kCharClass && r.size() == 4 && r[0] == r[1] && r[2] == r[3] && IsAsciiLetter(r[2]) &&
               r[0] == (r[2] ^ 0x20U) && MinFold(r[2]) != 'K' && MinFold(r[2]) != 'S') {
      node.op = Op::kLiteral;
      node.runes.resize(1);
      node.fold_case = true;
    }
    JoinLiterals();
    if (node.height > kMaxHeight) Fail("expression nests too deeply", whole_);
    stack_.push_back(std::move(node));
  }

  /// Two literals on the top become one: the upper one is no longer subject to a repetition.
  void JoinLiterals() {
    if (stack_.size() < 2) return;
    Node& top = stack_.back();
    Node& below = stack_[stack_.size() - 2];
    if (top.op != Op::kLiteral || below.op != Op::kLiteral || top.fold_case != below.fold_case) return;
    below.runes.insert(below.runes.end(), top.runes.begin(), top.runes.end());
    stack_.pop_back();
  }

  std::vector<Node> PopToOperator() {
    auto begin = stack_.end();
    while (begin != stack_.begin() && (begin - 1)->op < Op::kLeftParen) --begin;
    std::vector<Node> subs(std::make_move_iterator(begin), std::make_move_iterator(stack_.end()));
    stack_.erase(begin, stack_.end());
    return subs;
  }

  void Concat() {
    JoinLiterals();
    std::vector<Node> subs = PopToOperator();
    Push(subs.empty() ? Node() : Collapse(std::move(subs), Op::kConcat));
  }

  /// Everything down to the last opening parenthesis.
  void Alternate() {
    Concat();
    if (SwapVerticalBar()) stack_.pop_back();
    std::vector<Node> subs = PopToOperator();
    if (!subs.empty()) CleanAlternative(subs.back());
    Push(Collapse(std::move(subs), Op::kAlternate));
  }

  /// When a vertical bar lies below the top, put the top under it: all alternatives but the one being read do.
  bool SwapVerticalBar() {
    const size_t n = stack_.size();
    if (n < 2 || stack_[n - 2].op != Op::kVerticalBar) return false;
    if (n >= 3 && IsSingleChar(stack_[n - 1]) && IsSingleChar(stack_[n - 3])) {
      if (stack_[n - 1].op > stack_[n - 3].op) std::swap(stack_[n - 1], stack_[n - 3]);
      if (MergeSingleChar(stack_[n - 3], stack_[n - 1])) {
        stack_.pop_back();
        return true;
      }
    }
    if (n >= 3) CleanAlternative(stack_[n - 3]);
    std::swap(stack_[n - 2], stack_[n - 1]);
    return true;
  }

  void ParseRightParen() {
    Alternate();
    const size_t n = stack_.size();
    if (n < 2 || stack_[n - 2].op != Op::kLeftParen) return Fail("unexpected )", whole_);
    rest_.remove_prefix(1);
    Node inner = std::move(stack_.back());
    stack_.pop_back();
    Node paren = std::move(stack_.back());
    stack_.pop_back();
    flags_ = paren.parser_flags;
    if (paren.min == 0) return Push(std::move(inner));
    Node capture{.op = Op::kCapture};
    capture.subs.push_back(std::move(inner));
    SetHeight(capture);
    Push(std::move(capture));
  }

  bool ParseRepetition(Op op, int min, int max, size_t size) {
    const std::string_view before = rest_;
    rest_.remove_prefix(size);
    const bool question = Take("?");
    const std::string_view text = before.substr(0, before.size() - rest_.size());
    if (stack_.empty() || stack_.back().op >= Op::kLeftParen) {
      Fail("missing argument to repetition operator", text);
      return true;
    }
    Node node{.op = op, .non_greedy = Has(kNonGreedy) != question, .min = min, .max = max};
    node.subs.push_back(std::move(stack_.back()));
    SetHeight(node);
    if (node.height > kMaxHeight) Fail("expression nests too deeply", whole_);
    if (op == Op::kRepeat && (min >= 2 || max >= 2) && !RepeatIsValid(node, kMaxRepeat)) {
      Fail("invalid repeat count", text);
    }
    stack_.back() = std::move(node);
    return true;
  }

  /// A number without leading zeros; a big one is a million.
  static std::optional<int> ParseInt(std::string_view& text) {
    constexpr int kBig = 1'000'000;
    if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
    if (text.size() >= 2 && text[0] == '0' && text[1] >= '0' && text[1] <= '9') return std::nullopt;
    int n = 0;
    for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1)) {
      n = std::min(kBig, n * 10 + (text[0] - '0'));
    }
    return n;
  }

  /// `{2}`, `{2,}` or `{2,3}`; anything else is a literal brace.
  bool ParseCounted() {
    std::string_view text = rest_.substr(1);
    const auto min = ParseInt(text);
    std::optional<int> max = min;
    if (min && text.starts_with(',')) {
      text.remove_prefix(1);
      max = text.starts_with('}') ? std::optional(-1) : ParseInt(text);
    }
    if (!max || !text.starts_with('}')) {
      rest_.remove_prefix(1);
      PushLiteral('{');
      return false;
    }
    text.remove_prefix(1);
    const size_t size = rest_.size() - text.size();
    if (*min > kMaxRepeat || *max > kMaxRepeat || (*max >= 0 && *min > *max)) {
      Fail("invalid repeat count", rest_.substr(0, size));
      return true;
    }
    return ParseRepetition(Op::kRepeat, *min, *max, size);
  }

  static uint8_t FlagOf(uint32_t letter) {
    switch (letter) {
      case 'i': return kFoldCase;
      case 'm': return kMultiLine;
      case 's': return kDotNl;
      case 'U': return kNonGreedy;
      default: return 0;
    }
  }

  /// `(?P<name>`, `(?<name>`, `(?flags)` or `(?flags:`.
  void ParsePerlFlags() {
    const std::string_view start = rest_;
    if ((start.size() > 4 && start.starts_with("(?P<")) || (start.size() > 3 && start.starts_with("(?<"))) {
      return ParseCaptureName();
    }
    rest_.remove_prefix(2);
    uint8_t flags = flags_;
    bool negative = false;
    bool saw_flag = false;
    while (!rest_.empty()) {
      const auto c = NextRune();
      if (!c) return;
      const uint8_t flag = FlagOf(*c);
      if (flag != 0) {
        flags = static_cast<uint8_t>(negative ? flags & ~flag : flags | flag);
        saw_flag = true;
      } else if (*c == '-' && !negative) {
        negative = true;
        saw_flag = false;
      } else if ((*c == ':' || *c == ')') && (!negative || saw_flag)) {
        if (*c == ':') PushParen(false);
        flags_ = flags;
        return;
      } else {
        break;
      }
    }
    Fail("invalid or unsupported Perl syntax", start.substr(0, start.size() - rest_.size()));
  }

  void ParseCaptureName() {
    const std::string_view start = rest_;
    const size_t end = start.find('>');
    if (end == start.npos) return Fail("invalid named capture", start);
    const std::string_view name = start.substr(start.find('<') + 1, end - start.find('<') - 1);
    const auto is_word = [](char c) { return IsWordChar(static_cast<unsigned char>(c)); };
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_word)) {
      return Fail("invalid named capture", start.substr(0, end + 1));
    }
    rest_.remove_prefix(end + 1);
    PushParen(true);
  }

  void ParseBackslash() {
    if (Take("\\A")) return Push({.op = Op::kBeginText});
    if (Take("\\z")) return Push({.op = Op::kEndText});
    if (Take("\\b")) return Push({.op = Op::kWordBoundary});
    if (Take("\\B")) return Push({.op = Op::kNoWordBoundary});
    if (rest_.starts_with("\\C")) return Fail("invalid escape sequence", "\\C");
    if (Take("\\Q")) {
      const std::string_view all = rest_;
      const size_t end = std::min(all.find("\\E"), all.size());
      while (all.size() - rest_.size() < end) {
        const auto rune = NextRune();
        if (!rune) return;
        PushLiteral(*rune);
      }
      Take("\\E");
      return;
    }
    const std::string_view start = rest_;
    Node node{.op = Op::kCharClass};
    bool is_opaque = false;
    if (TakeUnicodeClass()) return PushOpaque(start);
    if (TakePerlClass(node.runes, is_opaque)) {
      Clean(node.runes);
      return is_opaque ? PushOpaque(start) : Push(std::move(node));
    }
    if (const auto rune = ParseEscape()) PushLiteral(*rune);
  }

  /// What was taken since `start`, as text.
  void PushOpaque(std::string_view start) {
    if (!error_.empty()) return;
    const std::string text(start.substr(0, start.size() - rest_.size()));
    Node node{.op = Op::kOpaque};
    node.text = Has(kFoldCase) ? "(?i:" + text + ")" : text;
    Push(std::move(node));
  }

  /// `\pN`, `\p{Greek}`, `\P{^Greek}`: the names are those that the matcher knows.
  bool TakeUnicodeClass() {
    if (!rest_.starts_with("\\p") && !rest_.starts_with("\\P")) return false;
    const std::string_view start = rest_;
    rest_.remove_prefix(2);
    const auto c = NextRune();
    if (!c) return true;
    if (*c == '{') {
      const size_t end = rest_.find('}');
      if (end == rest_.npos) return Fail("invalid character class range", start), true;
      rest_.remove_prefix(end + 1);
    }
    const std::string_view name = start.substr(0, start.size() - rest_.size());
    re2::RE2::Options options;
    options.set_log_errors(false);
    if (!re2::RE2(re2::StringPiece(name.data(), name.size()), options).ok()) {
      Fail("invalid character class range", name);
    }
    return true;
  }

  void AppendNamed(Runes& runes, const NamedClass& named, bool negative, bool& is_opaque) {
    Runes own;
    for (size_t i = 0; i < named.ranges.size(); i += 2) {
      const auto lo = static_cast<unsigned char>(named.ranges[i]);
      const auto hi = static_cast<unsigned char>(named.ranges[i + 1]);
      if (!Has(kFoldCase)) own.insert(own.end(), {lo, hi});
      else if (!AppendFolded(own, lo, hi)) is_opaque = true;
    }
    if (negative) Negate(own);
    runes.insert(runes.end(), own.begin(), own.end());
  }

  bool TakePerlClass(Runes& runes, bool& is_opaque) {
    if (rest_.size() < 2 || rest_[0] != '\\') return false;
    const char letter = static_cast<char>(rest_[1] | 0x20);
    const NamedClass* named = FindClass(kPerlClasses, std::string_view(&letter, 1));
    if (named == nullptr || !IsAsciiLetter(static_cast<unsigned char>(rest_[1]))) return false;
    AppendNamed(runes, *named, rest_[1] != letter, is_opaque);
    rest_.remove_prefix(2);
    return true;
  }

  /// `[:alpha:]`, `[:^alpha:]`.
  bool TakePosixClass(Runes& runes, bool& is_opaque) {
    if (!rest_.starts_with("[:")) return false;
    const size_t end = rest_.find(":]", 2);
    if (end == rest_.npos) return false;
    std::string_view name = rest_.substr(2, end - 2);
    const bool negative = name.starts_with('^');
    if (negative) name.remove_prefix(1);
    const NamedClass* named = FindClass(kPosixClasses, name);
    if (named == nullptr) Fail("invalid character class range", rest_.substr(0, end + 2));
    else AppendNamed(runes, *named, negative, is_opaque);
    rest_.remove_prefix(end + 2);
    return true;
  }

  std::optional<uint32_t> ParseClassChar(std::string_view whole_class) {
    if (rest_.empty()) {
      Fail("missing closing ]", whole_class);
      return std::nullopt;
    }
    return rest_[0] == '\\' ? ParseEscape() : NextRune();
  }

  void ParseClass() {
    const std::string_view start = rest_;
    Node node{.op = Op::kCharClass};
    rest_.remove_prefix(1);
    const bool negative = Take("^");
    bool is_opaque = false;
    for (bool first = true; rest_.empty() || rest_[0] != ']' || first; first = false) {
      if (!error_.empty()) return;
      if (TakePosixClass(node.runes, is_opaque)) continue;
      if (TakeUnicodeClass()) {
        is_opaque = true;
        continue;
      }
      if (TakePerlClass(node.runes, is_opaque)) continue;
      const std::string_view range = rest_;
      const auto lo = ParseClassChar(start);
      if (!lo) return;
      auto hi = lo;
      if (rest_.size() >= 2 && rest_[0] == '-' && rest_[1] != ']') {
        rest_.remove_prefix(1);
        hi = ParseClassChar(start);
        if (!hi) return;
        if (*hi < *lo) return Fail("invalid character class range", range.substr(0, range.size() - rest_.size()));
      }
      if (!Has(kFoldCase)) node.runes.insert(node.runes.end(), {*lo, *hi});
      else if (!AppendFolded(node.runes, *lo, *hi)) is_opaque = true;
    }
    if (!error_.empty()) return;
    rest_.remove_prefix(1);
    if (is_opaque) return PushOpaque(start);
    if (negative) Negate(node.runes);
    else Clean(node.runes);
    Push(std::move(node));
  }

  static int HexDigit(uint32_t c) {
    if (c >= '0' && c <= '9') return static_cast<int>(c - '0');
    const uint32_t lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? static_cast<int>(lower - 'a') + 10 : -1;
  }

  std::optional<uint32_t> ParseEscape() {
    const std::string_view start = rest_;
    const auto invalid = [&]() -> std::optional<uint32_t> {
      Fail("invalid escape sequence", start.substr(0, start.size() - rest_.size()));
      return std::nullopt;
    };
    rest_.remove_prefix(1);
    if (rest_.empty()) {
      Fail("trailing backslash at end of expression", "");
      return std::nullopt;
    }
    const auto next = NextRune();
    if (!next) return std::nullopt;
    const uint32_t c = *next;
    const auto is_octal = [&] { return !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '7'; };
    if (c == '0' || (c >= '1' && c <= '7' && is_octal())) {  // A digit alone would be a back reference.
      uint32_t rune = c - '0';
      for (int i = 1; i < 3 && is_octal(); ++i) {
        rune = rune * 8 + static_cast<uint32_t>(rest_[0] - '0');
        rest_.remove_prefix(1);
      }
      return rune;
    }
    switch (c) {
      case 'x': return ParseHex(invalid);
      case 'a': return '\a';
      case 'f': return '\f';
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      case 'v': return '\v';
      default: break;
    }
    if (c < 0x80 && (!IsWordChar(c) || c == '_')) return c;
    return invalid();
  }

  template <class Invalid>
  std::optional<uint32_t> ParseHex(const Invalid& invalid) {
    if (rest_.empty()) return invalid();
    auto c = NextRune();
    if (!c) return std::nullopt;
    uint32_t rune = 0;
    if (*c != '{') {
      const int high = HexDigit(*c);
      c = NextRune();
      if (!c) return std::nullopt;
      const int low = HexDigit(*c);
      if (high < 0 || low < 0) return invalid();
      return static_cast<uint32_t>(high * 16 + low);
    }
    for (int digits = 0;; ++digits) {
      if (rest_.empty()) return invalid();
      c = NextRune();
      if (!c) return std::nullopt;
      if (*c == '}') return digits == 0 ? invalid() : rune;
      const int digit = HexDigit(*c);
      if (digit < 0) return invalid();
      rune = rune * 16 + static_cast<uint32_t>(digit);
      if (rune > kMaxRune) return invalid();
    }
  }

  std::string_view whole_;
  std::string_view rest_;
  uint8_t flags_ = kDotNl;
  std::vector<Node> stack_;
  std::string error_;
};

/// Nodes and runes once the repetitions are written out; stops counting when there are too many.
size_t SimplifiedSize(const Node& node) {
  size_t size = 1 + node.runes.size() + node.text.size();
  for (const Node& sub : node.subs) {
    size += SimplifiedSize(sub);
    if (size > kMaxSimplifiedSize) return size;
  }
  if (node.op == Op::kRepeat) size *= static_cast<size_t>(std::max({1, node.min, node.max}));
  return size;
}

Node SimplifyUnary(Op op, bool non_greedy, Node sub) {
  if (sub.op == Op::kEmptyMatch) return sub;
  if (sub.op == op && sub.non_greedy == non_greedy) return sub;
  Node node{.op = op, .non_greedy = non_greedy};
  node.subs.push_back(std::move(sub));
  SetHeight(node);
  return node;
}

Node SimplifyNode(Node node) {
  for (Node& sub : node.subs) sub = SimplifyNode(std::move(sub));
  if (node.op == Op::kStar || node.op == Op::kPlus || node.op == Op::kQuest) {
    return SimplifyUnary(node.op, node.non_greedy, std::move(node.subs[0]));
  }
  SetHeight(node);
  if (node.op != Op::kRepeat) return node;
  if (node.min == 0 && node.max == 0) return Node();
  const bool lazy = node.non_greedy;
  Node sub = std::move(node.subs[0]);
  if (node.max == -1 && node.min <= 1) {
    return SimplifyUnary(node.min == 0 ? Op::kStar : Op::kPlus, lazy, std::move(sub));
  }
  if (node.min == 1 && node.max == 1) return sub;
  Node all{.op = Op::kConcat};
  if (node.max == -1) {  // x{3,} is xxx+.
    all.subs.assign(static_cast<size_t>(node.min - 1), sub);
    all.subs.push_back(SimplifyUnary(Op::kPlus, lazy, std::move(sub)));
  } else {  // x{2,5} is xx(?:x(?:xx?)?)?.
    all.subs.assign(static_cast<size_t>(node.min), sub);
    if (node.max > node.min) {
      Node suffix = SimplifyUnary(Op::kQuest, lazy, sub);
      for (int i = node.min + 1; i < node.max; ++i) {
        suffix = SimplifyUnary(Op::kQuest, lazy, MakeConcat(sub, std::move(suffix)));
      }
      if (node.min == 0) return suffix;
      all.subs.push_back(std::move(suffix));
    }
  }
  SetHeight(all);
  return all;
}

// Flags in print_flags: around the node they are switched on, and kOff closes what was opened before it.
constexpr uint8_t kI = 1, kM = 2, kS = 4, kOff = 8, kPrec = 16;
constexpr int kNegativeShift = 5;  // kM and kS, switched off.

struct FlagNeeds {
  uint8_t must = 0;
  uint8_t cannot = 0;
};

/// Is there a letter of which the class has one case alone? Beyond ASCII that is assumed, unless the class has all or
/// nothing there but for the two letters that fold to ASCII.
bool HasOneCase(const Runes& runes) {
  const auto has = [&](uint32_t r) {
    for (size_t i = 0; i < runes.size(); i += 2) {
      if (runes[i] <= r && r <= runes[i + 1]) return true;
    }
    return false;
  };
  for (uint32_t r = 'A'; r <= 'Z'; ++r) {
    if (has(r) != has(r ^ 0x20)) return true;
  }
  if (has('S') != has(kLongS) || has('K') != has(kKelvin)) return true;
  Runes others = runes;
  others.insert(others.end(), {0, 0x7f, kLongS, kLongS, kKelvin, kKelvin});
  Clean(others);
  return others != Runes{0, kMaxRune} && others != Runes{0, 0x7f, kLongS, kLongS, kKelvin, kKelvin};
}

void AddSpan(Node& start, Node& last, uint8_t flags) {
  start.print_flags = flags;
  last.print_flags |= kOff;
}

/// Which flags must be on, and which ones off, around `node`; where parts disagree they get flags of their own.
FlagNeeds CalcFlags(Node& node) {
  node.print_flags = 0;
  switch (node.op) {
    case Op::kLiteral:
      for (const uint32_t r : node.runes) {
        if (r < 0x80 && !IsAsciiLetter(r)) continue;
        return node.fold_case ? FlagNeeds{kI, 0} : FlagNeeds{0, kI};
      }
      return {};
    case Op::kCharClass: return {0, HasOneCase(node.runes) ? kI : uint8_t{0}};
    case Op::kAnyCharNotNl: return {0, kS};
    case Op::kAnyChar: return {kS, 0};
    case Op::kBeginLine:
    case Op::kEndLine: return {kM, 0};
    case Op::kEndText: return {0, node.was_dollar ? kM : uint8_t{0}};
    case Op::kCapture:
    case Op::kStar:
    case Op::kPlus:
    case Op::kQuest:
    case Op::kRepeat: return CalcFlags(node.subs[0]);
    case Op::kConcat:
    case Op::kAlternate: {
      FlagNeeds all;
      uint8_t ever_cannot = 0;
      size_t start = 0;
      size_t last = 0;
      bool conflict = false;
      for (size_t i = 0; i < node.subs.size(); ++i) {
        const FlagNeeds sub = CalcFlags(node.subs[i]);
        if ((all.must & sub.cannot) != 0 || (sub.must & all.cannot) != 0) {
          if (all.must != 0) AddSpan(node.subs[start], node.subs[last], all.must);
          all = {};
          start = i;
          conflict = true;
        }
        all.must |= sub.must;
        all.cannot |= sub.cannot;
        ever_cannot |= sub.cannot;
        if (sub.must != 0) last = i;
        if (all.must == 0 && start == i) ++start;
      }
      if (!conflict) return all;
      if (all.must != 0) AddSpan(node.subs[start], node.subs[last], all.must);
      return {0, ever_cannot};
    }
    default: return {};
  }
}

void AppendHex(std::string& dst, uint32_t r) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string digits;
  do digits += kHex[r & 15];
  while ((r >>= 4) != 0);
  dst.append(digits.rbegin(), digits.rend());
}

void AppendRuneText(std::string& dst, uint32_t r, bool force) {
  if (IsPrint(r)) {
    constexpr std::string_view kMeta = "\\.+*?()|[]{}^$";
    if (force || (r < 0x80 && kMeta.find(static_cast<char>(r)) != kMeta.npos)) dst += '\\';
    AppendRune(dst, r);
    return;
  }
  switch (r) {
    case '\a': dst += "\\a"; return;
    case '\f': dst += "\\f"; return;
    case '\n': dst += "\\n"; return;
    case '\r': dst += "\\r"; return;
    case '\t': dst += "\\t"; return;
    case '\v': dst += "\\v"; return;
    default: break;
  }
  dst += r < 0x100 ? "\\x" : "\\x{";
  if (r < 0x10) dst += '0';
  AppendHex(dst, r);
  if (r >= 0x100) dst += '}';
}

void AppendRange(std::string& dst, uint32_t lo, uint32_t hi) {
  AppendRuneText(dst, lo, lo == '-');
  if (lo == hi) return;
  if (hi != lo + 1) dst += '-';
  AppendRuneText(dst, hi, hi == '-');
}

void AppendClass(std::string& dst, const Runes& runes) {
  dst += '[';
  if (runes.empty()) {
    dst += "^\\x00-\\x{10FFFF}";
  } else if (runes.front() == 0 && runes.back() == kMaxRune && runes.size() > 2) {
    // Probably a negated class: print the gaps.
    dst += '^';
    for (size_t i = 1; i + 1 < runes.size(); i += 2) AppendRange(dst, runes[i] + 1, runes[i + 1] - 1);
  } else {
    for (size_t i = 0; i < runes.size(); i += 2) AppendRange(dst, runes[i], runes[i + 1]);
  }
  dst += ']';
}

void AppendNode(std::string& dst, const Node& node, uint8_t flags);

void AppendBody(std::string& dst, const Node& node) {
  switch (node.op) {
    case Op::kNoMatch: dst += "[^\\x00-\\x{10FFFF}]"; return;
    case Op::kEmptyMatch: dst += "(?:)"; return;
    case Op::kLiteral:
      for (const uint32_t r : node.runes) AppendRuneText(dst, r, false);
      return;
    case Op::kCharClass: return AppendClass(dst, node.runes);
    case Op::kAnyCharNotNl:
    case Op::kAnyChar: dst += '.'; return;
    case Op::kBeginLine: dst += '^'; return;
    case Op::kEndLine: dst += '$'; return;
    case Op::kBeginText: dst += "\\A"; return;
    case Op::kEndText: dst += node.was_dollar ? "$" : "\\z"; return;
    case Op::kWordBoundary: dst += "\\b"; return;
    case Op::kNoWordBoundary: dst += "\\B"; return;
    case Op::kOpaque: dst += node.text; return;
    case Op::kCapture:
      dst += '(';
      if (node.subs[0].op != Op::kEmptyMatch) AppendNode(dst, node.subs[0], 0);
      dst += ')';
      return;
    case Op::kStar:
    case Op::kPlus:
    case Op::kQuest:
    case Op::kRepeat: {
      const Node& sub = node.subs[0];
      const bool prec = sub.op > Op::kCapture || (sub.op == Op::kLiteral && sub.runes.size() > 1);
      AppendNode(dst, sub, prec ? kPrec : 0);
      if (node.op == Op::kStar) dst += '*';
      if (node.op == Op::kPlus) dst += '+';
      if (node.op == Op::kQuest) dst += '?';
      if (node.op == Op::kRepeat) {
        dst += '{' + std::to_string(node.min);
        if (node.max != node.min) dst += ',';
        if (node.max != node.min && node.max >= 0) dst += std::to_string(node.max);
        dst += '}';
      }
      if (node.non_greedy) dst += '?';
      return;
    }
    case Op::kConcat:
      for (const Node& sub : node.subs) AppendNode(dst, sub, sub.op == Op::kAlternate ? kPrec : 0);
      return;
    case Op::kAlternate:
      for (size_t i = 0; i < node.subs.size(); ++i) {
        if (i > 0) dst += '|';
        AppendNode(dst, node.subs[i], 0);
      }
      return;
    case Op::kLeftParen:
    case Op::kVerticalBar: return;
  }
}

void AppendNode(std::string& dst, const Node& node, uint8_t flags) {
  flags |= node.print_flags;
  const auto switches = static_cast<uint8_t>(flags & ~(kOff | kPrec));
  if (switches != 0 && (flags & kOff) != 0) flags &= static_cast<uint8_t>(~kPrec);
  if (switches != 0) {
    dst += "(?";
    if ((flags & kI) != 0) dst += 'i';
    if ((flags & kM) != 0) dst += 'm';
    if ((flags & kS) != 0) dst += 's';
    const int off = switches >> kNegativeShift;
    if (off != 0) dst += '-';
    if ((off & kM) != 0) dst += 'm';
    if ((off & kS) != 0) dst += 's';
    dst += ':';
  }
  if ((flags & kPrec) != 0) dst += "(?:";
  AppendBody(dst, node);
  if ((flags & kPrec) != 0) dst += ')';
  if ((flags & kOff) != 0) dst += ')';
}

}  // namespace

bool Node::operator==(const Node& other) const {
  return op == other.op && fold_case == other.fold_case && non_greedy == other.non_greedy &&
         was_dollar == other.was_dollar && min == other.min && max == other.max && runes == other.runes &&
         text == other.text && subs == other.subs;
}

Result<Node> ParseSyntax(std::string_view expression) { return Parser(expression).Run(); }

bool SimplifySyntax(Node& node) {
  if (SimplifiedSize(node) > kMaxSimplifiedSize) return false;
  node = SimplifyNode(std::move(node));
  return true;
}

std::string ToString(Node& node) {
  const FlagNeeds needs = CalcFlags(node);
  auto flags = static_cast<uint8_t>(needs.must | ((needs.cannot & ~kI) << kNegativeShift));
  if (flags != 0) flags |= kOff;
  std::string text;
  AppendNode(text, node, flags);
  return text;
}

}  // namespace vm::regex
