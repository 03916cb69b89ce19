#pragma once

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "lib/bytes/fuzz.h"
#include "lib/net/stream.h"

namespace vm::net {

/// For fuzz targets: a peer that has sent `script`, in pieces of at most `piece` bytes, and takes what comes into `sent`.
class ScriptedStream : public Stream {
 public:
  ScriptedStream(asio::any_io_executor executor, ByteView script, size_t piece, ByteBuffer& sent)
      : executor_(std::move(executor)), script_(script), piece_(piece), sent_(sent) {}

  asio::awaitable<Result<size_t>> Read(std::span<uint8_t> dst) override {
    const size_t size = is_closed_ ? 0 : std::min({dst.size(), script_.size(), piece_});
    if (size > 0) std::memcpy(dst.data(), script_.data(), size);
    script_ = script_.subspan(size);
    co_return size;
  }
  asio::awaitable<Status> Write(ByteView src) override {
    if (is_closed_) co_return Error(ErrorCode::kUnavailable, "closed");
    Append(sent_, src);
    co_return Ok();
  }
  void SetDeadline(const Deadline&) override {}
  void Close() override { is_closed_ = true; }
  asio::any_io_executor executor() override { return executor_; }
  std::string remote_addr() const override { return "1.2.3.4:5"; }
  std::string local_addr() const override { return "1.2.3.4:6"; }

 private:
  const asio::any_io_executor executor_;
  ByteView script_;
  const size_t piece_;
  ByteBuffer& sent_;
  bool is_closed_ = false;
};

/// For fuzz targets: runs `task(executor)` to its end on this thread. An exception is a finding.
template <class Task>
void RunToEnd(Task task) {
  // Lives on: a thread of a pool may still hold a strand of it when the task has ended.
  static asio::io_context& context = *new asio::io_context(1);
  context.restart();
  const asio::any_io_executor strand = asio::make_strand(context);
  bool has_ended = false;
  asio::co_spawn(strand, task(strand), [&](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
    has_ended = true;
  });
  context.run();
  fuzz::Require(has_ended);
}

}  // namespace vm::net
