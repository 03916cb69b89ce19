#include "lib/http/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <map>
#include <optional>

#include "lib/base/mutex.h"
#include "lib/log/log.h"
#include "lib/net/stream.h"
#include "lib/sys/sys.h"

namespace vm::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::system::error_code;
using Parser = beast_http::request_parser<beast_http::buffer_body>;

constexpr size_t kReadSize = 16 * 1024;
constexpr size_t kSendSize = 64 * 1024;
/// Body bytes that a handler left behind and that are read to keep the connection, as in Go.
constexpr size_t kMaxDrainSize = 256 * 1024;

/// One connection: its stream and the bytes read ahead.
struct Connection {
  std::unique_ptr<net::Stream> stream;
  ByteBuffer in;

  /// Read more behind `in`; false at the end of the stream.
  asio::awaitable<Result<bool>> Fill() {
    const size_t at = in.size();
    in.resize(at + kReadSize);
    auto n = co_await stream->Read(std::span<uint8_t>(in).subspan(at));
    in.resize(at + (n.ok() ? n.value() : 0));
    if (!n.ok()) co_return std::move(n).error();
    co_return n.value() > 0;
  }
  void Drop(size_t n) { in.erase(in.begin(), in.begin() + static_cast<ptrdiff_t>(n)); }
};

class ServedRequest : public Request {
 public:
  ServedRequest(Connection& connection, Parser& parser)
      : connection_(connection), parser_(parser) {}

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
      const size_t used = parser_.put(
          asio::buffer(connection_.in.data(), connection_.in.size()), ec);
      connection_.Drop(used);
      if (ec && ec != beast_http::error::need_more && ec != beast_http::error::need_buffer) {
        broken_ = true;
        co_return Error(ErrorCode::kInvalidInput,
                        fmt::format("cannot read request body: {}", ec.message()));
      }
      const size_t got = dst.size() - body.size;
      if (got > 0 || parser_.is_done()) co_return got;
      if (used > 0 && !connection_.in.empty() && !ec) continue;
      auto more = co_await connection_.Fill();
      if (!more.ok() || !more.value()) {
        broken_ = true;
        if (!more.ok()) co_return std::move(more).error();
        co_return Error(ErrorCode::kInvalidInput, "cannot read request body: unexpected EOF");
      }
    }
  }

  void set_expects_continue() { expects_continue_ = true; }
  bool expects_continue() const { return expects_continue_; }
  bool broken() const { return broken_; }

 private:
  Connection& connection_;
  Parser& parser_;
  bool expects_continue_ = false;
  bool broken_ = false;
};

class ServedResponse : public Response {
 public:
  ServedResponse(Connection& connection, const Server::Options& options, bool http10, bool is_head,
                 bool keep_alive)
      : connection_(connection), http10_(http10), is_head_(is_head), keep_alive_(keep_alive) {
    static const std::string host_name = sys::HostName();
    if (!options.disable_server_hostname) headers_.Set("X-Server-Hostname", host_name);
  }

  void SetStatus(int code) override { status_ = code; }
  int status() const override { return status_; }
  void SetHeader(std::string_view name, std::string_view value) override {
    headers_.Set(name, value);
  }
  bool started() const override { return started_; }
  bool keep_alive() const { return keep_alive_ && !failed_; }
  void ForbidKeepAlive() { keep_alive_ = false; }

