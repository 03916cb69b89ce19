#include "insert/prepare/prepare.h"

#include <algorithm>
#include <charconv>

namespace vm::insert {
namespace {

uint32_t ParseId(std::string_view text) {
  uint32_t id = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, id);
  return error == std::errc() && stop == end ? id : 0;
}

bool IsNameByte(char c, bool takes_colon) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (takes_colon && c == ':');
}

std::string_view PrometheusName(std::string_view name, bool takes_colon, std::deque<std::string>& texts) {
  if (std::all_of(name.begin(), name.end(), [&](char c) { return IsNameByte(c, takes_colon); })) return name;
  std::string& text = texts.emplace_back();
  for (const char c : name) {
    // One character, not one byte, becomes one `_`.
    if ((static_cast<unsigned char>(c) & 0xc0) == 0x80) continue;
    text += IsNameByte(c, takes_colon) ? c : '_';
  }
  return text;
}

}  // namespace

void UsePrometheusNames(std::span<model::LabelView> labels, std::deque<std::string>& texts) {
  for (model::LabelView& label : labels) {
    if (label.name == "__name__") label.name = {};
    if (label.name.empty()) {
      label.value = PrometheusName(label.value, true, texts);
    } else {
      label.name = PrometheusName(label.name, false, texts);
    }
  }
}

Verdict PrepareLabels(std::span<model::LabelView> labels, const PrepareOptions& options) {
  if (labels.empty()) return Verdict::kNoLabels;
  if (options.max_labels_per_series > 0 && labels.size() > options.max_labels_per_series) {
    return Verdict::kTooManyLabels;
  }
  for (const model::LabelView& label : labels) {
    if (label.name.size() > options.max_label_name_bytes) return Verdict::kTooLongLabelName;
    if (label.value.size() > options.max_label_value_bytes) return Verdict::kTooLongLabelValue;
  }
  if (options.sort_labels) {
    const auto by_name = [](const model::LabelView& a, const model::LabelView& b) {
      return a.name < b.name;
    };
    if (!std::is_sorted(labels.begin(), labels.end(), by_name)) {
      std::stable_sort(labels.begin(), labels.end(), by_name);
    }
  }
  return Verdict::kKeep;
}

model::Tenant TakeTenant(std::vector<model::LabelView>& labels) {
  model::Tenant tenant;
  size_t kept = 0;
  for (const model::LabelView& label : labels) {
    if (label.name == "vm_account_id") {
      tenant.account_id = ParseId(label.value);
      continue;
    }
    if (label.name == "vm_project_id") {
      tenant.project_id = ParseId(label.value);
      continue;
    }
    if (label.name == "VictoriaMetrics_AccountID") tenant.account_id = ParseId(label.value);
    if (label.name == "VictoriaMetrics_ProjectID") tenant.project_id = ParseId(label.value);
    labels[kept++] = label;
  }
  labels.resize(kept);
  return tenant;
}

}  // namespace vm::insert
