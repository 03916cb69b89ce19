#include "select/http/args.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string>

#include "lib/metricsql/ast.h"
#include "select/http/time_arg.h"

namespace vm::select {
namespace {

constexpr int64_t kMaxTimestampMs = 9223372036854;
constexpr int64_t kMaxDurationMs = 3153600000000;
// What Prometheus' client library sends for "from the beginning" and "to the end".
constexpr std::string_view kPrometheusMinTime = "-292273086-05-16T16:47:06Z";
constexpr std::string_view kPrometheusMaxTime = "292277025-08-18T07:12:54.999999999Z";

std::optional<double> ParseDouble(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Error Invalid(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

}  // namespace

Result<int64_t> ParseTimeArg(std::string_view name, std::string_view value, int64_t default_ms, int64_t now_ms) {
  if (value.empty()) return default_ms - default_ms % 1000;
  if (value == kPrometheusMinTime) return int64_t{0};
  if (value == kPrometheusMaxTime) return kMaxTimestampMs;
  auto ns = ParseTimeNs(value, now_ms * 1'000'000);
  if (!ns.ok()) return std::move(ns).error().WithContext("cannot parse " + std::string(name) + "=" + std::string(value));
  const double ms = std::round(static_cast<double>(ns.value()) / 1e6);
  if (ms <= 0) return int64_t{0};
  return std::min(static_cast<int64_t>(ms), kMaxTimestampMs);
}

Result<int64_t> ParseDurationArg(std::string_view name, std::string_view value, int64_t default_ms) {
  if (value.empty() || value == "undefined") return default_ms;
  double ms = 0;
  if (const auto seconds = ParseDouble(value)) {
    ms = *seconds * 1e3;
  } else {
    auto duration = metricsql::ParseDuration(value, 0);
    if (!duration.ok()) {
      return std::move(duration).error().WithContext("cannot parse \"" + std::string(name) + "\"=\"" + std::string(value) + "\"");
    }
    ms = static_cast<double>(duration.value());
  }
  if (!(ms >= 1) || ms > static_cast<double>(kMaxDurationMs)) {
    const std::string shown = std::isfinite(ms) && std::fabs(ms) < 9e18 ? std::to_string(static_cast<int64_t>(ms)) : std::string(value);
    return Invalid(std::string(name) + "=" + shown + "ms is out of allowed range [1ms ... 3153600000000ms]");
  }
  return static_cast<int64_t>(ms);
}

bool ParseBoolArg(std::string_view value) {
  const std::string lower = metricsql::ToLower(value);
  return !(lower.empty() || lower == "0" || lower == "f" || lower == "false" || lower == "no");
}

Result<int64_t> ParseIntArg(std::string_view name, std::string_view value) {
  if (value.empty()) return int64_t{0};
  std::string_view digits = value;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  int64_t number = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (ec != std::errc() || end != digits.data() + digits.size()) {
    const char* const reason = ec == std::errc::result_out_of_range ? "value out of range" : "invalid syntax";
    return Invalid("cannot parse integer \"" + std::string(name) + "\"=\"" + std::string(value) + "\": strconv.Atoi: parsing \"" +
                   std::string(value) + "\": " + reason);
  }
  return number;
}

Result<std::string> CheckedForNodes(std::string_view what, std::string_view value, size_t max_size) {
  if (value.size() <= max_size) return std::string(value);
  return Invalid("too long " + std::string(what) + ": " + std::to_string(value.size()) + " bytes; storage nodes take at most " +
                 std::to_string(max_size));
}

}  // namespace vm::select
