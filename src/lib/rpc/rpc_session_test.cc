#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <atomic>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "lib/net/handshake.h"
#include "lib/net/run_on.h"
#include "lib/rpc/insert_codec.h"
#include "lib/rpc/insert_conn.h"
#include "lib/rpc/insert_server.h"
#include "lib/rpc/select_client.h"
#include "lib/rpc/select_server.h"

namespace vm::rpc {
namespace {

using net::asio::awaitable;

class RowKeeper : public InsertSink {
 public:
  awaitable<Status> OnRows(ByteBuffer rows) override {
    if (fails) co_return Error(ErrorCode::kIo, "no room for rows");
    packets.push_back(std::move(rows));
    co_return Ok();
  }
  awaitable<Status> OnMetadata(ByteBuffer rows) override {
    metadata.push_back(std::move(rows));
    co_return Ok();
  }
  bool IsReadOnly() const override { return read_only; }

  std::atomic<bool> read_only{false};
  std::atomic<bool> fails{false};
  std::vector<ByteBuffer> packets;
  std::vector<ByteBuffer> metadata;
};

class RepeatedBlock : public BlockCursor {
 public:
  explicit RepeatedBlock(size_t count) : left_(count) {
    const std::vector<int64_t> timestamps = {1000, 2000};
    const std::vector<int64_t> values = {5, 7};
    block_.header = model::EncodeBlock({}, timestamps, values, 0, 64, timestamps_data_, values_data_);
    block_.timestamps_data = timestamps_data_;
    block_.values_data = values_data_;
  }
  Result<bool> Next() override { return left_-- > 0; }
  ByteView metric_name() const override { return AsBytes(std::string_view("name")); }
  const model::EncodedBlock& block() const override { return block_; }

 private:
  size_t left_;
  ByteBuffer timestamps_data_, values_data_;
  model::EncodedBlock block_;
};

class FixedHandler : public SelectHandler {
 public:
  Result<std::unique_ptr<BlockCursor>> Search(const model::SearchQuery& query, const Deadline&) override {
    if (query.tag_filter_groups.empty()) {
      return Error(ErrorCode::kInvalidInput, "missing tag filters");
    }
    return std::unique_ptr<BlockCursor>(std::make_unique<RepeatedBlock>(blocks));
  }
  Result<std::vector<ByteBuffer>> SearchMetricNames(const model::SearchQuery&, const Deadline& deadline) override {
    while (wait_for_deadline && !deadline.Expired()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (wait_for_deadline) return Error(ErrorCode::kCancelled, "deadline exceeded");
    return std::vector<ByteBuffer>{ByteBuffer{1, 2}};
  }
  Result<std::vector<std::string>> SearchLabelNames(const model::SearchQuery&, size_t,
                                                    const Deadline&) override {
    return std::vector<std::string>{"a", "", "b"};
  }
  Result<std::vector<std::string>> SearchLabelValues(const model::SearchQuery&, std::string_view name,
                                                     size_t, const Deadline&) override {
    return std::vector<std::string>{std::string(name)};
  }
  Result<std::vector<std::string>> SearchTagValueSuffixes(const TagValueSuffixesRequest& request,
                                                          const Deadline&) override {
    return std::vector<std::string>{"", request.tag_key + request.delimiter};
  }
  Result<uint64_t> SeriesCount(model::Tenant tenant, const Deadline&) override {
    return uint64_t{tenant.account_id};
  }
  Result<model::TsdbStatus> GetTsdbStatus(const TsdbStatusRequest& request, const Deadline&) override {
    model::TsdbStatus status;
    status.total_series = request.top_n;
    status.series_count_by_focus_label_value = {{request.focus_label, 3}, {"", 1}};
    status.query_stats_by_metric_name = {{"up", 1700000000, 4}};
    return status;
  }
  Result<uint64_t> DeleteSeries(const model::SearchQuery& query, const Deadline&) override {
    return uint64_t{query.max_metrics};
  }
  Status RegisterMetricNames(std::span<const model::MetricRow> names, const Deadline&) override {
    for (const auto& name : names) registered.emplace_back(AsText(name.metric_name_raw), name.timestamp);
    return Ok();
  }
  Result<std::vector<model::Tenant>> SearchTenants(const model::TimeRange&, const Deadline&) override {
    return std::vector<model::Tenant>{{0, 0}, {12, 34}};
  }
  Result<model::MetricNamesUsageStats> GetMetricNamesUsageStats(const MetricNamesUsageStatsRequest& request,
                                                                const Deadline&) override {
    model::MetricNamesUsageStats stats;
    stats.max_size_bytes = static_cast<uint64_t>(-request.le);
    stats.records = {{request.match_pattern, 1, 2}};
    return stats;
  }
  Status ResetMetricNamesStats(const Deadline&) override {
    ++resets;
    return Ok();
  }
  Result<std::vector<model::MetadataRow>> SearchMetadata(const model::Tenant* tenant, size_t,
                                                         std::string_view name,
                                                         const Deadline&) override {
    model::MetadataRow row;
    if (tenant != nullptr) row.tenant = *tenant;
    row.name = name;
    return std::vector<model::MetadataRow>{row};
  }

  size_t blocks = 1;
  std::atomic<bool> wait_for_deadline{false};
  std::vector<std::pair<std::string, int64_t>> registered;
  int resets = 0;
};

template <class Serve>
awaitable<void> AcceptAll(net::Listener& listener, net::TaskGroup& tasks, Serve& serve) {
  for (;;) {
    auto stream = co_await listener.Accept();
    if (!stream.ok()) co_return;
    auto executor = stream.value()->executor();
    tasks.Spawn(executor, serve(std::move(stream).value()));
  }
}

// A listening server for one test.
template <class Serve>
class TestServer {
 public:
  TestServer(net::Runtime& runtime, Serve serve) : tasks_("test server"), serve_(std::move(serve)) {
    auto listener = net::Listener::Open(runtime.executor(), "127.0.0.1:0");
    listener_ = std::move(listener).value();
    tasks_.Spawn(runtime.MakeStrand(), AcceptAll(*listener_, tasks_, serve_));
  }
  ~TestServer() {
    listener_->Close();
    tasks_.Wait();
  }
  std::string addr() const { return listener_->addr(); }

