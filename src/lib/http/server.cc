#include "lib/http/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <ctime>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>

#include "lib/base/mutex.h"
#include "lib/http/gzip.h"
#include "lib/log/log.h"
#include "lib/net/event.h"
#include "lib/net/proxy_protocol.h"
#include "lib/net/run_on.h"
#include "lib/net/stream.h"
#include "lib/net/stream_metrics.h"
#include "lib/sys/sys.h"

namespace vm::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::system::error_code;
using Parser = beast_http::request_parser<beast_http::buffer_body>;

constexpr size_t kReadSize = 16 * 1024;
constexpr size_t kBodyReadSize = 64 * 1024;  // While a body comes.
constexpr size_t kSendSize = 64 * 1024;
/// Body bytes that a handler left behind and that are read to keep the connection, as in Go.
constexpr size_t kMaxDrainSize = 256 * 1024;

/// Parse as much of `bytes` as possible. The parser throws for fields of 64 KiB and more.
size_t Put(Parser& parser, ByteView bytes, error_code& ec) {
  try {
    return parser.put(asio::buffer(bytes.data(), bytes.size()), ec);
  } catch (const std::length_error&) {
    ec = beast_http::error::header_limit;
    return bytes.size();
  }
}

/// One connection: its stream and the bytes read ahead. Strand-confined, but for `gone`.
struct Connection : std::enable_shared_from_this<Connection> {
  Connection(std::unique_ptr<net::Stream> s, net::TaskGroup& t)
      : stream(std::move(s)), tasks(t) {}

  ByteView unread() const { return ByteView(in).subspan(in_pos); }
  void Drop(size_t n) {
    in_pos += n;
    if (in_pos < in.size()) return;
    in.clear();
    in_pos = 0;
  }
  /// Give back what a body needed: most connections are idle.
  void Trim() {
    if (in.capacity() > kBodyReadSize / 2 && unread().empty()) {
      in = ByteBuffer();
      in_pos = 0;
    }
  }

  /// Read up to `size` bytes more behind `unread`; false at the end of the stream.
  asio::awaitable<Result<bool>> Fill(size_t size = kReadSize) {
    while (is_watching) co_await watch_ended.Wait();
    if (is_at_end) co_return false;
    if (has_watched) {
      has_watched = false;
      co_return true;
    }
    if (in_pos > 0) {
      in.erase(in.begin(), in.begin() + static_cast<ptrdiff_t>(in_pos));
      in_pos = 0;
    }
    const size_t at = in.size();
    in.resize(at + size);
    auto n = co_await stream->Read(std::span<uint8_t>(in).subspan(at));
    in.resize(at + (n.ok() ? n.value() : 0));
    if (!n.ok()) co_return std::move(n).error();
    co_return n.value() > 0;
  }

  /// Read ahead to see the end of the stream. Only when nothing is unread: what comes next belongs to the next request.
  void StartWatch() {
    if (is_watching || is_at_end || has_watched || !unread().empty()) return;
    is_watching = true;
    tasks.Spawn(stream->executor(), Watch(shared_from_this()));
  }

  static asio::awaitable<void> Watch(std::shared_ptr<Connection> self) {
    // Also when the coroutine is destroyed early.
    struct End {
      Connection& connection;
      ~End() {
        connection.is_watching = false;
        connection.watch_ended.Set();
      }
    } end{*self};
    // Into a buffer of its own: meanwhile the connection has nothing unread.
    ByteBuffer ahead(kReadSize);
    auto n = co_await self->stream->Read(ahead);
    if (n.ok()) Append(self->in, ByteView(ahead).first(n.value()));
    self->is_at_end = !n.ok() || n.value() == 0;
    self->has_watched = !self->is_at_end;
    if (self->is_at_end) self->StopRequest();
  }

  std::stop_token NewRequestToken() {
    MutexLock lock(mutex);
    gone = std::stop_source();
    return gone.get_token();
  }
  /// Thread-safe.
  void StopRequest() {
    std::stop_source source(std::nostopstate);
    {
      MutexLock lock(mutex);
      source = gone;
    }
    source.request_stop();
  }

  std::unique_ptr<net::Stream> stream;
  net::TaskGroup& tasks;
  ByteBuffer in;
  size_t in_pos = 0;
  bool is_watching = false;
  bool has_watched = false;  // The watch has read something that no Fill has reported yet.
  bool is_at_end = false;
  net::Event watch_ended;
  Mutex mutex;
  std::stop_source gone VM_GUARDED_BY(mutex){std::nostopstate};
};

