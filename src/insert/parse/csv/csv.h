#pragma once

#include <span>
#include <string_view>

#include "insert/parse/csv/columns.h"
#include "insert/parse/rows/parsed_rows.h"

namespace vm::insert {

/// Replace `rows` by the samples of `body`, whole lines of which the last may lack its newline; views into `body` and `columns`.
/// With `may_have_header` a first row whose times and values are none is skipped silently.
/// Reference: VictoriaMetrics lib/protoparser/csvimport.
void ParseCsv(ParsedRows& rows, std::string_view body, std::span<const CsvColumn> columns, bool may_have_header,
              const BadRowHandler& on_bad_row);

/// The cells of one line. Cells may be quoted with `"` or `'`, doubled inside. Not thread-safe.
class CsvCells {
 public:
  /// `texts` owns cells with doubled quotes.
  CsvCells(std::string_view line, std::deque<std::string>& texts) : rest_(line), texts_(texts) {}

  /// False at the end, and when the line is broken.
  bool Next(std::string_view& cell);
  /// Why the line is broken, or "".
  const std::string& error() const noexcept { return error_; }

 private:
  std::string_view rest_;
  std::deque<std::string>& texts_;
  bool is_at_end_ = false;
  std::string error_;
};

/// Take the quoted text at the front of `rest`. Errors: kInvalidInput without a closing quote.
Result<std::string_view> TakeCsvQuoted(std::string_view& rest, std::deque<std::string>& texts);

}  // namespace vm::insert