 private:
  net::TaskGroup tasks_;
  Serve serve_;
  std::unique_ptr<net::Listener> listener_;
};

template <class Hello>
awaitable<bool> SendAll(std::string addr, Hello check, InsertConnOptions options = {}) {
  auto conn = co_await InsertConn::Dial(addr, options);
  if (!conn.ok()) {
    ADD_FAILURE() << conn.error().message();
    co_return false;
  }
  co_await check(*conn.value());
  co_return true;
}

TEST(InsertSessionTest, CarriesRowsAndTheReadOnlyState) {
  net::Runtime runtime(2);
  RowKeeper sink;
  auto serve = [&](std::unique_ptr<net::Stream> s) {
    return ServeInsert(std::move(s), sink, InsertServerOptions());
  };
  TestServer server(runtime, serve);
  const ByteBuffer rows = {1, 2, 3};
  auto check = [&](InsertConn& conn) -> awaitable<void> {
    EXPECT_FALSE(conn.legacy());
    auto sent = co_await conn.Send(kWriteRows, rows);
    EXPECT_TRUE(sent.ok() && sent.value() == InsertAnswer::kAccepted);
    sent = co_await conn.Send(kWriteMetadata, rows);
    EXPECT_TRUE(sent.ok() && sent.value() == InsertAnswer::kAccepted);
    sink.read_only = true;
    sent = co_await conn.Send(kWriteRows, rows);
    EXPECT_TRUE(sent.ok() && sent.value() == InsertAnswer::kReadOnly);
    sink.read_only = false;
    sent = co_await conn.Send("nothing_v1", rows);
    EXPECT_TRUE(sent.ok() && sent.value() == InsertAnswer::kUnsupported);
  };
  EXPECT_TRUE(net::BlockOn(runtime.MakeStrand(), SendAll(server.addr(), check)));
  EXPECT_EQ(sink.packets, std::vector<ByteBuffer>{rows});
  EXPECT_EQ(sink.metadata, std::vector<ByteBuffer>{rows});
}

model::SearchQuery AnyQuery() {
  model::SearchQuery query;
  query.tag_filter_groups.emplace_back();
  return query;
}

CallResult Ask(net::Runtime& runtime, SelectClient& client, const SelectArgs& args) {
  return net::BlockOn(runtime.MakeStrand(),
                      client.Call(args, Deadline::After(std::chrono::seconds(10))));
}

/// Keeps what a server writes while it passes through.
class CountingStream : public net::Stream {
 public:
  CountingStream(std::unique_ptr<net::Stream> inner, std::atomic<size_t>& written)
      : inner_(std::move(inner)), written_(written) {}
  awaitable<Result<size_t>> Read(std::span<uint8_t> dst) override { return inner_->Read(dst); }
  awaitable<Status> Write(ByteView src) override {
    written_ += src.size();
    return inner_->Write(src);
  }
  void SetDeadline(const Deadline& deadline) override { inner_->SetDeadline(deadline); }
  void Close() override { inner_->Close(); }
  net::asio::any_io_executor executor() override { return inner_->executor(); }
  std::string remote_addr() const override { return inner_->remote_addr(); }
  std::string local_addr() const override { return inner_->local_addr(); }

