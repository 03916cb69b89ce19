#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace vm::insert {

enum class CsvColumnKind : uint8_t { kIgnored, kTime, kLabel, kMetric };
enum class CsvTimeFormat : uint8_t { kUnixSeconds, kUnixMilliseconds, kUnixNanoseconds, kRfc3339, kCustom };

struct CsvColumn {
  CsvColumnKind kind = CsvColumnKind::kIgnored;
  std::string name;  // Of the label or metric; the layout of a custom time.
  CsvTimeFormat time_format = CsvTimeFormat::kUnixSeconds;
};

/// The columns that the `format` argument describes, by position. Errors: kInvalidInput.
/// Reference: VictoriaMetrics lib/protoparser/csvimport/column_descriptor.go.
Result<std::vector<CsvColumn>> ParseCsvFormat(std::string_view format);

/// Unix milliseconds of a cell in a kTime column; nothing when it is none.
std::optional<int64_t> ParseCsvTime(const CsvColumn& column, std::string_view text);

}  // namespace vm::insert
