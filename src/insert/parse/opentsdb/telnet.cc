#include "insert/parse/opentsdb/telnet.h"

#include <optional>

#include "insert/parse/prometheus/number.h"

namespace vm::insert {
namespace {

std::string_view Trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  return text;
}

/// The text up to the next blank; it and the blanks behind it are taken. Nothing when there is no blank.
std::optional<std::string_view> TakeWord(std::string_view& rest) {
  const size_t blank = rest.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const std::string_view word = rest.substr(0, blank);
  rest = Trim(rest.substr(blank + 1));
  return word;
}

std::string ParseLine(ParsedRows& rows, std::string_view line) {
  std::string_view rest = Trim(line);
  if (!rest.starts_with("put ")) return "missing `put ` prefix";
  rest = Trim(rest.substr(4));
  ParsedRow row;
  const std::optional<std::string_view> metric = TakeWord(rest);
  if (!metric) return "cannot find whitespace between metric and timestamp";
  if (metric->empty()) return "metric cannot be empty";
  row.metric = *metric;
  const std::optional<std::string_view> timestamp_text = TakeWord(rest);
  if (!timestamp_text) return "cannot find whitespace between timestamp and value";
  const std::optional<double> timestamp = ParseNumber(*timestamp_text);
  if (!timestamp) return "cannot parse timestamp from \"" + std::string(*timestamp_text) + "\"";
  row.timestamp = TruncateToInt64(*timestamp);
  // A line without tags is taken, although OpenTSDB asks for one.
  std::string_view tags;
  std::string_view value_text = rest;
  if (const size_t blank = rest.find(' '); blank != std::string_view::npos) {
    value_text = rest.substr(0, blank);
    tags = rest.substr(blank + 1);
  }
  const std::optional<double> value = ParseNumber(value_text);
  if (!value) return "cannot parse value from \"" + std::string(value_text) + "\"";
  row.value = *value;
  row.first_label = rows.labels.size();
  for (tags = Trim(tags); !tags.empty(); tags = Trim(tags)) {
    const size_t end = tags.find(' ');
    const std::string_view tag = tags.substr(0, end);
    tags.remove_prefix(end == std::string_view::npos ? tags.size() : end + 1);
    const size_t equals = tag.find('=');
    if (equals == std::string_view::npos) return "missing tag value for \"" + std::string(tag) + "\"";
    const model::LabelView label{tag.substr(0, equals), tag.substr(equals + 1)};
    if (!label.name.empty() && !label.value.empty()) rows.labels.push_back(label);
  }
  row.labels_count = rows.labels.size() - row.first_label;
  rows.rows.push_back(row);
  return {};
}

}  // namespace

void ParseOpentsdbTelnet(ParsedRows& rows, std::string_view body, const BadRowHandler& on_bad_row) {
  rows.Clear();
  while (!body.empty()) {
    const size_t newline = body.find('\n');
    std::string_view line = body.substr(0, newline);
    body.remove_prefix(newline == std::string_view::npos ? body.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const size_t labels_before = rows.labels.size();
    const std::string reason = ParseLine(rows, line);
    if (reason.empty()) continue;
    rows.labels.resize(labels_before);
    ++rows.bad_count;
    if (on_bad_row) on_bad_row("cannot unmarshal OpenTSDB line \"" + std::string(line) + "\": " + reason);
  }
}

}  // namespace vm::insert
