#include "insert/http/path.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace vm::insert {
namespace {

std::optional<uint32_t> ParseUint32(std::string_view text) {
  uint32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::string_view SkipSlashes(std::string_view text) {
  while (text.starts_with('/')) text.remove_prefix(1);
  return text;
}

bool MayBeTenant(std::string_view text) {
  if (text.empty()) return false;
  if (text == "multitenant") return true;
  const size_t colon = text.find(':');
  return (colon != std::string_view::npos && colon > 0) || ParseUint32(text).has_value();
}

std::string TenantFromHeaders(std::string_view account_id, std::string_view project_id) {
  if (account_id.empty() && project_id.empty()) return "0:0";
  if (account_id == "multitenant") return "multitenant";
  std::string tenant(account_id.empty() ? "0" : account_id);
  return tenant.append(":").append(project_id.empty() ? "0" : project_id);
}

std::string MergeDoubleSlashes(std::string_view text) {
  std::string merged;
  for (size_t i = 0; i < text.size(); ++i) {
    merged.push_back(text[i]);
    if (text[i] == '/' && i + 1 < text.size() && text[i + 1] == '/') ++i;
  }
  return merged;
}

}  // namespace

Result<InsertPath> ParseInsertPath(std::string_view path, bool tenant_from_headers,
                                   std::string_view account_id_header,
                                   std::string_view project_id_header) {
  const auto missing = [&](std::string_view part) {
    std::string message = "cannot find " + std::string(part) + " in \"" + std::string(path) +
                          "\"; expecting ";
    if (tenant_from_headers) message += "/{prefix}/{suffix} or ";
    return Error(ErrorCode::kInvalidInput,
                 message + "/{prefix}/{tenantID}/{suffix} format; see "
                           "https://docs.victoriametrics.com/victoriametrics/"
                           "cluster-victoriametrics/#url-format");
  };
  std::string_view rest = SkipSlashes(path);
  size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return missing("{prefix}");
  InsertPath parsed;
  parsed.prefix = rest.substr(0, slash);
  rest = SkipSlashes(rest.substr(slash + 1));
  slash = rest.find('/');
  if (!tenant_from_headers) {
    if (slash == std::string_view::npos) return missing("{tenantID}");
    parsed.tenant = rest.substr(0, slash);
    rest = SkipSlashes(rest.substr(slash + 1));
  } else {
    if (rest.empty()) return missing("{suffix}");
    const std::string_view first =
        slash == std::string_view::npos ? std::string_view() : rest.substr(0, slash);
    if (MayBeTenant(first)) {
      parsed.tenant = first;
      rest = SkipSlashes(rest.substr(slash + 1));
    } else {
      parsed.tenant = TenantFromHeaders(account_id_header, project_id_header);
    }
  }
  parsed.suffix = MergeDoubleSlashes(rest);
  return parsed;
}

Result<std::optional<model::Tenant>> ParseTenant(std::string_view text) {
  if (text == "multitenant") return std::optional<model::Tenant>();
  const auto fail = [&](const std::string& reason) {
    return Error(ErrorCode::kInvalidInput,
                 "auth error: cannot parse authToken \"" + std::string(text) + "\": " + reason);
  };
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos && text.find(':', colon + 1) != std::string_view::npos) {
    return fail("unexpected number of items in authToken \"" + std::string(text) + "\"; got " +
                std::to_string(1 + std::count(text.begin(), text.end(), ':')) + "; want 1 or 2");
  }
  model::Tenant tenant;
  const std::optional<uint32_t> account_id = ParseUint32(text.substr(0, colon));
  if (!account_id) return fail("accountID must be an integer from 0 to 4294967295");
  tenant.account_id = *account_id;
  if (colon != std::string_view::npos) {
    const std::optional<uint32_t> project_id = ParseUint32(text.substr(colon + 1));
    if (!project_id) return fail("projectID must be an integer from 0 to 4294967295");
    tenant.project_id = *project_id;
  }
  return std::optional<model::Tenant>(tenant);
}

}  // namespace vm::insert
