#include "lib/net/handshake.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vm::net {
namespace {

constexpr std::string_view kOk = "ok";

asio::awaitable<Status> ReadOk(Stream& stream, std::string_view when) {
  std::array<uint8_t, 2> answer;
  auto status = co_await ReadFull(stream, answer);
  if (!status.ok()) {
    co_return std::move(status).error().WithContext(fmt::format("cannot read \"ok\" {}", when));
  }
  if (AsText(answer) != kOk) {
    co_return Error(ErrorCode::kCorrupted,
                    fmt::format("unexpected answer {}: got {}; want \"ok\"", when, ToHex(answer)));
  }
  co_return Ok();
}

asio::awaitable<Result<bool>> ReadFlag(Stream& stream) {
  std::array<uint8_t, 1> flag;
  auto status = co_await ReadFull(stream, flag);
  if (!status.ok()) {
    co_return std::move(status).error().WithContext("cannot read the isCompressed flag");
  }
  co_return flag[0] != 0;
}

}  // namespace

asio::awaitable<Result<std::unique_ptr<FramedStream>>> ClientHandshake(
    std::unique_ptr<Stream> stream, std::string_view hello, bool compress_writes,
    std::chrono::milliseconds timeout, HandshakeStage* stage) {
  HandshakeStage ignored = HandshakeStage::kHello;
  HandshakeStage& at = stage != nullptr ? *stage : ignored;
  at = HandshakeStage::kHello;
  stream->SetDeadline(Deadline::After(timeout));

  VM_CO_TRY(co_await stream->Write(AsBytes(hello)));
  at = HandshakeStage::kReadOkAfterHello;
  VM_CO_TRY(co_await ReadOk(*stream, "after the hello"));
  at = HandshakeStage::kFlags;
  const std::array<uint8_t, 1> flag = {static_cast<uint8_t>(compress_writes ? 1 : 0)};
  VM_CO_TRY(co_await stream->Write(flag));
  VM_CO_TRY(co_await ReadOk(*stream, "after the isCompressed flag"));
  auto compressed_reads = co_await ReadFlag(*stream);
  if (!compressed_reads.ok()) co_return std::move(compressed_reads).error();
  VM_CO_TRY(co_await stream->Write(AsBytes(kOk)));
  at = HandshakeStage::kDone;

  stream->SetDeadline(Deadline());
  auto framed =
      std::make_unique<FramedStream>(std::move(stream), compress_writes, compressed_reads.value());
  co_return std::move(framed);
}

asio::awaitable<Result<ServerSession>> ServerHandshake(std::unique_ptr<Stream> stream,
                                                       std::span<const std::string_view> accepted,
                                                       bool compress_writes,
                                                       std::chrono::milliseconds timeout) {
  ServerSession session;
  stream->SetDeadline(Deadline::After(timeout));

  std::array<uint8_t, kHelloSize> hello;
  auto hello_status = co_await ReadFull(*stream, hello);
  if (!hello_status.ok()) {
    if (hello_status.error().message() == "EOF") co_return std::move(session);
    co_return std::move(hello_status).error().WithContext("cannot read the hello");
  }
  session.hello = std::string(AsText(hello));
  if (std::find(accepted.begin(), accepted.end(), session.hello) == accepted.end()) {
    co_return Error(ErrorCode::kInvalidInput,
                    fmt::format("unexpected hello: got {}", ToHex(hello)));
  }
  VM_CO_TRY(co_await stream->Write(AsBytes(kOk)));
  auto compressed_reads = co_await ReadFlag(*stream);
  if (!compressed_reads.ok()) co_return std::move(compressed_reads).error();
  // One segment for the answer and the own flag, as the reference sends it.
  const std::array<uint8_t, 3> answer = {'o', 'k', static_cast<uint8_t>(compress_writes ? 1 : 0)};
  VM_CO_TRY(co_await stream->Write(answer));
  VM_CO_TRY(co_await ReadOk(*stream, "after the own isCompressed flag"));

  stream->SetDeadline(Deadline());
  session.stream =
      std::make_unique<FramedStream>(std::move(stream), compress_writes, compressed_reads.value());
  co_return std::move(session);
}

}  // namespace vm::net
