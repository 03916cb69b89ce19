#include "storage/indexdb/filters.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/encoding/int.h"
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

/// Add what one filter means. A filter that everything passes adds nothing.
void AddFilters(std::vector<Filter>& filters, const model::TagFilter& source) {
  Filter filter;
  filter.label = LabelKey(source.key);
  filter.subtract = source.is_negative;
  if (source.value.empty()) {
    // {k=""}: without the label. {k!=""}: with it.
    filter.subtract = !source.is_negative;
    filters.push_back(std::move(filter));
    return;
  }
  if (source.is_regexp && source.value == ".*") {
    if (source.is_negative) filters.push_back(std::move(filter));  // Only series without the label are left.
    return;
  }
  if (source.is_regexp && source.value == ".+") {
    filters.push_back(std::move(filter));
    return;
  }
  filter.kind = Filter::Kind::kValues;
  filter.values = {source.value};
  if (!source.is_regexp) {
    filters.push_back(std::move(filter));
    return;
  }
  auto compiled = regex::Regex::Compile(source.value);
  if (!compiled.ok()) {
    // As in the reference: what is no regexp is taken literally.
    filters.push_back(std::move(filter));
    return;
  }
  const bool matches_empty = compiled.value().Match("");
  filter.values = compiled.value().or_values();
  std::erase(filter.values, "");
  if (matches_empty && !source.is_negative) {
    // {k=~"|foo"}: all but those with a value that does not match.
    filter.subtract = true;
    filter.invert = true;
    filter.kind = Filter::Kind::kRegex;
    filter.regex = std::move(compiled).value();
    filters.push_back(std::move(filter));
    return;
  }
  if (matches_empty) {
    // {k!~"|foo"}: with the label, and with another value.
    filters.push_back({.label = filter.label, .metric = {}, .values = {}, .regex = {}});
    if (filter.values.empty() && !compiled.value().or_values().empty()) return;
  }
  if (filter.values.empty()) {
    filter.kind = Filter::Kind::kRegex;
    filter.regex = std::move(compiled).value();
  }
  filters.push_back(std::move(filter));
}

std::string QuoteMeta(std::string_view text) {
  std::string quoted;
  for (const char c : text) {
    if (std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos) quoted += '\\';
    quoted += c;
  }
  return quoted;
}

/// Turn the front of `node` into a regexp, up to its end, or to `,` or `}` inside of braces.
std::string TakeGraphiteRegex(std::string_view& node) {
  std::string result;
  for (;;) {
    const size_t special = std::min(node.find_first_of("*{}[,"), node.size());
    result += QuoteMeta(node.substr(0, special));
    node.remove_prefix(special);
    if (node.empty() || node[0] == ',' || node[0] == '}') return result;
    if (node[0] == '*') {
      result += "[^.]*";
      node.remove_prefix(1);
    } else if (node[0] == '[') {
      const size_t end = node.find(']');
      if (end == std::string_view::npos) {
        result += QuoteMeta(node);
        node = {};
        return result;
      }
      result += node.substr(0, end + 1);
      node.remove_prefix(end + 1);
    } else {
      node.remove_prefix(1);
      std::string alternatives = TakeGraphiteRegex(node);
      while (!node.empty() && node[0] == ',') {
        node.remove_prefix(1);
        alternatives += "|" + TakeGraphiteRegex(node);
      }
      if (node.empty()) {
        // Never closed: literal braces, as in the reference.
        std::replace(alternatives.begin(), alternatives.end(), '|', ',');
        return result + "\\{" + alternatives;
      }
      node.remove_prefix(1);
      result += "(?:" + alternatives + ")";
    }
  }
}

}  // namespace

bool Filter::MatchesValue(std::string_view value) const {
  if (value.empty()) return false;
  switch (kind) {
    case Kind::kAny: return true;
    case Kind::kValues: return std::binary_search(values.begin(), values.end(), value);
    case Kind::kRegex: return regex->Match(value) != invert;
  }
  return false;
}

