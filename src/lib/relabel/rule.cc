#include "lib/relabel/rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <span>

#include "lib/bytes/bytes.h"
#include "lib/hash/xxhash.h"
#include "lib/regex/unicode.h"

namespace vm::relabel {
namespace {

using Labels = std::vector<model::LabelView>;

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }
std::string_view View(const re2::StringPiece& piece) {
  return piece.data() == nullptr ? std::string_view() : std::string_view(piece.data(), piece.size());
}

std::string_view ValueOf(const Labels& labels, std::string_view name) {
  for (const model::LabelView& label : labels) {
    if (label.name == name) return label.value;
  }
  return {};
}

std::string_view Keep(std::string text, std::deque<std::string>& texts) { return texts.emplace_back(std::move(text)); }

/// Requires that both texts outlive `labels`.
void SetValue(Labels& labels, std::string_view name, std::string_view value) {
  for (model::LabelView& label : labels) {
    if (label.name == name) {
      label.value = value;
      return;
    }
  }
  labels.push_back(model::LabelView{name, value});
}

/// `{{label}}` becomes the value of that label.
std::string FillReferences(std::string_view text, const Labels& labels) {
  std::string filled;
  for (;;) {
    const size_t start = text.find("{{");
    const size_t end = start == std::string_view::npos ? start : text.find("}}", start + 2);
    if (end == std::string_view::npos) break;
    filled += text.substr(0, start);
    filled += ValueOf(labels, text.substr(start + 2, end - start - 2));
    text.remove_prefix(end + 2);
  }
  filled += text;
  return filled;
}

bool IsWordByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// The capture that `name` stands for in Go's templates; empty when there is none.
std::string_view CaptureOf(std::string_view name, const re2::RE2* matcher, std::span<const re2::StringPiece> captures) {
  size_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  const bool has_leading_zero = name.size() > 1 && name.front() == '0';
  if (!has_leading_zero && error == std::errc() && end == name.data() + name.size()) {
    return index < captures.size() ? View(captures[index]) : std::string_view();
  }
  if (matcher == nullptr) return {};
  const auto& names = matcher->NamedCapturingGroups();
  const auto it = names.find(std::string(name));
  return it == names.end() ? std::string_view() : View(captures[static_cast<size_t>(it->second)]);
}

/// Go's Regexp.Expand: `$1`, `${1}`, `$name`, `$$`; the longest name counts.
void Expand(std::string& dst, std::string_view pattern, const re2::RE2* matcher,
            std::span<const re2::StringPiece> captures) {
  while (!pattern.empty()) {
    const size_t dollar = std::min(pattern.find('$'), pattern.size());
    dst += pattern.substr(0, dollar);
    pattern.remove_prefix(dollar);
    if (pattern.empty()) return;
    pattern.remove_prefix(1);
    if (pattern.starts_with('$')) {
      dst += '$';
      pattern.remove_prefix(1);
      continue;
    }
    const bool is_braced = pattern.starts_with('{');
    size_t size = is_braced ? 1 : 0;
    while (size < pattern.size() && IsWordByte(pattern[size])) ++size;
    const std::string_view name = pattern.substr(is_braced ? 1 : 0, size - (is_braced ? 1 : 0));
    if (name.empty() || (is_braced && (size == pattern.size() || pattern[size] != '}'))) {
      dst += '$';  // No name: the text stays.
      continue;
    }
    dst += CaptureOf(name, matcher, captures);
    pattern.remove_prefix(size + (is_braced ? 1 : 0));
  }
}

std::string ToLower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return lower;
}

std::string ToUpper(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
  return upper;
}

bool IsDefault(std::string_view expression) {
  const regex::Simplified simplified = regex::Simplify(expression, regex::Anchoring::kWhole);
  return simplified.prefix.empty() && simplified.suffix == "(?s:.*)";
}

std::string QuotedList(const std::vector<std::string>& items) {
  std::string text = "[";
  for (const std::string& item : items) {
    if (text.size() > 1) text += ' ';
    regex::AppendGoQuoted(text, item);
  }
  return text + "]";
}

constexpr std::string_view kGraphiteDocs =
    "see https://docs.victoriametrics.com/victoriametrics/vmagent/#graphite-relabeling";

}  // namespace

