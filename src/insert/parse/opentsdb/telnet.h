#pragma once

#include <string_view>

#include "insert/parse/rows/parsed_rows.h"

namespace vm::insert {

/// Replace `rows` by those of `body`, whole lines of which the last may lack its newline. Timestamps are as written, cut to
/// integers. Reference: VictoriaMetrics lib/protoparser/opentsdb.
void ParseOpentsdbTelnet(ParsedRows& rows, std::string_view body, const BadRowHandler& on_bad_row);

/// Seconds become milliseconds; what does not fit into 32 bits already is. Overflow wraps as it does in the reference.
constexpr int64_t OpentsdbTimestampMs(int64_t timestamp) {
  constexpr int64_t kSecondMask = 0x7fffffff00000000;
  return (timestamp & kSecondMask) == 0 ? static_cast<int64_t>(static_cast<uint64_t>(timestamp) * 1000) : timestamp;
}

}  // namespace vm::insert
