#include "insert/parse/csv/csv.h"

#include <optional>

#include "insert/parse/prometheus/number.h"

namespace vm::insert {
namespace {

bool IsHeader(std::string_view line, std::span<const CsvColumn> columns) {
  std::deque<std::string> texts;
  CsvCells cells(line, texts);
  std::string_view cell;
  for (size_t i = 0; i < columns.size() && cells.Next(cell); ++i) {
    if (cell.empty()) continue;
    if (columns[i].kind == CsvColumnKind::kTime && !ParseCsvTime(columns[i], cell)) return true;
    if (columns[i].kind == CsvColumnKind::kMetric && !ParseNumber(cell)) return true;
  }
  return false;
}

/// The reason why the line is bad, or an empty text.
std::string ParseLine(ParsedRows& rows, std::string_view line, std::span<const CsvColumn> columns) {
  CsvCells cells(line, rows.texts);
  ParsedRow row;
  row.first_label = rows.labels.size();
  const size_t first_row = rows.rows.size();
  size_t count = 0;
  for (std::string_view cell; cells.Next(cell);) {
    if (count >= columns.size()) continue;
    const CsvColumn& column = columns[count++];
    if (cell.empty()) continue;
    switch (column.kind) {
      case CsvColumnKind::kIgnored: break;
      case CsvColumnKind::kTime: {
        const std::optional<int64_t> timestamp = ParseCsvTime(column, cell);
        if (!timestamp) return "cannot parse timestamp from \"" + std::string(cell) + "\"";
        row.timestamp = *timestamp;
        break;
      }
      case CsvColumnKind::kLabel: rows.labels.push_back(model::LabelView{column.name, cell}); break;
      case CsvColumnKind::kMetric: {
        const std::optional<double> value = ParseNumber(cell);
        if (!value) return "cannot parse metric value for \"" + column.name + "\" from \"" + std::string(cell) + "\"";
        ParsedRow& sample = rows.rows.emplace_back();
        sample.metric = column.name;
        sample.value = *value;
        break;
      }
    }
  }
  if (!cells.error().empty()) return cells.error();
  if (count < columns.size()) {
    return "missing columns; got " + std::to_string(count) + " columns; want at least " + std::to_string(columns.size()) +
           " columns";
  }
  for (size_t i = first_row; i < rows.rows.size(); ++i) {
    rows.rows[i].first_label = row.first_label;
    rows.rows[i].labels_count = rows.labels.size() - row.first_label;
    rows.rows[i].timestamp = row.timestamp;
  }
  return {};
}

}  // namespace

bool CsvCells::Next(std::string_view& cell) {
  if (is_at_end_ || !error_.empty()) return false;
  if (rest_.starts_with('"') || rest_.starts_with('\'')) {
    const Result<std::string_view> quoted = TakeCsvQuoted(rest_, texts_);
    if (!quoted.ok()) {
      error_ = quoted.error().message();
      return false;
    }
    cell = quoted.value();
    if (rest_.empty()) {
      is_at_end_ = true;
    } else if (rest_.front() != ',') {
      error_ = "missing comma after quoted field";
      return false;
    } else {
      rest_.remove_prefix(1);
    }
    return true;
  }
  const size_t comma = rest_.find(',');
  cell = rest_.substr(0, comma);
  is_at_end_ = comma == std::string_view::npos;
  rest_.remove_prefix(is_at_end_ ? rest_.size() : comma + 1);
  return true;
}

Result<std::string_view> TakeCsvQuoted(std::string_view& rest, std::deque<std::string>& texts) {
  const char quote = rest.front();
  std::string* text = nullptr;  // Of a cell with doubled quotes.
  size_t start = 1;
  for (;;) {
    const size_t end = rest.find(quote, start);
    if (end == std::string_view::npos) {
      return Error(ErrorCode::kInvalidInput, "missing closing quote for \"" + std::string(rest) + "\"");
    }
    const std::string_view piece = rest.substr(start, end - start);
    const bool is_doubled = end + 1 < rest.size() && rest[end + 1] == quote;
    if (!is_doubled && text == nullptr) {
      rest.remove_prefix(end + 1);
      return piece;
    }
    if (text == nullptr) text = &texts.emplace_back();
    text->append(piece);
    if (!is_doubled) {
      rest.remove_prefix(end + 1);
      return std::string_view(*text);
    }
    *text += quote;
    start = end + 2;
  }
}

void ParseCsv(ParsedRows& rows, std::string_view body, std::span<const CsvColumn> columns, bool may_have_header,
              const BadRowHandler& on_bad_row) {
  rows.Clear();
  while (!body.empty()) {
    const size_t newline = body.find('\n');
    std::string_view line = body.substr(0, newline);
    body.remove_prefix(newline == std::string_view::npos ? body.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (std::exchange(may_have_header, false) && IsHeader(line, columns)) continue;
    const size_t rows_before = rows.rows.size();
    const size_t labels_before = rows.labels.size();
    const std::string reason = ParseLine(rows, line, columns);
    if (reason.empty()) continue;
    rows.rows.resize(rows_before);
    rows.labels.resize(labels_before);
    ++rows.bad_count;
    if (on_bad_row) {
      on_bad_row("error when parsing csv line \"" + std::string(line) + "\": " + reason + "; skipping this line");
    }
  }
}

}  // namespace vm::insert
