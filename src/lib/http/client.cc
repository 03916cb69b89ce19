#include "lib/http/client.h"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "lib/net/stream.h"

namespace vm::http {
namespace {

namespace beast_http = boost::beast::http;

constexpr uint64_t kMaxBodySize = uint64_t{1} << 30;

}  // namespace

asio::awaitable<Result<ClientResponse>> Fetch(std::string method, std::string url, Headers headers,
                                              std::string body, std::chrono::milliseconds timeout) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) {
    co_return Error(ErrorCode::kInvalidInput, fmt::format("unsupported scheme in url \"{}\"", url));
  }
  const std::string_view rest = std::string_view(url).substr(kScheme.size());
  const size_t slash = rest.find_first_of("/?");
  const std::string host(rest.substr(0, slash));
  std::string target = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
  if (target[0] == '?') target.insert(0, "/");
  auto addr = net::NormalizeAddr(host, 80);
  if (!addr.ok()) co_return std::move(addr).error();

  const Deadline deadline = Deadline::After(timeout);
  net::DialOptions dial;
  dial.timeout = timeout;
  auto dialed = co_await net::Dial(std::move(addr).value(), dial);
  if (!dialed.ok()) co_return std::move(dialed).error();
  const auto stream = std::move(dialed).value();
  stream->SetDeadline(deadline);

  std::string request = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", method,
                                    target, host);
  for (const auto& [name, value] : headers.all()) {
    request += fmt::format("{}: {}\r\n", name, value);
  }
  if (!body.empty() || method == "POST" || method == "PUT") {
    request += fmt::format("Content-Length: {}\r\n", body.size());
  }
  request += "\r\n";
  request += body;
  VM_CO_TRY(co_await stream->Write(AsBytes(request)));

  beast_http::response_parser<beast_http::string_body> parser;
  parser.body_limit(kMaxBodySize);
  parser.header_limit(1 << 20);
  parser.eager(true);
  parser.skip(method == "HEAD");
  ByteBuffer in;
  while (!parser.is_done()) {
    const size_t at = in.size();
    in.resize(at + 64 * 1024);
    auto n = co_await stream->Read(std::span<uint8_t>(in).subspan(at));
    if (!n.ok()) co_return std::move(n).error();
    in.resize(at + n.value());
    boost::system::error_code ec;
    if (n.value() == 0) {
      if (parser.got_some()) parser.put_eof(ec);
      if (ec || !parser.is_done()) {
        co_return Error(ErrorCode::kUnavailable,
                        fmt::format("cannot read the answer of {}: unexpected EOF", url));
      }
      break;
    }
    const size_t used = parser.put(asio::buffer(in.data(), in.size()), ec);
    in.erase(in.begin(), in.begin() + static_cast<ptrdiff_t>(used));
    if (ec == beast_http::error::body_limit) {
      co_return Error(ErrorCode::kLimitExceeded, fmt::format("too big answer of {}", url));
    }
    if (ec && ec != beast_http::error::need_more) {
      co_return Error(ErrorCode::kUnavailable,
                      fmt::format("cannot parse the answer of {}: {}", url, ec.message()));
    }
  }
  ClientResponse response;
  response.status = static_cast<int>(parser.get().result_int());
  for (const auto& field : parser.get()) {
    response.headers.Add(
        std::string_view(field.name_string().data(), field.name_string().size()),
        std::string_view(field.value().data(), field.value().size()));
  }
  response.body = std::move(parser.get().body());
  co_return std::move(response);
}

}  // namespace vm::http
