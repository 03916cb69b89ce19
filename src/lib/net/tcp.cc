#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <iterator>

#include <fmt/format.h>

#include "lib/base/still_busy.h"
#include "lib/net/stream.h"
#include "lib/net/stream_errors.h"
#include "lib/net/stream_metrics.h"

namespace vm::net {
namespace {

using tcp = asio::ip::tcp;
using boost::system::error_code;

// Expected failures are values, so a broken peer costs no exception.
constexpr auto kAwaitTuple = asio::as_tuple(asio::use_awaitable);

std::string FormatEndpoint(const tcp::endpoint& endpoint) {
  const auto address = endpoint.address();
  return address.is_v6() ? fmt::format("[{}]:{}", address.to_string(), endpoint.port())
                         : fmt::format("{}:{}", address.to_string(), endpoint.port());
}

/// Reads and writes are tried at once before they go through the reactor, whose completions wake up another thread
/// each. After so many that did not have to wait others get their turn on the strand: deadlines, Close.
constexpr int kMaxDirectCalls = 16;

/// The socket and its deadline timer; shared with handlers that may run after the stream is gone. Strand only.
struct Socket {
  using TimePoint = Deadline::Clock::time_point;

  explicit Socket(tcp::socket s) : socket(std::move(s)), timer(socket.get_executor()) {}

  /// Deadlines change with each message and hardly ever pass. So the timer is only set anew for an earlier one; when it
  /// fires too early, it is set to the deadline of that time.
  static void Arm(const std::shared_ptr<Socket>& self) {
    self->armed = self->deadline;
    self->timer.expires_at(self->armed);
    self->timer.async_wait([weak = std::weak_ptr<Socket>(self)](error_code ec) {
      const auto state = weak.lock();
      // It may have been set anew between expiry and this call.
      if (ec || !state || state->timer.expiry() > Deadline::Clock::now()) return;
      state->armed = TimePoint::max();
      if (state->deadline == TimePoint::max()) return;
      if (state->deadline > Deadline::Clock::now()) return Arm(state);
      state->timed_out = true;
      error_code ignored;
      state->socket.cancel(ignored);
    });
  }

  tcp::socket socket;
  asio::steady_timer timer;
  TimePoint deadline = TimePoint::max();
  TimePoint armed = TimePoint::max();  // When the timer fires.
  bool timed_out = false;
  int direct_reads = 0;   // Since the last one that waited.
  int direct_writes = 0;
};

class TcpStream : public Stream {
 public:
  explicit TcpStream(tcp::socket socket)
      : executor_(socket.get_executor()), state_(std::make_shared<Socket>(std::move(socket))) {
    error_code ignored;
    state_->socket.set_option(tcp::no_delay(true), ignored);
    const auto remote = state_->socket.remote_endpoint(ignored);
    if (!ignored) remote_addr_ = FormatEndpoint(remote);
    const auto local = state_->socket.local_endpoint(ignored);
    if (!ignored) local_addr_ = FormatEndpoint(local);
  }
  ~TcpStream() override { Close(); }

  asio::awaitable<Result<size_t>> Read(std::span<uint8_t> dst) override {
    const auto state = state_;
    if (state->timed_out) co_return TimeoutError("read from");
    if (state->direct_reads++ < kMaxDirectCalls && !dst.empty()) {
      const ssize_t got = ::recv(state->socket.native_handle(), dst.data(), dst.size(), MSG_DONTWAIT);
      if (got >= 0) {
        StillBusy();
        co_return static_cast<size_t>(got);
      }
      // An error is told once: the next try would see the end of the stream instead.
      if (!IsWorthWaiting(errno)) co_return IoError("read from", errno);
    }
    state->direct_reads = 0;
    auto [ec, n] = co_await state->socket.async_read_some(asio::buffer(dst.data(), dst.size()),
                                                          kAwaitTuple);
    if (ec == asio::error::eof) co_return size_t{0};
    if (ec) {
      if (state->timed_out) co_return TimeoutError("read from");
      co_return Error(ErrorCode::kUnavailable,
                      fmt::format("cannot read from {}: {}", remote_addr_, ec.message()));
    }
    co_return n;
  }

