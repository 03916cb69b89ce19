#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "insert/parse/json/json.h"
#include "insert/parse/rows/parsed_rows.h"
#include "lib/model/metric_name.h"

namespace vm::insert {

/// One line: a series and its samples.
struct JsonLine {
  std::vector<model::LabelView> labels;
  std::vector<double> values;
  std::vector<int64_t> timestamps;  // Unix milliseconds; as many as values.
};

/// Reads the lines of a body one by one; views into it. Reusable; not thread-safe.
/// Reference: VictoriaMetrics lib/protoparser/vmimport.
class JsonLinesReader {
 public:
  /// Begin with `body`, whole lines of which the last may lack its newline.
  void Start(std::string_view body, BadRowHandler on_bad_row);
  /// The next line that is not empty, without its end. False: there is none.
  bool NextLine(std::string_view& line);
  /// What `line` says, valid until the next call. Null: it is bad, which has been counted and told.
  const JsonLine* Read(std::string_view line);
  /// The next good line, valid until the next call. Null: there is none.
  const JsonLine* Next();
  size_t bad_count() const noexcept { return bad_count_; }

 private:
  std::string ParseLine(std::string_view line);

  std::string_view rest_;
  BadRowHandler on_bad_row_;
  JsonDocument document_;
  JsonLine line_;
  size_t bad_count_ = 0;
};

}  // namespace vm::insert
