#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vm::select {

/// Append a time in local time as Go's Time.Format prints it for a reference-time layout such as
/// `2006-01-02T15:04:05.999Z07:00`.
void AppendGoTime(std::string& dst, int64_t timestamp_ms, std::string_view layout);

}  // namespace vm::select
