#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/metric_name.h"

namespace vm::insert {

/// One sample line. Its labels are `labels[first_label .. first_label + labels_count)` of the PrometheusText.
struct TextRow {
  std::string_view metric;
  size_t first_label = 0;
  size_t labels_count = 0;
  double value = 0;
  int64_t timestamp = 0;  // Unix milliseconds; 0: the line has none.
};

/// What consecutive HELP and TYPE lines say about one metric.
struct TextMetadata {
  std::string_view metric;
  uint32_t type = 0;  // As in model::MetadataRow.
  std::string_view help;
};

/// Rows of a text exposition body, as views into the body. Reusable; not thread-safe.
/// Grammar: see README.md. Reference: VictoriaMetrics lib/protoparser/prometheus/parser.go.
class PrometheusText {
 public:
  /// Called with a full message for each line that is skipped because it is bad.
  using BadLineHandler = std::function<void(std::string_view message)>;
  using LineTaker = std::function<bool(std::string_view line)>;

  /// Replace the content by the rows of `body`, whole lines of which the last may lack its newline.
  /// Views stay valid as long as `body` and until the next Parse. `take` is shown each line of a sample before it is read, without blanks in
  /// front; what it says it has taken becomes no row here. It may use the rows read so far and call DropRows.
  void Parse(std::string_view body, const BadLineHandler& on_bad_line, const LineTaker& take = nullptr);

  /// Forget the rows read so far.
  void DropRows();

  /// Apply one line that starts with `#`. For bodies of Parse and for tests.
  void ParseMetadataLine(std::string_view line, const BadLineHandler& on_bad_line);

  std::span<const TextRow> rows() const { return rows_; }
  std::span<TextRow> rows() { return rows_; }
  std::span<const TextMetadata> metadata() const { return metadata_; }
  std::span<const model::LabelView> labels(const TextRow& row) const {
    return std::span(labels_).subspan(row.first_label, row.labels_count);
  }
  /// Put an item before those of the next ParseMetadataLine.
  void AddMetadata(TextMetadata item) { metadata_.push_back(item); }
  size_t bad_lines_count() const noexcept { return bad_lines_count_; }

 private:
  std::string_view ParseRow(std::string_view line, TextRow& row);
  std::string_view ParseLabels(std::string_view& rest, TextRow& row);
  bool TakeQuoted(std::string_view& rest, std::string_view& dst);
  std::string_view Unescape(std::string_view text);

  std::vector<TextRow> rows_;
  std::vector<model::LabelView> labels_;
  std::vector<TextMetadata> metadata_;
  std::deque<std::string> unescaped_;  // Owns the texts that are no part of the body.
  size_t bad_lines_count_ = 0;
};

/// Offset of the quote that closes the one at the start of `text`, or npos.
size_t FindClosingQuote(std::string_view text);

}  // namespace vm::insert
