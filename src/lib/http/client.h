#pragma once

#include <chrono>
#include <string>

#include "lib/base/deadline.h"
#include "lib/base/result.h"
#include "lib/http/message.h"
#include "lib/net/stream.h"

namespace vm::http {

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
};

/// Takes an answer while it comes. An error ends it.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  /// Once, before the body.
  virtual asio::awaitable<Status> TakeHeader(int status, const Headers& headers) = 0;
  /// The next piece of the body, without chunk marks; compressed as it was sent.
  virtual asio::awaitable<Status> TakeBody(std::string_view piece) = 0;
};

/// Send one request to "http://user:password@host:port/path?query" or "https://..." on a connection of its own; the
/// server waits while `sink` does. Runs on the strand of the caller; a stop of `deadline` closes the connection. Errors:
/// kUnavailable, kInvalidInput for a URL of another kind, those of `sink`.
asio::awaitable<Status> FetchTo(std::string method, std::string url, Headers headers, std::string body, Deadline deadline,
                                AnswerSink& sink);

/// The same with the whole answer. Errors: also kLimitExceeded above 1 GiB.
asio::awaitable<Result<ClientResponse>> Fetch(std::string method, std::string url, Headers headers,
                                              std::string body, std::chrono::milliseconds timeout);

/// The second half of FetchTo and of Fetch: read the answer to a request of `method` off `stream`. `url` is for error texts.
asio::awaitable<Status> ReadAnswerTo(net::Stream& stream, std::string method, std::string url, AnswerSink& sink);
asio::awaitable<Result<ClientResponse>> ReadResponse(net::Stream& stream, std::string method, std::string url);

}  // namespace vm::http