class ServedRequest : public Request {
 public:
  ServedRequest(Connection& connection, Parser& parser, size_t max_header_bytes)
      : connection_(connection), parser_(parser), max_unread_bytes_(max_header_bytes + kReadSize) {}

  asio::awaitable<Result<size_t>> ReadBody(std::span<uint8_t> dst) override {
    if (parser_.is_done()) co_return size_t{0};
    if (expects_continue_) {
      expects_continue_ = false;
      VM_CO_TRY(co_await connection_.stream->Write(AsBytes("HTTP/1.1 100 Continue\r\n\r\n")));
    }
    auto& body = parser_.get().body();
    body.data = dst.data();
    body.size = dst.size();
    body.more = true;
    for (;;) {
      error_code ec;
      const size_t used = Put(parser_, connection_.unread(), ec);
      connection_.Drop(used);
      if (ec && ec != beast_http::error::need_more && ec != beast_http::error::need_buffer) {
        broken_ = true;
        co_return Error(ErrorCode::kInvalidInput,
                        fmt::format("cannot read request body: {}", ec.message()));
      }
      if (parser_.is_done() && is_watched_) connection_.StartWatch();
      const size_t got = dst.size() - body.size;
      if (got > 0 || parser_.is_done()) co_return got;
      if (used > 0 && !connection_.unread().empty() && !ec) continue;
      if (connection_.unread().size() > max_unread_bytes_) {
        broken_ = true;
        co_return Error(ErrorCode::kInvalidInput, "cannot read request body: too long chunk header or trailer");
      }
      const size_t left = static_cast<size_t>(std::min<uint64_t>(parser_.content_length_remaining().value_or(UINT64_MAX), kBodyReadSize));
      auto more = co_await connection_.Fill(std::max(left, kReadSize));
      if (!more.ok() || !more.value()) {
        broken_ = true;
        if (!more.ok()) co_return std::move(more).error();
        co_return Error(ErrorCode::kInvalidInput, "cannot read request body: unexpected EOF");
      }
    }
  }

  std::stop_token ClientGone() override {
    if (!is_watched_) {
      is_watched_ = true;
      token_ = connection_.NewRequestToken();
      if (connection_.is_at_end) connection_.StopRequest();
      if (parser_.is_done()) connection_.StartWatch();
    }
    return token_;
  }

  void set_expects_continue() { expects_continue_ = true; }
  bool expects_continue() const { return expects_continue_; }
  bool broken() const { return broken_; }

 private:
  Connection& connection_;
  Parser& parser_;
  const size_t max_unread_bytes_;
  bool expects_continue_ = false;
  bool broken_ = false;
  bool is_watched_ = false;
  std::stop_token token_;
};

/// Whether Accept-Encoding names gzip and does not forbid it.
bool AcceptsGzip(std::string_view header) {
  while (!header.empty()) {
    std::string_view item = header.substr(0, header.find(','));
    header.remove_prefix(std::min(header.size(), item.size() + 1));
    const size_t semicolon = item.find(';');
    std::string_view name = item.substr(0, semicolon);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    if (name != "gzip") continue;
    if (semicolon == std::string_view::npos) return true;
    const std::string_view weight = item.substr(semicolon + 1);
    const size_t q = weight.find("q=");
    // "q=0", "q=0.0": not acceptable.
    return q == std::string_view::npos || weight.find_first_of("123456789", q + 2) != std::string_view::npos;
  }
  return false;
}

bool IsWorthCompressing(std::string_view content_type) {
  for (const std::string_view prefix :
       {"image/x-icon", "image/png", "image/jpeg", "image/gif", "image/webp", "video/", "audio/", "font/woff",
        "application/gzip", "application/zip", "application/zstd"}) {
    if (content_type.starts_with(prefix)) return false;
  }
  return true;
}

