#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/base/result.h"
#include "lib/model/tenant.h"

namespace vm::select {

/// Milliseconds of a time argument: a number by magnitude, RFC 3339 in UTC, `now`, `now-5m`, `-5m`.
/// Errors: kInvalidInput.
Result<int64_t> ParseTimeArg(std::string_view name, std::string_view value, int64_t default_ms, int64_t now_ms);
/// Milliseconds of a duration argument. Errors: kInvalidInput.
Result<int64_t> ParseDurationArg(std::string_view name, std::string_view value, int64_t default_ms);
bool ParseBoolArg(std::string_view value);

/// Tenant and rest of `/select/<accountID[:projectID]>/rest`; nothing for other paths.
struct TenantPath {
  model::Tenant tenant;
  std::string_view rest;
};
std::optional<TenantPath> ParseTenantPath(std::string_view path);

}  // namespace vm::select