  asio::awaitable<Status> Write(std::string_view chunk) override {
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

  asio::awaitable<Status> Send(bool last) {
    if (failed_) co_return Error(ErrorCode::kUnavailable, "the client went away");
    std::string out;
    if (!started_) {
      started_ = true;
      const auto reason = beast_http::obsolete_reason(static_cast<beast_http::status>(status_));
      out = fmt::format("HTTP/1.1 {} {}\r\n", status_,
                        std::string_view(reason.data(), reason.size()));
      if (HasBody()) {
        if (headers_.Get("Content-Type").empty() && !body_.empty()) {
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
      for (const auto& [name, value] : headers_.all()) {
        out += fmt::format("{}: {}\r\n", name, value);
      }
      out += "\r\n";
    }
    if (HasBody() && !is_head_) {
      if (!chunked_) {
        out += body_;
      } else {
        if (!body_.empty()) {
          out += fmt::format("{:x}\r\n", body_.size());
          out += body_;
          out += "\r\n";
        }
        if (last) out += "0\r\n\r\n";
      }
    }
    body_.clear();
    if (out.empty()) co_return Ok();
    auto status = co_await connection_.stream->Write(AsBytes(out));
    if (!status.ok()) failed_ = true;
    co_return status;
  }

  Connection& connection_;
  const bool http10_;
  const bool is_head_;
  bool keep_alive_;
  int status_ = 200;
  Headers headers_;
  std::string body_;
  bool started_ = false;
  bool finished_ = false;
  bool chunked_ = false;
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
      : runtime(rt), options(std::move(opts)), handler(std::move(h)), tasks("http") {}

  asio::awaitable<void> AcceptLoop();
  asio::awaitable<void> Serve(std::unique_ptr<net::Stream> stream);
  asio::awaitable<void> ServeRequests(Connection& connection, std::atomic<bool>& busy);

  struct Active {
    net::Stream* stream;
    std::atomic<bool>* busy;  // Inside of a request.
  };

  net::Runtime& runtime;
  const Options options;
  const Handler handler;
  net::TaskGroup tasks;
  std::unique_ptr<net::Listener> listener;
  std::atomic<bool> stopping{false};
  Mutex mutex;
  std::map<net::Stream*, Active> active VM_GUARDED_BY(mutex);
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
  Connection connection;
  connection.stream = std::move(stream);
  std::atomic<bool> busy{false};
  net::Stream* const key = connection.stream.get();
  {
    MutexLock lock(mutex);
    active.emplace(key, Active{key, &busy});
  }
  // Deregisters also when the coroutine is destroyed early.
  struct Guard {
    Impl& impl;
    net::Stream* key;
    ~Guard() {
      MutexLock lock(impl.mutex);
      impl.active.erase(key);
    }
  } guard{*this, key};
  co_await ServeRequests(connection, busy);
}

asio::awaitable<void> Server::Impl::ServeRequests(Connection& connection,
                                                  std::atomic<bool>& busy) {
  net::Stream& stream = *connection.stream;
  const auto opened = Deadline::Clock::now();
  for (bool first = true; !stopping; first = false) {
    busy = false;
    if (connection.in.empty()) {
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
      const size_t used =
          parser.put(asio::buffer(connection.in.data(), connection.in.size()), ec);
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

    ServedRequest request(connection, parser);
    FillRequest(parser, request);
    request.remote_addr = stream.remote_addr();
    if (request.headers.Get("Expect") == "100-continue") request.set_expects_continue();
    const bool too_old = Deadline::Clock::now() - opened > options.max_conn_age;
    const bool keep_alive =
        parser.get().keep_alive() && !options.disable_keep_alive && !too_old && !stopping;
    ServedResponse response(connection, options, parser.get().version() == 10,
                            request.method == "HEAD", keep_alive);
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
    if (!finished.ok() || !response.keep_alive() || !parser.is_done()) co_return;
  }
}

Result<std::unique_ptr<Server>> Server::Start(net::Runtime& runtime, Options options,
                                              Handler handler) {
  auto listener =
      net::Listener::Open(runtime.executor(), options.addr, options.enable_tcp6);
  if (!listener.ok()) return std::move(listener).error();
  auto impl = std::make_shared<Impl>(runtime, std::move(options), std::move(handler));
  impl->listener = std::move(listener).value();
  impl->tasks.Spawn(runtime.MakeStrand(), impl->AcceptLoop());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { Stop(std::chrono::milliseconds(0)); }

std::string Server::addr() const { return impl_->listener->addr(); }

void Server::Stop(std::chrono::milliseconds grace) {
  impl_->stopping = true;
  impl_->listener->Close();
  const auto close = [this](bool also_busy) {
    MutexLock lock(impl_->mutex);
    for (auto& [key, connection] : impl_->active) {
      if (also_busy || !*connection.busy) connection.stream->Close();
    }
  };
  close(false);
  if (!impl_->tasks.WaitFor(grace)) {
    close(true);
    impl_->tasks.WaitFor(std::chrono::seconds(3));
  }
}

}  // namespace vm::http