bool Filter::Passes(const model::MetricName& name) const {
  if (!metric.empty() && name.metric_group != metric) return subtract;
  std::string_view value;
  if (label.empty()) {
    value = name.metric_group;
  } else {
    for (const model::Tag& tag : name.tags) {
      if (tag.key == label) value = tag.value;
    }
  }
  return MatchesValue(value) != subtract;
}

std::string Filter::RowKey() const { return metric.empty() ? label : CompositeKey(metric, label); }

int Filter::Rank() const {
  int rank = 0;
  switch (kind) {
    case Kind::kValues: rank = 3 * static_cast<int>(std::min<size_t>(values.size(), 100)); break;
    case Kind::kRegex: rank = regex->prefix().empty() || invert ? 1000 : 400; break;
    case Kind::kAny: rank = 2000; break;
  }
  // Composite rows are those of one metric name alone.
  return metric.empty() ? rank + 5000 : rank;
}

std::vector<Filter> CompileFilters(const std::vector<model::TagFilter>& group) {
  std::vector<Filter> filters;
  for (const model::TagFilter& source : group) {
    if (source.key != kGraphiteKey) AddFilters(filters, source);
  }
  return filters;
}

std::vector<std::vector<Filter>> ToComposite(std::vector<Filter> filters, bool& converted) {
  converted = false;
  const Filter* names = nullptr;
  bool has_other = false;
  for (const Filter& filter : filters) {
    if (!filter.label.empty()) {
      has_other = has_other || !filter.subtract;
    } else if (filter.kind == Filter::Kind::kValues && !filter.subtract) {
      names = &filter;
    }
  }
  std::vector<std::vector<Filter>> groups;
  if (names == nullptr || !has_other) {
    groups.push_back(std::move(filters));
    return groups;
  }
  converted = true;
  for (const std::string& metric : names->values) {
    std::vector<Filter>& group = groups.emplace_back();
    for (const Filter& filter : filters) {
      if (&filter == names) continue;
      group.push_back(filter);
      if (!filter.label.empty()) group.back().metric = metric;
    }
  }
  return groups;
}

std::optional<std::string_view> SingleName(const std::vector<std::vector<model::TagFilter>>& groups) {
  if (groups.size() != 1 || groups[0].size() != 1) return std::nullopt;
  const model::TagFilter& filter = groups[0][0];
  if (!LabelKey(filter.key).empty() || filter.is_negative || filter.is_regexp || filter.value.empty()) {
    return std::nullopt;
  }
  return filter.value;
}

std::string CompositeKey(std::string_view metric, std::string_view label) {
  ByteBuffer key{static_cast<uint8_t>(kCompositeKey)};
  encoding::AppendVarUint64(key, metric.size());
  Append(key, metric);
  Append(key, label);
  return std::string(AsText(key));
}

Result<regex::Regex> GraphiteNodeRegex(std::string_view node) {
  std::string_view rest = node;
  const std::string expression = TakeGraphiteRegex(rest);
  if (!rest.empty()) {
    return Error(ErrorCode::kInvalidInput,
                 fmt::format("unexpected tail left after parsing \"{}\": \"{}\"", node, rest));
  }
  return regex::Regex::Compile(expression);
}

std::string ToGraphiteWildcards(std::string_view query) {
  std::string result;
  for (;;) {
    const size_t open = query.find('(');
    const size_t close = open == std::string_view::npos ? open : query.find(')', open);
    if (close == std::string_view::npos) return result.append(query);
    result.append(query.substr(0, open));
    std::string alternatives(query.substr(open + 1, close - open - 1));
    query.remove_prefix(close + 1);
    if (alternatives == ".*") {
      result += '*';
      continue;
    }
    std::replace(alternatives.begin(), alternatives.end(), '|', ',');
    result += "{" + alternatives + "}";
  }
}

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
