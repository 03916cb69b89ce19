#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "select/http/answer.h"
#include "select/http/call.h"

namespace vm::select {

using Handler = boost::asio::awaitable<Answer> (*)(Call& call);

/// Where a path stands.
enum class Scope : uint8_t {
  kSelect,      // /select/<tenant>/...
  kDelete,      // /delete/<tenant>/...
  kTenantless,  // The whole path.
};

/// One path and what it means.
struct Route {
  Scope scope;
  std::string_view path;         // For kSelect and kDelete what stands behind the tenant.
  std::string_view metric_path;  // `path` label of the counters; empty: not counted.
  std::string_view timed_path;   // `path` label of vm_request_duration_seconds; empty: not timed.
  /// Takes a slot of -search.maxConcurrentRequests.
  bool is_heavy = true;
  bool has_cors = false;
  bool is_post_only = false;
  Handler handler = nullptr;  // Null: `constant_body` is the answer.
  int constant_status = 200;
  std::string_view constant_type;
  std::string_view constant_body;
  bool is_of_vmalert = false;  // Goes to -vmalert.proxyURL, when there is one.
  std::string_view location = {};  // Where a redirection leads.
};

std::span<const Route> Routes();
/// What a browser gets at `/<prefix>/<tenant>/`.
const Route& TenantPage();

/// Null for paths that are not known. `path_arg` gets the variable part of the path, if it has one.
const Route* FindRoute(Scope scope, std::string_view path, std::string& path_arg);

}  // namespace vm::select
