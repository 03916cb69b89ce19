#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "insert/parse/rows/plain_labels.h"

namespace vm::insert {

/// What ReadPlainTextLine has read.
struct PlainTextLine {
  size_t labels_size = 0;  // Bytes written; the metric comes first, under the empty name.
  double value = 0;
  int64_t timestamp = 0;  // Unix milliseconds; 0: the line has none.
};

/// Read a sample line as exporters write it, `name{key="value",...} number [timestamp]` without escapes, into labels as they are sent
/// (plain_labels.h). False for any other form: PrometheusText has the last word. `dst` has room for line.size() + kPlainSeriesSlack bytes;
/// bytes up to `readable_end` may be read. Pure.
bool ReadPlainTextLine(std::string_view line, const char* readable_end, const PlainSeriesLimits& limits, uint8_t* dst,
                       PlainTextLine& out);

}  // namespace vm::insert
