#pragma once

#include <string_view>

#include "insert/parse/rows/parsed_rows.h"
#include "lib/base/result.h"

namespace vm::insert {

struct GraphiteOptions {
  bool sanitize_metric_name = false;  // -graphite.sanitizeMetricName
};

/// Replace `rows` by those of `body`, whole lines of which the last may lack its newline. Timestamps are seconds as
/// written, cut to integers. Reference: VictoriaMetrics lib/protoparser/graphite.
void ParseGraphite(ParsedRows& rows, std::string_view body, const GraphiteOptions& options,
                   const BadRowHandler& on_bad_row);

/// `metric;tag=value;...`: sets the metric and the labels of `row`. Errors: kInvalidInput for an empty metric.
Status ParseGraphiteMetric(ParsedRows& rows, ParsedRow& row, std::string_view text, const GraphiteOptions& options);

}  // namespace vm::insert
