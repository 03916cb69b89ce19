#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace vm::insert {

/// Read `text` by a layout in the notation of Go ("2006-01-02 15:04:05.000 -0700"): Unix milliseconds, rounded down. UTC without a
/// zone; names of zones count as UTC, as unknown ones do in Go. Nothing when it does not fit.
std::optional<int64_t> ParseGoTime(std::string_view layout, std::string_view text);

/// "2020-03-11T18:23:46.123+01:00".
std::optional<int64_t> ParseRfc3339(std::string_view text);

}  // namespace vm::insert
