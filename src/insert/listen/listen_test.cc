#include <gtest/gtest.h>

#include <boost/asio/ip/udp.hpp>
#include <mutex>
#include <thread>

#include "insert/http/handler.h"
#include "insert/listen/cluster_native.h"
#include "insert/listen/line_listener.h"
#include "insert/listen/opentsdb_http.h"
#include "lib/http/client.h"
#include "lib/model/rows.h"
#include "lib/net/run_on.h"
#include "lib/rpc/insert_codec.h"
#include "lib/rpc/insert_conn.h"

namespace vm::insert {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// A storage node that counts and keeps what it gets.
class FakeNode : public NodeClient {
 public:
  asio::awaitable<ConnectOutcome> Connect() override {
    is_connected_ = true;
    ConnectOutcome outcome;
    co_return outcome;
  }
  asio::awaitable<SendOutcome> Send(ByteView rows) override {
    std::lock_guard lock(*mutex);
    taken->insert(taken->end(), rows.begin(), rows.end());
    co_return SendOutcome::kAccepted;
  }
  void Close() override { is_connected_ = false; }
  bool connected() const override { return is_connected_; }

  std::mutex* mutex = nullptr;
  ByteBuffer* taken = nullptr;

 private:
  bool is_connected_ = false;
};

class FixedClock : public sys::Clock {
 public:
  int64_t NowMs() const override { return 1700000000123; }
};

class ListenTest : public testing::Test {
 protected:
  void SetUp() override {
    ShipOptions ship;
    ship.flush_interval = 1ms;
    auto node = std::make_unique<FakeNode>();
    node->mutex = &mutex_;
    node->taken = &taken_;
    std::vector<Shipper::Node> nodes;
    nodes.push_back({"a:8400", std::move(node)});
    samples_ = std::make_unique<Shipper>(runtime_.MakeStrand(), RowKind::kSamples, placement_, std::move(nodes), ship,
                                         ShipEvents());
    samples_->Start();
    InsertTargets targets;
    targets.placement = &placement_;
    targets.samples = samples_.get();
    ingester_ = std::make_unique<Ingester>(InsertOptions(), targets, pool_, clock_, registry_);
  }
  void TearDown() override { net::BlockOn(runtime_.executor(), StopShipper(samples_.get())); }

  static asio::awaitable<bool> StopShipper(Shipper* shipper) {
    co_await shipper->Stop();
    co_return true;
  }

  std::unique_ptr<LineListener> Listen(LineProtocol protocol, http::Server* http = nullptr) {
    LineListener::Options options;
    options.protocol = protocol;
    options.addr = "127.0.0.1:0";
    options.http = http;
    auto started = LineListener::Start(runtime_, std::move(options), *ingester_, registry_);
    EXPECT_TRUE(started.ok()) << started.error().message();
    return std::move(started).value();
  }

  static asio::awaitable<bool> SendTcp(std::string addr, std::string text) {
    auto dialed = co_await net::Dial(std::move(addr), net::DialOptions());
    if (!dialed.ok()) co_return false;
    auto written = co_await dialed.value()->Write(AsBytes(text));
    co_return written.ok();
  }
  bool Send(const std::string& addr, const std::string& text) {
    return net::BlockOn(runtime_.MakeStrand(), SendTcp(addr, text));
  }
  void SendUdp(const std::string& addr, const std::string& text) {
    asio::io_context io;
    asio::ip::udp::socket socket(io, asio::ip::udp::v4());
    const size_t colon = addr.rfind(':');
    socket.send_to(asio::buffer(text), asio::ip::udp::endpoint(asio::ip::make_address(addr.substr(0, colon)),
                                                               static_cast<uint16_t>(std::stoi(addr.substr(colon + 1)))));
  }

