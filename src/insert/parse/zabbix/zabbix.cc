#include "insert/parse/zabbix/zabbix.h"

#include <optional>
#include <unordered_map>
#include <utility>

namespace vm::insert {
namespace {

// Types of values, as in the history of Zabbix. The others are texts.
constexpr int64_t kFloat = 0;
constexpr int64_t kUnsigned = 3;

}  // namespace

void ZabbixReader::Start(std::string_view body, BadRowHandler on_bad_row) {
  rest_ = body;
  on_bad_row_ = std::move(on_bad_row);
  bad_count_ = 0;
}

const ZabbixRow* ZabbixReader::Next() {
  while (!rest_.empty()) {
    const size_t newline = rest_.find('\n');
    std::string_view line = rest_.substr(0, newline);
    rest_.remove_prefix(newline == std::string_view::npos ? rest_.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    std::string reason;
    if (Status status = document_.Parse(line); !status.ok()) {
      reason = "cannot parse json line: " + status.error().message();
    } else {
      const JsonValue root = document_.root();
      const auto member = root.Find("type");
      const std::optional<int64_t> type = member ? member->AsInteger() : std::nullopt;
      if (type && *type != kFloat && *type != kUnsigned) {
        ++bad_count_;  // A text: nothing is wrong with it.
        continue;
      }
      reason = type ? ParseObject(root) : "missing `type` element";
    }
    if (reason.empty()) return &row_;
    ++bad_count_;
    if (on_bad_row_) {
      constexpr size_t kMaxShown = 1000;  // Lines have up to 32 MB.
      on_bad_row_("skipping json line \"" + std::string(line.substr(0, kMaxShown)) + "\" because of error: " + reason);
    }
  }
  return nullptr;
}

std::string ZabbixReader::ParseObject(const JsonValue& object) {
  row_.labels.clear();
  texts_.clear();
  const auto host = object.FindOf(JsonType::kObject, "host");
  if (!host) return "missing `host` object";
  const std::string_view host_name = host->FindText("host");
  if (host_name.empty()) return "missing `host` element in `host` object";
  const std::string_view visible_name = host->FindText("name");
  if (visible_name.empty()) return "missing `name` element in `host` object";
  const std::string_view name = object.FindText("name");
  if (name.empty()) return "missing `name` element";
  row_.labels.push_back({"host", host_name});
  row_.labels.push_back({"hostname", visible_name});
  row_.labels.push_back({"", name});

  const auto value = object.Find("value");
  const std::optional<double> number = value ? value->AsNumber() : std::nullopt;
  if (!number) return "missing `value` element: it must be a number";
  row_.value = *number;
  const auto integer = [&object](std::string_view key) {
    const auto member = object.Find(key);
    return member ? member->AsInteger() : std::nullopt;
  };
  const std::optional<int64_t> clock = integer("clock");
  if (!clock) return "missing `clock` element: it must be an integer";
  const std::optional<int64_t> ns = integer("ns");
  if (!ns) return "missing `ns` element: it must be an integer";
  // Overflow wraps as it does in the reference.
  row_.timestamp = static_cast<int64_t>(static_cast<uint64_t>(*clock) * 1000 + static_cast<uint64_t>(*ns / 1'000'000));

  if (!options_.groups_value.empty()) {
    const auto groups = object.FindOf(JsonType::kArray, "groups");
    if (!groups) return "missing `groups` element: it must be an array";
    for (const JsonValue group : *groups) {
      if (group.is(JsonType::kString)) AddTag("group_", group.text(), options_.groups_value);
    }
  }
  const auto tags = object.FindOf(JsonType::kArray, "item_tags");
  if (!tags) return "missing `item_tags` element: it must be an array";
  AddTags(*tags);
  return {};
}

void ZabbixReader::AddTags(const JsonValue& tags) {
  const std::string& separator = options_.duplicate_tags_separator;
  struct Merged {
    size_t label;
    std::string* value;
  };
  std::unordered_map<std::string_view, Merged> merged;  // By the name of the tag.
  for (const JsonValue tag : tags) {
    const std::string_view name = tag.FindText("tag");
    std::string_view value = tag.FindText("value");
    if (value.empty()) value = options_.empty_tags_value;
    if (name.empty() || value.empty()) continue;
    if (separator.empty()) {
      AddTag("tag_", name, value);
      continue;
    }
    const auto [at, is_new] = merged.try_emplace(name, Merged{row_.labels.size(), nullptr});
    if (is_new) {
      AddTag("tag_", name, {});
      at->second.value = &texts_.emplace_back(value);
    } else {
      *at->second.value += separator;
      *at->second.value += value;
    }
  }
  for (const auto& [name, tag] : merged) row_.labels[tag.label].value = *tag.value;
}

void ZabbixReader::AddTag(std::string_view prefix, std::string_view name, std::string_view value) {
  if (name.empty()) return;
  row_.labels.push_back({texts_.emplace_back(std::string(prefix) + std::string(name)), value});
}

}  // namespace vm::insert
