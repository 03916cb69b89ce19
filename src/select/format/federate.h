#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "select/format/export_line.h"

namespace vm::select {

/// How names that Prometheus did not allow before version 3 are written.
enum class FederateNames : uint8_t { kRaw, kUnderscores, kUtf8 };

/// What a client understands, by its Accept and User-Agent headers.
FederateNames FederateNamesFor(std::string_view accept, std::string_view user_agent);

/// The last sample of a series in exposition format; nothing when it is NaN, which mostly marks staleness.
void AppendFederateLine(std::string& dst, const ExportBlock& block, FederateNames names);

}  // namespace vm::select
