#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/base/result.h"

namespace vm::select {

/// Nanoseconds since 1970 of a time as users write it: a number by magnitude (seconds to nanoseconds), a
/// whole or partial date with or without zone, `now`, a duration before now. Dates without a zone are local
/// time. Times outside 1677..2262 are cut to that range. Errors: kInvalidInput.
/// Reference: VictoriaMetrics lib/timeutil/time.go.
Result<int64_t> ParseTimeNs(std::string_view text, int64_t now_ns);

/// The same of a number alone: integer, with a fraction, or `1.7e9`. Nothing for other text.
std::optional<int64_t> ParseUnixTimestampNs(std::string_view text);

}  // namespace vm::select
