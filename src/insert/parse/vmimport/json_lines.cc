#include "insert/parse/vmimport/json_lines.h"

#include <limits>
#include <optional>
#include <utility>

namespace vm::insert {
namespace {

std::optional<double> SpecialNumber(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative) text.remove_prefix(1);
  for (const std::string_view infinity : {"infinity", "Infinity", "Inf", "inf"}) {
    if (text != infinity) continue;
    const double value = std::numeric_limits<double>::infinity();
    return is_negative ? -value : value;
  }
  for (const std::string_view nan : {"null", "Null", "nan", "NaN"}) {
    if (text == nan) return std::numeric_limits<double>::quiet_NaN();
  }
  return std::nullopt;
}

std::optional<double> ValueOf(const JsonValue& value) {
  if (value.is(JsonType::kNull)) return std::numeric_limits<double>::quiet_NaN();
  if (value.is(JsonType::kString)) return SpecialNumber(value.text());
  return value.AsNumber();
}

}  // namespace

void JsonLinesReader::Start(std::string_view body, BadRowHandler on_bad_row) {
  rest_ = body;
  on_bad_row_ = std::move(on_bad_row);
  bad_count_ = 0;
}

bool JsonLinesReader::NextLine(std::string_view& line) {
  while (!rest_.empty()) {
    const size_t newline = rest_.find('\n');
    line = rest_.substr(0, newline);
    rest_.remove_prefix(newline == std::string_view::npos ? rest_.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) return true;
  }
  return false;
}

const JsonLine* JsonLinesReader::Read(std::string_view line) {
  const std::string reason = ParseLine(line);
  if (reason.empty()) return &line_;
  ++bad_count_;
  if (on_bad_row_) {
    constexpr size_t kMaxShown = 1000;  // Lines have up to 10 MB.
    on_bad_row_("skipping json line \"" + std::string(line.substr(0, kMaxShown)) + "\" because of error: " + reason);
  }
  return nullptr;
}

const JsonLine* JsonLinesReader::Next() {
  std::string_view line;
  while (NextLine(line)) {
    if (const JsonLine* const good = Read(line)) return good;
  }
  return nullptr;
}

std::string JsonLinesReader::ParseLine(std::string_view line) {
  line_.labels.clear();
  line_.values.clear();
  line_.timestamps.clear();
  if (Status status = document_.Parse(line); !status.ok()) return "cannot parse json line: " + status.error().message();
  const JsonValue root = document_.root();
  const auto metric = root.FindOf(JsonType::kObject, "metric");
  if (!metric) return "missing `metric` object";
  for (const JsonValue label : *metric) {
    if (label.key().empty()) continue;  // It would replace the name.
    line_.labels.push_back(
        model::LabelView{label.key(), label.is(JsonType::kString) ? label.text() : std::string_view()});
  }
  if (line_.labels.empty()) return "missing tags";
  const auto values = root.FindOf(JsonType::kArray, "values");
  if (values) {
    for (const JsonValue item : *values) {
      const std::optional<double> value = ValueOf(item);
      if (!value) return "cannot unmarshal value at position " + std::to_string(line_.values.size());
      line_.values.push_back(*value);
    }
  }
  if (line_.values.empty()) return "missing `values` array";
  const auto timestamps = root.FindOf(JsonType::kArray, "timestamps");
  if (timestamps) {
    for (const JsonValue item : *timestamps) {
      const std::optional<int64_t> timestamp = item.AsInteger();
      if (!timestamp) return "cannot unmarshal timestamp at position " + std::to_string(line_.timestamps.size());
      line_.timestamps.push_back(*timestamp);
    }
  }
  if (line_.timestamps.empty()) return "missing `timestamps` array";
  if (line_.timestamps.size() != line_.values.size()) {
    return "`timestamps` array size must match `values` array size; got " + std::to_string(line_.timestamps.size()) +
           "; want " + std::to_string(line_.values.size());
  }
  return {};
}

}  // namespace vm::insert
