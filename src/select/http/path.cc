#include "select/http/path.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace vm::select {
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
  return (colon != text.npos && colon > 0) || ParseUint32(text).has_value();
}

std::string TenantFromHeaders(std::string_view account_id, std::string_view project_id) {
  if (account_id.empty() && project_id.empty()) return "0:0";
  if (account_id == "multitenant") return "multitenant";
  std::string tenant(account_id.empty() ? "0" : account_id);
  return tenant.append(":").append(project_id.empty() ? "0" : project_id);
}

Error Missing(std::string_view part, std::string_view path, bool tenant_from_headers) {
  std::string message = "cannot find " + std::string(part) + " in \"" + std::string(path) + "\"; expecting ";
  if (tenant_from_headers) message += "/{prefix}/{suffix} or ";
  return Error(ErrorCode::kInvalidInput,
               message + "/{prefix}/{tenantID}/{suffix} format; see "
                         "https://docs.victoriametrics.com/victoriametrics/cluster-victoriametrics/#url-format");
}

}  // namespace

std::string MergeDoubleSlashes(std::string_view text) {
  std::string merged;
  merged.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    merged += text[i];
    if (text.substr(i).starts_with("//")) ++i;
  }
  return merged;
}

Result<SelectPath> ParseSelectPath(std::string_view path, bool tenant_from_headers,
                                   std::string_view account_id_header, std::string_view project_id_header) {
  std::string_view rest = SkipSlashes(path);
  size_t slash = rest.find('/');
  if (slash == rest.npos) return Missing("{prefix}", path, tenant_from_headers);
  SelectPath parsed;
  parsed.prefix = rest.substr(0, slash);
  rest = SkipSlashes(rest.substr(slash + 1));
  slash = rest.find('/');
  if (!tenant_from_headers) {
    if (slash == rest.npos) return Missing("{tenantID}", path, tenant_from_headers);
    parsed.tenant = rest.substr(0, slash);
    rest = SkipSlashes(rest.substr(slash + 1));
  } else {
    if (rest.empty()) return Missing("{suffix}", path, tenant_from_headers);
    const std::string_view first = slash == rest.npos ? std::string_view() : rest.substr(0, slash);
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
    return Error(ErrorCode::kInvalidInput, fmt::format("cannot parse authToken \"{}\": {}", text, reason));
  };
  const auto not_a_number = [&](std::string_view what, std::string_view digits) {
    return fail(fmt::format("cannot parse {} from \"{}\": strconv.ParseUint: parsing \"{}\": {}", what, digits, digits,
                            !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })
                                ? "value out of range"
                                : "invalid syntax"));
  };
  const auto colons = std::count(text.begin(), text.end(), ':');
  if (colons > 1) return fail(fmt::format("unexpected number of items in authToken \"{}\"; got {}; want 1 or 2", text, colons + 1));
  const size_t colon = text.find(':');
  model::Tenant tenant;
  const auto account_id = ParseUint32(text.substr(0, colon));
  if (!account_id) return not_a_number("accountID", text.substr(0, colon));
  tenant.account_id = *account_id;
  if (colon != text.npos) {
    const auto project_id = ParseUint32(text.substr(colon + 1));
    if (!project_id) return not_a_number("projectID", text.substr(colon + 1));
    tenant.project_id = *project_id;
  }
  return std::optional<model::Tenant>(tenant);
}

}  // namespace vm::select
