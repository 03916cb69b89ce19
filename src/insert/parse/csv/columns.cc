#include "insert/parse/csv/columns.h"

#include <fmt/format.h>

#include <limits>
#include <map>

#include "insert/parse/csv/go_time.h"
#include "insert/parse/prometheus/number.h"

namespace vm::insert {
namespace {

constexpr int64_t kMaxColumns = 64 * 1024;

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

Status ParseTimeFormat(std::string_view text, CsvColumn& column) {
  constexpr std::string_view kCustomPrefix = "custom:";
  if (text.starts_with(kCustomPrefix)) {
    column.time_format = CsvTimeFormat::kCustom;
    column.name = text.substr(kCustomPrefix.size());
  } else if (text == "unix_s") {
    column.time_format = CsvTimeFormat::kUnixSeconds;
  } else if (text == "unix_ms") {
    column.time_format = CsvTimeFormat::kUnixMilliseconds;
  } else if (text == "unix_ns") {
    column.time_format = CsvTimeFormat::kUnixNanoseconds;
  } else if (text == "rfc3339") {
    column.time_format = CsvTimeFormat::kRfc3339;
  } else {
    return Bad(fmt::format(
        "unknown format for time parsing: \"{}\"; supported formats: unix_s, unix_ms, unix_ns, rfc3339", text));
  }
  return Ok();
}

}  // namespace

Result<std::vector<CsvColumn>> ParseCsvFormat(std::string_view format) {
  std::map<int64_t, CsvColumn> by_position;
  bool has_metric = false;
  bool has_time = false;
  std::string_view rest = format;
  for (size_t number = 1;; ++number) {
    const size_t comma = rest.find(',');
    const std::string_view entry = rest.substr(0, comma);
    const size_t first = entry.find(':');
    const size_t second = first == std::string_view::npos ? first : entry.find(':', first + 1);
    if (second == std::string_view::npos) {
      const std::string parts = first == std::string_view::npos
                                    ? fmt::format("\"{}\"", entry)
                                    : fmt::format("\"{}\" \"{}\"", entry.substr(0, first), entry.substr(first + 1));
      return Bad(fmt::format("entry #{} must have the following form: <column_pos>:<column_type>:<extension>; got [{}]",
                             number, parts));
    }
    const std::optional<int64_t> position = ParseInteger(entry.substr(0, first));
    if (!position) return Bad(fmt::format("cannot parse <column_pos> part from the entry #{} \"{}\"", number, entry));
    if (*position <= 0) {
      return Bad(fmt::format("<column_pos> cannot be smaller than 1; got {} for entry #{} \"{}\"", *position, number, entry));
    }
    if (*position > kMaxColumns) {
      return Bad(fmt::format("<column_pos> cannot be bigger than {}; got {} for entry #{} \"{}\"", kMaxColumns, *position,
                             number, entry));
    }
    const std::string_view type = entry.substr(first + 1, second - first - 1);
    const std::string_view extension = entry.substr(second + 1);
    CsvColumn column;
    if (type == "time") {
      if (has_time) {
        return Bad(fmt::format("duplicate time column has been found at entry #{} \"{}\" for \"{}\"", number, entry, format));
      }
      if (Status status = ParseTimeFormat(extension, column); !status.ok()) {
        return std::move(status).error().WithContext(
            fmt::format("cannot parse time format from the entry #{} \"{}\"", number, entry));
      }
      column.kind = CsvColumnKind::kTime;
      has_time = true;
    } else if (type == "label") {
      if (extension.empty()) return Bad(fmt::format("label name cannot be empty in the entry #{} \"{}\"", number, entry));
      column.kind = CsvColumnKind::kLabel;
      column.name = extension;
    } else if (type == "metric") {
      if (extension.empty()) return Bad(fmt::format("metric name cannot be empty in the entry #{} \"{}\"", number, entry));
      column.kind = CsvColumnKind::kMetric;
      column.name = extension;
      has_metric = true;
    } else {
      return Bad(fmt::format("unknown <column_type>: \"{}\"; allowed values: time, metric, label", type));
    }
    if (!by_position.emplace(*position - 1, std::move(column)).second) {
      return Bad(fmt::format("duplicate <column_pos> {} for the entry #{} \"{}\"", *position - 1, number, entry));
    }
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (!has_metric) return Bad(fmt::format("missing 'metric' column in \"{}\"", format));
  std::vector<CsvColumn> columns(static_cast<size_t>(by_position.rbegin()->first) + 1);
  for (auto& [position, column] : by_position) columns[static_cast<size_t>(position)] = std::move(column);
  return columns;
}

std::optional<int64_t> ParseCsvTime(const CsvColumn& column, std::string_view text) {
  if (column.time_format == CsvTimeFormat::kRfc3339) return ParseRfc3339(text);
  if (column.time_format == CsvTimeFormat::kCustom) return ParseGoTime(column.name, text);
  const std::optional<int64_t> number = ParseInteger(text);
  if (!number || column.time_format == CsvTimeFormat::kUnixMilliseconds) return number;
  if (column.time_format == CsvTimeFormat::kUnixNanoseconds) return *number / 1'000'000;
  constexpr int64_t kMaxSeconds = std::numeric_limits<int64_t>::max() / 1000;
  if (*number > kMaxSeconds || *number < -kMaxSeconds) return std::nullopt;
  return *number * 1000;
}

}  // namespace vm::insert
