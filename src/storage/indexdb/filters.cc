#include <fmt/format.h>

#include "lib/regex/regex.h"
#include "storage/indexdb/indexdb.h"
#include "storage/indexdb/records.h"

namespace vm::indexdb {
namespace {

constexpr size_t kMaxPrintedValue = 60;

std::string Quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string Shorten(const std::string& text) {
  if (text.size() <= kMaxPrintedValue) return text;
  const size_t half = kMaxPrintedValue / 2 - 1;
  return text.substr(0, half) + ".." + text.substr(text.size() - half);
}

}  // namespace

std::string FiltersToString(const model::Tenant& tenant, const std::vector<model::TagFilter>& filters) {
  std::string text;
  const auto add = [&](std::string_view key, bool is_negative, bool is_regexp, const std::string& value) {
    if (!text.empty()) text += ",";
    text += LabelKey(key).empty() ? std::string_view("__name__") : key;
    text += is_negative ? (is_regexp ? "!~" : "!=") : (is_regexp ? "=~" : "=");
    text += Quote(Shorten(value));
  };
  for (const model::TagFilter& filter : filters) {
    bool is_negative = filter.is_negative, is_regexp = filter.is_regexp;
    std::string value = filter.value;
    if (value.empty()) {
      is_negative = !is_negative;
      is_regexp = true;
      value = ".+";
    }
    if (is_regexp && value == ".*") {
      if (!is_negative) continue;
      value = ".+";
    }
    add(filter.key, is_negative, is_regexp, value);
    if (!is_negative || !is_regexp) continue;
    const auto regex = regex::Regex::Compile(value);
    if (regex.ok() && regex.value().Match("")) add(filter.key, false, true, ".+");
  }
  return fmt::format("{{AccountID={},ProjectID={},{}}}", tenant.account_id, tenant.project_id, text);
}

}  // namespace vm::indexdb
