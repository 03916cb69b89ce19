#include "select/http/body_writer.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace vm::select {

namespace asio = boost::asio;

asio::awaitable<void> BodyWriter::WriteOnStrand(std::string chunk, Status& status) {
  if (!started_) {
    response_.SetStatus(200);
    response_.SetHeader("Content-Type", content_type_);
    started_ = true;
  }
  auto written = co_await response_.Write(chunk);
  if (!written.ok()) status = Error(ErrorCode::kCancelled, written.error().message());
}

asio::awaitable<Status> BodyWriter::Write(std::string chunk) {
  if (chunk.empty()) co_return Ok();
  Status status = Ok();
  co_await asio::co_spawn(strand_, WriteOnStrand(std::move(chunk), status), asio::use_awaitable);
  co_return status;
}

}  // namespace vm::select
