#include <gtest/gtest.h>

#include <string>
#include <vector>

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
  awaitable<void> OnRows(ByteBuffer rows) override {
    packets.push_back(std::move(rows));
    co_return;
  }
  awaitable<void> OnMetadata(ByteBuffer rows) override {
    metadata.push_back(std::move(rows));
    co_return;
  }
  bool IsReadOnly() const override { return read_only; }

  std::atomic<bool> read_only{false};
  std::vector<ByteBuffer> packets;
  std::vector<ByteBuffer> metadata;
};

class FixedHandler : public SelectHandler {
 public:
  Status Search(const model::SearchQuery& query, const Deadline&, const BlockSink& sink) override {
    if (query.tag_filter_groups.empty()) {
      return Error(ErrorCode::kInvalidInput, "missing tag filters");
    }
    const std::vector<int64_t> timestamps = {1000, 2000};
    const std::vector<int64_t> values = {5, 7};
    ByteBuffer timestamps_data, values_data;
    model::EncodedBlock block;
    block.header = model::EncodeBlock({}, timestamps, values, 0, 64, timestamps_data, values_data);
    block.timestamps_data = timestamps_data;
    block.values_data = values_data;
    for (size_t i = 0; i < blocks; ++i) VM_TRY(sink(AsBytes("name"), block));
    return Ok();
  }
  Result<std::vector<ByteBuffer>> SearchMetricNames(const model::SearchQuery&,
                                                    const Deadline&) override {
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
  Result<uint64_t> SeriesCount(model::Tenant tenant, const Deadline&) override {
    return uint64_t{tenant.account_id};
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
awaitable<bool> SendAll(std::string addr, Hello check) {
  InsertConnOptions options;
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

TEST(SelectSessionTest, AnswersEveryCall) {
  net::Runtime runtime(2);
  net::Pool pool("search", 2);
  FixedHandler handler;
  auto serve = [&](std::unique_ptr<net::Stream> s) {
    return ServeSelect(std::move(s), handler, pool, SelectServerOptions());
  };
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
}

TEST(SelectSessionTest, ReportsAMissingNode) {
  net::Runtime runtime(1);
  SelectClient client(runtime, "127.0.0.1:1", SelectClientOptions());
  EXPECT_EQ(Ask(runtime, client, SeriesCountRequest{}).outcome, CallOutcome::kNoConnection);
}

}  // namespace
}  // namespace vm::rpc
