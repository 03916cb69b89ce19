#include <boost/asio/as_tuple.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>

#include "lib/net/stream.h"

namespace vm::net {
namespace {

/// One direction: bytes between a writer and a reader on the same strand.
struct Channel {
  explicit Channel(const asio::any_io_executor& ex)
      : readable(ex, asio::steady_timer::time_point::max()) {}
  ByteBuffer bytes;
  bool closed = false;
  asio::steady_timer readable;  // Cancelled to wake the reader.
};

class PipeStream : public Stream {
 public:
  PipeStream(asio::any_io_executor ex, std::shared_ptr<Channel> in, std::shared_ptr<Channel> out)
      : executor_(std::move(ex)), in_(std::move(in)), out_(std::move(out)) {}
  ~PipeStream() override { Close(); }

  asio::awaitable<Result<size_t>> Read(std::span<uint8_t> dst) override {
    const auto in = in_;
    while (in->bytes.empty() && !in->closed) {
      co_await in->readable.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    const size_t n = std::min(dst.size(), in->bytes.size());
    if (n == 0) co_return size_t{0};
    std::memcpy(dst.data(), in->bytes.data(), n);
    in->bytes.erase(in->bytes.begin(), in->bytes.begin() + static_cast<ptrdiff_t>(n));
    co_return n;
  }

  asio::awaitable<Status> Write(ByteView src) override {
    if (out_->closed) co_return Error(ErrorCode::kUnavailable, "cannot write to pipe: it is closed");
    Append(out_->bytes, src);
    out_->readable.cancel();
    co_return Ok();
  }

  void SetDeadline(const Deadline&) override {}

  void Close() override {
    asio::dispatch(executor_, [in = in_, out = out_] {
      for (const auto& channel : {in, out}) {
        channel->closed = true;
        channel->readable.cancel();
      }
    });
  }

  asio::any_io_executor executor() override { return executor_; }
  std::string remote_addr() const override { return "pipe"; }
  std::string local_addr() const override { return "pipe"; }

 private:
  const asio::any_io_executor executor_;
  const std::shared_ptr<Channel> in_;
  const std::shared_ptr<Channel> out_;
};

}  // namespace

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> MakePipe(asio::any_io_executor strand) {
  auto a = std::make_shared<Channel>(strand);
  auto b = std::make_shared<Channel>(strand);
  return {std::make_unique<PipeStream>(strand, a, b), std::make_unique<PipeStream>(strand, b, a)};
}

}  // namespace vm::net