  asio::awaitable<Status> Write(ByteView src) override {
    const auto state = state_;
    if (state->timed_out) co_return TimeoutError("write to");
    while (!src.empty() && state->direct_writes++ < kMaxDirectCalls) {
      const ssize_t sent = ::send(state->socket.native_handle(), src.data(), src.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0) {
        if (!IsWorthWaiting(errno)) co_return IoError("write to", errno);
        break;
      }
      src = src.subspan(static_cast<size_t>(sent));
    }
    if (src.empty()) co_return Ok();
    state->direct_writes = 0;
    auto [ec, n] = co_await asio::async_write(state->socket, asio::buffer(src.data(), src.size()),
                                              kAwaitTuple);
    if (ec) {
      if (state->timed_out) co_return TimeoutError("write to");
      co_return Error(ErrorCode::kUnavailable,
                      fmt::format("cannot write to {}: {}", remote_addr_, ec.message()));
    }
    co_return Ok();
  }

  asio::awaitable<Status> WriteBoth(ByteView head, ByteView body) override {
    const auto state = state_;
    if (!state->timed_out && !head.empty() && !body.empty() && state->direct_writes++ < kMaxDirectCalls) {
      iovec parts[] = {{const_cast<uint8_t*>(head.data()), head.size()}, {const_cast<uint8_t*>(body.data()), body.size()}};
      msghdr message{};
      message.msg_iov = parts;
      message.msg_iovlen = std::size(parts);
      const ssize_t sent = ::sendmsg(state->socket.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && !IsWorthWaiting(errno)) co_return IoError("write to", errno);
      const size_t done = sent > 0 ? static_cast<size_t>(sent) : 0;
      body = body.subspan(done - std::min(done, head.size()));
      head = head.subspan(std::min(done, head.size()));
    }
    if (!head.empty()) VM_CO_TRY(co_await Write(head));
    if (body.empty()) co_return Ok();
    co_return co_await Write(body);
  }

  void SetDeadline(const Deadline& deadline) override {
    state_->deadline = deadline.at();
    if (state_->deadline < state_->armed) Socket::Arm(state_);
  }

  void Close() override {
    asio::post(executor_, [state = state_] {
      error_code ignored;
      state->timer.cancel();
      state->socket.shutdown(tcp::socket::shutdown_both, ignored);
      state->socket.close(ignored);
    });
  }

  asio::any_io_executor executor() override { return executor_; }
  std::string remote_addr() const override { return remote_addr_; }
  std::string local_addr() const override { return local_addr_; }

 private:
  static bool IsWorthWaiting(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }
  Error IoError(std::string_view what, int error) const {
    if (state_->timed_out) return TimeoutError(what);
    return Error(ErrorCode::kUnavailable,
                 fmt::format("cannot {} {}: {}", what, remote_addr_, error_code(error, boost::system::system_category()).message()));
  }
  Error TimeoutError(std::string_view what) const {
    return Error(ErrorCode::kUnavailable, fmt::format("cannot {} {}: {}", what, remote_addr_, kTimeoutText));
  }