Status Rule::CheckConfig(const std::string& action, const RuleConfig& config) const {
  const bool has_sources = !config.source_labels.empty();
  const bool has_target = !config.target_label.empty();
  const bool has_if = !config.selectors.empty();
  const auto missing = [&](std::string_view what) {
    return Bad(fmt::format("missing `{}` for `action={}`", what, action));
  };
  const auto no_regex = [&]() -> Status {
    if (config.regex) return Bad(fmt::format("`regex` cannot be used for `action={}`", action));
    return Ok();
  };
  const auto source_list = [&] { return QuotedList(config.source_labels); };

  if (action == "graphite") {
    if (config.match.empty()) return Bad(fmt::format("missing `match` for `action=graphite`; {}", kGraphiteDocs));
    if (config.labels.empty()) return Bad(fmt::format("missing `labels` for `action=graphite`; {}", kGraphiteDocs));
    const auto unwanted = [](std::string_view what, std::string_view word) {
      return Bad(fmt::format("`{}` cannot be used {} `action=graphite`; {}", what, word, kGraphiteDocs));
    };
    if (has_sources) return unwanted("source_labels", "with");
    if (has_target) return unwanted("target_label", "with");
    if (config.replacement) return unwanted("replacement", "with");
    if (config.regex) return unwanted("regex", "for");
    return Ok();
  }
  if (action == "replace") {
    if (!has_target) return missing("target_label");
  } else if (action == "replace_all" || action == "uppercase" || action == "lowercase" || action == "hashmod") {
    if (!has_sources) return missing("source_labels");
    if (!has_target) return missing("target_label");
    if (action == "hashmod" && config.modulus < 1) {
      return Bad("unexpected `modulus` for `action=hashmod`: 0; must be greater than 0");
    }
  } else if (action == "keep_if_contains" || action == "drop_if_contains") {
    if (!has_target) return Bad(fmt::format("`target_label` must be set for `action={}`", action));
    if (!has_sources) {
      return Bad(fmt::format("`source_labels` must contain at least a single entry for `action={}`", action));
    }
    VM_TRY(no_regex());
  } else if (action == "keep_if_equal" || action == "drop_if_equal") {
    if (config.source_labels.size() < 2) {
      return Bad(fmt::format("`source_labels` must contain at least two entries for `action={}`; got {}", action,
                             source_list()));
    }
    if (has_target) return Bad(fmt::format("`target_label` cannot be used for `action={}`", action));
    VM_TRY(no_regex());
  } else if (action == "keepequal" || action == "dropequal") {
    if (!has_target) return missing("target_label");
    VM_TRY(no_regex());
  } else if (action == "keep" || action == "drop") {
    if (!has_sources && !has_if) return missing("source_labels");
  } else if (action == "keep_metrics" || action == "drop_metrics") {
    if ((!config.regex || config.regex->empty()) && !has_if) {
      return Bad(fmt::format("`regex` must be non-empty for `action={}`", action));
    }
    if (has_sources) {
      return Bad(fmt::format("`source_labels` must be empty for `action={}`; got {}", action, source_list()));
    }
  } else if (action != "labelmap" && action != "labelmap_all" && action != "labeldrop" && action != "labelkeep") {
    std::string quoted;
    regex::AppendGoQuoted(quoted, action);
    return Bad(fmt::format("unknown `action` {}", quoted));
  }
  for (const auto& [is_set, what] : {std::pair(!config.match.empty(), "match"), std::pair(!config.labels.empty(), "labels")}) {
    if (!is_set) continue;
    return Bad(fmt::format("`{}` config cannot be applied to `action={}`; it is applied only to `action=graphite`", what,
                           action));
  }
  return Ok();
}

Status Rule::SetRegex(const std::string& expression) {
  if (IsDefault(expression)) return Ok();
  // The two actions that look for parts take the expression as it stands.
  const bool is_for_parts = action_ == Action::kReplaceAll || action_ == Action::kLabelMapAll;
  const std::string_view inner = is_for_parts ? expression : regex::RemoveStartEndAnchors(expression);
  const std::string shown = is_for_parts ? expression : fmt::format("^(?:{})$", inner);
  const auto fail = [&](std::string_view reason) {
    std::string quoted;
    regex::AppendGoQuoted(quoted, shown);
    return Bad(fmt::format("cannot parse `regex` {}: {}", quoted, reason));
  };
  if (Status checked = regex::Check(shown); !checked.ok()) return fail(checked.error().message());
  auto compiled = regex::Regex::Compile(inner);
  if (!compiled.ok()) return fail(compiled.error().message());
  regex_ = std::move(compiled).value();
  re2::RE2::Options options;
  options.set_log_errors(false);
  auto matcher = std::make_shared<const re2::RE2>(Piece(shown), options);
  if (!matcher->ok()) return fail(matcher->error());
  matcher_ = std::move(matcher);
  return Ok();
}

