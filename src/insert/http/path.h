#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "lib/model/tenant.h"

namespace vm::insert {

/// The parts of `/{prefix}/{tenant}/{suffix}`.
struct InsertPath {
  std::string prefix;
  std::string tenant;  // "42", "42:7" or "multitenant"; not checked yet.
  std::string suffix;
};

/// Take a path apart. Without a tenant in the path it comes from the two header values, "0:0" when both
/// are empty. With `tenant_from_headers` off the tenant must be in the path. Errors: kInvalidInput.
Result<InsertPath> ParseInsertPath(std::string_view path, bool tenant_from_headers,
                                   std::string_view account_id_header,
                                   std::string_view project_id_header);

/// Nothing for "multitenant". Errors: kInvalidInput.
Result<std::optional<model::Tenant>> ParseTenant(std::string_view text);

}  // namespace vm::insert