/// The header field of this second.
std::string HttpDate() {
  const std::time_t now = std::time(nullptr);
  std::tm tm{};
  gmtime_r(&now, &tm);
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[tm.tm_wday], tm.tm_mday, kMonths[tm.tm_mon],
                     tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

class ServedResponse : public Response {
 public:
  ServedResponse(Connection& connection, const Server::Options& options, const Request& request, bool http10,
                 bool keep_alive)
      : connection_(connection),
        options_(options),
        http10_(http10),
        is_head_(request.method == "HEAD"),
        may_compress_(!options.disable_compression && AcceptsGzip(request.headers.Get("Accept-Encoding"))),
        keep_alive_(keep_alive) {
    static const std::string host_name = sys::HostName();
    for (const auto& [name, value] : options.headers) headers_.Add(name, value);
    if (!options.disable_server_hostname) headers_.Set("X-Server-Hostname", host_name);
    if (!options.disable_compression) headers_.Set("Vary", "Accept-Encoding");
  }

  void SetStatus(int code) override { status_ = code; }
  int status() const override { return status_; }
  void SetHeader(std::string_view name, std::string_view value) override {
    headers_.Set(name, value);
  }
  void EnableCors() override {
    if (options_.disable_cors) return;
    for (const char* name :
         {"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"}) {
      headers_.Set(name, "*");
    }
  }
  bool started() const override { return started_; }
  bool keep_alive() const { return keep_alive_ && !failed_; }
  void ForbidKeepAlive() { keep_alive_ = false; }

  asio::awaitable<Status> Write(std::string_view chunk) override {
    if (chunk.size() >= kSendSize && !may_compress_) co_return co_await Send(false, chunk);
    body_ += chunk;
    if (body_.size() < kSendSize) co_return Ok();
    co_return co_await Send(false);
  }

  asio::awaitable<Status> Finish() override {
    if (finished_) co_return Ok();
    finished_ = true;
    co_return co_await Send(true);
  }

  asio::awaitable<void> Abort(std::string message) override {
    finished_ = true;
    if (!started_) {
      auto status = co_await Send(false);
      if (!status.ok()) co_return;
    }
    body_ += '\n' + message + '\n';
    is_aborting_ = true;
    auto sent = co_await Send(false);
    failed_ = true;
    if (!sent.ok()) co_return;
    auto last = co_await connection_.stream->Write(
        AsBytes("\nthe connection has been aborted; see the last line in the response and/or in "
                "the server log for the reason\n"));
    static_cast<void>(last);
  }

 private:
  bool HasBody() const { return status_ != 204 && status_ != 304 && status_ >= 200; }

  /// Send what is buffered, then `direct`, which is not copied and never compressed.
  asio::awaitable<Status> Send(bool last, std::string_view direct = {}) {
    if (failed_) co_return Error(ErrorCode::kUnavailable, "the client went away");
    std::string out;
    if (!started_) {
      started_ = true;
      ChooseEncoding(last);
    }
    if (compressor_) co_await Compress(last);
    if (!has_header_left_) {
      has_header_left_ = true;
      const auto reason = beast_http::obsolete_reason(static_cast<beast_http::status>(status_));
      out = fmt::format("HTTP/1.1 {} {}\r\n", status_,
                        std::string_view(reason.data(), reason.size()));
      if (HasBody()) {
        if (headers_.Get("Content-Type").empty() && !(body_.empty() && direct.empty())) {
          headers_.Set("Content-Type", "text/plain; charset=utf-8");
        }
        if (last) {
          if (headers_.Get("Content-Length").empty()) {
            headers_.Set("Content-Length", std::to_string(body_.size()));
          }
        } else if (http10_) {
          keep_alive_ = false;
        } else {
          chunked_ = true;
          headers_.Set("Transfer-Encoding", "chunked");
        }
      }
      if (!keep_alive_) {
        headers_.Set("Connection", "close");
      } else if (http10_) {
        headers_.Set("Connection", "keep-alive");
      }
      headers_.Set("Date", HttpDate());
      for (const auto& [name, value] : headers_.all()) {
        out += fmt::format("{}: {}\r\n", name, value);
      }
      out += "\r\n";
    }
    if (!HasBody() || is_head_) {
      direct = {};
    } else if (!chunked_) {
      out += body_;
    } else {
      const auto end_chunk = [&] {
        if (std::exchange(is_chunk_open_, false)) out += "\r\n";
      };
      if (!body_.empty() || !direct.empty()) {
        end_chunk();
        out += fmt::format("{:x}\r\n", body_.size() + direct.size());
        out += body_;
        is_chunk_open_ = true;
      }
      if (direct.empty()) end_chunk();
      if (last) out += "0\r\n\r\n";
    }
    body_.clear();
    if (out.empty() && direct.empty()) co_return Ok();
    Status status = Ok();
    if (direct.empty()) {
      status = co_await connection_.stream->Write(AsBytes(out));
    } else {
      status = co_await connection_.stream->WriteBoth(AsBytes(out), AsBytes(direct));
    }
    if (!status.ok()) failed_ = true;
    co_return status;
  }

  void ChooseEncoding(bool last) {
    constexpr size_t kMinCompressedSize = 1024;
    if (!may_compress_ || !HasBody() || is_head_ || !headers_.Get("Content-Encoding").empty()) return;
    if (last && body_.size() < kMinCompressedSize) return;
    if (!IsWorthCompressing(headers_.Get("Content-Type"))) return;
    if (headers_.Get("Content-Type").empty()) headers_.Set("Content-Type", "text/plain; charset=utf-8");
    headers_.Set("Content-Encoding", "gzip");
    headers_.Remove("Content-Length");
    compressor_ = std::make_unique<GzipCompressor>();
  }

  asio::awaitable<void> Compress(bool last) {
    constexpr size_t kSmallSize = 8 * 1024;  // Not worth the way to the pool.
    std::string packed;
    // Reads well after an abort: what was compressed so far is flushed with the message.
    const bool is_end = last || is_aborting_;
    auto work = [&]() noexcept {
      compressor_->Append(packed, body_, is_end);
      return true;
    };
    if (options_.pool != nullptr && body_.size() > kSmallSize) {
      co_await net::RunOn(*options_.pool, work);
    } else {
      work();
    }
    body_ = std::move(packed);
    if (is_aborting_) compressor_.reset();
  }

  Connection& connection_;
  const Server::Options& options_;
  const bool http10_;
  const bool is_head_;
  const bool may_compress_;
  bool keep_alive_;
  std::unique_ptr<GzipCompressor> compressor_;
  int status_ = 200;
  Headers headers_;
  std::string body_;
  bool started_ = false;
  bool has_header_left_ = false;
  bool is_aborting_ = false;
  bool finished_ = false;
  bool chunked_ = false;
  bool is_chunk_open_ = false;  // The last chunk still lacks its line end.
  bool failed_ = false;
};

void FillRequest(const Parser& parser, ServedRequest& request) {
  const auto& message = parser.get();
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  std::string_view target = request.target;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    target.remove_prefix(scheme.size());
    const size_t slash = target.find('/');
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  const size_t mark = target.find('?');
  if (mark != std::string_view::npos) request.raw_query = target.substr(mark + 1);
  const std::string_view raw_path = target.substr(0, mark);
  auto path = Unescape(raw_path, false);
  request.path = path ? std::move(*path) : std::string(raw_path);
  request.query = ParseQuery(request.raw_query);
  for (const auto& field : message) {
    request.headers.Add(std::string_view(field.name_string().data(), field.name_string().size()),
                        std::string_view(field.value().data(), field.value().size()));
  }
}

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(net::Runtime& rt, Options opts, Handler h)
      : runtime(rt), options(std::move(opts)), handler(std::move(h)), tasks("http") {
    if (options.metrics == nullptr) return;
    aged_out = &options.metrics->GetCounter("vm_http_conn_timeout_closed_conns_total");
  }

  asio::awaitable<void> AcceptLoop();
  asio::awaitable<void> Serve(std::unique_ptr<net::Stream> stream);
  asio::awaitable<void> ServeRequests(Connection& connection, std::atomic<bool>& busy);

  struct Active {
    Connection* connection;
    std::atomic<bool>* busy;  // Inside of a request.
  };

  net::Runtime& runtime;
  const Options options;
  const Handler handler;
  net::TaskGroup tasks;
  std::unique_ptr<net::Listener> listener;
  metrics::Counter* aged_out = nullptr;
  std::atomic<bool> stopping{false};
  Mutex mutex;
  std::map<Connection*, Active> active VM_GUARDED_BY(mutex);
};

