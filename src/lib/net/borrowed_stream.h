#pragma once

#include <string>

#include "lib/net/stream.h"

namespace vm::net {

/// A stream that somebody else owns, for those who want to own one. The owner outlives it.
class BorrowedStream : public Stream {
 public:
  explicit BorrowedStream(Stream& stream) : stream_(stream) {}

  asio::awaitable<Result<size_t>> Read(std::span<uint8_t> dst) override { return stream_.Read(dst); }
  asio::awaitable<Status> Write(ByteView src) override { return stream_.Write(src); }
  asio::awaitable<Status> WriteBoth(ByteView head, ByteView body) override { return stream_.WriteBoth(head, body); }
  void SetDeadline(const Deadline& deadline) override { stream_.SetDeadline(deadline); }
  void Close() override { stream_.Close(); }
  asio::any_io_executor executor() override { return stream_.executor(); }
  std::string remote_addr() const override { return stream_.remote_addr(); }
  std::string local_addr() const override { return stream_.local_addr(); }

 private:
  Stream& stream_;
};

}  // namespace vm::net
