#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/model/metric_name.h"

namespace vm::select {

/// Shortest fixed notation without exponent, whole numbers within 64 bits exactly; `NaN`, `+Inf`, `-Inf`.
void AppendJsonFloat(std::string& dst, double value);
/// Milliseconds as seconds.
void AppendJsonTimestamp(std::string& dst, int64_t timestamp_ms);
void AppendInt(std::string& dst, int64_t value);
/// Quoted as the reference's templates do: `<` and `'` escaped, other bytes above 0x1f as they are.
void AppendJsonString(std::string& dst, std::string_view value);
/// Quoted as Go's encoding/json does: `<`, `>`, `&` escaped, bytes that are not UTF-8 replaced.
void AppendGoJsonString(std::string& dst, std::string_view value);
/// `{"__name__":"foo","a":"b"}`
void AppendJsonMetric(std::string& dst, const model::MetricName& name);

}  // namespace vm::select
