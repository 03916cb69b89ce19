#include "lib/rpc/frame_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vm::rpc {
namespace {

// Memory grows with what arrives, not with what a peer announces.
constexpr size_t kReadStep = 1 << 20;

/// Most frames are small and lie in the buffer with many others: they need no further coroutine.
bool TakeBufferedFrame(net::FramedStream& stream, ByteBuffer& dst, size_t max_size) {
  constexpr size_t kHeadSize = 8;
  const ByteView buffered = stream.buffered();
  if (buffered.size() < kHeadSize) return false;
  const uint64_t size = LoadBigEndian<uint64_t>(buffered.data());
  if (size > max_size || size > buffered.size() - kHeadSize) return false;
  const ByteView body = buffered.subspan(kHeadSize, size);
  dst.assign(body.begin(), body.end());
  stream.DropBuffered(kHeadSize + body.size());
  return true;
}

}  // namespace

net::asio::awaitable<Status> ReadFrameBody(net::FramedStream& stream, ByteBuffer& dst, uint64_t size, size_t max_size) {
  dst.clear();
  if (size > max_size) {
    co_return Error(ErrorCode::kLimitExceeded,
                    fmt::format("too big frame: {} bytes; want at most {}", size, max_size));
  }
  co_return co_await ReadUpTo(stream, dst, size);
}

net::asio::awaitable<Status> ReadUpTo(net::FramedStream& stream, ByteBuffer& dst, uint64_t size) {
  while (dst.size() < size) {
    const size_t at = dst.size();
    const size_t step = std::min<size_t>(size - at, std::max(kReadStep, at));
    dst.resize(at + step);
    const std::span<uint8_t> room(dst.data() + at, step);
    VM_CO_TRY(co_await stream.ReadFull(room));
  }
  co_return Ok();
}

net::asio::awaitable<Status> ReadFrame(net::FramedStream& stream, ByteBuffer& dst,
                                       size_t max_size) {
  if (TakeBufferedFrame(stream, dst, max_size)) co_return Ok();
  auto size = co_await ReadUint64(stream);
  if (!size.ok()) co_return std::move(size).error();
  co_return co_await ReadFrameBody(stream, dst, size.value(), max_size);
}

net::asio::awaitable<Result<bool>> ReadFrameOrEof(net::FramedStream& stream, ByteBuffer& dst,
                                                  size_t max_size) {
  if (TakeBufferedFrame(stream, dst, max_size)) co_return true;
  std::array<uint8_t, 8> head;
  auto got = co_await stream.ReadFullOrEof(head);
  if (!got.ok() || !got.value()) co_return got;
  auto status = co_await ReadFrameBody(stream, dst, LoadBigEndian<uint64_t>(head.data()), max_size);
  if (!status.ok()) co_return std::move(status).error();
  co_return true;
}

net::asio::awaitable<Result<uint64_t>> ReadUint64(net::FramedStream& stream) {
  std::array<uint8_t, 8> head;
  auto status = co_await stream.ReadFull(head);
  if (!status.ok()) co_return std::move(status).error();
  co_return LoadBigEndian<uint64_t>(head.data());
}

}  // namespace vm::rpc
