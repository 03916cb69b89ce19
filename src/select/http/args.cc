#include "select/http/args.h"

#include <charconv>
#include <cmath>
#include <ctime>
#include <string>

#include "lib/metricsql/ast.h"

namespace vm::select {
namespace {

constexpr int64_t kMaxTimestampMs = 9223372036854;
constexpr int64_t kMaxDurationMs = 3153600000000;

std::optional<double> ParseDouble(std::string_view text) {
  double value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<uint32_t> ParseUint32(std::string_view text) {
  uint32_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

int64_t ClampTimestamp(double ms) {
  if (ms <= 0) return 0;
  return ms >= static_cast<double>(kMaxTimestampMs) ? kMaxTimestampMs : static_cast<int64_t>(std::llround(ms));
}

/// `YYYY-MM-DDTHH:MM:SS[.fff]Z`
std::optional<double> ParseRfc3339(std::string_view text) {
  if (text.size() < 20 || text.back() != 'Z') return std::nullopt;
  std::tm tm{};
  const std::string head(text.substr(0, 19));
  const char* end = strptime(head.c_str(), "%Y-%m-%dT%H:%M:%S", &tm);
  if (end == nullptr || *end != '\0') return std::nullopt;
  double fraction = 0;
  if (text.size() > 20) {
    const auto parsed = ParseDouble("0" + std::string(text.substr(19, text.size() - 20)));
    if (!parsed || text[19] != '.') return std::nullopt;
    fraction = *parsed;
  }
  return (static_cast<double>(timegm(&tm)) + fraction) * 1e3;
}

}  // namespace

Result<int64_t> ParseTimeArg(std::string_view name, std::string_view value, int64_t default_ms, int64_t now_ms) {
  if (value.empty()) return default_ms - default_ms % 1000;
  if (const auto number = ParseDouble(value)) {
    const double n = std::fabs(*number);
    if (n < 9223372037.0) return ClampTimestamp(*number * 1e3);
    if (n < 9223372036855.0) return ClampTimestamp(*number);
    if (n < 9223372036854776.0) return ClampTimestamp(*number / 1e3);
    return ClampTimestamp(*number / 1e6);
  }
  if (const auto ms = ParseRfc3339(value)) return ClampTimestamp(*ms);
  std::string_view rest = value;
  if (rest.starts_with("now")) rest.remove_prefix(3);
  if (rest.empty()) return now_ms;
  const auto duration = metricsql::ParseDuration(rest, 0);
  if (!duration.ok() || rest.starts_with('+')) {
    return Error(ErrorCode::kInvalidInput, "cannot parse " + std::string(name) + "=" + std::string(value) + ": unsupported time format");
  }
  return ClampTimestamp(static_cast<double>(now_ms) - std::fabs(static_cast<double>(duration.value())));
}

Result<int64_t> ParseDurationArg(std::string_view name, std::string_view value, int64_t default_ms) {
  if (value.empty() || value == "undefined") return default_ms;
  int64_t ms = 0;
  if (const auto seconds = ParseDouble(value); seconds && std::fabs(*seconds) < 1e15) {
    ms = static_cast<int64_t>(*seconds * 1e3);
  } else {
    auto duration = metricsql::ParseDuration(value, 0);
    if (!duration.ok()) return Error(ErrorCode::kInvalidInput, "cannot parse \"" + std::string(name) + "\"=\"" + std::string(value) + "\": " + duration.error().message());
    ms = duration.value();
  }
  if (ms <= 0 || ms > kMaxDurationMs) {
    return Error(ErrorCode::kInvalidInput, std::string(name) + "=" + std::to_string(ms) + "ms is out of allowed range [1ms ... 3153600000000ms]");
  }
  return ms;
}

bool ParseBoolArg(std::string_view value) {
  const std::string lower = metricsql::ToLower(value);
  return !(lower.empty() || lower == "0" || lower == "f" || lower == "false" || lower == "no");
}

std::optional<TenantPath> ParseTenantPath(std::string_view path) {
  if (!path.starts_with("/select/")) return std::nullopt;
  path.remove_prefix(8);
  const size_t slash = path.find('/');
  if (slash == path.npos) return std::nullopt;
  TenantPath out;
  out.rest = path.substr(slash + 1);
  std::string_view tenant = path.substr(0, slash);
  if (const size_t colon = tenant.find(':'); colon != tenant.npos) {
    const auto project = ParseUint32(tenant.substr(colon + 1));
    if (!project) return std::nullopt;
    out.tenant.project_id = *project;
    tenant = tenant.substr(0, colon);
  }
  const auto account = ParseUint32(tenant);
  if (!account) return std::nullopt;
  out.tenant.account_id = *account;
  return out;
}

}  // namespace vm::select