asio::awaitable<void> Server::Impl::AcceptLoop() {
  const auto self = shared_from_this();
  for (;;) {
    auto accepted = co_await listener->Accept();
    if (!accepted.ok()) {
      if (accepted.error().code() == ErrorCode::kCancelled || stopping) co_return;
      VM_LOG_ERROR("{}", accepted.error().message());
      co_await net::SleepFor(std::chrono::milliseconds(100));
      continue;
    }
    auto stream = std::move(accepted).value();
    const auto executor = stream->executor();
    tasks.Spawn(executor, Serve(std::move(stream)));
  }
}

asio::awaitable<void> Server::Impl::Serve(std::unique_ptr<net::Stream> stream) {
  const auto self = shared_from_this();
  if (options.use_proxy_protocol) {
    stream->SetDeadline(Deadline::After(options.header_timeout));
    const std::string proxy = stream->remote_addr();
    auto accepted = co_await net::AcceptProxyHeader(std::move(stream));
    if (!accepted.ok()) {
      VM_LOG_ERROR("cannot read proxy proto conn for TCP addr \"{}\": {}", proxy, accepted.error().message());
      co_return;
    }
    stream = std::move(accepted).value();
  }
  if (options.tls != nullptr) {
    auto refresh = [this]() noexcept { return options.tls->Refresh(); };
    Status refreshed = Ok();
    if (options.pool != nullptr) {
      refreshed = co_await net::RunOn(*options.pool, refresh);
    } else {
      refreshed = refresh();
    }
    if (!refreshed.ok()) VM_LOG_ERROR("cannot reload TLS files of {}: {}", options.addr, refreshed.error().message());
    stream->SetDeadline(Deadline::After(options.header_timeout));
    auto secured = co_await options.tls->Accept(std::move(stream));
    // Scanners and clients without trust in the certificate come by all the time: not worth a line.
    if (!secured.ok()) co_return;
    stream = std::move(secured).value();
  }
  const auto connection = std::make_shared<Connection>(std::move(stream), tasks);
  std::atomic<bool> busy{false};
  {
    MutexLock lock(mutex);
    active.emplace(connection.get(), Active{connection.get(), &busy});
  }
  // Also when the coroutine is destroyed early. A watch that still reads keeps the connection alive until it has seen
  // the close.
  struct Guard {
    Impl& impl;
    Connection& connection;
    ~Guard() {
      connection.stream->Close();
      MutexLock lock(impl.mutex);
      impl.active.erase(&connection);
    }
  } guard{*this, *connection};
  co_await ServeRequests(*connection, busy);
}

