#pragma once

#include <map>
#include <string>
#include <string_view>

#include "lib/flags/flags.h"
#include "lib/http/message.h"
#include "lib/metrics/metrics.h"

namespace vm::daemon {

/// Who may use which path: basic auth (-httpAuth.*) for all, or the authKey flag of a path where one is set.
/// Thread-safe after parsing.
class Auth {
 public:
  /// Defines the flags: those common to all, and the keys of the endpoints of daemon `name`.
  Auth(flags::FlagSet& set, std::string_view name, metrics::Registry& registry);
  Auth(const Auth&) = delete;
  Auth& operator=(const Auth&) = delete;

  /// True: go on. False: the request has been answered with 401. May read a form body into `request.query`.
  http::asio::awaitable<bool> Check(http::Request& request, http::Response& response) const;
  /// The flag whose key guards `path`, or "".
  std::string_view KeyFlag(std::string_view path) const;

 private:
  http::asio::awaitable<bool> CheckBasic(http::Request& request, http::Response& response) const;

  std::map<std::string, const flags::Password*, std::less<>> keys_;  // By flag.
  const std::string* username_;
  const flags::Password* password_;
  metrics::Counter& wrong_basic_auth_;
  metrics::Counter& wrong_auth_key_;
};

}  // namespace vm::daemon
