#include "select/graphite/tags.h"

#include <algorithm>

#include "lib/regex/regex.h"
#include "select/format/json_text.h"

namespace vm::select::graphite {
namespace {

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

/// Calls `visit(key, value)` for each `key=value` of a list with `;`.
template <class Visit>
void ForEachTag(std::string_view list, const Visit& visit) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(';'), list.size());
    const std::string_view tag = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    const size_t equal = tag.find('=');
    if (equal != std::string_view::npos) visit(tag.substr(0, equal), tag.substr(equal + 1));
  }
}

}  // namespace

std::string CanonicalPath(const model::MetricName& name) {
  std::vector<const model::Tag*> tags;
  for (const model::Tag& tag : name.tags) tags.push_back(&tag);
  std::sort(tags.begin(), tags.end(), [](const auto* a, const auto* b) { return a->key < b->key; });
  std::string path = name.metric_group;
  for (const model::Tag* tag : tags) path.append(";").append(tag->key).append("=").append(tag->value);
  return path;
}

Tags UnmarshalTags(std::string_view path) {
  Tags tags;
  if (path.empty()) return tags;
  const size_t end = std::min(path.find(';'), path.size());
  tags["name"] = path.substr(0, end);
  path.remove_prefix(std::min(end + 1, path.size()));
  ForEachTag(path, [&tags](std::string_view key, std::string_view value) { tags[std::string(key)] = value; });
  return tags;
}

std::string MarshalTags(const Tags& tags) {
  const auto name = tags.find("name");
  std::string path = name == tags.end() ? std::string() : name->second;
  std::vector<std::string> parts;  // In the order of the texts, not of the names.
  for (const auto& [key, value] : tags) {
    if (key != "name") parts.push_back(key + '=' + value);
  }
  std::sort(parts.begin(), parts.end());
  for (const std::string& part : parts) path.append(";").append(part);
  return path;
}

Result<model::TagFilter> ParseTagExpression(std::string_view text) {
  const size_t equal = text.find('=');
  if (equal == std::string_view::npos) return Bad("missing tag value in filter expression \"" + std::string(text) + "\"");
  std::string_view key = text.substr(0, equal);
  const std::string_view value = text.substr(equal + 1);
  model::TagFilter filter;
  filter.is_negative = key.ends_with('!');
  if (filter.is_negative) key.remove_suffix(1);
  if (key != "name") filter.key = key;
  filter.is_regexp = value.starts_with('~');
  filter.value = filter.is_regexp ? "^(?:" + std::string(value.substr(1)) + ").*" : std::string(value);
  return filter;
}

Result<std::vector<model::TagFilter>> FiltersOfPath(std::string_view path) {
  const size_t end = std::min(path.find(';'), path.size());
  if (end == 0) return Bad("cannot parse path=\"" + std::string(path) + "\": metric cannot be empty");
  std::vector<model::TagFilter> filters = {{"", std::string(path.substr(0, end)), false, false}};
  path.remove_prefix(std::min(end + 1, path.size()));
  ForEachTag(path, [&filters](std::string_view key, std::string_view value) {
    if (!key.empty() && !value.empty()) filters.push_back({std::string(key), std::string(value), false, false});
  });
  return filters;
}

Status FilterByRegex(std::vector<std::string>& texts, std::string_view filter) {
  if (filter.empty()) return Ok();
  const std::string anchored = "^(?:" + std::string(filter) + ")";
  auto compiled = regex::Regex::Compile(anchored, regex::Anchoring::kAnywhere);
  if (!compiled.ok()) return std::move(compiled).error().WithContext("cannot parse regexp filter=\"" + anchored + "\"");
  std::erase_if(texts, [&](const std::string& text) { return !compiled.value().Match(text); });
  return Ok();
}

std::string QuoteRegex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view(R"(\.+*?()|[]{}^$)").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

void RenameMetricName(std::vector<std::string>& names) {
  const auto at = std::find(names.begin(), names.end(), "__name__");
  if (at == names.end()) return;
  if (std::find(names.begin(), names.end(), "name") != names.end()) {
    names.erase(at);
    return;
  }
  *at = "name";
  std::sort(names.begin(), names.end());
}

std::string TagsResponse(const std::vector<std::string>& tags) {
  std::string out = "[";
  for (const std::string& tag : tags) {
    out += out.size() == 1 ? "{\"tag\":" : ",{\"tag\":";
    AppendJsonString(out, tag);
    out += '}';
  }
  return out + ']';
}

std::string TagValuesResponse(std::string_view tag, const std::vector<std::string>& values, bool is_partial) {
  std::string out = "{\"tag\":";
  AppendJsonString(out, tag);
  out += is_partial ? ",\"is_partial\":true,\"values\":[" : ",\"values\":[";
  for (size_t i = 0; i < values.size(); ++i) {
    out += i == 0 ? "{\"count\":1,\"value\":" : ",{\"count\":1,\"value\":";
    AppendJsonString(out, values[i]);
    out += '}';
  }
  return out + "]}";
}

}  // namespace vm::select::graphite
