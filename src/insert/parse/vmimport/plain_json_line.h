#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "insert/parse/rows/plain_labels.h"

namespace vm::insert {

/// What ReadPlainJsonLine has read. Its memory is used again.
struct PlainJsonLine {
  size_t labels_size = 0;  // Bytes written; the label `__name__` has the empty name.
  std::vector<double> values;
  std::vector<int64_t> timestamps;  // Unix milliseconds; as many as values.
};

/// Read a line as /api/v1/export writes it, `{"metric":{"name":"value",...},"values":[number,...],"timestamps":[integer,...]}` without blanks
/// and escapes, into labels as they are sent (plain_labels.h). False for any other form: JsonLinesReader has the last word. `dst` has room
/// for line.size() + kPlainSeriesSlack bytes; bytes up to `readable_end` may be read. Pure.
bool ReadPlainJsonLine(std::string_view line, const char* readable_end, const PlainSeriesLimits& limits, uint8_t* dst,
                       PlainJsonLine& out);

}  // namespace vm::insert
