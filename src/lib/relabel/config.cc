#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <array>
#include <charconv>
#include <set>
#include <utility>

#include "lib/relabel/relabel.h"
#include "lib/relabel/rule.h"

namespace vm::relabel {
namespace {

// yaml-cpp throws; what it throws becomes an Error at the two entries below.
struct BadConfig {
  std::string message;
};

[[noreturn]] void Fail(const YAML::Node& node, std::string_view message) {
  throw BadConfig{fmt::format("line {}: {}", node.Mark().line + 1, message)};
}

std::string Text(const YAML::Node& node, std::string_view key) {
  if (node.IsNull()) return {};
  if (!node.IsScalar()) Fail(node, fmt::format("`{}` must be a string", key));
  return node.Scalar();
}

/// A scalar of `regex`: numbers and booleans without quotes are written anew, as the original's reader does.
std::string RegexItem(const YAML::Node& node) {
  if (node.IsNull()) return "null";
  if (!node.IsScalar()) Fail(node, "unexpected type for `regex`; want string or []string");
  const std::string& text = node.Scalar();
  if (node.Tag() != "?") return text;
  for (const std::string_view yes : {"true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"}) {
    if (text == yes) return "true";
  }
  for (const std::string_view no : {"false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF"}) {
    if (text == no) return "false";
  }
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.find_first_of("0123456789") == std::string::npos) {
    return text;
  }
  if (text.find_first_of(".eE") == std::string::npos) return text;
  std::array<char, 400> digits;
  const auto stop =
      std::to_chars(digits.data(), digits.data() + digits.size(), number, std::chars_format::fixed).ptr;
  return std::string(digits.data(), stop);
}

std::string RegexText(const YAML::Node& node) {
  if (!node.IsSequence()) return RegexItem(node);
  std::string text;
  for (const YAML::Node& item : node) {
    if (!text.empty()) text += '|';
    text += RegexItem(item);
  }
  return text;
}

std::vector<std::string> TextList(const YAML::Node& node, std::string_view key) {
  if (node.IsNull()) return {};
  if (!node.IsSequence()) Fail(node, fmt::format("`{}` must be a list of strings", key));
  std::vector<std::string> list;
  for (const YAML::Node& item : node) list.push_back(Text(item, key));
  return list;
}

uint64_t Number(const YAML::Node& node, std::string_view key) {
  const std::string text = Text(node, key);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    Fail(node, fmt::format("cannot unmarshal `{}` into uint64 for `{}`", text, key));
  }
  return number;
}

RuleConfig ReadRule(const YAML::Node& node) {
  if (!node.IsMap()) Fail(node, "a rule must be a map");
  RuleConfig config;
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const std::string key = Text(entry.first, "key");
    const YAML::Node& value = entry.second;
    if (!seen.insert(key).second) Fail(entry.first, fmt::format("key \"{}\" already set in map", key));
    if (key == "if") {
      if (value.IsScalar()) {
        config.selectors.push_back(value.Scalar());
      } else {
        config.selectors = TextList(value, key);
      }
    } else if (key == "action") {
      config.action = Text(value, key);
    } else if (key == "source_labels") {
      config.source_labels = TextList(value, key);
    } else if (key == "separator") {
      if (!value.IsNull()) config.separator = Text(value, key);
    } else if (key == "target_label") {
      config.target_label = Text(value, key);
    } else if (key == "regex") {
      if (!value.IsNull()) config.regex = RegexText(value);
    } else if (key == "modulus") {
      config.modulus = Number(value, key);
    } else if (key == "replacement") {
      if (!value.IsNull()) config.replacement = Text(value, key);
    } else if (key == "match") {
      config.match = Text(value, key);
    } else if (key == "labels") {
      if (!value.IsMap()) Fail(value, "`labels` must be a map of strings");
      for (const auto& label : value) config.labels.emplace_back(Text(label.first, key), Text(label.second, key));
    } else {
      Fail(entry.first, fmt::format("field {} not found in type promrelabel.RelabelConfig", key));
    }
  }
  return config;
}

/// The rules of the list, and the list without comments and layout.
std::pair<std::vector<RuleConfig>, std::string> ReadRules(const std::string& yaml) {
  const YAML::Node list = YAML::Load(yaml);
  if (list.IsNull()) return {};
  if (!list.IsSequence()) Fail(list, "the configuration must be a list of rules");
  std::vector<RuleConfig> configs;
  for (const YAML::Node& node : list) configs.push_back(ReadRule(node));
  return {std::move(configs), YAML::Dump(list)};
}

}  // namespace

Rules::Rules() = default;
Rules::~Rules() = default;

Result<std::shared_ptr<const Rules>> Rules::Parse(std::string_view yaml) {
  std::pair<std::vector<RuleConfig>, std::string> read;
  try {
    read = ReadRules(std::string(yaml));
  } catch (const BadConfig& bad) {
    return Error(ErrorCode::kInvalidInput, bad.message);
  } catch (const YAML::Exception& exception) {
    return Error(ErrorCode::kInvalidInput, exception.what());
  }
  auto rules = std::shared_ptr<Rules>(new Rules());
  rules->text_ = std::move(read.second);
  for (RuleConfig& config : read.first) {
    auto rule = Rule::Make(std::move(config));
    if (!rule.ok()) {
      return Error(ErrorCode::kInvalidInput, fmt::format("error when parsing `relabel_config` #{}: {}",
                                                         rules->rules_.size() + 1, rule.error().message()));
    }
    rules->rules_.push_back(std::move(rule).value());
  }
  return std::shared_ptr<const Rules>(std::move(rules));
}

void Rules::Apply(std::vector<model::LabelView>& labels, std::deque<std::string>& texts) const {
  for (model::LabelView& label : labels) {
    if (label.name.empty()) label.name = "__name__";
  }
  for (const auto& rule : rules_) {
    rule->Apply(labels, texts);
    if (labels.empty()) return;
  }
  std::erase_if(labels, [](const model::LabelView& label) {
    return label.name.empty() || label.value.empty() || (label.name.starts_with("__") && label.name != "__name__");
  });
  for (model::LabelView& label : labels) {
    if (label.name == "__name__") label.name = {};
  }
}

}  // namespace vm::relabel
