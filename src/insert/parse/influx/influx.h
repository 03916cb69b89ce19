#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "insert/parse/rows/parsed_rows.h"
#include "lib/base/result.h"
#include "lib/model/metric_name.h"

namespace vm::insert {

struct InfluxField {
  std::string_view key;
  double value = 0;
};

/// One line; ranges of the labels and fields of its InfluxLines.
struct InfluxRow {
  std::string_view measurement;
  size_t first_label = 0;
  size_t labels_count = 0;
  size_t first_field = 0;
  size_t fields_count = 0;
  int64_t timestamp = 0;  // As written; 0: none.
};

/// The lines of a body as views into it. Reusable; not thread-safe. Reference: VictoriaMetrics lib/protoparser/influx.
class InfluxLines {
 public:
  /// Replace the content by the lines of `body`. Without `skip_bad_lines` the first bad line is the error (kInvalidInput); else they
  /// are counted and reported.
  Status Parse(std::string_view body, bool skip_bad_lines, const BadRowHandler& on_bad_row);

  std::span<const InfluxRow> rows() const { return rows_; }
  std::span<const model::LabelView> labels(const InfluxRow& row) const {
    return std::span(labels_).subspan(row.first_label, row.labels_count);
  }
  std::span<const InfluxField> fields(const InfluxRow& row) const {
    return std::span(fields_).subspan(row.first_field, row.fields_count);
  }
  size_t bad_count() const noexcept { return bad_count_; }

 private:
  std::string ParseLine(std::string_view line);
  std::string ParseTags(std::string_view text);
  std::string ParseFields(std::string_view text);
  std::string_view Unescape(std::string_view text);

  std::vector<InfluxRow> rows_;
  std::vector<model::LabelView> labels_;
  std::vector<InfluxField> fields_;
  std::deque<std::string> texts_;  // Unescaped names.
  size_t bad_count_ = 0;
};

/// Turns the numbers of lines into Unix milliseconds by the `precision` argument. Cheap to copy.
class InfluxTimestamps {
 public:
  /// "ns", "u", "us", "µ", "ms", "s", "m", "h"; others: by magnitude. `trim_ms` is -influxTrimTimestamp.
  InfluxTimestamps(std::string_view precision, int64_t trim_ms);
  int64_t ToMs(int64_t timestamp, int64_t now_ms) const;

 private:
  int64_t divide_by_ = 0;    // One of the two, or neither.
  int64_t multiply_by_ = 0;
  int64_t trim_ms_;
};

/// Offset of the first `c` that no backslash precedes, or that an even number of them does; npos without one. With
/// `skips_quoted`, not inside of double quotes.
size_t FindInflux(std::string_view text, char c, bool has_escapes, bool skips_quoted = false);
/// Without backslashes in front of blanks, commas, equals signs and backslashes.
std::string UnescapeInflux(std::string_view text);

}  // namespace vm::insert