  const asio::any_io_executor executor_;
  const std::shared_ptr<Socket> state_;
  std::string remote_addr_;
  std::string local_addr_;
};

/// Split at the last ':'; brackets of IPv6 hosts are removed.
Result<std::pair<std::string, std::string>> SplitAddr(std::string_view addr) {
  const size_t colon = addr.rfind(':');
  if (colon == std::string_view::npos) {
    return Error(ErrorCode::kInvalidInput, fmt::format("missing port in address \"{}\"", addr));
  }
  std::string_view host = addr.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return std::pair(std::string(host), std::string(addr.substr(colon + 1)));
}

}  // namespace

namespace {

asio::awaitable<Result<std::unique_ptr<Stream>>> DialUncounted(std::string addr, DialOptions options) {
  const auto executor = co_await asio::this_coro::executor;
  VM_CO_ASSIGN_OR_RETURN(auto host_port, SplitAddr(addr));
  if (host_port.first.empty()) host_port.first = "127.0.0.1";

  struct State {
    explicit State(const asio::any_io_executor& ex) : resolver(ex), socket(ex), timer(ex) {}
    tcp::resolver resolver;
    tcp::socket socket;
    asio::steady_timer timer;
    bool timed_out = false;
  };
  auto state = std::make_shared<State>(executor);
  state->timer.expires_after(options.timeout);
  state->timer.async_wait([weak = std::weak_ptr<State>(state)](error_code ec) {
    const auto locked = weak.lock();
    if (ec || !locked) return;
    locked->timed_out = true;
    error_code ignored;
    locked->resolver.cancel();
    locked->socket.close(ignored);
  });
  const auto fail = [&](const error_code& ec) {
    state->timer.cancel();
    return Error(ErrorCode::kUnavailable,
                 fmt::format("cannot dial {}: {}", addr,
                             state->timed_out ? std::string(kTimeoutText) : ec.message()));
  };

  tcp::resolver::results_type endpoints;
  {
    error_code address_ec;
    const auto address = asio::ip::make_address(host_port.first, address_ec);
    uint16_t port = 0;
    const auto& text = host_port.second;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool is_number = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
    if (!address_ec && is_number) {
      endpoints = tcp::resolver::results_type::create(tcp::endpoint(address, port),
                                                      host_port.first, host_port.second);
    } else if (options.enable_tcp6) {
      auto [ec, found] =
          co_await state->resolver.async_resolve(host_port.first, host_port.second, kAwaitTuple);
      if (ec) co_return fail(ec);
      endpoints = found;
    } else {
      auto [ec, found] = co_await state->resolver.async_resolve(tcp::v4(), host_port.first,
                                                                host_port.second, kAwaitTuple);
      if (ec) co_return fail(ec);
      endpoints = found;
    }
  }
  if (state->timed_out) co_return fail(asio::error::timed_out);
  auto [ec, endpoint] = co_await asio::async_connect(state->socket, endpoints, kAwaitTuple);
  if (ec || state->timed_out) co_return fail(ec);
  state->timer.cancel();

  error_code ignored;
  state->socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const int fd = state->socket.native_handle();
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof(one));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &one, sizeof(one));
  if (options.user_timeout.count() > 0) {
    const auto user_timeout_ms = static_cast<unsigned>(options.user_timeout.count());
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof(user_timeout_ms));
  }
  std::unique_ptr<Stream> stream = std::make_unique<TcpStream>(std::move(state->socket));
  co_return std::move(stream);
}

}  // namespace

asio::awaitable<Result<std::unique_ptr<Stream>>> Dial(std::string addr, DialOptions options) {
  const auto metrics = options.metrics;
  if (metrics) metrics->attempts.Inc();
  auto dialed = co_await DialUncounted(std::move(addr), std::move(options));
  if (!dialed.ok()) {
    if (metrics) metrics->attempt_errors.Inc();
    co_return std::move(dialed).error();
  }
  co_return CountStream(std::move(dialed).value(), metrics);
}

struct Listener::Impl {
  explicit Impl(const asio::any_io_executor& ex)
      : io(ex), strand(asio::make_strand(ex)), acceptor(strand) {}

  asio::any_io_executor io;
  asio::any_io_executor strand;
  tcp::acceptor acceptor;       // Strand only, after Open.
  std::string addr;
  uint16_t port = 0;
  std::shared_ptr<StreamMetrics> metrics;
  std::shared_ptr<bool> closed = std::make_shared<bool>(false);  // Strand only.
};

