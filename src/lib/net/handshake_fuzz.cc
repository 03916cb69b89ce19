// A peer that says anything during a handshake, in the PROXY header and behind them.
#include "lib/net/handshake.h"

#include <array>

#include "lib/net/proxy_protocol.h"
#include "lib/net/scripted_stream.h"

using namespace vm;       // NOLINT: one small program, nothing includes it
using namespace vm::net;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

namespace {

constexpr std::array kHellos = {kHelloInsertRpc, kHelloInsertLegacy, kHelloSelect};
constexpr size_t kMaxRead = 1 << 20;

/// Behind a handshake a stream is read to its end, or to the first error.
asio::awaitable<void> ReadAll(std::unique_ptr<FramedStream> stream) {
  std::array<uint8_t, 1000> piece;
  for (size_t total = 0, size = 1; total < kMaxRead; total += size, size = size % 999 + 1) {
    auto more = co_await stream->ReadFullOrEof(std::span<uint8_t>(piece).first(size));
    if (!more.ok() || !more.value()) co_return;
  }
}

asio::awaitable<void> Serve(std::unique_ptr<Stream> stream) {
  auto session = co_await ServerHandshake(std::move(stream), kHellos, false, std::chrono::seconds(5));
  if (!session.ok() || session.value().stream == nullptr) co_return;
  Require(session.value().hello.size() == kHelloSize);
  co_await ReadAll(std::move(session.value().stream));
}

asio::awaitable<void> Dial(std::unique_ptr<Stream> stream) {
  HandshakeStage stage = HandshakeStage::kHello;
  auto framed = co_await ClientHandshake(std::move(stream), kHelloSelect, true, std::chrono::seconds(5), &stage);
  Require(framed.ok() == (stage == HandshakeStage::kDone));
  if (framed.ok()) co_await ReadAll(std::move(framed).value());
}

asio::awaitable<void> Accept(std::unique_ptr<Stream> stream) {
  auto accepted = co_await AcceptProxyHeader(std::move(stream));
  if (accepted.ok()) Require(accepted.value()->remote_addr().find(':') != std::string::npos);
}

std::string Packed(std::string_view text) {
  encoding::ZstdStreamCompressor compressor(1);
  ByteBuffer bytes;
  compressor.Compress(bytes, AsBytes(text));
  compressor.Flush(bytes);
  return std::string(AsText(bytes));
}

std::string Proxy(char command, char family, size_t size) {
  return std::string("\r\n\r\n\0\r\nQUIT\n", 12) + command + family + std::string(1, '\0') + static_cast<char>(size) +
         std::string(size, 'x');
}

}  // namespace

VM_FUZZ_SEEDS("0vminsert.03" + std::string(1, '\0') + "okabc", "0vmselect.01\1ok" + Packed("some text, some text"),
              "0vminsert.02\1ok" + Packed("more"), "1okok" + std::string(1, '\0') + "abc", "1okok\1" + Packed("some text"),
              "2" + Proxy('\x21', '\x11', 12), "2" + Proxy('\x21', '\x21', 36), "2" + Proxy('\x20', '\0', 0), "3[::1]:80", "3host")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView src(data, size);
  const size_t choice = fuzz::TakeChoice(src, 4);
  if (choice == 3) {
    const auto addr = NormalizeAddr(AsText(src), 8400);
    if (addr.ok()) Require(NormalizeAddr(addr.value(), 1).value() == addr.value());
    return 0;
  }
  ByteBuffer sent;
  RunToEnd([&](const asio::any_io_executor& executor) {
    auto stream = std::make_unique<ScriptedStream>(executor, src, 1 + size % 40, sent);
    return choice == 0 ? Serve(std::move(stream)) : choice == 1 ? Dial(std::move(stream)) : Accept(std::move(stream));
  });
  Require(sent.size() <= 32);
  return 0;
}
