#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <thread>
#include <memory>
#include <functional>
#include <atomic>

#include <array>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <latch>
#include <thread>

#include "lib/base/still_busy.h"
#include "lib/net/drop_pending.h"
#include "lib/net/event.h"
#include "lib/net/framed_stream.h"
#include "lib/net/handshake.h"
#include "lib/net/proxy_protocol.h"
#include "lib/net/run_many.h"
#include "lib/net/run_on.h"
#include "lib/net/runtime.h"
#include "lib/net/stream.h"
#include "lib/net/stream_errors.h"
#include "lib/net/stream_metrics.h"

namespace vm::net {
namespace {

using namespace std::chrono_literals;

asio::awaitable<void> RunServer(std::unique_ptr<Stream> stream, bool compress,
                                std::promise<Result<ServerSession>>* done) {
  static constexpr std::array<std::string_view, 2> kAccepted = {kHelloInsertRpc, kHelloSelect};
  auto session = co_await ServerHandshake(std::move(stream), kAccepted, compress, 5s);
  done->set_value(std::move(session));
}

asio::awaitable<std::string> Exchange(Stream* stream, std::string send, size_t want) {
  auto written = co_await stream->Write(AsBytes(send));
  if (!written.ok()) co_return written.error().message();
  ByteBuffer answer(want);
  auto status = co_await ReadFull(*stream, answer);
  if (!status.ok()) co_return status.error().message();
  co_return std::string(AsText(answer));
}

/// What AcceptProxyHeader makes of `bytes`: the peer and what follows, or the error.
asio::awaitable<std::string> AcceptProxied(asio::any_io_executor strand, std::string bytes) {
  auto [client, server] = MakePipe(strand);
  auto written = co_await client->Write(AsBytes(bytes));
  if (!written.ok()) co_return "no write";
  client->Close();
  auto accepted = co_await AcceptProxyHeader(std::move(server));
  if (!accepted.ok()) co_return accepted.error().message();
  ByteBuffer rest(100);
  auto n = co_await accepted.value()->Read(rest);
  co_return accepted.value()->remote_addr() + " " + std::string(AsText(ByteView(rest).first(n.ok() ? n.value() : 0)));
}

TEST(ProxyProtocolTest, NamesTheClientBehindTheProxy) {
  Runtime runtime(1);
  const auto strand = runtime.MakeStrand();
  const auto accept = [&](std::string bytes) { return BlockOn(strand, AcceptProxied(strand, std::move(bytes))); };
  const std::string signature("\r\n\r\n\0\r\nQUIT\n", 12);
  const std::string v4 = signature + std::string("\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x1f\x90\x00\x50", 16);
  EXPECT_EQ(accept(v4 + "GET /"), "1.2.3.4:8080 GET /");
  EXPECT_EQ(accept(signature + std::string("\x21\x21\0\x24", 4) + std::string(15, '\0') + "\x01" + std::string(16, '\0') +
                   std::string("\0\x50\0\x51", 4) + "x"),
            "[::1]:80 x");
  EXPECT_EQ(accept(signature + std::string("\x20\0\0\0", 4) + "x"), "pipe x");
  EXPECT_EQ(accept("GET / HTTP/1.1\r\n\r\n"), "unexpected proxy protocol header");
  EXPECT_EQ(accept(signature + std::string("\x11\x11\0\0", 4)), "unsupported proxy protocol version 1; want 2");
  EXPECT_EQ(accept(signature + std::string("\x21\x12\0\0", 4)), "unsupported proxy protocol command 1 for protocol 2");
  EXPECT_EQ(accept(signature + std::string("\x21\x31\0\0", 4)), "unsupported proxy protocol family 3; supported values: 1, 2");
  EXPECT_EQ(accept(signature + std::string("\x21\x11\xff\xff", 4)), "too big proxy protocol block: 65535 bytes; want 2048");
  for (size_t size = 0; size < v4.size(); ++size) EXPECT_TRUE(accept(v4.substr(0, size)).ends_with("EOF")) << size;
}

asio::awaitable<bool> EchoOnce(Listener* listener) {
  auto accepted = co_await listener->Accept();
  if (!accepted.ok()) co_return false;
  std::array<uint8_t, 3> bytes;
  auto read = co_await ReadFull(*accepted.value(), bytes);
  if (!read.ok()) co_return false;
  auto written = co_await accepted.value()->Write(bytes);
  co_return written.ok();
}

asio::awaitable<std::string> DialAndExchange(std::string addr, DialOptions options) {
  auto stream = co_await Dial(std::move(addr), std::move(options));
  if (!stream.ok()) co_return "no connection";
  co_return co_await Exchange(stream.value().get(), "abc", 3);
}

asio::awaitable<void> Discard(asio::awaitable<bool> task) { co_await std::move(task); }

TEST(StreamMetricsTest, CountsBothSides) {
  Runtime runtime(2);
  metrics::Registry registry;
  auto opened = Listener::Open(runtime.executor(), "127.0.0.1:0");
  ASSERT_TRUE(opened.ok());
  Listener& listener = *opened.value();
  listener.SetMetrics(
      std::make_shared<StreamMetrics>(registry, StreamMetrics::Side::kListener, "http", ":8480"));
  TaskGroup tasks("test");
  tasks.Spawn(runtime.MakeStrand(), Discard(EchoOnce(&listener)));
  DialOptions options;
  options.metrics = std::make_shared<StreamMetrics>(registry, StreamMetrics::Side::kDialer, "vmselect", "a:1");
  EXPECT_EQ(BlockOn(runtime.MakeStrand(), DialAndExchange(listener.addr(), options)), "abc");
  tasks.Wait();
  listener.Close();
  EXPECT_EQ(BlockOn(runtime.MakeStrand(), DialAndExchange("127.0.0.1:1", options)), "no connection");
  std::string text;
  registry.Write(text);
  for (const char* line :
       {"vm_tcplistener_accepts_total{name=\"http\", addr=\":8480\"} 1\n",
        "vm_tcplistener_read_bytes_total{name=\"http\", addr=\":8480\"} 3\n",
        "vm_tcplistener_conns{name=\"http\", addr=\":8480\"} 0\n",
        "vm_tcplistener_errors_total{name=\"http\", addr=\":8480\", type=\"accept\"} 0\n",
        "vm_tcpdialer_dials_total{name=\"vmselect\", addr=\"a:1\"} 2\n",
        "vm_tcpdialer_errors_total{name=\"vmselect\", addr=\"a:1\", type=\"dial\"} 1\n",
        "vm_tcpdialer_written_bytes_total{name=\"vmselect\", addr=\"a:1\"} 3\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST(HandshakeTest, ServerSendsTheExactBytes) {
  Runtime runtime(2);
  const auto strand = runtime.MakeStrand();
  auto [client, server] = MakePipe(strand);
  TaskGroup tasks("test");
  std::promise<Result<ServerSession>> done;
  tasks.Spawn(strand, RunServer(std::move(server), true, &done));
  EXPECT_EQ(BlockOn(strand, Exchange(client.get(), "vmselect.01", 2)), "ok");
  EXPECT_EQ(BlockOn(strand, Exchange(client.get(), std::string(1, '\0'), 3)), "ok\x01");
  EXPECT_EQ(BlockOn(strand, Exchange(client.get(), "ok", 0)), "");
  auto session = done.get_future().get();
  ASSERT_TRUE(session.ok());
  EXPECT_EQ(session.value().hello, "vmselect.01");
  EXPECT_TRUE(session.value().stream->compress_writes());
  EXPECT_FALSE(session.value().stream->compressed_reads());
  tasks.Wait();
}

TEST(HandshakeTest, ServerAnswersNothingToAnUnknownHello) {
  Runtime runtime(1);
  const auto strand = runtime.MakeStrand();
  auto [client, server] = MakePipe(strand);
  TaskGroup tasks("test");
  std::promise<Result<ServerSession>> done;
  tasks.Spawn(strand, RunServer(std::move(server), true, &done));
  EXPECT_EQ(BlockOn(strand, Exchange(client.get(), "GET / HTTP/", 1)), "EOF");
  EXPECT_FALSE(done.get_future().get().ok());
  tasks.Wait();
}

TEST(HandshakeTest, ServerIsQuietAboutHealthChecks) {
  Runtime runtime(1);
  const auto strand = runtime.MakeStrand();
  auto [client, server] = MakePipe(strand);
  TaskGroup tasks("test");
  std::promise<Result<ServerSession>> done;
  tasks.Spawn(strand, RunServer(std::move(server), true, &done));
  client->Close();
  auto session = done.get_future().get();
  ASSERT_TRUE(session.ok());
  EXPECT_EQ(session.value().stream, nullptr);
  tasks.Wait();
}

asio::awaitable<void> EchoServer(Listener* listener) {
  static constexpr std::array<std::string_view, 1> kAccepted = {kHelloInsertLegacy};
  auto accepted = co_await listener->Accept();
  if (!accepted.ok()) co_return;
  auto session = co_await ServerHandshake(std::move(accepted).value(), kAccepted, true, 5s);
  if (!session.ok()) co_return;
  FramedStream& stream = *session.value().stream;
  std::array<uint8_t, 8> size;
  for (;;) {
    auto more = co_await stream.ReadFullOrEof(size);
    if (!more.ok() || !more.value()) co_return;
    ByteBuffer body(LoadBigEndian<uint64_t>(size.data()));
    auto read = co_await stream.ReadFull(body);
    if (!read.ok()) co_return;
    auto w1 = co_await stream.Write(size);
    auto w2 = co_await stream.Write(body);
    auto w3 = co_await stream.Flush();
    if (!w1.ok() || !w2.ok() || !w3.ok()) co_return;
  }
}

asio::awaitable<Status> EchoClient(std::string addr, std::vector<size_t> sizes) {
  DialOptions options;
  auto dialed = co_await Dial(std::move(addr), options);
  if (!dialed.ok()) co_return std::move(dialed).error();
  auto shaken =
      co_await ClientHandshake(std::move(dialed).value(), kHelloInsertLegacy, true, 5s);
  if (!shaken.ok()) co_return std::move(shaken).error();
  FramedStream& stream = *shaken.value();
  for (const size_t size : sizes) {
    ByteBuffer message;
    AppendBigEndian(message, static_cast<uint64_t>(size));
    for (size_t i = 0; i < size; ++i) message.push_back(static_cast<uint8_t>(i * 2654435761u >> 13));
    VM_CO_TRY(co_await stream.Write(message));
    VM_CO_TRY(co_await stream.Flush());
    ByteBuffer answer(message.size());
    VM_CO_TRY(co_await stream.ReadFull(answer));
    if (answer != message) co_return Error(ErrorCode::kCorrupted, "the echo differs");
  }
  co_return Ok();
}

TEST(TcpTest, CompressedMessagesTravelOverLoopback) {
  Runtime runtime(2);
  auto listener = Listener::Open(runtime.executor(), "127.0.0.1:0");
  ASSERT_TRUE(listener.ok());
  TaskGroup tasks("test");
  tasks.Spawn(runtime.MakeStrand(), EchoServer(listener.value().get()));
  const std::vector<size_t> sizes = {0, 10, 100'000, 3'000'000, 1};
  Status status =
      BlockOn(runtime.MakeStrand(), EchoClient(listener.value()->addr(), sizes));
  EXPECT_TRUE(status.ok()) << status.error().message();
  tasks.Wait();
}

/// A connection of which the client breaks off in the middle: reset, not closed. What the server reads.
asio::awaitable<Result<size_t>> ReadAfterReset(Listener* listener) {
  const std::string addr = listener->addr();
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(addr.substr(addr.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(client, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  auto accepted = co_await listener->Accept();
  const linger at_once{1, 0};
  ::setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(client);
  if (!accepted.ok()) co_return std::move(accepted).error();
  ByteBuffer bytes(10);
  co_return co_await accepted.value()->Read(bytes);
}

TEST(TcpTest, AResetIsNoEnd) {
  Runtime runtime(2);
  auto listener = Listener::Open(runtime.executor(), "127.0.0.1:0");
  ASSERT_TRUE(listener.ok());
  const Result<size_t> read = BlockOn(runtime.MakeStrand(), ReadAfterReset(listener.value().get()));
  ASSERT_FALSE(read.ok()) << read.value();
  EXPECT_NE(read.error().message().find("reset by peer"), std::string::npos) << read.error().message();
}

asio::awaitable<void> HoldOne(Listener* listener, std::unique_ptr<Stream>* held,
                              std::promise<void>* done) {
  auto accepted = co_await listener->Accept();
  if (accepted.ok()) *held = std::move(accepted).value();
  done->set_value();
}

asio::awaitable<Status> ReadWithDeadline(std::string addr) {
  DialOptions options;
  auto dialed = co_await Dial(std::move(addr), options);
  if (!dialed.ok()) co_return std::move(dialed).error();
  dialed.value()->SetDeadline(Deadline::After(20ms));
  std::array<uint8_t, 1> byte;
  auto n = co_await dialed.value()->Read(byte);
  if (!n.ok()) co_return std::move(n).error();
  co_return Ok();
}

TEST(TcpTest, ReadsEndAtTheDeadline) {
  Runtime runtime(2);
  auto listener = Listener::Open(runtime.executor(), "127.0.0.1:0");
  ASSERT_TRUE(listener.ok());
  TaskGroup tasks("test");
  std::unique_ptr<Stream> held;
  std::promise<void> done;
  tasks.Spawn(runtime.MakeStrand(), HoldOne(listener.value().get(), &held, &done));
  const Status status = BlockOn(runtime.MakeStrand(), ReadWithDeadline(listener.value()->addr()));
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(IsTimeout(status.error())) << status.error().message();
  EXPECT_TRUE(IsTimeout(Error(status.error()).WithContext("cannot read the answer")));
  EXPECT_FALSE(IsUnexpectedEof(status.error()));
  done.get_future().get();
  tasks.Wait();
}

/// Deadlines that come and go: only the last one counts.
asio::awaitable<Status> ReadAfterManyDeadlines(std::string addr) {
  DialOptions options;
  auto dialed = co_await Dial(std::move(addr), options);
  if (!dialed.ok()) co_return std::move(dialed).error();
  Stream& stream = *dialed.value();
  for (const auto timeout : {5ms, 3ms, 60'000ms}) stream.SetDeadline(Deadline::After(timeout));
  co_await SleepFor(20ms);
  auto written = co_await stream.Write(AsBytes("x"));
  if (!written.ok()) co_return written;
  stream.SetDeadline(Deadline());
  co_await SleepFor(10ms);
  stream.SetDeadline(Deadline::After(30ms));
  std::array<uint8_t, 1> byte;
  auto n = co_await stream.Read(byte);
  if (!n.ok()) co_return std::move(n).error();
  co_return Ok();
}

TEST(TcpTest, TheLastDeadlineCounts) {
  Runtime runtime(2);
  auto listener = Listener::Open(runtime.executor(), "127.0.0.1:0");
  ASSERT_TRUE(listener.ok());
  TaskGroup tasks("test");
  std::unique_ptr<Stream> held;
  std::promise<void> done;
  tasks.Spawn(runtime.MakeStrand(), HoldOne(listener.value().get(), &held, &done));
  const auto from = std::chrono::steady_clock::now();
  const Status status = BlockOn(runtime.MakeStrand(), ReadAfterManyDeadlines(listener.value()->addr()));
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(IsTimeout(status.error())) << status.error().message();
  EXPECT_EQ(status.error().message().find("cannot write"), std::string::npos) << status.error().message();
  EXPECT_GE(std::chrono::steady_clock::now() - from, 60ms);
  done.get_future().get();
  tasks.Wait();
}

asio::awaitable<void> ReceiveAll(Listener* listener, size_t size, ByteBuffer* received) {
  auto accepted = co_await listener->Accept();
  if (!accepted.ok()) co_return;
  co_await SleepFor(20ms);  // Until the writer's socket is full.
  received->resize(size);
  auto status = co_await ReadFull(*accepted.value(), *received);
  if (!status.ok()) received->clear();
}

asio::awaitable<Status> SendBoth(std::string addr, const ByteBuffer* head, const ByteBuffer* body) {
  DialOptions options;
  auto dialed = co_await Dial(std::move(addr), options);
  if (!dialed.ok()) co_return std::move(dialed).error();
  co_return co_await dialed.value()->WriteBoth(*head, *body);
}

TEST(TcpTest, WritesTwoPiecesInOrder) {
  for (const auto& [head_size, body_size] : {std::pair<size_t, size_t>{0, 3}, {3, 0}, {3, 4}, {20'000'000, 5}, {5, 20'000'000}}) {
    ByteBuffer head(head_size), body(body_size);
    for (size_t i = 0; i < head_size; ++i) head[i] = static_cast<uint8_t>(i * 7);
    for (size_t i = 0; i < body_size; ++i) body[i] = static_cast<uint8_t>(i * 5 + 1);
    Runtime runtime(2);
    auto listener = Listener::Open(runtime.executor(), "127.0.0.1:0");
    ASSERT_TRUE(listener.ok());
    TaskGroup tasks("test");
    ByteBuffer received;
    tasks.Spawn(runtime.MakeStrand(), ReceiveAll(listener.value().get(), head_size + body_size, &received));
    const Status status = BlockOn(runtime.MakeStrand(), SendBoth(listener.value()->addr(), &head, &body));
    EXPECT_TRUE(status.ok()) << status.error().message();
    tasks.Wait();
    head.insert(head.end(), body.begin(), body.end());
    EXPECT_TRUE(received == head) << head_size << " and " << body_size;
  }
}

asio::awaitable<int> CountSignals(Event* event, std::atomic<bool>* may_end) {
  int count = 0;
  while (!*may_end) {
    co_await event->Wait();
    ++count;
  }
  co_return count;
}

asio::awaitable<int> WaitOnce(Event* event) {
  co_await event->Wait();
  co_return 1;
}

TEST(EventTest, KeepsASignalThatNobodyWaitsFor) {
  Runtime runtime(2);
  Event event;
  event.Set();
  event.Set();
  EXPECT_EQ(BlockOn(runtime.MakeStrand(), WaitOnce(&event)), 1);
  std::atomic<bool> may_end{false};
  auto count = std::async(std::launch::async, [&] { return BlockOn(runtime.MakeStrand(), CountSignals(&event, &may_end)); });
  EXPECT_EQ(count.wait_for(20ms), std::future_status::timeout) << "two signals at once are one";
  may_end = true;
  event.Set();
  EXPECT_EQ(count.get(), 1);
}

asio::awaitable<int> PassOn(Event* in, Event* out) {
  int count = 0;
  while (count < 2000) {
    co_await in->Wait();
    ++count;
    out->Set();
  }
  co_return count;
}

TEST(EventTest, LosesNoSignalOfAnotherThread) {
  Runtime runtime(3, Threads::kComputeToo);
  Event ping, pong;
  auto first = std::async(std::launch::async, [&] { return BlockOn(runtime.executor(), PassOn(&ping, &pong)); });
  ping.Set();
  EXPECT_EQ(BlockOn(runtime.executor(), PassOn(&pong, &ping)), 2000);
  EXPECT_EQ(first.get(), 2000);
}

/// Work that computes until it is let go.
void ComputeUntil(const std::atomic<bool>& may_end) {
  while (!may_end) StillBusy();
}

TEST(RuntimeTest, AnotherThreadListensWhileOneComputes) {
  Runtime runtime(4, Threads::kComputeToo);
  std::atomic<bool> may_end{false};
  std::latch computing(3);
  for (int i = 0; i < 3; ++i) {
    asio::post(runtime.executor(), [&] {
      computing.count_down();
      ComputeUntil(may_end);
    });
  }
  computing.wait();
  // The fourth thread serves sockets and timers.
  auto listener = Listener::Open(runtime.executor(), "127.0.0.1:0");
  ASSERT_TRUE(listener.ok());
  TaskGroup tasks("test");
  tasks.Spawn(runtime.MakeStrand(), EchoServer(listener.value().get()));
  Status status = BlockOn(runtime.MakeStrand(), EchoClient(listener.value()->addr(), {10, 100'000}));
  EXPECT_TRUE(status.ok()) << status.error().message();
  tasks.Wait();
  may_end = true;
  runtime.Stop();
}

TEST(RuntimeTest, WhatIsReadyWaitsForAThreadThatComes) {
  Runtime runtime(2, Threads::kComputeToo);
  std::atomic<bool> may_end{false};
  std::atomic<int> done{0};
  std::latch computing(2);
  for (int i = 0; i < 2; ++i) {
    asio::post(runtime.executor(), [&] {
      computing.count_down();
      ComputeUntil(may_end);
      // What a handler posts is done after it, by the same thread or another one.
      asio::defer(runtime.executor(), [&] { ++done; });
    });
  }
  computing.wait();
  std::latch all(10);
  for (int i = 0; i < 10; ++i) {
    asio::post(runtime.executor(), [&] {
      ++done;
      all.count_down();
    });
  }
  may_end = true;
  all.wait();
  while (done < 12) std::this_thread::yield();
  runtime.Stop();
}

TEST(RuntimeTest, AnotherThreadListensWhileOneIsStuck) {
  // Long enough that nobody looks often any more.
  for (const auto idle : {std::chrono::milliseconds(0), std::chrono::milliseconds(1500)}) {
    Runtime runtime(3, Threads::kComputeToo);
    std::this_thread::sleep_for(idle);
    std::latch stuck(2), may_end(1);
    for (int i = 0; i < 2; ++i) {
      asio::post(runtime.executor(), [&] {
        stuck.count_down();
        may_end.wait();
      });
    }
    stuck.wait();
    auto listener = Listener::Open(runtime.executor(), "127.0.0.1:0");
    ASSERT_TRUE(listener.ok());
    TaskGroup tasks("test");
    tasks.Spawn(runtime.MakeStrand(), EchoServer(listener.value().get()));
    Status status = BlockOn(runtime.MakeStrand(), EchoClient(listener.value()->addr(), {10, 100'000}));
    EXPECT_TRUE(status.ok()) << status.error().message();
    tasks.Wait();
    may_end.count_down();
    runtime.Stop();
  }
}

TEST(RuntimeTest, ManyThreadsWorkAtOnce) {
  Runtime runtime(4, Threads::kComputeToo);
  // Each waits for all the others, as work that is short never would.
  std::latch all(4);
  for (int i = 0; i < 4; ++i) {
    asio::post(runtime.executor(), [&] {
      all.count_down();
      while (!all.try_wait()) StillBusy();
    });
  }
  all.wait();
  runtime.Stop();
}

TEST(RuntimeTest, StopsWhileThreadsListenComputeAndSleep) {
  std::atomic<bool> may_end{false};
  Runtime runtime(4, Threads::kComputeToo);
  std::latch computing(2);
  for (int i = 0; i < 2; ++i) {
    asio::post(runtime.executor(), [&] {
      computing.count_down();
      ComputeUntil(may_end);
    });
  }
  computing.wait();
  std::thread release([&] {
    std::this_thread::sleep_for(20ms);
    may_end = true;
  });
  runtime.Stop();
  release.join();
  EXPECT_TRUE(may_end) << "Stop waits for what runs";
}

asio::awaitable<Status> ReadMessage(Stream* stream) {
  std::array<uint8_t, 4> message;
  co_return co_await ReadFull(*stream, message);
}

/// Counts its copies that live.
struct Counted {
  explicit Counted(std::atomic<int>& count_in) : count(count_in) { ++count; }
  ~Counted() { --count; }
  std::atomic<int>& count;
};

asio::awaitable<void> WaitForEver(std::atomic<int>& living) {
  const Counted counted(living);
  asio::steady_timer timer(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> WorkOnPool(std::atomic<int>& living, Pool& pool) {
  const Counted counted(living);
  auto work = [&]() noexcept {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return true;
  };
  co_await RunOn(pool, work);
}

TEST(RuntimeTest, CoroutinesThatHaveNotEndedAreDroppedInTime) {
  std::atomic<int> living{0};
  for (const Threads kind : {Threads::kOnlyIo, Threads::kComputeToo}) {
    Runtime runtime(2, kind);
    Pool pool("test", 1);
    asio::steady_timer timer(runtime.executor(), asio::steady_timer::time_point::max());  // Destroyed later.
    timer.async_wait([](boost::system::error_code) {});
    for (int i = 0; i < 3; ++i) asio::co_spawn(runtime.MakeStrand(), WaitForEver(living), asio::detached);
    asio::co_spawn(runtime.executor(), WaitForEver(living), asio::detached);
    asio::co_spawn(runtime.MakeStrand(), WorkOnPool(living, pool), asio::detached);
    while (living < 5) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    runtime.Stop();
    pool.Stop();
    EXPECT_EQ(living, 5);
    DropPending(runtime);
    EXPECT_EQ(living, 0);
  }
}

TEST(StreamErrorsTest, TellAPeerThatLeftInsideAMessage) {
  Runtime runtime(1);
  const auto strand = runtime.MakeStrand();
  auto [client, server] = MakePipe(strand);
  const ByteBuffer half = {1, 2};
  ASSERT_TRUE(BlockOn(strand, client->Write(half)).ok());
  client->Close();
  Status status = BlockOn(strand, ReadMessage(server.get()));
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(IsUnexpectedEof(status.error())) << status.error().message();
  EXPECT_FALSE(IsTimeout(status.error()));
  status = BlockOn(strand, ReadMessage(server.get()));
  ASSERT_FALSE(status.ok());
  EXPECT_FALSE(IsUnexpectedEof(status.error())) << "it had left before";
  EXPECT_FALSE(IsTimeout(Error(ErrorCode::kUnavailable, "cannot dial timeout.example.com:80: refused")));
}

TEST(TcpTest, CloseEndsAccept) {
  Runtime runtime(1);
  auto listener = Listener::Open(runtime.executor(), "127.0.0.1:0");
  ASSERT_TRUE(listener.ok());
  TaskGroup tasks("test");
  std::unique_ptr<Stream> held;
  std::promise<void> done;
  tasks.Spawn(runtime.MakeStrand(), HoldOne(listener.value().get(), &held, &done));
  listener.value()->Close();
  tasks.Wait();
  EXPECT_EQ(held, nullptr);
}

asio::awaitable<int> Compute(Pool* pool) {
  auto work = []() noexcept { return 42; };
  co_return co_await RunOn(*pool, work);
}

TEST(RunOnTest, ReturnsTheResultOfThePool) {
  Runtime runtime(1);
  Pool pool("test", 2);
  EXPECT_EQ(BlockOn(runtime.MakeStrand(), Compute(&pool)), 42);
}

asio::awaitable<size_t> CountTogether(Pool& pool, size_t count) {
  const auto sum = std::make_shared<std::atomic<size_t>>(0);
  std::function<void()> work = [sum] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    sum->fetch_add(1);
  };
  co_await RunMany(pool, count, std::move(work));
  co_return sum->load();
}

TEST(RunManyTest, ResumesWhenAllAreDone) {
  Runtime runtime(2);
  Pool pool("test", 3);
  for (const size_t count : {1u, 2u, 3u, 20u}) {
    EXPECT_EQ(BlockOn(runtime.MakeStrand(), CountTogether(pool, count)), count);
  }
}

TEST(NormalizeAddrTest, AddsThePort) {
  EXPECT_EQ(NormalizeAddr("host", 8400).value(), "host:8400");
  EXPECT_EQ(NormalizeAddr("host:1", 8400).value(), "host:1");
  EXPECT_FALSE(NormalizeAddr("host:x", 8400).ok());
  EXPECT_FALSE(NormalizeAddr("", 8400).ok());
}

TEST(ListenerTest, ReadsPortsStrictly) {
  Runtime runtime(1);
  for (const char* addr : {"127.0.0.1:", "127.0.0.1:0", ":", ""}) {
    auto listener = Listener::Open(runtime.executor(), addr);
    ASSERT_TRUE(listener.ok()) << addr << ": " << listener.error().message();
    EXPECT_NE(listener.value()->port(), 0) << addr;
  }
  for (const char* addr : {"127.0.0.1:99999", ":99999", ":x", "127.0.0.1"}) {
    EXPECT_FALSE(Listener::Open(runtime.executor(), addr).ok()) << addr;
  }
}

}  // namespace
}  // namespace vm::net
