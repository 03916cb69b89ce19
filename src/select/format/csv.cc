#include "select/format/csv.h"

#include "select/format/go_time.h"
#include "select/format/json_text.h"

namespace vm::select {
namespace {

constexpr std::string_view kRfc3339Milli = "2006-01-02T15:04:05.999Z07:00";

void AppendCell(std::string& dst, std::string_view cell) {
  if (cell.find_first_of("\",\n") == cell.npos) dst += cell;
  else AppendJsonString(dst, cell);
}

std::string_view LabelOf(const model::MetricName& name, std::string_view label) {
  if (label == "__name__") return name.metric_group;
  for (const auto& tag : name.tags) {
    if (tag.key == label) return tag.value;
  }
  return {};
}

void AppendTimestamp(std::string& dst, int64_t timestamp, std::string_view format) {
  constexpr std::string_view kCustom = "custom:";
  if (format == "unix_s") {
    AppendInt(dst, timestamp / 1000);
  } else if (format == "unix_ms") {
    AppendInt(dst, timestamp);
  } else if (format == "unix_ns") {
    AppendInt(dst, timestamp * 1'000'000);
  } else if (format == "rfc3339") {
    AppendGoTime(dst, timestamp, kRfc3339Milli);
  } else if (format.starts_with(kCustom)) {
    std::string text;
    AppendGoTime(text, timestamp, format.substr(kCustom.size()));
    AppendCell(dst, text);
  } else {
    dst += "Unsupported timeFormat=";
    dst += format;
  }
}

void AppendField(std::string& dst, const model::MetricName& name, std::string_view field, int64_t timestamp, double value) {
  constexpr std::string_view kTimestamp = "__timestamp__";
  if (field == "__value__") {
    AppendJsonFloat(dst, value);
  } else if (field == kTimestamp) {
    AppendInt(dst, timestamp);
  } else if (field.starts_with(kTimestamp) && field.substr(kTimestamp.size()).starts_with(':')) {
    AppendTimestamp(dst, timestamp, field.substr(kTimestamp.size() + 1));
  } else {
    AppendCell(dst, LabelOf(name, field));
  }
}

}  // namespace

std::vector<std::string> SplitCsvFields(std::string_view format) {
  std::vector<std::string> fields;
  for (;;) {
    const size_t comma = format.find(',');
    fields.emplace_back(format.substr(0, comma));
    if (comma == format.npos) return fields;
    format.remove_prefix(comma + 1);
  }
}

void AppendCsvHeader(std::string& dst, const std::vector<std::string>& fields) {
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) dst += ',';
    dst += fields[i];
  }
  dst += '\n';
}

void AppendCsvLines(std::string& dst, const ExportBlock& block, const std::vector<std::string>& fields) {
  for (size_t row = 0; row < block.timestamps.size(); ++row) {
    for (size_t i = 0; i < fields.size(); ++i) {
      if (i > 0) dst += ',';
      AppendField(dst, block.name, fields[i], block.timestamps[row], block.values[row]);
    }
    dst += '\n';
  }
}

}  // namespace vm::select
