#pragma once

#include <string_view>

#include "insert/parse/json/json.h"
#include "insert/parse/rows/parsed_rows.h"
#include "lib/base/result.h"

namespace vm::insert {

/// Replace `rows` by those of a JSON body; they are views into `body` and `document`. Timestamps are as written, cut to integers.
/// Errors: kInvalidInput when it is no JSON. Reference: VictoriaMetrics lib/protoparser/opentsdbhttp.
Status ParseOpentsdbPut(ParsedRows& rows, JsonDocument& document, std::string_view body, const BadRowHandler& on_bad_row);

}  // namespace vm::insert