Result<std::unique_ptr<const Rule>> Rule::Make(RuleConfig config) {
  static const std::map<std::string, Action, std::less<>> kActions = {
      {"replace", Action::kReplace}, {"replace_all", Action::kReplaceAll}, {"keep", Action::kKeep},
      {"drop", Action::kDrop}, {"keep_if_contains", Action::kKeepIfContains},
      {"drop_if_contains", Action::kDropIfContains}, {"keep_if_equal", Action::kKeepIfEqual},
      {"drop_if_equal", Action::kDropIfEqual}, {"keepequal", Action::kKeepEqual}, {"dropequal", Action::kDropEqual},
      {"hashmod", Action::kHashmod}, {"labelmap", Action::kLabelMap}, {"labelmap_all", Action::kLabelMapAll},
      {"labeldrop", Action::kLabelDrop}, {"labelkeep", Action::kLabelKeep}, {"uppercase", Action::kUppercase},
      {"lowercase", Action::kLowercase}, {"graphite", Action::kGraphite}, {"keep_metrics", Action::kKeep},
      {"drop_metrics", Action::kDrop},
  };
  auto rule = std::unique_ptr<Rule>(new Rule());
  const std::string action = config.action.empty() ? "replace" : ToLower(config.action);
  if (const auto it = kActions.find(action); it != kActions.end()) rule->action_ = it->second;
  if (config.regex) VM_TRY(rule->SetRegex(*config.regex));
  VM_TRY(rule->CheckConfig(action, config));
  if (action == "keep_metrics" || action == "drop_metrics") config.source_labels = {"__name__"};
  for (const std::string& text : config.selectors) {
    auto selector = Selector::Parse(text);
    if (!selector.ok()) {
      return Bad(fmt::format("cannot parse `if` series selector: {}", selector.error().message()));
    }
    rule->selectors_.push_back(std::move(selector).value());
  }
  rule->source_labels_ = std::move(config.source_labels);
  rule->separator_ = config.separator.value_or(";");
  rule->target_label_ = std::move(config.target_label);
  rule->replacement_ = config.replacement.value_or("$1");
  rule->modulus_ = config.modulus;
  if (!config.match.empty()) rule->pattern_.emplace(config.match);
  for (auto& [name, text] : config.labels) rule->graphite_labels_.emplace_back(std::move(name), GraphiteTemplate(text));
  return std::unique_ptr<const Rule>(std::move(rule));
}

bool Rule::MatchesIf(const Labels& labels) const {
  return selectors_.empty() || std::any_of(selectors_.begin(), selectors_.end(),
                                           [&](const Selector& selector) { return selector.Match(labels); });
}

std::string Rule::SourceText(const Labels& labels) const {
  std::string text;
  for (size_t i = 0; i < source_labels_.size(); ++i) {
    if (i > 0) text += separator_;
    text += ValueOf(labels, source_labels_[i]);
  }
  return text;
}

bool Rule::HasAllSources(const Labels& labels) const {
  const std::string_view whole = ValueOf(labels, target_label_);
  return std::all_of(source_labels_.begin(), source_labels_.end(), [&](const std::string& name) {
    return whole.find(ValueOf(labels, name)) != std::string_view::npos;
  });
}

bool Rule::HasEqualSources(const Labels& labels) const {
  const std::string_view first = ValueOf(labels, source_labels_.front());
  return std::all_of(source_labels_.begin() + 1, source_labels_.end(),
                     [&](const std::string& name) { return ValueOf(labels, name) == first; });
}

std::optional<std::string> Rule::ExpandFor(std::string_view text, std::string_view pattern) const {
  std::string expanded;
  if (IsAnything()) {
    const std::array<re2::StringPiece, 2> captures = {Piece(text), Piece(text)};
    Expand(expanded, pattern, nullptr, captures);
    return expanded;
  }
  std::vector<re2::StringPiece> captures(static_cast<size_t>(matcher_->NumberOfCapturingGroups()) + 1);
  if (!matcher_->Match(Piece(text), 0, text.size(), re2::RE2::UNANCHORED, captures.data(),
                       static_cast<int>(captures.size()))) {
    return std::nullopt;
  }
  Expand(expanded, pattern, matcher_.get(), captures);
  return expanded;
}

// As Go's ReplaceAllString: an empty match right behind another match does not count.
std::string Rule::ReplaceAll(std::string_view text) const {
  static const re2::RE2 kAnything(".*");
  const re2::RE2& matcher = IsAnything() ? kAnything : *matcher_;
  std::vector<re2::StringPiece> captures(static_cast<size_t>(matcher.NumberOfCapturingGroups()) + 1);
  std::string replaced;
  size_t last_end = 0;
  size_t pos = 0;
  while (pos <= text.size() && matcher.Match(Piece(text), pos, text.size(), re2::RE2::UNANCHORED, captures.data(),
                                             static_cast<int>(captures.size()))) {
    const size_t start = static_cast<size_t>(captures[0].data() - text.data());
    const size_t end = start + captures[0].size();
    replaced += text.substr(last_end, start - last_end);
    if (end > last_end || start == 0) Expand(replaced, replacement_, &matcher, captures);
    last_end = end;
    // At least one character further.
    pos = std::max(end, pos + std::max<size_t>(regex::DecodeRune(text.substr(pos)).size, 1));
  }
  if (last_end < text.size()) replaced += text.substr(last_end);
  return replaced;
}

