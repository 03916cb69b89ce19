#include "insert/prepare/extra_labels.h"

#include <cstdint>

namespace vm::insert {
namespace {

// URL-safe alphabet, padding optional. Line breaks are no part of it.
bool DecodeBase64Url(std::string_view text, std::string& dst) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return false;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    uint32_t digit = 0;
    if (c >= 'A' && c <= 'Z') {
      digit = static_cast<uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      digit = static_cast<uint32_t>(c - 'a' + 26);
    } else if (c >= '0' && c <= '9') {
      digit = static_cast<uint32_t>(c - '0' + 52);
    } else if (c == '-') {
      digit = 62;
    } else if (c == '_') {
      digit = 63;
    } else {
      return false;
    }
    bits = (bits << 6) | digit;
    count += 6;
    if (count >= 8) {
      count -= 8;
      dst.push_back(static_cast<char>((bits >> count) & 0xff));
    }
  }
  return true;
}

std::string_view TakePart(std::string_view& rest) {
  const size_t slash = rest.find('/');
  const std::string_view part = rest.substr(0, slash);
  rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  return part;
}

Status AddPathLabels(std::string_view path, std::vector<ExtraLabel>& labels) {
  constexpr std::string_view kMark = "/metrics/job";
  const size_t mark = path.find(kMark);
  if (mark == std::string_view::npos) return Ok();
  std::string_view rest = path.substr(mark + std::string_view("/metrics/").size());
  if (!rest.starts_with("job/") && !rest.starts_with("job@base64/")) return Ok();
  const auto fail = [&](const std::string& reason) {
    return Error(ErrorCode::kInvalidInput, "cannot parse pushgateway-style labels from \"" +
                                               std::string(path) + "\": " + reason);
  };
  while (!rest.empty()) {
    if (rest.find('/') == std::string_view::npos) {
      return fail("missing value for label \"" + std::string(rest) + "\"");
    }
    std::string_view name = TakePart(rest);
    const std::string_view value = TakePart(rest);
    ExtraLabel label;
    constexpr std::string_view kBase64 = "@base64";
    if (name.ends_with(kBase64)) {
      name.remove_suffix(kBase64.size());
      if (!DecodeBase64Url(value, label.value)) {
        return fail("cannot base64-decode value=\"" + std::string(value) + "\" for label=\"" +
                    std::string(name) + "\"");
      }
    } else {
      label.value = value;
    }
    label.name = name;
    if (!label.value.empty()) labels.push_back(std::move(label));
  }
  return Ok();
}

}  // namespace

Result<std::vector<ExtraLabel>> ParseExtraLabels(std::string_view path,
                                                 std::span<const std::string> extra_label_args) {
  std::vector<ExtraLabel> labels;
  VM_TRY(AddPathLabels(path, labels));
  for (const std::string& arg : extra_label_args) {
    const size_t equals = arg.find('=');
    if (equals == std::string::npos) {
      return Error(ErrorCode::kInvalidInput,
                   "`extra_label` query arg must have the format `name=value`; got \"" + arg + "\"");
    }
    labels.push_back(ExtraLabel{.name = arg.substr(0, equals), .value = arg.substr(equals + 1)});
  }
  return labels;
}

}  // namespace vm::insert
