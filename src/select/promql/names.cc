#include "select/promql/names.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace vm::select {
namespace {

constexpr std::string_view kNameLabel = "__name__";

bool Listed(std::span<const std::string> keys, std::string_view key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); }

void AppendSized(std::string& dst, std::string_view text) {
  const auto size = static_cast<uint32_t>(text.size());
  dst.append(reinterpret_cast<const char*>(&size), sizeof size);  // Keys live in this process only.
  dst += text;
}

void SetTag(model::MetricName& name, std::string key, const std::string& value) {
  for (auto& tag : name.tags) {
    if (tag.key == key) {
      tag.value = value;
      return;
    }
  }
  name.AddTag(key, value);
}

/// Call `visit` for all tags in the order of their keys.
template <class Visit>
void ForSortedTags(const model::MetricName& name, Visit visit) {
  const auto less = [](const model::Tag& a, const model::Tag& b) { return a.key < b.key; };
  if (std::is_sorted(name.tags.begin(), name.tags.end(), less)) {
    for (const auto& tag : name.tags) visit(tag);
    return;
  }
  std::vector<const model::Tag*> tags;
  tags.reserve(name.tags.size());
  for (const auto& tag : name.tags) tags.push_back(&tag);
  std::stable_sort(tags.begin(), tags.end(), [&](const auto* a, const auto* b) { return less(*a, *b); });
  for (const auto* tag : tags) visit(*tag);
}

}  // namespace

void RemoveTag(model::MetricName& name, std::string_view key) {
  if (key == kNameLabel) {
    name.metric_group.clear();
    return;
  }
  std::erase_if(name.tags, [&](const model::Tag& tag) { return tag.key == key; });
}

void KeepTags(model::MetricName& name, std::span<const std::string> keys) {
  if (!Listed(keys, kNameLabel)) name.metric_group.clear();
  std::erase_if(name.tags, [&](const model::Tag& tag) { return !Listed(keys, tag.key); });
}

void DropTags(model::MetricName& name, std::span<const std::string> keys) {
  if (keys.empty()) return;
  if (Listed(keys, kNameLabel)) name.metric_group.clear();
  std::erase_if(name.tags, [&](const model::Tag& tag) { return Listed(keys, tag.key); });
}

void CopyTags(model::MetricName& name, std::span<const std::string> keys, std::string_view prefix, std::span<const std::string> skip,
              const model::MetricName& src) {
  if (keys.size() == 1 && keys[0] == "*") {
    for (const auto& tag : src.tags) {
      if (!Listed(skip, tag.key)) SetTag(name, std::string(prefix) + tag.key, tag.value);
    }
    return;
  }
  for (const auto& key : keys) {
    if (Listed(skip, key)) continue;
    if (key == kNameLabel) {
      name.metric_group = src.metric_group;
      continue;
    }
    const auto it = std::find_if(src.tags.begin(), src.tags.end(), [&](const auto& tag) { return tag.key == key; });
    if (it == src.tags.end()) {
      RemoveTag(name, key);
    } else {
      SetTag(name, std::string(prefix) + key, it->value);
    }
  }
}

void SortTagsByKey(model::MetricName& name) {
  std::stable_sort(name.tags.begin(), name.tags.end(), [](const model::Tag& a, const model::Tag& b) { return a.key < b.key; });
}

void ApplyAggrModifier(model::MetricName& name, const metricsql::ModifierExpr& modifier) {
  if (modifier.op == "without") {
    DropTags(name, modifier.args);
    name.metric_group.clear();
  } else {
    KeepTags(name, modifier.args);
  }
  SortTagsByKey(name);
}

void AppendAggrKey(std::string& dst, const model::MetricName& name, const metricsql::ModifierExpr& modifier, std::vector<const model::Tag*>& tags) {
  const bool is_without = modifier.op == "without";
  const bool keeps_group = !is_without && Listed(modifier.args, kNameLabel);
  dst.append(reinterpret_cast<const char*>(&name.tenant), sizeof name.tenant);
  AppendSized(dst, keeps_group ? std::string_view(name.metric_group) : std::string_view());
  tags.clear();
  for (const auto& tag : name.tags) {
    if (Listed(modifier.args, tag.key) == is_without) continue;
    // Few tags are left, and mostly sorted ones.
    auto at = tags.end();
    while (at != tags.begin() && tag.key < (*(at - 1))->key) --at;
    tags.insert(at, &tag);
  }
  for (const auto* tag : tags) {
    AppendSized(dst, tag->key);
    AppendSized(dst, tag->value);
  }
}

void AppendNameKey(std::string& dst, const model::MetricName& name) {
  dst.append(reinterpret_cast<const char*>(&name.tenant), sizeof name.tenant);
  AppendSized(dst, name.metric_group);
  ForSortedTags(name, [&](const model::Tag& tag) {
    AppendSized(dst, tag.key);
    AppendSized(dst, tag.value);
  });
}

std::string NameKey(const model::MetricName& name) {
  std::string key;
  AppendNameKey(key, name);
  return key;
}

void AppendTagsText(std::string& dst, const model::MetricName& name) {
  dst += '{';
  bool first = true;
  ForSortedTags(name, [&](const model::Tag& tag) {
    if (!first) dst += ", ";
    first = false;
    dst += tag.key;
    dst += '=';
    metricsql::AppendGoQuoted(dst, tag.value);
  });
  dst += '}';
}

bool NameLess(const model::MetricName& a, const model::MetricName& b) { return std::tie(a.metric_group, a.tags) < std::tie(b.metric_group, b.tags); }

void SortByName(std::span<TimeSeries> series) {
  std::stable_sort(series.begin(), series.end(), [](const TimeSeries& a, const TimeSeries& b) { return NameLess(a.name, b.name); });
}

bool IsAllNaN(const TimeSeries& s) {
  return std::all_of(s.values.begin(), s.values.end(), [](double x) { return std::isnan(x); });
}

void RemoveEmptySeries(std::vector<TimeSeries>& series) { std::erase_if(series, IsAllNaN); }

bool IsScalar(const std::vector<TimeSeries>& s) { return s.size() == 1 && s[0].name.metric_group.empty() && s[0].name.tags.empty(); }

Result<std::string> TextArg(const std::vector<TimeSeries>& arg, size_t number) {
  if (arg.size() != 1 || !IsAllNaN(arg[0])) return Error(ErrorCode::kInvalidInput, "arg #" + std::to_string(number) + " must be a string");
  return arg[0].name.metric_group;
}

}  // namespace vm::select
