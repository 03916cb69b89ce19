#include "lib/daemon/auth.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "lib/http/args.h"

namespace vm::daemon {
namespace {

enum class Match { kWhole, kPrefix, kSuffix };

/// Paths with a key of their own. Reference: lib/httpserver, isProtectedByAuthFlag.
struct KeyedPath {
  std::string_view daemon;  // Empty: all.
  Match match;
  std::string_view path;
  std::string_view flag;
};

constexpr KeyedPath kKeyedPaths[] = {
    {"", Match::kWhole, "/metrics", "metricsAuthKey"},
    {"", Match::kWhole, "/flags", "flagsAuthKey"},
    {"", Match::kPrefix, "/debug/pprof/", "pprofAuthKey"},
    {"vmstorage", Match::kSuffix, "/force_merge", "forceMergeAuthKey"},
    {"vmstorage", Match::kSuffix, "/force_flush", "forceFlushAuthKey"},
    {"vmstorage", Match::kSuffix, "/log_new_series", "logNewSeriesAuthKey"},
    {"vmstorage", Match::kSuffix, "/snapshot", "snapshotAuthKey"},
    {"vmstorage", Match::kPrefix, "/snapshot/", "snapshotAuthKey"},
    {"vmselect", Match::kSuffix, "/delete_series", "deleteAuthKey"},
    {"vmselect", Match::kSuffix, "/delSeries", "deleteAuthKey"},
    {"vmselect", Match::kSuffix, "/resetRollupResultCache", "search.resetCacheAuthKey"},
    {"vmselect", Match::kSuffix, "/admin/status/metric_names_stats/reset", "metricNamesStatsResetAuthKey"},
};

bool Matches(const KeyedPath& keyed, std::string_view path) {
  switch (keyed.match) {
    case Match::kWhole: return path == keyed.path;
    case Match::kPrefix: return path.starts_with(keyed.path);
    case Match::kSuffix: return path.ends_with(keyed.path);
  }
  return false;
}

/// Equal, in a time that does not tell where the first difference is.
bool SameSecret(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(i < b.size() ? b[i] : 0);
  }
  return difference == 0;
}

}  // namespace

Auth::Auth(flags::FlagSet& set, std::string_view name, metrics::Registry& registry)
    : username_(set.String("httpAuth.username", "", "Username for basic auth; no basic auth when it is empty")),
      password_(set.Secret("httpAuth.password", "Password for basic auth")),
      wrong_basic_auth_(
          registry.GetCounter("vm_http_request_errors_total{path=\"*\", reason=\"wrong_basic_auth\"}")),
      wrong_auth_key_(registry.GetCounter("vm_http_request_errors_total{path=\"*\", reason=\"wrong_auth_key\"}")) {
  for (const KeyedPath& keyed : kKeyedPaths) {
    if (!keyed.daemon.empty() && keyed.daemon != name) continue;
    const std::string flag(keyed.flag);
    if (keys_.contains(flag)) continue;
    keys_[flag] = set.Secret(flag, fmt::format("authKey for {}; it overrides -httpAuth.*", keyed.path));
  }
}

std::string_view Auth::KeyFlag(std::string_view path) const {
  for (const KeyedPath& keyed : kKeyedPaths) {
    if (keys_.contains(keyed.flag) && Matches(keyed, path)) return keyed.flag;
  }
  return {};
}

http::asio::awaitable<bool> Auth::Check(http::Request& request, http::Response& response) const {
  const std::string flag(KeyFlag(request.path));
  const std::string key = flag.empty() ? std::string() : keys_.find(flag)->second->Get();
  if (key.empty() || flag == "logNewSeriesAuthKey") {  // The latter wants both.
    const bool is_allowed = co_await CheckBasic(request, response);
    if (!is_allowed || key.empty()) co_return is_allowed;
  }
  if (!request.query.Has("authKey")) {
    auto form = co_await request.ReadForm();
    static_cast<void>(form.ok());  // A broken form has no key.
  }
  const std::string given(request.query.Get("authKey"));
  if (SameSecret(given, key)) co_return true;
  wrong_auth_key_.Inc();
  std::string message = given.empty()
                            ? fmt::format("Expected to receive non-empty authKey when -{} is set", flag)
                            : fmt::format("The provided authKey doesn't match -{}", flag);
  co_await http::WriteError(response, 401, std::move(message));
  co_return false;
}

http::asio::awaitable<bool> Auth::CheckBasic(http::Request& request, http::Response& response) const {
  if (username_->empty()) co_return true;
  constexpr std::string_view kScheme = "basic ";
  const std::string_view header = request.headers.Get("Authorization");
  bool is_basic = header.size() >= kScheme.size();
  for (size_t i = 0; i < kScheme.size() && is_basic; ++i) is_basic = (header[i] | 0x20) == (kScheme[i] | 0x20);
  if (is_basic) {
    const std::optional<std::string> decoded = http::DecodeBase64(header.substr(kScheme.size()));
    const size_t colon = decoded ? decoded->find(':') : std::string::npos;
    if (colon != std::string::npos) {
      const std::string_view text = *decoded;
      const bool is_user = SameSecret(text.substr(0, colon), *username_);
      if (SameSecret(text.substr(colon + 1), password_->Get()) && is_user) co_return true;
      wrong_basic_auth_.Inc();
    }
  }
  response.SetHeader("WWW-Authenticate", "Basic realm=\"VictoriaMetrics\"");
  std::string empty;
  co_await http::WriteError(response, 401, std::move(empty));
  co_return false;
}

}  // namespace vm::daemon
