#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vm::insert {

/// `type` is that of model::MetadataRow. Adds the unit, `_total` to counters and `_ratio` to gauges without a unit.
/// Reference: VictoriaMetrics lib/protoparser/opentelemetry/stream/sanitize.go.
std::string PrometheusMetricName(std::string_view name, std::string_view unit, uint32_t type);

/// Characters that do not belong in a label name become `_`; one that begins with a digit gets `key_` in front, one with a single `_`
/// gets `key` when `prefix_underscores`.
std::string PrometheusLabelName(std::string_view name, bool prefix_underscores);

}  // namespace vm::insert