asio::awaitable<void> Server::Impl::ServeRequests(Connection& connection,
                                                  std::atomic<bool>& busy) {
  net::Stream& stream = *connection.stream;
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto jitter = std::min<std::chrono::milliseconds>(options.max_conn_age / 10, std::chrono::seconds(10));
  const auto max_age =
      options.max_conn_age + std::chrono::milliseconds(random() % static_cast<uint64_t>(jitter.count() + 1));
  const auto opened = Deadline::Clock::now();
  for (bool first = true; !stopping; first = false) {
    busy = false;
    if (connection.unread().empty()) {
      stream.SetDeadline(Deadline::After(first ? options.header_timeout : options.idle_timeout));
      auto more = co_await connection.Fill();
      if (!more.ok() || !more.value()) co_return;
    }
    busy = true;
    stream.SetDeadline(Deadline::After(options.header_timeout));
    Parser parser;
    parser.header_limit(static_cast<uint32_t>(options.max_header_bytes));
    parser.body_limit(boost::none);
    while (!parser.is_header_done()) {
      error_code ec;
      const size_t used = Put(parser, connection.unread(), ec);
      connection.Drop(used);
      if (ec && ec != beast_http::error::need_more) {
        const bool too_big = ec == beast_http::error::header_limit;
        const std::string_view answer =
            too_big ? "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; "
                      "charset=utf-8\r\nConnection: close\r\n\r\n431 Request Header Fields Too Large"
                    : "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
                      "Connection: close\r\n\r\n400 Bad Request";
        auto sent = co_await stream.Write(AsBytes(answer));
        static_cast<void>(sent);
        co_return;
      }
      if (parser.is_header_done()) break;
      auto more = co_await connection.Fill();
      if (!more.ok() || !more.value()) co_return;
    }
    // Handlers carry their own deadlines; a slow upload is allowed, as in the reference.
    stream.SetDeadline(Deadline());

    ServedRequest request(connection, parser, options.max_header_bytes);
    FillRequest(parser, request);
    request.remote_addr = stream.remote_addr();
    if (request.headers.Get("Expect") == "100-continue") request.set_expects_continue();
    const bool too_old = options.max_conn_age.count() > 0 && Deadline::Clock::now() - opened > max_age;
    if (too_old && aged_out != nullptr) aged_out->Inc();
    const bool keep_alive =
        parser.get().keep_alive() && !options.disable_keep_alive && !too_old && !stopping;
    ServedResponse response(connection, options, request, parser.get().version() == 10, keep_alive);
    co_await handler(request, response);

    // Read what the handler left, so that the next request starts in the right place.
    if (!parser.is_done() && !request.broken()) {
      if (request.expects_continue()) {
        response.ForbidKeepAlive();
      } else if (response.keep_alive()) {
        ByteBuffer scratch(kReadSize);
        size_t drained = 0;
        stream.SetDeadline(Deadline::After(options.header_timeout));
        while (!parser.is_done() && drained < kMaxDrainSize) {
          auto n = co_await request.ReadBody(scratch);
          if (!n.ok() || n.value() == 0) break;
          drained += n.value();
        }
        stream.SetDeadline(Deadline());
      }
    }
    if (!parser.is_done()) response.ForbidKeepAlive();
    auto finished = co_await response.Finish();
    if (finished.ok() && !parser.is_done()) {
      // A client that still sends would lose the answer if the socket were closed now.
      constexpr std::chrono::milliseconds kLinger{500};
      stream.SetDeadline(Deadline::After(kLinger));
      ByteBuffer scratch(kReadSize);
      for (;;) {
        auto n = co_await stream.Read(scratch);
        if (!n.ok() || n.value() == 0) break;
      }
    }
    if (!finished.ok() || !response.keep_alive() || !parser.is_done()) co_return;
    connection.Trim();
  }
}

