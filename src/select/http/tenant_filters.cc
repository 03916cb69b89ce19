#include "select/http/tenant_filters.h"

#include <optional>
#include <string>

#include "lib/regex/regex.h"

namespace vm::select {
namespace {

constexpr std::string_view kAccountLabel = "vm_account_id";
constexpr std::string_view kProjectLabel = "vm_project_id";

/// One filter with its regexp compiled.
struct Matcher {
  model::TagFilter filter;
  std::optional<regex::Regex> regexp;

  bool Match(const model::Tenant& tenant) const {
    const std::string value = std::to_string(filter.key == kAccountLabel ? tenant.account_id : tenant.project_id);
    return (regexp ? regexp->Match(value) : value == filter.value) != filter.is_negative;
  }
};

Result<std::vector<Matcher>> Compile(const std::vector<model::TagFilter>& group) {
  std::vector<Matcher> matchers;
  for (const auto& filter : group) {
    auto& matcher = matchers.emplace_back(Matcher{filter, std::nullopt});
    if (!filter.is_regexp) continue;
    auto compiled = regex::Regex::Compile(filter.value);
    if (!compiled.ok()) return std::move(compiled).error().WithContext("cannot apply filters to tenants");
    matcher.regexp = std::move(compiled).value();
  }
  return matchers;
}

bool MatchAll(const std::vector<Matcher>& matchers, const model::Tenant& tenant) {
  for (const auto& matcher : matchers) {
    if (!matcher.Match(tenant)) return false;
  }
  return true;
}

}  // namespace

bool IsTenancyLabel(std::string_view name) { return name == kAccountLabel || name == kProjectLabel; }

SplitFilters SplitTenantFilters(const FilterGroups& groups) {
  SplitFilters split;
  for (const auto& group : groups) {
    std::vector<model::TagFilter> tenants, series;
    for (const auto& filter : group) (IsTenancyLabel(filter.key) ? tenants : series).push_back(filter);
    if (!tenants.empty()) split.tenants.push_back(std::move(tenants));
    if (!series.empty()) split.series.push_back(std::move(series));
  }
  return split;
}

Result<std::vector<model::Tenant>> MatchTenants(std::span<const model::Tenant> tenants, const FilterGroups& groups) {
  if (groups.empty()) return std::vector<model::Tenant>(tenants.begin(), tenants.end());
  std::vector<std::vector<Matcher>> compiled;
  for (const auto& group : groups) {
    VM_ASSIGN_OR_RETURN(auto matchers, Compile(group));
    compiled.push_back(std::move(matchers));
  }
  std::vector<model::Tenant> matching;
  for (const auto& tenant : tenants) {
    for (const auto& matchers : compiled) {
      if (!MatchAll(matchers, tenant)) continue;
      matching.push_back(tenant);
      break;
    }
  }
  return matching;
}

}  // namespace vm::select
