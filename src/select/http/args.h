#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace vm::select {

/// Milliseconds of a time argument, see ParseTimeNs; never negative. Without a value the default, rounded
/// down to a second: dashboards that ask at slightly different times get the same grid. Errors: kInvalidInput.
Result<int64_t> ParseTimeArg(std::string_view name, std::string_view value, int64_t default_ms, int64_t now_ms);
/// Milliseconds of a duration argument: `1.5` seconds, `1h5m`, or `undefined` for the default.
/// Errors: kInvalidInput, also for zero and negative durations.
Result<int64_t> ParseDurationArg(std::string_view name, std::string_view value, int64_t default_ms);
bool ParseBoolArg(std::string_view value);
/// A decimal integer, 0 without a value. Errors: kInvalidInput.
Result<int64_t> ParseIntArg(std::string_view name, std::string_view value);
/// `value` for storage nodes, which close the connection when it is longer than `max_size`. `what` is shown to the user.
/// Errors: kInvalidInput.
Result<std::string> CheckedForNodes(std::string_view what, std::string_view value, size_t max_size);

}  // namespace vm::select
