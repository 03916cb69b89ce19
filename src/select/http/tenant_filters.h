#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/model/tenant.h"
#include "select/http/filters.h"

namespace vm::select {

/// `vm_account_id` or `vm_project_id`: in multi-tenant reads these labels name the tenant.
bool IsTenancyLabel(std::string_view name);

/// Filters of tenants, and those of series. Groups are split independently, as the reference does:
/// `{vm_account_id="1",a="b" or vm_account_id="2",c="d"}` asks both tenants for both series.
struct SplitFilters {
  FilterGroups tenants;
  FilterGroups series;
};
SplitFilters SplitTenantFilters(const FilterGroups& groups);

/// The tenants that match one of the groups; all when there are none. Errors: kInvalidInput for a bad regexp.
Result<std::vector<model::Tenant>> MatchTenants(std::span<const model::Tenant> tenants, const FilterGroups& groups);

}  // namespace vm::select
