// A client that says anything: each answer is one, and no body is longer than what was sent.
#include "lib/http/server.h"
#include "lib/log/log.h"
#include "lib/net/scripted_stream.h"

using namespace vm;        // NOLINT: one small program, nothing includes it
using namespace vm::http;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

namespace {

size_t max_body_size = 0;

asio::awaitable<void> Handle(Request& request, Response& response) {
  Require(!request.method.empty());
  fuzz::Touch(DescribeRequest(request));
  static_cast<void>(request.ClientGone());
  if (request.path.starts_with("/none")) co_return;
  if (request.path.starts_with("/form")) {
    auto status = co_await request.ReadForm();
    if (!status.ok()) {
      co_await WriteError(response, 400, status.error().message());
      co_return;
    }
    std::string text;
    for (const auto& [name, value] : request.query.all()) text += name + "=" + value + "\n";
    co_await WriteText(response, 200, "text/plain", std::move(text));
    co_return;
  }
  auto body = co_await request.ReadAll(1 << 20);
  if (!body.ok()) {
    co_await WriteError(response, 400, body.error().message());
    co_return;
  }
  Require(body.value().size() <= max_body_size);
  co_await WriteText(response, 200, "text/plain", std::string(AsText(body.value())));
}

asio::awaitable<void> Serve(Server& server, std::unique_ptr<net::Stream> stream) { co_await server.Serve(std::move(stream)); }

}  // namespace

VM_FUZZ_SEEDS(
    "0GET /a%20b?x=1&y=%zz HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\nGET /none HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "1POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhelloGET http://h/y?z HTTP/1.1\r\n\r\n",
    "2PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;e=\"x\"\r\nhello\r\n0\r\nTrailer: t\r\n\r\nHEAD / HTTP/1.1\r\n\r\n",
    "3POST /form?q=1 HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na=b&c=%2F",
    "4POST /form HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=\"xx\"\r\nContent-Length: 88\r\n\r\n"
    "--xx\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nup\r\n--xx\r\nA: name=\"z\"\r\n\r\n1\r\n--xx--\r\n",
    "0POST /none HTTP/1.1\r\nX-Forwarded-For: \"a\\\r\nContent-Length: 3\r\n\r\nabcOPTIONS * HTTP/1.1\r\n\r\n")

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  log::Options options;
  options.min_level = log::Level::kPanic;
  log::Init(std::move(options));
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static net::Runtime runtime(1);
  Server::Options options;
  options.max_header_bytes = 2000;
  const std::unique_ptr<Server> server = Server::WithoutListener(runtime, std::move(options), Handle);
  ByteView src(data, size);
  constexpr size_t kPieces[] = {1 << 20, 1, 7, 50, 1000};
  const size_t piece = kPieces[fuzz::TakeChoice(src, std::size(kPieces))];
  max_body_size = src.size();
  ByteBuffer sent;
  net::RunToEnd([&](const asio::any_io_executor& executor) {
    return Serve(*server, std::make_unique<net::ScriptedStream>(executor, src, piece, sent));
  });
  Require(sent.empty() || AsText(sent).starts_with("HTTP/1.1 "));
  return 0;
}
