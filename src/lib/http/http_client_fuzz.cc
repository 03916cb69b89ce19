// A server that answers anything.
#include "lib/http/client.h"
#include "lib/net/scripted_stream.h"

using namespace vm;        // NOLINT: one small program, nothing includes it
using namespace vm::http;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

VM_FUZZ_SEEDS("0HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello", "1HTTP/1.0 404 Not Found\r\n\r\nuntil the end",
              "2HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;e\r\nhello\r\n0\r\nT: t\r\n\r\n", "3HTTP/1.1 204 \r\nContent-Length: 7\r\n\r\n")

namespace {

asio::awaitable<void> Read(std::unique_ptr<net::Stream> stream, std::string method, size_t sent) {
  auto answer = co_await ReadResponse(*stream, std::move(method), "http://h/");
  if (!answer.ok()) co_return;
  Require(answer.value().body.size() <= sent && answer.value().status >= 0 && answer.value().status <= 999);
  for (const auto& [name, value] : answer.value().headers.all()) {
    fuzz::Touch(name);
    fuzz::Touch(value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView src(data, size);
  constexpr size_t kPieces[] = {1 << 20, 1, 7, 50};
  const size_t piece = kPieces[fuzz::TakeChoice(src, std::size(kPieces))];
  ByteBuffer sent;
  net::RunToEnd([&](const asio::any_io_executor& executor) {
    return Read(std::make_unique<net::ScriptedStream>(executor, src, piece, sent), size % 5 == 0 ? "HEAD" : "GET", src.size());
  });
  return 0;
}
