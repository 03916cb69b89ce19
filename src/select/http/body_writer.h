#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "lib/http/message.h"

namespace vm::select {

/// Sends a long answer piece by piece from a pool: each write hops to the strand of the connection and waits there
/// while the client is slow, so at most one piece is held. One coroutine at a time.
class BodyWriter {
 public:
  /// `strand` is the one `response` is confined to.
  BodyWriter(boost::asio::any_io_executor strand, http::Response& response)
      : strand_(std::move(strand)), response_(response) {}

  /// Requires that nothing was written yet.
  void SetContentType(std::string_view type) { content_type_ = type; }
  const std::string& content_type() const noexcept { return content_type_; }
  /// Send `chunk`. Errors: kCancelled when the client is gone.
  boost::asio::awaitable<Status> Write(std::string chunk);
  const boost::asio::any_io_executor& strand() const noexcept { return strand_; }
  /// The status can no longer change.
  bool started() const noexcept { return started_; }

 private:
  boost::asio::awaitable<void> WriteOnStrand(std::string chunk, Status& status);

  const boost::asio::any_io_executor strand_;
  http::Response& response_;
  std::string content_type_;
  bool started_ = false;
};

/// Pieces of about this size are worth a hop.
inline constexpr size_t kBodyChunkSize = 128 << 10;

}  // namespace vm::select