void Rule::Replace(Labels& labels, std::deque<std::string>& texts) const {
  const bool has_references = replacement_.find("{{") != std::string::npos;
  const std::string replacement = has_references ? FillReferences(replacement_, labels) : replacement_;
  const std::string source = SourceText(labels);
  if (!MatchesWhole(source)) return;
  // The two kinds of expression differ on line feeds: what Go cannot capture is taken as it stands.
  std::string value = ExpandFor(source, replacement).value_or(source);
  std::string_view name = target_label_;
  if (name.find('$') != std::string_view::npos) {
    name = Keep(ExpandFor(source, target_label_).value_or(target_label_), texts);
  }
  SetValue(labels, name, Keep(std::move(value), texts));
}

void Rule::ReplaceByGraphite(Labels& labels, std::deque<std::string>& texts) const {
  std::vector<std::string_view> captures;
  if (!pattern_->Match(ValueOf(labels, "__name__"), captures)) return;
  for (const auto& [name, pattern] : graphite_labels_) SetValue(labels, name, Keep(pattern.Expand(captures), texts));
}

void Rule::MapLabels(Labels& labels, std::deque<std::string>& texts) const {
  const size_t count = labels.size();  // Those that are added are not mapped again.
  for (size_t i = 0; i < count; ++i) {
    const model::LabelView label = labels[i];
    if (!MatchesWhole(label.name)) continue;
    std::optional<std::string> name = ExpandFor(label.name, replacement_);
    if (name && *name != label.name) SetValue(labels, Keep(std::move(*name), texts), label.value);
  }
}

void Rule::Apply(Labels& labels, std::deque<std::string>& texts) const {
  if (!MatchesIf(labels)) {
    if (action_ == Action::kKeep) labels.clear();
    return;
  }
  const auto keep_if = [&](bool is_kept) {
    if (!is_kept) labels.clear();
  };
  switch (action_) {
    case Action::kReplace: Replace(labels, texts); break;
    case Action::kReplaceAll: {
      const std::string source = SourceText(labels);
      std::string value = ReplaceAll(source);
      if (value != source) SetValue(labels, target_label_, Keep(std::move(value), texts));
      break;
    }
    case Action::kKeep: keep_if(IsAnything() || MatchesWhole(SourceText(labels))); break;
    case Action::kDrop: keep_if(!IsAnything() && !MatchesWhole(SourceText(labels))); break;
    case Action::kKeepIfContains: keep_if(HasAllSources(labels)); break;
    case Action::kDropIfContains: keep_if(!HasAllSources(labels)); break;
    case Action::kKeepIfEqual: keep_if(HasEqualSources(labels)); break;
    case Action::kDropIfEqual: keep_if(!HasEqualSources(labels)); break;
    case Action::kKeepEqual: keep_if(SourceText(labels) == ValueOf(labels, target_label_)); break;
    case Action::kDropEqual: keep_if(SourceText(labels) != ValueOf(labels, target_label_)); break;
    case Action::kHashmod: {
      const uint64_t hash = hash::XXH64(AsBytes(SourceText(labels))) % modulus_;
      SetValue(labels, target_label_, Keep(fmt::format("{}", static_cast<int64_t>(hash)), texts));
      break;
    }
    case Action::kLabelMap: MapLabels(labels, texts); break;
    case Action::kLabelMapAll:
      for (model::LabelView& label : labels) {
        std::string name = ReplaceAll(label.name);
        if (name != label.name) label.name = Keep(std::move(name), texts);
      }
      break;
    case Action::kLabelDrop: std::erase_if(labels, [&](const auto& label) { return MatchesWhole(label.name); }); break;
    case Action::kLabelKeep: std::erase_if(labels, [&](const auto& label) { return !MatchesWhole(label.name); }); break;
    case Action::kUppercase: SetValue(labels, target_label_, Keep(ToUpper(SourceText(labels)), texts)); break;
    case Action::kLowercase: SetValue(labels, target_label_, Keep(ToLower(SourceText(labels)), texts)); break;
    case Action::kGraphite: ReplaceByGraphite(labels, texts); break;
  }
}

}  // namespace vm::relabel