Listener::Listener(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Listener::~Listener() { Close(); }

Result<std::unique_ptr<Listener>> Listener::Open(asio::any_io_executor executor, std::string addr,
                                                 bool enable_tcp6) {
  VM_ASSIGN_OR_RETURN(auto host_port, SplitAddr(addr.empty() ? ":" : addr));
  if (host_port.second.empty()) host_port.second = "0";
  auto impl = std::make_shared<Impl>(executor);
  error_code ec;
  tcp::endpoint endpoint;
  // The resolver would take a bigger number modulo 65536.
  uint16_t port = 0;
  const auto& text = host_port.second;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool is_number = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  if (!is_number && (host_port.first.empty() || text.find_first_not_of("0123456789") == std::string::npos)) {
    return Error(ErrorCode::kInvalidInput, fmt::format("cannot parse port in \"{}\"", addr));
  }
  if (host_port.first.empty()) {
    endpoint = tcp::endpoint(enable_tcp6 ? tcp::v6() : tcp::v4(), port);
  } else {
    tcp::resolver resolver(executor);
    const auto found = enable_tcp6
                           ? resolver.resolve(host_port.first, host_port.second, ec)
                           : resolver.resolve(tcp::v4(), host_port.first, host_port.second, ec);
    if (ec || found.empty()) {
      return Error(ErrorCode::kIo, fmt::format("cannot resolve {}: {}", addr, ec.message()));
    }
    endpoint = found.begin()->endpoint();
  }
  const auto fail = [&](std::string_view what) {
    return Error(ErrorCode::kIo, fmt::format("cannot {} {}: {}", what, addr, ec.message()));
  };
  impl->acceptor.open(endpoint.protocol(), ec);
  if (ec) return fail("open a socket for");
  impl->acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  if (ec) return fail("set SO_REUSEADDR for");
  impl->acceptor.bind(endpoint, ec);
  if (ec) return fail("bind");
  impl->acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return fail("listen at");
  const auto local = impl->acceptor.local_endpoint(ec);
  if (ec) return fail("find the address of");
  impl->addr = FormatEndpoint(local);
  impl->port = local.port();
  return std::unique_ptr<Listener>(new Listener(std::move(impl)));
}

asio::awaitable<Result<std::unique_ptr<Stream>>> Listener::Accept() {
  const auto home = co_await asio::this_coro::executor;
  const auto impl = impl_;  // The Listener may go away while this waits.
  const auto closed = impl->closed;
  co_await asio::post(asio::bind_executor(impl->strand, asio::use_awaitable));
  if (*closed) {
    co_await asio::post(asio::bind_executor(home, asio::use_awaitable));
    co_return Error(ErrorCode::kCancelled, "the listener is closed");
  }
  tcp::socket peer(asio::make_strand(impl->io));
  auto [ec] = co_await impl->acceptor.async_accept(
      peer, asio::bind_executor(impl->strand, kAwaitTuple));
  const bool was_closed = *closed;
  co_await asio::post(asio::bind_executor(home, asio::use_awaitable));
  if (was_closed) co_return Error(ErrorCode::kCancelled, "the listener is closed");
  if (impl->metrics) impl->metrics->attempts.Inc();
  if (ec) {
    if (impl->metrics) impl->metrics->attempt_errors.Inc();
    co_return Error(ErrorCode::kIo, fmt::format("cannot accept a connection: {}", ec.message()));
  }
  std::unique_ptr<Stream> stream = std::make_unique<TcpStream>(std::move(peer));
  co_return CountStream(std::move(stream), impl->metrics);
}

void Listener::SetMetrics(std::shared_ptr<StreamMetrics> metrics) { impl_->metrics = std::move(metrics); }

void Listener::Close() {
  asio::post(impl_->strand, [impl = impl_, closed = impl_->closed] {
    if (std::exchange(*closed, true)) return;
    error_code ignored;
    impl->acceptor.close(ignored);
  });
}

std::string Listener::addr() const { return impl_->addr; }
uint16_t Listener::port() const { return impl_->port; }

asio::awaitable<Status> Stream::WriteBoth(ByteView head, ByteView body) {
  VM_CO_TRY(co_await Write(head));
  co_return co_await Write(body);
}

asio::awaitable<Status> ReadFull(Stream& stream, std::span<uint8_t> dst) {
  size_t done = 0;
  while (done < dst.size()) {
    auto n = co_await stream.Read(dst.subspan(done));
    if (!n.ok()) co_return std::move(n).error();
    if (n.value() == 0) {
      co_return Error(ErrorCode::kUnavailable, std::string(done == 0 ? "EOF" : kUnexpectedEofText));
    }
    done += n.value();
  }
  co_return Ok();
}

Result<std::string> NormalizeAddr(std::string_view addr, uint16_t default_port) {
  if (addr.empty()) return Error(ErrorCode::kInvalidInput, "address cannot be empty");
  const size_t colon = addr.rfind(':');
  if (colon == std::string_view::npos || addr.back() == ']') {
    return fmt::format("{}:{}", addr, default_port);
  }
  const std::string_view port = addr.substr(colon + 1);
  uint16_t number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size()) {
    return Error(ErrorCode::kInvalidInput,
                 fmt::format("invalid port in \"{}\": \"{}\"", addr, port));
  }
  return std::string(addr);
}

}  // namespace vm::net
