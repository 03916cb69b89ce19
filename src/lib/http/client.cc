#include "lib/http/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/none.hpp>
#include <boost/optional.hpp>
#include <stdexcept>
#include <stop_token>
#include <utility>

#include "lib/http/args.h"
#include "lib/http/tls.h"

namespace vm::http {
namespace {

namespace beast_http = boost::beast::http;

constexpr uint64_t kMaxBodySize = uint64_t{1} << 30;
constexpr std::chrono::milliseconds kMaxDialTime{30'000};

/// A body that is taken away piece by piece: nothing is reserved for its announced length.
struct PieceBody {
  using value_type = std::string;
  class reader {
   public:
    template <bool is_request, class Fields>
    reader(beast_http::header<is_request, Fields>&, value_type& body) : body_(body) {}
    void init(const boost::optional<uint64_t>&, boost::system::error_code& ec) { ec = {}; }
    template <class Buffers>
    size_t put(const Buffers& buffers, boost::system::error_code& ec) {
      size_t size = 0;
      for (auto it = asio::buffer_sequence_begin(buffers); it != asio::buffer_sequence_end(buffers); ++it) {
        const asio::const_buffer buffer = *it;
        body_.append(static_cast<const char*>(buffer.data()), buffer.size());
        size += buffer.size();
      }
      ec = {};
      return size;
    }
    void finish(boost::system::error_code& ec) { ec = {}; }

   private:
    value_type& body_;
  };
};

class Collector : public AnswerSink {
 public:
  explicit Collector(std::string url) : url_(std::move(url)) {}
  asio::awaitable<Status> TakeHeader(int status, const Headers& headers) override {
    response.status = status;
    response.headers = headers;
    co_return Ok();
  }
  asio::awaitable<Status> TakeBody(std::string_view piece) override {
    if (response.body.size() + piece.size() > kMaxBodySize) {
      co_return Error(ErrorCode::kLimitExceeded, fmt::format("too big answer of {}", url_));
    }
    response.body += piece;
    co_return Ok();
  }
  ClientResponse response;

 private:
  const std::string url_;
};

using AnswerParser = beast_http::response_parser<PieceBody>;

Headers HeadersOf(const AnswerParser& parser) {
  Headers headers;
  for (const auto& field : parser.get()) {
    headers.Add(std::string_view(field.name_string().data(), field.name_string().size()),
                std::string_view(field.value().data(), field.value().size()));
  }
  return headers;
}

/// Gives `sink` what the parser has got.
asio::awaitable<Status> PassOn(AnswerParser& parser, bool& has_passed_header, AnswerSink& sink) {
  if (!parser.is_header_done()) co_return Ok();
  if (!has_passed_header) {
    has_passed_header = true;
    const Headers headers = HeadersOf(parser);
    VM_CO_TRY(co_await sink.TakeHeader(static_cast<int>(parser.get().result_int()), headers));
  }
  const std::string piece = std::exchange(parser.get().body(), std::string());
  if (piece.empty()) co_return Ok();
  co_return co_await sink.TakeBody(piece);
}

/// Parse as much of `bytes` as possible. The parser throws for fields of 64 KiB and more.
size_t Put(AnswerParser& parser, ByteView bytes, boost::system::error_code& ec) {
  try {
    return parser.put(asio::buffer(bytes.data(), bytes.size()), ec);
  } catch (const std::length_error&) {
    ec = beast_http::error::header_limit;
    return bytes.size();
  }
}

}  // namespace

asio::awaitable<Result<ClientResponse>> Fetch(std::string method, std::string url, Headers headers,
                                              std::string body, std::chrono::milliseconds timeout) {
  Collector collector(url);
  VM_CO_TRY(co_await FetchTo(std::move(method), std::move(url), std::move(headers), std::move(body), Deadline::After(timeout), collector));
  co_return std::move(collector.response);
}

asio::awaitable<Status> FetchTo(std::string method, std::string url, Headers headers, std::string body, Deadline deadline,
                                AnswerSink& sink) {
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

  net::DialOptions dial;
  dial.timeout = std::min(deadline.Remaining(), kMaxDialTime);
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

  const auto close = [&stream] { stream->Close(); };
  const std::stop_callback on_stop(deadline.stop_token(), close);
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
  co_return co_await ReadAnswerTo(*stream, std::move(method), std::move(url), sink);
}

asio::awaitable<Status> ReadAnswerTo(net::Stream& stream, std::string method, std::string url, AnswerSink& sink) {
  AnswerParser parser;
  parser.body_limit(boost::none);
  parser.header_limit(1 << 20);
  parser.eager(true);
  parser.skip(method == "HEAD");
  bool has_passed_header = false;
  ByteBuffer in;
  while (!parser.is_done()) {
    const size_t at = in.size();
    in.resize(at + 64 * 1024);
    auto n = co_await stream.Read(std::span<uint8_t>(in).subspan(at));
    if (!n.ok()) co_return std::move(n).error();
    in.resize(at + n.value());
    boost::system::error_code ec;
    if (n.value() == 0) {
      if (parser.got_some()) parser.put_eof(ec);
      if (ec || !parser.is_done()) {
        co_return Error(ErrorCode::kUnavailable, fmt::format("cannot read the answer of {}: unexpected EOF", url));
      }
      break;
    }
    const size_t used = Put(parser, in, ec);
    in.erase(in.begin(), in.begin() + static_cast<ptrdiff_t>(used));
    if (ec && ec != beast_http::error::need_more) {
      co_return Error(ErrorCode::kUnavailable, fmt::format("cannot parse the answer of {}: {}", url, ec.message()));
    }
    VM_CO_TRY(co_await PassOn(parser, has_passed_header, sink));
  }
  co_return co_await PassOn(parser, has_passed_header, sink);
}

asio::awaitable<Result<ClientResponse>> ReadResponse(net::Stream& stream, std::string method, std::string url) {
  Collector collector(url);
  VM_CO_TRY(co_await ReadAnswerTo(stream, std::move(method), std::move(url), collector));
  co_return std::move(collector.response);
}

}  // namespace vm::http
