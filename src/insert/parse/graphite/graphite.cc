#include "insert/parse/graphite/graphite.h"

#include <optional>

#include "insert/parse/prometheus/number.h"

namespace vm::insert {
namespace {

constexpr std::string_view kBlanks = " \t";

std::string_view TrimLeft(std::string_view text) {
  const size_t at = text.find_first_not_of(kBlanks);
  return at == std::string_view::npos ? std::string_view() : text.substr(at);
}

std::string_view TrimRight(std::string_view text) { return text.substr(0, text.find_last_not_of(kBlanks) + 1); }

bool IsAllowed(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' || c == '_' || c == '.';
}

/// Runs of dots become one, other characters that do not belong in names become `_`.
std::string_view Sanitize(ParsedRows& rows, std::string_view name) {
  bool is_clean = true;
  for (size_t i = 0; i < name.size() && is_clean; ++i) {
    is_clean = IsAllowed(name[i]) && !(name[i] == '.' && i > 0 && name[i - 1] == '.');
  }
  if (is_clean) return name;
  std::string& dst = rows.texts.emplace_back();
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '.' && !dst.empty() && dst.back() == '.') continue;
    // One character, not one byte, becomes one `_`.
    if ((static_cast<unsigned char>(name[i]) & 0xc0) == 0x80) continue;
    dst += IsAllowed(name[i]) ? name[i] : '_';
  }
  return dst;
}

/// The reason why the line is bad, or an empty text.
std::string ParseLine(ParsedRows& rows, std::string_view line, const GraphiteOptions& options) {
  std::string_view rest = TrimRight(line);
  size_t blank = rest.find_last_of(kBlanks);
  if (blank == std::string_view::npos) return "cannot find separator between value and timestamp";
  std::string_view timestamp_text = rest.substr(blank + 1);
  std::string_view value_text;
  rest = TrimRight(rest.substr(0, blank));
  blank = rest.find_last_of(kBlanks);
  if (blank == std::string_view::npos) {
    value_text = std::exchange(timestamp_text, std::string_view());
  } else {
    value_text = rest.substr(blank + 1);
    rest = rest.substr(0, blank);
  }
  ParsedRow row;
  if (Status status = ParseGraphiteMetric(rows, row, TrimRight(TrimLeft(rest)), options); !status.ok()) {
    return status.error().message();
  }
  if (!timestamp_text.empty()) {
    const std::optional<double> timestamp = ParseNumber(timestamp_text);
    if (!timestamp) return "cannot unmarshal timestamp from \"" + std::string(timestamp_text) + "\"";
    row.timestamp = TruncateToInt64(*timestamp);
  }
  const std::optional<double> value = ParseNumber(value_text);
  if (!value) return "cannot unmarshal metric value from \"" + std::string(value_text) + "\"";
  row.value = *value;
  rows.rows.push_back(row);
  return {};
}

}  // namespace

Status ParseGraphiteMetric(ParsedRows& rows, ParsedRow& row, std::string_view text, const GraphiteOptions& options) {
  size_t semicolon = text.find(';');
  row.metric = text.substr(0, semicolon);
  row.first_label = rows.labels.size();
  while (semicolon != std::string_view::npos) {
    text.remove_prefix(semicolon + 1);
    semicolon = text.find(';');
    const std::string_view tag = text.substr(0, semicolon);
    const size_t equals = tag.find('=');
    std::string_view key = tag.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : tag.substr(equals + 1);
    if (options.sanitize_metric_name) key = Sanitize(rows, key);
    if (!key.empty() && !value.empty()) rows.labels.push_back(model::LabelView{key, value});
  }
  row.labels_count = rows.labels.size() - row.first_label;
  if (options.sanitize_metric_name) row.metric = Sanitize(rows, row.metric);
  if (row.metric.empty()) return Error(ErrorCode::kInvalidInput, "metric cannot be empty");
  return Ok();
}

void ParseGraphite(ParsedRows& rows, std::string_view body, const GraphiteOptions& options,
                   const BadRowHandler& on_bad_row) {
  rows.Clear();
  while (!body.empty()) {
    const size_t newline = body.find('\n');
    std::string_view line = body.substr(0, newline);
    body.remove_prefix(newline == std::string_view::npos ? body.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = TrimLeft(line);
    if (line.empty()) continue;
    const size_t labels_before = rows.labels.size();
    const std::string reason = ParseLine(rows, line, options);
    if (reason.empty()) continue;
    rows.labels.resize(labels_before);
    ++rows.bad_count;
    if (on_bad_row) on_bad_row("cannot unmarshal Graphite line \"" + std::string(line) + "\": " + reason);
  }
}

}  // namespace vm::insert
