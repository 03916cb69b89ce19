#pragma once

#include <chrono>
#include <string>

#include "lib/base/result.h"
#include "lib/http/message.h"

namespace vm::http {

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
};

/// Send one request to "http://user:password@host:port/path?query" or "https://..." on a connection of its own. Runs
/// on the strand of the caller. Errors: kUnavailable, kInvalidInput for a URL of another kind, kLimitExceeded above 1 GiB.
asio::awaitable<Result<ClientResponse>> Fetch(std::string method, std::string url, Headers headers,
                                              std::string body, std::chrono::milliseconds timeout);

}  // namespace vm::http
