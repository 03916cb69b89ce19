#include "insert/listen/udp_server.h"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "lib/log/log.h"

namespace vm::insert {

namespace asio = net::asio;
using asio::ip::udp;
using boost::system::error_code;

namespace {

constexpr size_t kMaxDatagramBytes = 64 * 1024;

std::string FormatEndpoint(const udp::endpoint& endpoint) {
  const auto address = endpoint.address();
  return address.is_v6() ? fmt::format("[{}]:{}", address.to_string(), endpoint.port())
                         : fmt::format("{}:{}", address.to_string(), endpoint.port());
}

}  // namespace

struct UdpServer::Impl : std::enable_shared_from_this<UdpServer::Impl> {
  Impl(const asio::any_io_executor& strand_in, Handler handler_in)
      : strand(strand_in), socket(strand), handler(std::move(handler_in)), tasks("udp") {}

  asio::awaitable<void> Run() {
    const auto self = shared_from_this();
    ByteBuffer datagram(kMaxDatagramBytes);
    while (!stopping) {
      udp::endpoint peer;
      const auto [ec, size] = co_await socket.async_receive_from(asio::buffer(datagram), peer,
                                                                 asio::as_tuple(asio::use_awaitable));
      if (stopping) co_return;
      if (ec) {
        VM_LOG_ERROR("cannot read UDP data at {}: {}", addr, ec.message());
        co_await net::SleepFor(std::chrono::milliseconds(100));
        continue;
      }
      std::string peer_addr = FormatEndpoint(peer);
      co_await handler(ByteView(datagram).first(size), std::move(peer_addr));
    }
  }

  const asio::any_io_executor strand;
  udp::socket socket;  // Strand only, after Start.
  const Handler handler;
  std::string addr;
  std::atomic<bool> stopping{false};
  net::TaskGroup tasks;
};

Result<std::unique_ptr<UdpServer>> UdpServer::Start(net::Runtime& runtime, std::string addr, bool enable_udp6,
                                                    Handler handler) {
  const size_t colon = addr.rfind(':');
  if (colon == std::string::npos) {
    return Error(ErrorCode::kInvalidInput, fmt::format("missing port in address \"{}\"", addr));
  }
  std::string host = addr.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  auto impl = std::make_shared<Impl>(runtime.MakeStrand(), std::move(handler));
  error_code ec;
  const auto fail = [&](std::string_view what) {
    return Error(ErrorCode::kIo, fmt::format("cannot {} {}: {}", what, addr, ec.message()));
  };
  udp::resolver resolver(runtime.executor());
  const auto flags = udp::resolver::passive;
  const auto found = enable_udp6 ? resolver.resolve(host, addr.substr(colon + 1), flags, ec)
                                 : resolver.resolve(udp::v4(), host, addr.substr(colon + 1), flags, ec);
  if (ec || found.empty()) return fail("resolve");
  const udp::endpoint endpoint = found.begin()->endpoint();
  impl->socket.open(endpoint.protocol(), ec);
  if (ec) return fail("open a socket for");
  impl->socket.bind(endpoint, ec);
  if (ec) return fail("bind");
  const udp::endpoint local = impl->socket.local_endpoint(ec);
  if (ec) return fail("find the address of");
  impl->addr = FormatEndpoint(local);
  impl->tasks.Spawn(impl->strand, impl->Run());
  return std::unique_ptr<UdpServer>(new UdpServer(std::move(impl)));
}

UdpServer::UdpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

UdpServer::~UdpServer() { Stop(); }

std::string UdpServer::addr() const { return impl_->addr; }

void UdpServer::Stop() {
  if (impl_->stopping.exchange(true)) return;
  asio::post(impl_->strand, [impl = impl_] {
    error_code ignored;
    impl->socket.close(ignored);
  });
  impl_->tasks.WaitFor(std::chrono::seconds(5));
}

}  // namespace vm::insert
