#include "lib/rpc/insert_server.h"

#include <array>
#include <string>

#include "lib/log/log.h"
#include "lib/net/handshake.h"
#include "lib/net/run_on.h"
#include "lib/rpc/frame_io.h"
#include "lib/rpc/insert_codec.h"

namespace vm::rpc {
namespace {

using net::asio::awaitable;

constexpr std::array kHellos = {net::kHelloInsertRpc, net::kHelloInsertLegacy};

awaitable<Status> Answer(net::FramedStream& stream, std::string_view text) {
  ByteBuffer reply;
  AppendErrorText(reply, text);
  VM_CO_TRY(co_await stream.Write(reply));
  co_return co_await stream.Flush();
}

awaitable<Status> ServeCalls(net::FramedStream& stream, InsertSink& sink, net::Pool* pool) {
  ByteBuffer name;
  ByteBuffer body;
  for (;;) {
    auto more = co_await ReadFrameOrEof(stream, name, kMaxRpcNameSize);
    if (!more.ok()) co_return std::move(more).error();
    if (!more.value()) co_return Ok();
    const bool is_rows = AsText(name) == kWriteRows;
    if (!is_rows && AsText(name) != kWriteMetadata) {
      co_return co_await Answer(stream, kUnsupportedText);
    }
    auto read = co_await ReadFrame(stream, body, kMaxInsertBodySize);
    if (!read.ok()) {
      // The peer may still listen; whether it does changes nothing.
      auto told = co_await Answer(stream, read.error().message());
      static_cast<void>(told.ok());
      co_return std::move(read).error();
    }
    if (sink.IsReadOnly()) {
      VM_CO_TRY(co_await Answer(stream, kReadOnlyText));
      continue;
    }
    ByteBuffer rows;
    auto unpack = [&rows, &body]() noexcept { return UnpackInsertBody(rows, body); };
    Status unpacked = Ok();
    if (pool != nullptr) {
      unpacked = co_await net::RunOn(*pool, unpack);
    } else {
      unpacked = unpack();
    }
    if (!unpacked.ok()) {
      // A packet is acknowledged when it has arrived, not when it makes sense.
      VM_LOG_ERROR("cannot unpack a packet from {}: {}", stream.remote_addr(),
                   unpacked.error().message());
    } else if (is_rows) {
      co_await sink.OnRows(std::move(rows));
    } else {
      co_await sink.OnMetadata(std::move(rows));
    }
    VM_CO_TRY(co_await Answer(stream, std::string_view()));
  }
}

awaitable<Status> ServePackets(net::FramedStream& stream, InsertSink& sink) {
  for (;;) {
    ByteBuffer rows;
    auto more = co_await ReadFrameOrEof(stream, rows, kMaxInsertBodySize);
    if (!more.ok()) co_return std::move(more).error();
    if (!more.value()) co_return Ok();
    LegacyAck ack = LegacyAck::kReadOnly;
    if (!sink.IsReadOnly()) {
      ack = LegacyAck::kAccepted;
      if (!rows.empty()) co_await sink.OnRows(std::move(rows));
    }
    const std::array<uint8_t, 1> reply = {static_cast<uint8_t>(ack)};
    stream.SetDeadline(Deadline::After(std::chrono::seconds(5)));
    VM_CO_TRY(co_await stream.Write(reply));
    VM_CO_TRY(co_await stream.Flush());
    stream.SetDeadline(Deadline());
  }
}

}  // namespace

awaitable<void> ServeInsert(std::unique_ptr<net::Stream> stream, InsertSink& sink,
                            InsertServerOptions options) {
  const std::string peer = stream->remote_addr();
  auto session =
      co_await net::ServerHandshake(std::move(stream), kHellos, false, options.handshake_timeout);
  if (!session.ok()) {
    VM_LOG_WARN("cannot complete vminsert handshake with client \"{}\": {}", peer,
                session.error().message());
    co_return;
  }
  auto framed = std::move(session.value().stream);
  if (framed == nullptr) co_return;
  Status status = Ok();
  if (session.value().hello == net::kHelloInsertLegacy) {
    status = co_await ServePackets(*framed, sink);
  } else {
    status = co_await ServeCalls(*framed, sink, options.pool);
  }
  if (!status.ok()) {
    VM_LOG_WARN("cannot process vminsert conn from {}: {}", peer, status.error().message());
  }
  framed->Close();
}

}  // namespace vm::rpc
