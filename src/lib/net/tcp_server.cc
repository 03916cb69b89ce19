#include "lib/net/tcp_server.h"

#include <atomic>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/log/log.h"
#include "lib/net/proxy_protocol.h"
#include "lib/net/stream_metrics.h"

namespace vm::net {

struct TcpServer::Impl : std::enable_shared_from_this<TcpServer::Impl> {
  Impl(Handler handler_in, bool use_proxy_protocol_in)
      : handler(std::move(handler_in)), use_proxy_protocol(use_proxy_protocol_in), tasks("listener") {}

  asio::awaitable<void> AcceptLoop();
  asio::awaitable<void> Serve(std::unique_ptr<Stream> stream);

  const Handler handler;
  const bool use_proxy_protocol;
  std::unique_ptr<Listener> listener;
  TaskGroup tasks;
  std::atomic<bool> stopping{false};
  mutable Mutex mutex;
  std::set<Stream*> streams VM_GUARDED_BY(mutex);
};

asio::awaitable<void> TcpServer::Impl::AcceptLoop() {
  const auto self = shared_from_this();
  for (;;) {
    auto accepted = co_await listener->Accept();
    if (!accepted.ok()) {
      if (accepted.error().code() == ErrorCode::kCancelled || stopping) co_return;
      VM_LOG_ERROR("temporary error when listening for TCP addr {}: {}", listener->addr(), accepted.error().message());
      co_await SleepFor(std::chrono::milliseconds(100));
      continue;
    }
    auto stream = std::move(accepted).value();
    const auto executor = stream->executor();
    tasks.Spawn(executor, Serve(std::move(stream)));
  }
}

asio::awaitable<void> TcpServer::Impl::Serve(std::unique_ptr<Stream> stream) {
  const auto self = shared_from_this();
  if (use_proxy_protocol) {
    constexpr std::chrono::seconds kHeaderTimeout{5};
    stream->SetDeadline(Deadline::After(kHeaderTimeout));
    const std::string proxy = stream->remote_addr();
    auto accepted = co_await AcceptProxyHeader(std::move(stream));
    if (!accepted.ok()) {
      VM_LOG_ERROR("cannot read proxy proto conn for TCP addr \"{}\": {}", proxy, accepted.error().message());
      co_return;
    }
    stream = std::move(accepted).value();
    stream->SetDeadline(Deadline());
  }
  {
    MutexLock lock(mutex);
    streams.insert(stream.get());
  }
  // Also when the coroutine is destroyed early.
  struct Guard {
    Impl& impl;
    Stream* stream;
    ~Guard() {
      MutexLock lock(impl.mutex);
      impl.streams.erase(stream);
    }
  } guard{*this, stream.get()};
  if (!stopping) co_await handler(*stream);
  stream->Close();
}

Result<std::unique_ptr<TcpServer>> TcpServer::Start(Runtime& runtime, Options options, Handler handler) {
  auto impl = std::make_shared<Impl>(std::move(handler), options.use_proxy_protocol);
  VM_ASSIGN_OR_RETURN(impl->listener, Listener::Open(runtime.executor(), options.addr, options.enable_tcp6));
  if (options.registry != nullptr) {
    impl->listener->SetMetrics(std::make_shared<StreamMetrics>(
        *options.registry, StreamMetrics::Side::kListener, options.name, options.addr));
  }
  impl->tasks.Spawn(runtime.MakeStrand(), impl->AcceptLoop());
  return std::unique_ptr<TcpServer>(new TcpServer(std::move(impl)));
}

TcpServer::TcpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

TcpServer::~TcpServer() { Stop(); }

std::string TcpServer::addr() const { return impl_->listener->addr(); }

size_t TcpServer::connections() const {
  MutexLock lock(impl_->mutex);
  return impl_->streams.size();
}

void TcpServer::Stop(std::chrono::milliseconds spread) {
  if (impl_->stopping.exchange(true)) return;
  impl_->listener->Close();
  const size_t count = connections();
  const auto pause = count > 1 ? spread / static_cast<int64_t>(count) : std::chrono::milliseconds(0);
  for (;;) {
    {
      MutexLock lock(impl_->mutex);
      if (impl_->streams.empty()) break;
      // Closed here, under the lock that keeps it alive; its own coroutine takes it out of the set.
      auto first = impl_->streams.begin();
      (*first)->Close();
      impl_->streams.erase(first);
    }
    if (pause.count() > 0 && connections() > 0) std::this_thread::sleep_for(pause);
  }
  if (!impl_->tasks.WaitFor(std::chrono::seconds(5))) {
    VM_LOG_ERROR("connections at {} do not end", impl_->listener->addr());
  }
}

}  // namespace vm::net
