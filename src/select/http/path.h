#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "lib/model/tenant.h"

namespace vm::select {

/// The parts of `/{prefix}/{tenant}/{suffix}`.
struct SelectPath {
  std::string prefix;  // "select" or "delete", if the path is good.
  std::string tenant;  // "42", "42:7" or "multitenant"; not checked yet.
  std::string suffix;
};

/// Take a path apart. Without a tenant in the path it comes from the two header values, "0:0" when both
/// are empty. With `tenant_from_headers` off the tenant must be in the path. Errors: kInvalidInput.
Result<SelectPath> ParseSelectPath(std::string_view path, bool tenant_from_headers,
                                   std::string_view account_id_header, std::string_view project_id_header);

/// Nothing for "multitenant". Errors: kInvalidInput.
Result<std::optional<model::Tenant>> ParseTenant(std::string_view text);

/// `text` with every pair of slashes made one, left to right.
std::string MergeDoubleSlashes(std::string_view text);

}  // namespace vm::select