  /// Waits until the node has got `count` rows; returns them sorted as text.
  std::vector<std::string> WaitForRows(size_t count) {
    std::vector<std::string> rows;
    for (int i = 0; i < 5000 && rows.size() < count; ++i) {
      std::this_thread::sleep_for(1ms);
      std::lock_guard lock(mutex_);
      rows.clear();
      for (ByteView rest = taken_; !rest.empty();) {
        const auto row = model::TakeMetricRow(rest);
        if (!row.ok()) return {row.error().message()};
        const auto name = model::MetricName::UnmarshalRaw(row.value().metric_name_raw).value();
        std::string text = std::to_string(name.tenant.account_id) + ":" + std::to_string(name.tenant.project_id) + " " +
                           name.metric_group;
        for (const model::Tag& tag : name.tags) text += " " + tag.key + "=" + tag.value;
        rows.push_back(text + " " + std::to_string(static_cast<int64_t>(row.value().value)) + " @" +
                       std::to_string(row.value().timestamp));
      }
      std::sort(rows.begin(), rows.end());
    }
    return rows;
  }

  using Strings = std::vector<std::string>;
  const std::vector<std::string> nodes_ = {"a:8400"};
  const hash::Rendezvous placement_{nodes_, 0};
  const FixedClock clock_;
  metrics::Registry registry_;
  net::Runtime runtime_{2};
  net::Pool pool_{"test", 1};
  std::mutex mutex_;
  ByteBuffer taken_;
  std::unique_ptr<Shipper> samples_;
  std::unique_ptr<Ingester> ingester_;
};

TEST_F(ListenTest, TakesGraphiteOverTcpAndUdp) {
  const auto listener = Listen(LineProtocol::kGraphite);
  EXPECT_TRUE(Send(listener->tcp_addr(), "a.b;x=y;vm_account_id=7 1 10\nbad\nc 2"));
  SendUdp(listener->udp_addr(), "u 3 -1\n");
  EXPECT_EQ(WaitForRows(3), (Strings{"0:0 c 2 @1700000000000", "0:0 u 3 @1700000000000", "7:0 a.b x=y 1 @10000"}));
  listener->Stop();
  EXPECT_EQ(registry_.GetCounter("vm_rows_invalid_total{type=\"graphite\"}").Get(), 1u);
  EXPECT_EQ(registry_.GetCounter("vm_ingestserver_requests_total{type=\"graphite\", name=\"write\", net=\"tcp\"}").Get(), 1u);
  EXPECT_EQ(registry_.GetCounter("vm_ingestserver_requests_total{type=\"graphite\", name=\"write\", net=\"udp\"}").Get(), 1u);
}

TEST_F(ListenTest, TakesInfluxLines) {
  const auto listener = Listen(LineProtocol::kInflux);
  EXPECT_TRUE(Send(listener->tcp_addr(), "m,t=1 f=1 1700000000000\nbad\n"));
  SendUdp(listener->udp_addr(), "u f=2 1700000000001\n");
  EXPECT_EQ(WaitForRows(2), (Strings{"0:0 m_f t=1 1 @1700000000000", "0:0 u_f 2 @1700000000001"}));
  listener->Stop();
}

TEST_F(ListenTest, TakesOpentsdbLinesAndRequestsAtOneAddress) {
  OpentsdbHttpHandler handler(*ingester_, registry_);
  auto http = http::Server::WithoutListener(runtime_, {}, [&](http::Request& request, http::Response& response) {
    return handler.Handle(request, response);
  });
  const auto listener = Listen(LineProtocol::kOpentsdb, http.get());
  EXPECT_TRUE(Send(listener->tcp_addr(), "put a 10 1 x=y\nput bad\nput b 1700000000123 2"));
  SendUdp(listener->udp_addr(), "put u 30 5\n");
  const auto ask = [&](const std::string& path, std::string body) {
    auto answer = net::BlockOn(runtime_.MakeStrand(),
                               http::Fetch("POST", "http://" + listener->tcp_addr() + path, {}, std::move(body), 5s));
    return answer.ok() ? std::to_string(answer.value().status) + " " + answer.value().body : answer.error().message();
  };
  EXPECT_EQ(ask("/insert/5/api/put?extra_label=e=x", "{\"metric\":\"h\",\"timestamp\":20,\"value\":\"3\",\"tags\":{\"k\":\"v\"}}"), "204 ");
  EXPECT_EQ(ask("/insert/5/opentsdb/api/put", "[{\"metric\":\"g\",\"value\":4},{}]"), "204 ");
  EXPECT_EQ(ask("/insert/5/opentsdb/api/put", "[").substr(0, 31), "400 cannot decode opentsdb data");
  EXPECT_EQ(ask("/insert/5/other", "{}"), "400 unexpected path requested on HTTP OpenTSDB server: \"/insert/5/other\"\n");
  EXPECT_EQ(ask("/insert/api/put", "{}").substr(0, 15), "400 auth error:");
  EXPECT_EQ(WaitForRows(5), (Strings{"0:0 a x=y 1 @10000", "0:0 b 2 @1700000000123", "0:0 u 5 @30000", "5:0 g 4 @1700000000000",
                                     "5:0 h k=v e=x 3 @20000"}));
  EXPECT_EQ(registry_.GetCounter("vm_rows_invalid_total{type=\"opentsdbhttp\"}").Get(), 1u);
  EXPECT_EQ(registry_.GetCounter("vm_protoparser_unmarshal_errors_total{type=\"opentsdbhttp\"}").Get(), 1u);
  listener->Stop();
  http->Stop(1s);
}

asio::awaitable<bool> SendRows(std::string addr, ByteBuffer rows) {
  auto conn = co_await rpc::InsertConn::Dial(std::move(addr), rpc::InsertConnOptions());
  if (!conn.ok()) co_return false;
  auto answer = co_await conn.value()->Send(rpc::kWriteRows, rows);
  co_return answer.ok() && answer.value() == rpc::InsertAnswer::kAccepted;
}

TEST_F(ListenTest, TakesRowsOfAnotherInsertNode) {
  ClusterNativeServer::Options options;
  options.addr = "127.0.0.1:0";
  options.shutdown_duration = 1ms;
  options.rpc.pool = &pool_;
  auto server = ClusterNativeServer::Start(runtime_, std::move(options), *ingester_, registry_);
  ASSERT_TRUE(server.ok());
  ShardWriter writer(placement_, 1 << 20);
  const std::vector<model::LabelView> labels = {{"", "m"}, {"a", "b"}};
  writer.BeginSeries(model::Tenant{3, 4}, labels);
  writer.AddSample(5, 6);
  writer.AddSample(7, 8);
  ByteBuffer rows = writer.Finish().at(0).data;
  EXPECT_TRUE(net::BlockOn(runtime_.MakeStrand(), SendRows(server.value()->addr(), rows)));
  EXPECT_EQ(WaitForRows(2), (Strings{"3:4 m a=b 6 @5", "3:4 m a=b 8 @7"}));
  EXPECT_EQ(registry_.GetCounter("vm_vminsert_metrics_read_total").Get(), 2u);
  EXPECT_EQ(registry_.GetCounter("vm_rows_inserted_total{type=\"clusternative\"}").Get(), 2u);
  server.value()->Stop();
  EXPECT_EQ(registry_.GetGauge("vm_vminsert_conns").Get(), 0);
}

TEST_F(ListenTest, SaysWhichAddressIsTaken) {
  const auto listener = Listen(LineProtocol::kGraphite);
  LineListener::Options options;
  options.addr = listener->tcp_addr();
  auto second = LineListener::Start(runtime_, options, *ingester_, registry_);
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(second.error().message().starts_with("cannot start TCP Graphite server at \"127.0.0.1:"))
      << second.error().message();
}

}  // namespace
}  // namespace vm::insert