 private:
  const std::unique_ptr<net::Stream> inner_;
  std::atomic<size_t>& written_;
};

TEST(SelectServerTest, CompressesOnlyWhatLeavesTheMachine) {
  const auto written = [](bool to_loopback, bool disable) {
    net::Runtime runtime(2);
    FixedHandler handler;
    handler.blocks = 1000;
    SelectServerOptions options;
    options.compress_to_loopback = to_loopback;
    options.disable_compression = disable;
    SelectServer select_server(handler, options);
    std::atomic<size_t> bytes{0};
    auto serve = [&](std::unique_ptr<net::Stream> s) {
      return select_server.Serve(std::make_unique<CountingStream>(std::move(s), bytes));
    };
    {
      TestServer server(runtime, serve);
      SelectClient client(runtime, server.addr(), SelectClientOptions());
      const auto result = Ask(runtime, client, SearchRequest{AnyQuery()});
      EXPECT_EQ(result.outcome, CallOutcome::kOk) << result.message;
      EXPECT_EQ(result.reply.size(), 1000u);
    }
    return bytes.load();
  };
  const size_t plain = written(false, false);
  EXPECT_GT(plain, 50'000u);
  EXPECT_LT(written(true, false), plain / 5);
  EXPECT_EQ(written(true, true), plain);
}

/// Full after its first item until it is closed.
class FullSink : public ItemSink {
 public:
  Status Add(ByteView) override {
    ++items;
    return Ok();
  }
  bool IsFull() const override { return true; }
  awaitable<Status> WaitForRoom() override {
    while (!is_closed) co_await net::SleepFor(std::chrono::milliseconds(5));
    co_return Error(ErrorCode::kCancelled, "nobody reads");
  }

  std::atomic<size_t> items{0};
  std::atomic<bool> is_closed{false};
};

TEST(SelectClientTest, AFullSinkMakesTheNodeWait) {
  net::Runtime runtime(2);
  FixedHandler handler;
  handler.blocks = 10'000'000;  // More than buffers of sockets take.
  SelectServer select_server(handler, SelectServerOptions());
  std::atomic<size_t> written{0};
  auto serve = [&](std::unique_ptr<net::Stream> s) {
    return select_server.Serve(std::make_unique<CountingStream>(std::move(s), written));
  };
  TestServer server(runtime, serve);
  SelectClient client(runtime, server.addr(), SelectClientOptions());
  const auto sink = std::make_shared<FullSink>();
  const SelectArgs args = SearchRequest{AnyQuery()};
  auto asking = std::async(std::launch::async, [&] {
    return net::BlockOn(runtime.MakeStrand(), client.Call(args, Deadline::After(std::chrono::seconds(60)), sink));
  });
  size_t before = 0;
  do {
    before = written;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  } while (before != written || before == 0);
  EXPECT_EQ(sink->items, 1u);
  EXPECT_LT(written, 200u << 20);
  EXPECT_EQ(asking.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  sink->is_closed = true;
  const auto result = asking.get();
  EXPECT_EQ(result.outcome, CallOutcome::kRefused);
  ASSERT_TRUE(result.refusal);
  EXPECT_EQ(result.refusal->message(), "nobody reads");
}

/// A port whose connections are never accepted: what comes after the first ones times out.
class SilentPort {
 public:
  SilentPort() : listening_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in addr{};
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(addr);
    auto* const any = reinterpret_cast<sockaddr*>(&addr);
    EXPECT_EQ(bind(listening_, any, size), 0);
    EXPECT_EQ(listen(listening_, 0), 0);
    EXPECT_EQ(getsockname(listening_, any, &size), 0);
    port_ = ntohs(addr.sin_port);
    for (int i = 0; i < 4; ++i) {
      waiting_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      static_cast<void>(connect(waiting_.back(), any, size));
    }
  }
  ~SilentPort() { Close(); }
  void Close() {
    for (const int fd : waiting_) close(fd);
    waiting_.clear();
    if (listening_ >= 0) close(std::exchange(listening_, -1));
  }
  std::string addr() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int listening_;
  std::vector<int> waiting_;
  uint16_t port_ = 0;
};

TEST(SelectClientTest, OnlyOneCallASecondWaitsForANodeThatIsSilent) {
  using Clock = std::chrono::steady_clock;
  net::Runtime runtime(2);
  SilentPort port;
  SelectClientOptions options;
  options.dial.timeout = std::chrono::milliseconds(500);
  SelectClient client(runtime, port.addr(), options);
  const auto first = Ask(runtime, client, TenantsRequest{});
  EXPECT_EQ(first.outcome, CallOutcome::kNoConnection);
  const auto from = Clock::now();
  for (int i = 0; i < 10; ++i) {
    const auto next = Ask(runtime, client, TenantsRequest{});
    EXPECT_EQ(next.outcome, CallOutcome::kNoConnection);
    EXPECT_EQ(next.message, first.message);
  }
  EXPECT_LT(Clock::now() - from, std::chrono::milliseconds(400));
  port.Close();
  // A refusal is told at once, so from then on each call asks again.
  CallResult refused;
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    refused = Ask(runtime, client, TenantsRequest{});
  } while (refused.message == first.message && Clock::now() - from < std::chrono::seconds(10));
  EXPECT_NE(refused.message.find("refused"), std::string::npos) << refused.message;
}

// With and without compression.
class SelectSessionTest : public testing::TestWithParam<bool> {
 protected:
  static SelectServerOptions Options() {
    SelectServerOptions options;
    options.compress_to_loopback = GetParam();
    return options;
  }
};
INSTANTIATE_TEST_SUITE_P(Streams, SelectSessionTest, testing::Bool());

TEST_P(SelectSessionTest, AnswersEveryCall) {
  net::Runtime runtime(2);
  FixedHandler handler;
  SelectServer select_server(handler, Options());
  auto serve = [&](std::unique_ptr<net::Stream> s) { return select_server.Serve(std::move(s)); };
  TestServer server(runtime, serve);
  SelectClient client(runtime, server.addr(), SelectClientOptions());

  handler.blocks = 20000;
  auto result = Ask(runtime, client, SearchRequest{AnyQuery()});
  EXPECT_EQ(result.outcome, CallOutcome::kOk) << result.message;
  EXPECT_EQ(result.reply.size(), 20000u);

  result = Ask(runtime, client, SearchRequest{});
  EXPECT_EQ(result.outcome, CallOutcome::kRemoteError);
  EXPECT_EQ(result.reply.error, "missing tag filters");

  result = Ask(runtime, client, SearchMetricNamesRequest{AnyQuery()});
  EXPECT_EQ(result.reply.size(), 1u);
  result = Ask(runtime, client, LabelNamesRequest{AnyQuery(), 0});
  EXPECT_EQ(result.reply.size(), 2u);
  result = Ask(runtime, client, LabelValuesRequest{"job", AnyQuery(), 0});
  ASSERT_EQ(result.reply.size(), 1u);
  EXPECT_EQ(AsText(result.reply.item(0)), "job");
  result = Ask(runtime, client, SeriesCountRequest{model::Tenant{7, 0}});
  EXPECT_EQ(result.reply.number, 7u);
  SearchMetadataRequest metadata;
  metadata.tenant = model::Tenant{1, 2};
  metadata.metric_name = "up";
  result = Ask(runtime, client, metadata);
  ASSERT_EQ(result.reply.size(), 1u);

  TagValueSuffixesRequest suffixes;
  suffixes.tag_key = "k";
  result = Ask(runtime, client, suffixes);
  ASSERT_EQ(result.reply.size(), 2u);
  EXPECT_EQ(AsText(result.reply.item(1)), "k.");
  TsdbStatusRequest status_request{AnyQuery(), "job", 3};
  result = Ask(runtime, client, status_request);
  ASSERT_EQ(result.reply.size(), 1u) << result.message;
  const auto status = UnmarshalTsdbStatus(result.reply.item(0));
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status.value(), handler.GetTsdbStatus(status_request, Deadline()).value());
  auto query = AnyQuery();
  query.max_metrics = 77;
  result = Ask(runtime, client, DeleteSeriesRequest{query});
  EXPECT_EQ(result.reply.number, 77u);
  RegisterMetricNamesRequest names;
  names.names = {{ByteBuffer{'a'}, 5}, {ByteBuffer{'b', 'c'}, -6}};
  result = Ask(runtime, client, names);
  EXPECT_EQ(result.outcome, CallOutcome::kOk) << result.message;
  EXPECT_EQ(handler.registered, (std::vector<std::pair<std::string, int64_t>>{{"a", 5}, {"bc", -6}}));
  result = Ask(runtime, client, TenantsRequest{});
  ASSERT_EQ(result.reply.size(), 2u);
  EXPECT_EQ(AsText(result.reply.item(1)), "12:34");
  MetricNamesUsageStatsRequest usage;
  usage.le = -9;
  usage.match_pattern = "up.*";
  result = Ask(runtime, client, usage);
  ASSERT_EQ(result.reply.size(), 1u) << result.message;
  const auto stats = UnmarshalMetricNamesUsageStats(result.reply.item(0));
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats.value().max_size_bytes, 9u);
  EXPECT_EQ(stats.value().records, (std::vector<model::NameUsage>{{"up.*", 1, 2}}));
  result = Ask(runtime, client, ResetMetricNamesStatsRequest{});
  EXPECT_EQ(result.outcome, CallOutcome::kOk) << result.message;
  EXPECT_EQ(handler.resets, 1);
}

TEST(SelectServerTest, ReportsAMissingNode) {
  net::Runtime runtime(1);
  SelectClient client(runtime, "127.0.0.1:1", SelectClientOptions());
  EXPECT_EQ(Ask(runtime, client, SeriesCountRequest{}).outcome, CallOutcome::kNoConnection);
}

// Holds the only slot until it is let go.
class SlowHandler : public FixedHandler {
 public:
  Result<uint64_t> SeriesCount(model::Tenant, const Deadline&) override {
    entered.set_value();
    leave.get_future().wait();
    return uint64_t{1};
  }
  std::promise<void> entered, leave;
};

TEST(SelectServerTest, RefusesWhatWaitsTooLongForASlot) {
  net::Runtime runtime(2);
  SlowHandler handler;
  metrics::Registry registry;
  SelectServerOptions options;
  options.addr = ":8401";
  options.registry = &registry;
  options.max_concurrent_requests = 1;
  options.max_queue_duration = std::chrono::milliseconds(50);
  SelectServer select_server(handler, options);
  auto serve = [&](std::unique_ptr<net::Stream> s) { return select_server.Serve(std::move(s)); };
  TestServer server(runtime, serve);
  SelectClient client(runtime, server.addr(), SelectClientOptions());
  std::thread first([&] { EXPECT_EQ(Ask(runtime, client, SeriesCountRequest{}).outcome, CallOutcome::kOk); });
  handler.entered.get_future().wait();
  const auto result = Ask(runtime, client, TenantsRequest{});
  EXPECT_EQ(result.outcome, CallOutcome::kRemoteError);
  EXPECT_EQ(result.reply.error,
            "couldn't start executing the request in 0.050 seconds, since -search.maxConcurrentRequests=1 concurrent "
            "requests are already executed. Possible solutions: to reduce the query load; to add more compute "
            "resources to the server; to increase -search.maxQueueDuration=50ms; to increase "
            "-search.maxConcurrentRequests");
  handler.leave.set_value();
  first.join();
  EXPECT_EQ(Ask(runtime, client, TenantsRequest{}).outcome, CallOutcome::kOk);
  EXPECT_EQ(registry.GetCounter("vm_vmselect_concurrent_requests_limit_reached_total{addr=\":8401\"}").Get(), 1u);
  EXPECT_EQ(registry.GetCounter("vm_vmselect_concurrent_requests_limit_timeout_total{addr=\":8401\"}").Get(), 1u);
  EXPECT_EQ(
      registry.GetCounter("vm_vmselect_rpc_requests_total{action=\"tenants\",addr=\":8401\"}").Get(), 2u);
}

TEST(SelectServerTest, TellsAPassedDeadline) {
  net::Runtime runtime(2);
  FixedHandler handler;
  handler.wait_for_deadline = true;
  SelectServer select_server(handler, SelectServerOptions());
  auto serve = [&](std::unique_ptr<net::Stream> s) { return select_server.Serve(std::move(s)); };
  TestServer server(runtime, serve);
  SelectClient client(runtime, server.addr(), SelectClientOptions());
  const SelectArgs args = SearchMetricNamesRequest{AnyQuery()};
  const auto result = net::BlockOn(runtime.MakeStrand(),
                                   client.Call(args, Deadline::After(std::chrono::milliseconds(500))));
  EXPECT_EQ(result.reply.error, "cannot execute request in 1 seconds: deadline exceeded");
}

// A peer that asks for many blocks and does not read them.
awaitable<bool> AskWithoutReading(std::string addr, std::unique_ptr<net::FramedStream>& kept) {
  net::DialOptions dial;
  auto stream = co_await net::Dial(addr, dial);
  if (!stream.ok()) co_return false;
  auto framed = co_await net::ClientHandshake(std::move(stream).value(), net::kHelloSelect, false,
                                              std::chrono::seconds(5));
  if (!framed.ok()) co_return false;
  kept = std::move(framed).value();
  ByteBuffer request;
  const SelectArgs args = SearchRequest{AnyQuery()};
  AppendSelectRequest(request, args, false, 60);
  auto written = co_await kept->Write(request);
  if (!written.ok()) co_return false;
  auto flushed = co_await kept->Flush();
  co_return flushed.ok();
}

TEST(SelectServerTest, KeepsNoThreadWhileAPeerReadsSlowly) {
  net::Runtime runtime(2);
  FixedHandler handler;
  handler.blocks = 2'000'000;  // Far more than sockets take.
  SelectServerOptions options;
  options.disable_compression = true;
  SelectServer select_server(handler, options);
  auto serve = [&](std::unique_ptr<net::Stream> s) { return select_server.Serve(std::move(s)); };
  TestServer server(runtime, serve);
  std::unique_ptr<net::FramedStream> slow;
  const auto strand = runtime.MakeStrand();
  ASSERT_TRUE(net::BlockOn(strand, AskWithoutReading(server.addr(), slow)));
  SelectClient client(runtime, server.addr(), SelectClientOptions());
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Ask(runtime, client, TenantsRequest{}).outcome, CallOutcome::kOk);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  slow->Close();
}

