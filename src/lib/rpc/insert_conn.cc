#include "lib/rpc/insert_conn.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lib/net/handshake.h"
#include "lib/net/run_on.h"
#include "lib/rpc/frame_io.h"
#include "lib/rpc/insert_codec.h"

namespace vm::rpc {
namespace {

using net::asio::awaitable;

}  // namespace

InsertConn::InsertConn(std::unique_ptr<net::FramedStream> stream, bool legacy, const InsertConnOptions& options)
    : stream_(std::move(stream)), legacy_(legacy), pool_(options.pool), min_answer_time_(options.min_answer_time) {}

Deadline InsertConn::AnswerDeadline(size_t rows_size) const {
  // A second for each 300 kB.
  return Deadline::After(std::max<std::chrono::milliseconds>(min_answer_time_, std::chrono::seconds(rows_size / 300000)));
}

InsertConn::~InsertConn() { stream_->Close(); }

awaitable<Result<std::unique_ptr<InsertConn>>> InsertConn::Dial(std::string addr,
                                                                InsertConnOptions options) {
  auto stream = co_await net::Dial(addr, options.dial);
  if (!stream.ok()) co_return std::move(stream).error();
  net::HandshakeStage stage = net::HandshakeStage::kHello;
  auto framed = co_await net::ClientHandshake(std::move(stream).value(), net::kHelloInsertRpc, false,
                                              options.handshake_timeout, &stage);
  bool legacy = false;
  if (!framed.ok()) {
    // An older node does not know the hello and closes; what happens later has other reasons.
    if (stage != net::HandshakeStage::kReadOkAfterHello) co_return std::move(framed).error();
    auto second = co_await net::Dial(addr, options.dial);
    if (!second.ok()) co_return std::move(second).error();
    framed = co_await net::ClientHandshake(std::move(second).value(), net::kHelloInsertLegacy,
                                           !options.disable_compression, options.handshake_timeout);
    if (!framed.ok()) co_return std::move(framed).error();
    legacy = true;
  }
  std::unique_ptr<InsertConn> conn(new InsertConn(std::move(framed).value(), legacy, options));
  co_return std::move(conn);
}

awaitable<Result<InsertAnswer>> InsertConn::Send(std::string_view rpc_name, ByteView rows) {
  if (legacy_ && rpc_name != kWriteRows) co_return InsertAnswer::kDropped;
  ByteBuffer packet;
  if (legacy_) {
    AppendLegacyPacket(packet, rows);
  } else {
    ByteBuffer body;
    auto pack = [&body, rows]() noexcept {
      PackInsertBody(body, rows);
      return true;
    };
    if (pool_ != nullptr) {
      co_await net::RunOn(*pool_, pack);
    } else {
      pack();
    }
    InsertRequest request;
    request.rpc_name = rpc_name;
    request.body = body;
    AppendInsertRequest(packet, request);
  }
  stream_->SetDeadline(AnswerDeadline(rows.size()));
  VM_CO_TRY(co_await stream_->Write(packet));
  VM_CO_TRY(co_await stream_->Flush());
  stream_->SetDeadline(AnswerDeadline(rows.size()));

  if (legacy_) {
    std::array<uint8_t, 1> ack;
    VM_CO_TRY(co_await stream_->ReadFull(ack));
    stream_->SetDeadline(Deadline());  // Nothing is due until the next rows: an idle connection stays.
    if (ack[0] == static_cast<uint8_t>(LegacyAck::kAccepted)) co_return InsertAnswer::kAccepted;
    if (ack[0] == static_cast<uint8_t>(LegacyAck::kReadOnly)) co_return InsertAnswer::kReadOnly;
    co_return Error(ErrorCode::kCorrupted, fmt::format("unexpected ack: got {}; want 1 or 2", ack[0]));
  }
  ByteBuffer text;
  VM_CO_TRY(co_await ReadFrame(*stream_, text, kMaxErrorSize));
  stream_->SetDeadline(Deadline());
  if (text.empty()) co_return InsertAnswer::kAccepted;
  if (AsText(text) == kReadOnlyText) co_return InsertAnswer::kReadOnly;
  if (AsText(text) == kUnsupportedText) co_return InsertAnswer::kUnsupported;
  co_return Error(ErrorCode::kUnavailable,
                  fmt::format("storage node answered {}: {}", rpc_name, AsText(text)));
}

}  // namespace vm::rpc
