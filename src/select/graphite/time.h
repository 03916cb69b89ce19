#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/result.h"

namespace vm::select::graphite {

/// Unix milliseconds of a time of the render API: `now`, `today`, `yesterday`, a date with or without a time in one of Graphite's forms
/// (all UTC), RFC 3339, Unix seconds, or an interval from now. Within kMaxTimeMs. Errors: kInvalidInput.
Result<int64_t> ParseTime(std::string_view text, int64_t now_ms);

/// Milliseconds of `-10min`, `1.5h`, `2 weeks`; a month has 30 days, a year 365. Within kMaxTimeMs. Errors: kInvalidInput.
Result<int64_t> ParseInterval(std::string_view text);

/// Greater times and intervals are cut to this, so that sums of some of them do not overflow.
inline constexpr int64_t kMaxTimeMs = 4'000'000'000'000'000;

/// The start of the unit that `time_ms` lies in, UTC: `s`, `min`, `h`, `d`, `w` or `w<day of the week>`, `mon`, `y`. Errors: kInvalidInput.
Result<int64_t> AlignToUnit(int64_t time_ms, std::string_view unit);

}  // namespace vm::select::graphite
