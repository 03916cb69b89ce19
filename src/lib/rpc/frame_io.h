#pragma once

#include "lib/net/framed_stream.h"

namespace vm::rpc {

/// Read a frame into `dst`, whatever it held. Errors: kLimitExceeded above `max_size`, else as ReadFull.
net::asio::awaitable<Status> ReadFrame(net::FramedStream& stream, ByteBuffer& dst, size_t max_size);
/// As ReadFrame; false when the peer closed before the first byte.
net::asio::awaitable<Result<bool>> ReadFrameOrEof(net::FramedStream& stream, ByteBuffer& dst,
                                                  size_t max_size);
/// Read the `size` bytes that follow the size of a frame. Errors: as ReadFrame.
net::asio::awaitable<Status> ReadFrameBody(net::FramedStream& stream, ByteBuffer& dst, uint64_t size, size_t max_size);
/// Read on until `dst` holds `size` bytes.
net::asio::awaitable<Status> ReadUpTo(net::FramedStream& stream, ByteBuffer& dst, uint64_t size);
net::asio::awaitable<Result<uint64_t>> ReadUint64(net::FramedStream& stream);

}  // namespace vm::rpc
