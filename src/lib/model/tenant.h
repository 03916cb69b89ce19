#pragma once

#include <compare>
#include <cstdint>

namespace vm::model {

/// Whose series: accountID:projectID in URLs.
struct Tenant {
  uint32_t account_id = 0;
  uint32_t project_id = 0;

  auto operator<=>(const Tenant&) const = default;
};

}  // namespace vm::model
