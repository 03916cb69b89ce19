#include "lib/http/client.h"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "lib/http/args.h"
#include "lib/http/tls.h"
#include "lib/net/stream.h"

namespace vm::http {
namespace {

namespace beast_http = boost::beast::http;

constexpr uint64_t kMaxBodySize = uint64_t{1} << 30;

}  // namespace

asio::awaitable<Result<ClientResponse>> Fetch(std::string method, std::string url, Headers headers,
                                              std::string body, std::chrono::milliseconds timeout) {
  const bool is_secure = url.starts_with("https://");
  if (!is_secure && !url.starts_with("http://")) {
    co_return Error(ErrorCode::kInvalidInput, fmt::format("unsupported scheme in url \"{}\"", url));
  }
  const std::string_view rest = std::string_view(url).substr(is_secure ? 8 : 7);
  const size_t slash = rest.find_first_of("/?");
  std::string host(rest.substr(0, slash));
  std::string target = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
  if (target[0] == '?') target.insert(0, "/");
  if (const size_t at = host.rfind('@'); at != std::string::npos) {
    if (headers.Get("Authorization").empty()) {
      const auto user = Unescape(std::string_view(host).substr(0, at), false);
      headers.Add("Authorization", "Basic " + EncodeBase64(user ? *user : host.substr(0, at)));
    }
    host.erase(0, at + 1);
  }
  auto addr = net::NormalizeAddr(host, is_secure ? 443 : 80);
  if (!addr.ok()) co_return std::move(addr).error();
  std::string server_name = addr.value().substr(0, addr.value().rfind(':'));
  if (server_name.starts_with('[')) server_name = server_name.substr(1, server_name.size() - 2);

  const Deadline deadline = Deadline::After(timeout);
  net::DialOptions dial;
  dial.timeout = timeout;
  auto dialed = co_await net::Dial(std::move(addr).value(), dial);
  if (!dialed.ok()) co_return std::move(dialed).error();
  std::unique_ptr<net::Stream> stream = std::move(dialed).value();
  stream->SetDeadline(deadline);
  if (is_secure) {
    static const std::shared_ptr<TlsContext> context = TlsContext::ForClient();
    auto secured = co_await context->Connect(std::move(stream), server_name);
    if (!secured.ok()) co_return std::move(secured).error();
    stream = std::move(secured).value();
  }

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
