#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "select/format/export_line.h"

namespace vm::select {

/// Field names of `format=a,b,c`.
std::vector<std::string> SplitCsvFields(std::string_view format);
/// The first row: the field names as they were asked for.
void AppendCsvHeader(std::string& dst, const std::vector<std::string>& fields);
/// A row per sample: `__value__`, `__timestamp__` with an optional `:unix_s`, `:unix_ms`, `:unix_ns`, `:rfc3339` or
/// `:custom:<Go layout>`, else the value of the label of that name.
void AppendCsvLines(std::string& dst, const ExportBlock& block, const std::vector<std::string>& fields);

}  // namespace vm::select