// Keeps rows waiting until it is let go.
class BusySink : public RowKeeper {
 public:
  awaitable<Status> OnRows(ByteBuffer rows) override {
    ++waiting;
    while (busy) co_await net::SleepFor(std::chrono::milliseconds(5));
    packets.push_back(std::move(rows));
    co_return Ok();
  }
  std::atomic<int> waiting{0};
  std::atomic<bool> busy{true};
};

TEST(InsertSessionTest, RefusesWhatWaitsTooLongForASlot) {
  net::Runtime runtime(2);
  BusySink sink;
  Slots slots(1);
  metrics::Registry registry;
  InsertServerMetrics counters(registry);
  InsertServerOptions options;
  options.slots = &slots;
  options.metrics = &counters;
  options.max_queue_duration = std::chrono::milliseconds(30);
  auto serve = [&](std::unique_ptr<net::Stream> s) { return ServeInsert(std::move(s), sink, options); };
  TestServer server(runtime, serve);
  const ByteBuffer rows = {1, 2, 3};
  auto send = [&](InsertConn& conn) -> awaitable<void> {
    auto sent = co_await conn.Send(kWriteRows, rows);
    EXPECT_TRUE(sent.ok() && sent.value() == InsertAnswer::kAccepted);
  };
  std::thread first([&] { net::BlockOn(runtime.MakeStrand(), SendAll(server.addr(), send)); });
  while (sink.waiting == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  auto refused = [&](InsertConn& conn) -> awaitable<void> {
    auto sent = co_await conn.Send(kWriteRows, rows);
    EXPECT_FALSE(sent.ok());
    if (sent.ok()) co_return;
    EXPECT_NE(sent.error().message().find(
                  "cannot process insert request for 0.030 seconds because 1 concurrent insert requests are executed"),
              std::string::npos)
        << sent.error().message();
  };
  EXPECT_TRUE(net::BlockOn(runtime.MakeStrand(), SendAll(server.addr(), refused)));
  sink.busy = false;
  first.join();
  EXPECT_TRUE(net::BlockOn(runtime.MakeStrand(), SendAll(server.addr(), send)));
  EXPECT_EQ(sink.packets.size(), 2u);
  EXPECT_EQ(registry.GetCounter("vm_concurrent_insert_limit_timeout_total").Get(), 1u);
  EXPECT_EQ(registry
                .GetCounter("vm_protoparser_blocks_read_total{type=\"clusternative\",block_type=\"metric_rows\"}")
                .Get(),
            3u);
}

// A peer that announces a large body and says no more.
awaitable<bool> StallInABody(std::string addr, std::atomic<bool>& is_stalled, std::stop_token stop) {
  auto stream = co_await net::Dial(addr, {});
  if (!stream.ok()) co_return false;
  auto framed = co_await net::ClientHandshake(std::move(stream).value(), net::kHelloInsertRpc, false, std::chrono::seconds(5));
  if (!framed.ok()) co_return false;
  ByteBuffer head;
  AppendBigEndian(head, uint64_t{kWriteRows.size()});
  Append(head, kWriteRows);
  AppendBigEndian(head, uint64_t{kSmallInsertBody + 1});
  head.resize(head.size() + kSmallInsertBody);
  auto written = co_await framed.value()->Write(head);
  auto flushed = co_await framed.value()->Flush();
  is_stalled = written.ok() && flushed.ok();
  while (!stop.stop_requested()) {
    boost::asio::steady_timer wait(co_await boost::asio::this_coro::executor, std::chrono::milliseconds(5));
    co_await wait.async_wait(boost::asio::use_awaitable);
  }
  co_return true;
}

TEST(InsertSessionTest, LargeBodiesWaitBeforeTheyAreReadAndTheirSendersToo) {
  net::Runtime runtime(2);
  RowKeeper sink;
  Slots large_bodies(1);
  InsertServerOptions options;
  options.large_bodies = &large_bodies;
  options.min_body_time = std::chrono::seconds(5);  // Longer than the kernel of a sender waits for one that does not read.
  auto serve = [&](std::unique_ptr<net::Stream> s) { return ServeInsert(std::move(s), sink, options); };
  TestServer server(runtime, serve);
  std::atomic<bool> is_stalled{false};
  std::stop_source stop;
  std::thread stalled([&] { net::BlockOn(runtime.MakeStrand(), StallInABody(server.addr(), is_stalled, stop.get_token())); });
  while (!is_stalled || large_bodies.used() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ByteBuffer small(1000, 7);
  ByteBuffer large(8 * kSmallInsertBody);
  std::mt19937_64 random(1);
  for (uint8_t& byte : large) byte = static_cast<uint8_t>(random());  // Does not pack.
  auto check = [&](InsertConn& conn) -> awaitable<void> {
    auto sent = co_await conn.Send(kWriteRows, small);
    EXPECT_TRUE(sent.ok()) << "small bodies pass";
    EXPECT_EQ(large_bodies.used(), 1u);
    sent = co_await conn.Send(kWriteRows, large);
    EXPECT_TRUE(sent.ok()) << "the stalled one has lost its turn after five seconds: " << (sent.ok() ? "" : sent.error().message());
  };
  EXPECT_TRUE(net::BlockOn(runtime.MakeStrand(), SendAll(server.addr(), check)));
  stop.request_stop();
  stalled.join();
  EXPECT_EQ(sink.packets.size(), 2u);
  for (int i = 0; large_bodies.used() > 0 && i < 2000; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(large_bodies.used(), 0u);
}

TEST(InsertSessionTest, WhatWaitsHoldsNoMoreThanOneBody) {
  net::Runtime runtime(2);
  RowKeeper sink;
  Slots large_bodies(1);
  InsertServerOptions options;
  options.large_bodies = &large_bodies;
  // All but a part of the least piece is held by others.
  options.waiting_bytes->store(kMaxInsertBodySize - 1000);
  auto serve = [&](std::unique_ptr<net::Stream> s) { return ServeInsert(std::move(s), sink, options); };
  TestServer server(runtime, serve);
  std::stop_source stop;
  std::atomic<bool> is_stalled{false}, other_is_stalled{false};
  std::thread first([&] { net::BlockOn(runtime.MakeStrand(), StallInABody(server.addr(), is_stalled, stop.get_token())); });
  while (!is_stalled || large_bodies.used() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::thread second([&] { net::BlockOn(runtime.MakeStrand(), StallInABody(server.addr(), other_is_stalled, stop.get_token())); });
  // Two turns of reading would have come.
  for (int i = 0; i < 250; ++i) {
    ASSERT_EQ(options.waiting_bytes->load(), kMaxInsertBodySize - 1000);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  // Once there is room, some is read, and given back with the connection.
  options.waiting_bytes->store(0);
  for (int i = 0; options.waiting_bytes->load() == 0 && i < 1000; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(options.waiting_bytes->load(), 256u << 10);
  stop.request_stop();
  first.join();
  second.join();
  for (int i = 0; options.waiting_bytes->load() > 0 && i < 2000; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(options.waiting_bytes->load(), 0u);
}

// Takes the hello, says nothing and closes, as nodes of old versions do with an unknown one.
awaitable<void> CloseAfterHello(std::unique_ptr<net::Stream> stream, std::atomic<int>& hellos, RowKeeper& sink) {
  if (hellos.fetch_add(1) > 0) {
    co_await ServeInsert(std::move(stream), sink, InsertServerOptions());
    co_return;
  }
  std::array<uint8_t, net::kHelloSize> hello;
  co_await net::ReadFull(*stream, hello);
  stream->Close();
}

TEST(InsertSessionTest, SpeaksTheOldProtocolWithNodesThatCloseAfterTheHello) {
  net::Runtime runtime(2);
  RowKeeper sink;
  std::atomic<int> hellos{0};
  auto serve = [&](std::unique_ptr<net::Stream> s) { return CloseAfterHello(std::move(s), hellos, sink); };
  TestServer server(runtime, serve);
  const ByteBuffer rows = {1, 2, 3};
  auto check = [&](InsertConn& conn) -> awaitable<void> {
    EXPECT_TRUE(conn.legacy());
    auto sent = co_await conn.Send(kWriteRows, rows);
    EXPECT_TRUE(sent.ok() && sent.value() == InsertAnswer::kAccepted);
    sink.fails = true;
    sent = co_await conn.Send(kWriteRows, rows);
    EXPECT_FALSE(sent.ok()) << "what was not taken is not acknowledged";
  };
  EXPECT_TRUE(net::BlockOn(runtime.MakeStrand(), SendAll(server.addr(), check)));
  EXPECT_EQ(sink.packets, std::vector<ByteBuffer>{rows});
}

TEST(InsertSessionTest, KeepsAnIdleConnection) {
  net::Runtime runtime(2);
  RowKeeper sink;
  auto serve = [&](std::unique_ptr<net::Stream> s) {
    return ServeInsert(std::move(s), sink, InsertServerOptions());
  };
  TestServer server(runtime, serve);
  const ByteBuffer rows = {1, 2, 3};
  InsertConnOptions options;
  options.min_answer_time = std::chrono::seconds(1);
  auto check = [&](InsertConn& conn) -> awaitable<void> {
    auto sent = co_await conn.Send(kWriteRows, rows);
    EXPECT_TRUE(sent.ok() && sent.value() == InsertAnswer::kAccepted);
    boost::asio::steady_timer idle(co_await boost::asio::this_coro::executor, std::chrono::milliseconds(1500));
    co_await idle.async_wait(boost::asio::use_awaitable);
    sent = co_await conn.Send(kWriteRows, rows);
    EXPECT_TRUE(sent.ok()) << sent.error().message();
  };
  EXPECT_TRUE(net::BlockOn(runtime.MakeStrand(), SendAll(server.addr(), check, options)));
  EXPECT_EQ(sink.packets.size(), 2u);
}

TEST(InsertSessionTest, TellsThatRowsWereNotTakenAndClosesTheConnection) {
  net::Runtime runtime(2);
  RowKeeper sink;
  metrics::Registry registry;
  InsertServerMetrics counters(registry);
  InsertServerOptions options;
  options.metrics = &counters;
  auto serve = [&](std::unique_ptr<net::Stream> s) { return ServeInsert(std::move(s), sink, options); };
  TestServer server(runtime, serve);
  const ByteBuffer rows = {1, 2, 3};
  sink.fails = true;
  auto check = [&](InsertConn& conn) -> awaitable<void> {
    auto sent = co_await conn.Send(kWriteRows, rows);
    EXPECT_FALSE(sent.ok());
    if (sent.ok()) co_return;
    EXPECT_NE(sent.error().message().find("no room for rows"), std::string::npos) << sent.error().message();
    sink.fails = false;
    sent = co_await conn.Send(kWriteRows, rows);
    EXPECT_FALSE(sent.ok()) << "the connection is closed";
  };
  EXPECT_TRUE(net::BlockOn(runtime.MakeStrand(), SendAll(server.addr(), check)));
  EXPECT_TRUE(sink.packets.empty());
  EXPECT_EQ(counters.rows.process_errors.Get(), 1u);
  EXPECT_EQ(counters.connection_errors.Get(), 1u);
}

}  // namespace
}  // namespace vm::rpc
