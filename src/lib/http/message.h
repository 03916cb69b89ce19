#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/deadline.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/http/args.h"

namespace vm::http {

namespace asio = boost::asio;

/// Header fields; names compare without case.
class Headers {
 public:
  std::string_view Get(std::string_view name) const;
  void Set(std::string_view name, std::string_view value);
  void Add(std::string_view name, std::string_view value);
  void Remove(std::string_view name);
  const std::vector<std::pair<std::string, std::string>>& all() const noexcept { return items_; }

 private:
  std::vector<std::pair<std::string, std::string>> items_;
};

/// A request being served. Strand-confined. The body is pulled: nothing is read before it is asked for.
class Request {
 public:
  virtual ~Request() = default;

  std::string method;       // "GET"
  std::string target;       // As sent.
  std::string path;         // Decoded, without the query.
  std::string raw_query;    // After '?'.
  Args query;               // Arguments of the URL; after ReadForm also of the body, which come first.
  Headers headers;
  std::string remote_addr;  // "ip:port"

  /// Read at most dst.size() bytes of the body (chunks undone, Content-Encoding not); 0 at its end.
  /// Errors: kInvalidInput for a broken body, kUnavailable when the client goes away.
  virtual asio::awaitable<Result<size_t>> ReadBody(std::span<uint8_t> dst) = 0;

  /// A token that is stopped when the client closes its connection, or when the server gives up waiting for this
  /// request at shutdown. Watching begins with the first call, and not before the body has been read. Stop
  /// callbacks run on the strand of the connection or on the thread that stops the server.
  virtual std::stop_token ClientGone() { return {}; }

  /// Read the rest of the body. Errors: as ReadBody; kLimitExceeded beyond `max_size`.
  asio::awaitable<Result<ByteBuffer>> ReadAll(size_t max_size);
  /// For POST, PUT and PATCH with a form type, put the arguments of the body in front of `query`. Query endpoints
  /// call it; ingestion endpoints must not. Errors: as ReadAll; the limit is 10 MB.
  asio::awaitable<Status> ReadForm();
};

/// The answer to a request. Strand-confined. Small bodies get a Content-Length, big ones are chunked
/// and sent while they are written.
class Response {
 public:
  virtual ~Response() = default;

  virtual void SetStatus(int code) = 0;
  virtual int status() const = 0;
  /// Replace a header. Only before the first bytes leave.
  virtual void SetHeader(std::string_view name, std::string_view value) = 0;
  /// Allow scripts of all web pages to read the answer, unless -http.disableCORS.
  virtual void EnableCors() {}
  /// Append to the body; waits when the client is slow. Errors: kUnavailable when it is gone.
  virtual asio::awaitable<Status> Write(std::string_view chunk) = 0;
  /// End the answer. The server does it for handlers that return without.
  virtual asio::awaitable<Status> Finish() = 0;
  /// Break the connection so that the client sees a truncated answer ending in `message`. For errors
  /// after the body has started.
  virtual asio::awaitable<void> Abort(std::string message) = 0;
  /// True when the header has left: the status cannot change anymore.
  virtual bool started() const = 0;
};

using Handler = std::function<asio::awaitable<void>(Request&, Response&)>;

/// `remoteAddr: "..."; requestURI: ...` for log lines, with X-Forwarded-For and without the value of authKey.
std::string DescribeRequest(const Request& request);

/// Answer with a plain text error: message and a line end.
asio::awaitable<void> WriteError(Response& response, int status, std::string message);
/// Answer with a whole body.
asio::awaitable<void> WriteText(Response& response, int status, std::string content_type,
                                std::string body);

}  // namespace vm::http
