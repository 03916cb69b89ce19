#include "insert/relabel/relabel_config.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "lib/flags/flags.h"
#include "lib/http/client.h"
#include "lib/log/log.h"
#include "lib/net/run_on.h"

namespace vm::insert {
namespace {

constexpr std::chrono::seconds kFetchTimeout{30};

bool IsUrl(std::string_view path) { return path.starts_with("http://") || path.starts_with("https://"); }

Result<std::string> Fetch(net::Runtime& runtime, const std::string& url) {
  const auto response = net::BlockOn(runtime.MakeStrand(), http::Fetch("GET", url, http::Headers(), "", kFetchTimeout));
  if (!response.ok()) {
    return Error(response.error().code(), fmt::format("cannot fetch \"{}\": {}", url, response.error().message()));
  }
  if (response.value().status != 200) {
    return Error(ErrorCode::kUnavailable, fmt::format("unexpected status code when fetching \"{}\": {}, expecting 200", url,
                                                      response.value().status));
  }
  return response.value().body;
}

}  // namespace

Result<std::string> ReadFileOrUrl(net::Runtime& runtime, const std::string& path) {
  if (IsUrl(path)) return Fetch(runtime, path);
  std::ifstream file(path);
  if (!file) return Error(ErrorCode::kIo, fmt::format("open {}: {}", path, std::strerror(errno)));
  std::stringstream text;
  text << file.rdbuf();
  if (file.bad()) return Error(ErrorCode::kIo, fmt::format("read {}: {}", path, std::strerror(errno)));
  return text.str();
}

RelabelConfig::RelabelConfig(std::string path, Read read, const sys::Clock& clock, metrics::Registry& registry, Sink sink)
    : path_(std::move(path)),
      read_(std::move(read)),
      clock_(clock),
      sink_(std::move(sink)),
      reloads_(registry.GetCounter("vm_relabel_config_reloads_total")),
      errors_(registry.GetCounter("vm_relabel_config_reloads_errors_total")),
      is_successful_(registry.GetGauge("vm_relabel_config_last_reload_successful")),
      success_time_(registry.GetCounter("vm_relabel_config_last_reload_success_timestamp_seconds")) {}

Result<std::shared_ptr<const relabel::Rules>> RelabelConfig::ReadRules() const {
  const auto fail = [&](std::string_view what, const Error& error) {
    return Error(ErrorCode::kInvalidInput, fmt::format("error when reading -relabelConfig=\"{0}\": cannot {1} "
                                                       "`relabel_configs` from \"{0}\": {2}",
                                                       path_, what, error.message()));
  };
  const Result<std::string> text = read_(path_);
  if (!text.ok()) return fail("read", text.error());
  auto rules = relabel::Rules::Parse(flags::ExpandPlaceholders(text.value()));
  if (!rules.ok()) return fail("unmarshal", rules.error());
  return rules;
}

void RelabelConfig::Use(std::shared_ptr<const relabel::Rules> rules) {
  text_ = rules->text();
  sink_(std::move(rules));
  is_successful_.Set(1);
  success_time_.Set(static_cast<uint64_t>(clock_.NowMs() / 1000));
}

Status RelabelConfig::Load() {
  VM_ASSIGN_OR_RETURN(auto rules, ReadRules());
  Use(std::move(rules));
  return Ok();
}

void RelabelConfig::Reload(bool is_asked_for) {
  if (is_asked_for) {
    reloads_.Inc();
    VM_LOG_INFO("received SIGHUP; reloading -relabelConfig=\"{}\"...", path_);
  }
  auto rules = ReadRules();
  if (!rules.ok()) {
    errors_.Inc();
    is_successful_.Set(0);
    VM_LOG_ERROR("cannot load the updated relabelConfig: {}; preserving the previous config", rules.error().message());
    return;
  }
  if (rules.value()->text() == text_) {
    is_successful_.Set(1);
    if (is_asked_for) VM_LOG_INFO("nothing changed in \"{}\"", path_);
    return;
  }
  Use(std::move(rules).value());
  VM_LOG_INFO("successfully reloaded -relabelConfig=\"{}\"", path_);
}

}  // namespace vm::insert
