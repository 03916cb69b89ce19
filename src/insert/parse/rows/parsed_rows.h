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

/// Called with a full message for each line or object that is skipped because it is bad.
using BadRowHandler = std::function<void(std::string_view message)>;

/// One sample. Its labels are `labels[first_label .. first_label + labels_count)` of its ParsedRows.
struct ParsedRow {
  std::string_view metric;
  size_t first_label = 0;
  size_t labels_count = 0;
  double value = 0;
  int64_t timestamp = 0;  // In the unit of the protocol; 0: none.
};

/// The rows of a body, as views into it or into texts owned here. Reusable; not thread-safe.
struct ParsedRows {
  std::vector<ParsedRow> rows;
  std::vector<model::LabelView> labels;
  std::deque<std::string> texts;  // Those that are no part of the body.
  size_t bad_count = 0;

  void Clear() {
    rows.clear();
    labels.clear();
    texts.clear();
    bad_count = 0;
  }
  std::span<const model::LabelView> LabelsOf(const ParsedRow& row) const {
    return std::span(labels).subspan(row.first_label, row.labels_count);
  }
};

}  // namespace vm::insert