Result<std::unique_ptr<Server>> Server::Start(net::Runtime& runtime, Options options,
                                              Handler handler) {
  auto listener =
      net::Listener::Open(runtime.executor(), options.addr, options.enable_tcp6);
  if (!listener.ok()) return std::move(listener).error();
  auto impl = std::make_shared<Impl>(runtime, std::move(options), std::move(handler));
  impl->listener = std::move(listener).value();
  if (impl->options.metrics != nullptr) {
    impl->listener->SetMetrics(std::make_shared<net::StreamMetrics>(
        *impl->options.metrics, net::StreamMetrics::Side::kListener, impl->options.tls ? "https" : "http",
        impl->options.addr));
  }
  impl->tasks.Spawn(runtime.MakeStrand(), impl->AcceptLoop());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

std::unique_ptr<Server> Server::WithoutListener(net::Runtime& runtime, Options options, Handler handler) {
  options.tls = nullptr;
  options.metrics = nullptr;
  return std::unique_ptr<Server>(
      new Server(std::make_shared<Impl>(runtime, std::move(options), std::move(handler))));
}

asio::awaitable<void> Server::Serve(std::unique_ptr<net::Stream> stream) { return impl_->Serve(std::move(stream)); }

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { Stop(std::chrono::milliseconds(0)); }

std::string Server::addr() const { return impl_->listener ? impl_->listener->addr() : std::string(); }

size_t Server::running_requests() const {
  MutexLock lock(impl_->mutex);
  size_t running = 0;
  for (const auto& [key, connection] : impl_->active) running += *connection.busy ? 1 : 0;
  return running;
}

void Server::Stop(std::chrono::milliseconds grace) {
  impl_->stopping = true;
  if (impl_->listener) impl_->listener->Close();
  const auto close = [this](bool also_busy) {
    MutexLock lock(impl_->mutex);
    for (auto& [key, connection] : impl_->active) {
      if (also_busy || !*connection.busy) connection.connection->stream->Close();
    }
  };
  close(false);
  const auto end = std::chrono::steady_clock::now() + grace;
  const auto notice = std::min<std::chrono::milliseconds>(grace / 5, std::chrono::seconds(2));
  if (impl_->tasks.WaitFor(grace - notice)) return;
  std::vector<std::shared_ptr<Connection>> connections;
  {
    MutexLock lock(impl_->mutex);
    for (auto& [key, connection] : impl_->active) connections.push_back(key->shared_from_this());
  }
  for (const auto& connection : connections) connection->StopRequest();
  connections.clear();
  if (impl_->tasks.WaitFor(std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now()))) {
    return;
  }
  close(true);
  impl_->tasks.WaitFor(std::chrono::seconds(3));
}

}  // namespace vm::http
