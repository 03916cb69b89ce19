#pragma once

#include <string_view>

#include "insert/parse/rows/parsed_rows.h"
#include "lib/bytes/fuzz.h"

namespace vm::insert {

/// For fuzz targets: the ranges of rows lie in their lists, all views can be read, and no text counts twice but shared labels.
inline void CheckRows(const ParsedRows& rows) {
  for (const ParsedRow& row : rows.rows) {
    fuzz::Require(row.first_label <= rows.labels.size() && row.labels_count <= rows.labels.size() - row.first_label);
    fuzz::Touch(row.metric);
  }
  for (const model::LabelView& label : rows.labels) {
    fuzz::Touch(label.name);
    fuzz::Touch(label.value);
  }
}

/// `parse(rows, body, on_bad_row)` must find in a body what it finds in its lines one by one, and report each bad one.
template <class Parse>
void CheckLineParser(std::string_view body, const Parse& parse) {
  ParsedRows whole;
  size_t reported = 0;
  parse(whole, body, [&](std::string_view message) {
    fuzz::Require(!message.empty());
    ++reported;
  });
  CheckRows(whole);
  fuzz::Require(reported == whole.bad_count);
  ParsedRows one;
  size_t rows = 0, labels = 0, bad = 0;
  while (!body.empty()) {
    parse(one, fuzz::TakePart(body, '\n'), nullptr);
    for (size_t i = 0; i < one.rows.size(); ++i) {
      fuzz::Require(rows + i < whole.rows.size());
      const ParsedRow& a = one.rows[i];
      const ParsedRow& b = whole.rows[rows + i];
      fuzz::Require(a.metric == b.metric && a.timestamp == b.timestamp && a.labels_count == b.labels_count);
      fuzz::Require(a.value == b.value || (a.value != a.value && b.value != b.value));
    }
    rows += one.rows.size();
    labels += one.labels.size();
    bad += one.bad_count;
  }
  fuzz::Require(rows == whole.rows.size() && labels == whole.labels.size() && bad == whole.bad_count);
}

}  // namespace vm::insert
