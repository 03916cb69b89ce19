#include "insert/parse/opentsdb/put.h"

#include <optional>

#include "insert/parse/prometheus/number.h"

namespace vm::insert {
namespace {

std::optional<double> NumberOf(const JsonValue& value) {
  return value.is(JsonType::kString) ? ParseNumber(value.text()) : value.AsNumber();
}

std::string ParseObject(ParsedRows& rows, const JsonValue& object) {
  ParsedRow row;
  row.metric = object.FindText("metric");
  if (row.metric.empty()) return "missing `metric`";
  if (const auto timestamp = object.Find("timestamp")) {
    const std::optional<double> number = NumberOf(*timestamp);
    if (!number) return "invalid `timestamp`";
    row.timestamp = TruncateToInt64(*number);
  }
  const auto value = object.Find("value");
  if (!value) return "missing `value`";
  const std::optional<double> number = NumberOf(*value);
  if (!number) return "invalid `value`";
  row.value = *number;
  row.first_label = rows.labels.size();
  if (const auto tags = object.Find("tags")) {
    if (!tags->is(JsonType::kObject)) return "invalid `tags`";
    for (const JsonValue tag : *tags) {
      if (!tag.is(JsonType::kString)) return "the value of tag \"" + std::string(tag.key()) + "\" must be a string";
      if (tag.key().empty() || tag.text().empty()) continue;
      rows.labels.push_back(model::LabelView{tag.key(), tag.text()});
    }
  }
  row.labels_count = rows.labels.size() - row.first_label;
  rows.rows.push_back(row);
  return {};
}

void TakeObject(ParsedRows& rows, const JsonValue& object, const BadRowHandler& on_bad_row) {
  const size_t labels_before = rows.labels.size();
  const std::string reason = ParseObject(rows, object);
  if (reason.empty()) return;
  rows.labels.resize(labels_before);
  ++rows.bad_count;
  if (on_bad_row) {
    on_bad_row("cannot unmarshal OpenTSDB object of metric \"" + std::string(object.FindText("metric")) + "\": " + reason);
  }
}

}  // namespace

Status ParseOpentsdbPut(ParsedRows& rows, JsonDocument& document, std::string_view body, const BadRowHandler& on_bad_row) {
  rows.Clear();
  if (Status status = document.Parse(body); !status.ok()) {
    return std::move(status).error().WithContext("cannot parse HTTP OpenTSDB json");
  }
  const JsonValue root = document.root();
  if (root.is(JsonType::kArray)) {
    for (const JsonValue object : root) TakeObject(rows, object, on_bad_row);
  } else if (root.is(JsonType::kObject)) {
    TakeObject(rows, root, on_bad_row);
  } else {
    ++rows.bad_count;
    if (on_bad_row) on_bad_row("OpenTSDB JSON must be either object or array");
  }
  return Ok();
}

}  // namespace vm::insert
