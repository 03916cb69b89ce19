#include "select/clusternative/cluster_native.h"

#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/rpc/select_client.h"
#include "select/fanout/fake_node.h"
#include "select/fanout/test_blocks.h"

namespace vm::select {
namespace {

using namespace std::chrono_literals;

/// What a client got, and when.
class Kept : public rpc::ItemSink {
 public:
  Status Add(ByteView item) override {
    std::lock_guard lock(mutex_);
    items_.emplace_back(item.begin(), item.end());
    return Ok();
  }
  std::vector<ByteBuffer> items() const {
    std::lock_guard lock(mutex_);
    return items_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<ByteBuffer> items_;
};

template <class Check>
void WaitFor(Check check) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (!check()) {
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    std::this_thread::sleep_for(1ms);
  }
}

/// Nodes, the server that asks them, and a client that asks the server.
class ClusterNativeTest : public testing::Test {
 protected:
  ClusterNativeTest() : runtime_(2), memory_("-memory.allowedBytes", 100 << 20) { options_.addr = "127.0.0.1:0"; }

  FakeNode& AddNode(FakeNode::Answer answer) {
    nodes_.push_back(std::make_unique<FakeNode>(runtime_, std::move(answer)));
    addrs_.push_back(nodes_.back()->addr());
    return *nodes_.back();
  }
  FakeNode& AddNode(rpc::SelectReply reply) {
    return AddNode([reply = std::move(reply)](const rpc::SelectArgs&) { return reply; });
  }
  void AddMissingNode() { addrs_.push_back("127.0.0.1:1"); }

  void Start() {
    auto set = rpc::NodeSet::Parse(addrs_, 8401);
    fanout_options_.registry = &registry_;
    fanout_ = std::make_unique<Fanout>(runtime_, set.value(), fanout_options_);
    auto started = ClusterNativeServer::Start(runtime_, options_, *fanout_, memory_, registry_);
    ASSERT_TRUE(started.ok()) << started.error().message();
    server_ = std::move(started).value();
    client_ = std::make_unique<rpc::SelectClient>(runtime_, server_->addr(), rpc::SelectClientOptions());
  }
  rpc::CallResult Ask(rpc::SelectArgs args, std::shared_ptr<rpc::ItemSink> sink = nullptr, bool is_traced = false) {
    return net::BlockOn(runtime_.MakeStrand(), client_->Call(args, Deadline::After(20s, stop_.get_token()), std::move(sink), is_traced));
  }
  static model::SearchQuery Query() {
    model::SearchQuery query;
    query.time_range = {0, 1000};
    query.tag_filter_groups = {{{"", "m"}}};
    return query;
  }
  double Gauge(const std::string& name) {
    std::string text = "\n";
    registry_.Write(text);
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  metrics::Registry registry_;
  net::Runtime runtime_;
  Budget memory_;
  ClusterNativeServer::Options options_;
  FanoutOptions fanout_options_;
  std::vector<std::unique_ptr<FakeNode>> nodes_;
  std::vector<std::string> addrs_;
  std::unique_ptr<Fanout> fanout_;
  std::unique_ptr<ClusterNativeServer> server_;
  std::unique_ptr<rpc::SelectClient> client_;
  std::stop_source stop_;
};

/// The same item and number from each node, with the arguments noted.
struct OneItem {
  ByteBuffer item;
  std::shared_ptr<std::vector<rpc::SelectArgs>> seen = std::make_shared<std::vector<rpc::SelectArgs>>();

  explicit OneItem(std::string_view text) : item(text.begin(), text.end()) {}
  explicit OneItem(ByteBuffer bytes) : item(std::move(bytes)) {}
  rpc::SelectReply operator()(const rpc::SelectArgs& args) const {
    seen->push_back(args);
    rpc::SelectReply reply;
    reply.AddItem(item);
    reply.number = 3;
    return reply;
  }
};

std::vector<std::string> Texts(const rpc::SelectReply& reply) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < reply.size(); ++i) texts.emplace_back(AsText(reply.item(i)));
  return texts;
}

TEST_F(ClusterNativeTest, JoinsTheListsOfTheNodesBelow) {
  options_.max_tag_keys = 7;
  options_.max_tag_values = 8;
  options_.max_tag_value_suffixes = 9;
  const OneItem first("b"), second("a");
  AddNode(first);
  AddNode(second);
  Start();
  const std::vector<std::string> both = {"a", "b"};
  rpc::LabelValuesRequest values{"job", Query(), 100};
  rpc::TagValueSuffixesRequest suffixes;
  suffixes.tag_key = "k";
  suffixes.max_suffixes = 5;
  for (const rpc::SelectArgs& args :
       {rpc::SelectArgs(rpc::SearchMetricNamesRequest{Query()}), rpc::SelectArgs(rpc::LabelNamesRequest{Query(), 0}), rpc::SelectArgs(values),
        rpc::SelectArgs(suffixes)}) {
    const auto result = Ask(args);
    ASSERT_EQ(result.outcome, rpc::CallOutcome::kOk) << result.message;
    EXPECT_EQ(Texts(result.reply), both) << rpc::MethodOf(args).name;
  }
  // What is not limited, or too far, is limited here.
  EXPECT_EQ(std::get<rpc::LabelNamesRequest>(first.seen->at(1)).max_names, 7u);
  EXPECT_EQ(std::get<rpc::LabelValuesRequest>(first.seen->at(2)).max_values, 8u);
  EXPECT_EQ(std::get<rpc::TagValueSuffixesRequest>(first.seen->at(3)).max_suffixes, 5u);
  EXPECT_EQ(std::get<rpc::LabelValuesRequest>(second.seen->at(2)).query, Query());
}

TEST_F(ClusterNativeTest, AnswersAllOtherCalls) {
  model::MetadataRow row;
  row.name = "up";
  ByteBuffer packed_row, packed_status, packed_usage;
  model::AppendMetadataRow(packed_row, row);
  model::TsdbStatus status;
  status.total_series = 4;
  rpc::MarshalTsdbStatus(packed_status, status);
  model::MetricNamesUsageStats usage;
  usage.records = {{"up", 2, 5}};
  rpc::MarshalMetricNamesUsageStats(packed_usage, usage);
  std::vector<std::shared_ptr<std::vector<rpc::SelectArgs>>> seen;
  for (int i = 0; i < 2; ++i) {
    const OneItem tenants("12:34"), rows(packed_row), statuses(packed_status), usages(packed_usage);
    seen.push_back(tenants.seen);
    AddNode([=](const rpc::SelectArgs& args) {
      if (std::holds_alternative<rpc::SearchMetadataRequest>(args)) return rows(args);
      if (std::holds_alternative<rpc::TsdbStatusRequest>(args)) return statuses(args);
      if (std::holds_alternative<rpc::MetricNamesUsageStatsRequest>(args)) return usages(args);
      return tenants(args);
    });
  }
  Start();
  EXPECT_EQ(Texts(Ask(rpc::TenantsRequest{}).reply), std::vector<std::string>{"12:34"});
  EXPECT_EQ(Ask(rpc::SeriesCountRequest{}).reply.number, 6u);
  EXPECT_EQ(Ask(rpc::DeleteSeriesRequest{Query()}).reply.number, 6u);
  EXPECT_EQ(Ask(rpc::ResetMetricNamesStatsRequest{}).outcome, rpc::CallOutcome::kOk);
  const auto rows = Ask(rpc::SearchMetadataRequest{});
  ASSERT_EQ(rows.reply.size(), 2u) << rows.message;
  EXPECT_EQ(ByteBuffer(rows.reply.item(1).begin(), rows.reply.item(1).end()), packed_row);
  const auto statuses = Ask(rpc::TsdbStatusRequest{Query(), "", 3});
  ASSERT_EQ(statuses.reply.size(), 1u) << statuses.message;
  EXPECT_EQ(rpc::UnmarshalTsdbStatus(statuses.reply.item(0)).value().total_series, 8u);
  const auto usages = Ask(rpc::MetricNamesUsageStatsRequest{});
  ASSERT_EQ(usages.reply.size(), 1u) << usages.message;
  EXPECT_EQ(rpc::UnmarshalMetricNamesUsageStats(usages.reply.item(0)).value().records, (std::vector<model::NameUsage>{{"up", 2, 10}}));
  for (auto& args : seen) args->clear();
  rpc::RegisterMetricNamesRequest names;
  for (uint8_t i = 0; i < 50; ++i) names.names.push_back({ByteBuffer{'n', i}, i});
  const auto registered = Ask(names);
  ASSERT_EQ(registered.outcome, rpc::CallOutcome::kOk) << registered.message;
  std::vector<ByteBuffer> all;
  for (const auto& args : seen) {
    ASSERT_EQ(args->size(), 1u);
    const auto& got = std::get<rpc::RegisterMetricNamesRequest>(args->at(0)).names;
    EXPECT_GT(got.size(), 5u);
    for (const auto& name : got) all.push_back(name.metric_name_raw);
  }
  std::sort(all.begin(), all.end());
  ASSERT_EQ(all.size(), 50u);
  for (uint8_t i = 0; i < 50; ++i) EXPECT_EQ(all[i], (ByteBuffer{'n', i}));
}

TEST_F(ClusterNativeTest, BlocksGoUpBeforeTheNodeHasSentAll) {
  const auto a = MarshalledBlock({'a'}, {1}, {1}), b = MarshalledBlock({'a'}, {2}, {2});
  rpc::SelectReply reply;
  reply.AddItem(a);
  reply.AddItem(b);
  FakeNode& node = AddNode(reply);
  node.HoldAfter(1);
  Start();
  auto kept = std::make_shared<Kept>();
  std::thread releases([&] {
    WaitFor([&] { return kept->items().size() == 1; });
    node.Release();
  });
  const auto result = Ask(rpc::SearchRequest{Query()}, kept);
  releases.join();
  EXPECT_EQ(result.outcome, rpc::CallOutcome::kOk) << result.message;
  EXPECT_EQ(kept->items(), (std::vector<ByteBuffer>{a, b}));
}

TEST_F(ClusterNativeTest, AMissingNodeIsAnErrorThatCountsAsAMissingNodeAbove) {
  rpc::SelectReply reply;
  reply.AddItem(MarshalledBlock({'a'}, {1}, {1}));
  AddNode(reply);
  AddMissingNode();
  Start();
  for (const rpc::SelectArgs& args : {rpc::SelectArgs(rpc::SeriesCountRequest{}), rpc::SelectArgs(rpc::LabelNamesRequest{Query(), 0})}) {
    const auto result = Ask(args);
    EXPECT_EQ(result.outcome, rpc::CallOutcome::kRemoteError);
    EXPECT_TRUE(result.reply.error.starts_with("vmselectClusterNative: cannot fetch ")) << result.reply.error;
  }
  FakeNode other(runtime_, [reply](const rpc::SelectArgs&) { return reply; });
  const std::vector<std::string> above = {server_->addr(), other.addr()};
  Fanout upper(runtime_, rpc::NodeSet::Parse(above, 8401).value(), FanoutOptions());
  FanoutRequest request;
  const auto found = net::BlockOn(runtime_.MakeStrand(), upper.Search(Query(), request));
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_TRUE(found.value().is_partial);
  EXPECT_EQ(found.value().value.size(), 1u);
}

TEST_F(ClusterNativeTest, APeerThatLeavesStopsTheCallsBelow) {
  rpc::SelectReply reply;
  reply.AddItem(MarshalledBlock({'a'}, {1}, {1}));
  reply.AddItem(MarshalledBlock({'a'}, {2}, {2}));
  FakeNode& node = AddNode(reply);
  Start();
  const std::string running = "vm_concurrent_queries{name=\"vmselect\", addr=\"" + addrs_[0] + "\"}";
  // The node says nothing at all, or stops after a block.
  for (const size_t items : {0, 1}) {
    node.HoldAfter(items);
    stop_ = std::stop_source();
    std::thread leaves([&] {
      WaitFor([&] { return Gauge(running) == 1; });
      stop_.request_stop();
    });
    const auto result = Ask(rpc::SearchRequest{Query()});
    leaves.join();
    EXPECT_NE(result.outcome, rpc::CallOutcome::kOk);
    WaitFor([&] { return Gauge(running) == 0; });
    WaitFor([&] { return Gauge("vm_vmselect_concurrent_requests_current") == 0; });
  }
  EXPECT_EQ(memory_.used_bytes(), 0);
}

TEST_F(ClusterNativeTest, StopEndsWhatRuns) {
  rpc::SelectReply reply;
  reply.AddItem(AsBytes(std::string("a")));
  FakeNode& node = AddNode(reply);
  node.HoldAfter(0);
  Start();
  std::thread stops([&] {
    WaitFor([&] { return Gauge("vm_vmselect_concurrent_requests_current") == 1; });
    server_->Stop();
  });
  const auto result = Ask(rpc::LabelNamesRequest{Query(), 0});
  stops.join();
  EXPECT_NE(result.outcome, rpc::CallOutcome::kOk);
}

TEST_F(ClusterNativeTest, RefusesWhatWaitsTooLong) {
  options_.rpc.max_concurrent_requests = 1;
  options_.rpc.max_queue_duration = 30ms;
  rpc::SelectReply reply;
  reply.AddItem(AsBytes(std::string("a")));
  FakeNode& node = AddNode(reply);
  node.HoldAfter(0);
  Start();
  std::thread holds([&] { Ask(rpc::LabelNamesRequest{Query(), 0}); });
  WaitFor([&] { return Gauge("vm_vmselect_concurrent_requests_current") == 1; });
  const auto result = Ask(rpc::SeriesCountRequest{});
  node.Release();
  holds.join();
  EXPECT_EQ(result.outcome, rpc::CallOutcome::kRemoteError);
  EXPECT_NE(result.reply.error.find("since -clusternative.maxConcurrentRequests=1 concurrent requests are already executed"),
            std::string::npos)
      << result.reply.error;
}

TEST_F(ClusterNativeTest, TracesHoldWhatTheNodesSay) {
  rpc::SelectReply reply;
  reply.trace = R"({"duration_msec":1.5,"message":"node"})";
  AddNode(reply);
  Start();
  auto result = Ask(rpc::SearchRequest{Query()}, nullptr, true);
  ASSERT_EQ(result.outcome, rpc::CallOutcome::kOk) << result.message;
  auto trace = nlohmann::json::parse(result.reply.trace);
  EXPECT_EQ(trace["children"][0]["message"], "rpc at vmstorage " + addrs_[0]);
  EXPECT_EQ(trace["children"][0]["children"][0]["children"][0]["message"], "node");
  result = Ask(rpc::LabelNamesRequest{Query(), 0}, nullptr, true);
  trace = nlohmann::json::parse(result.reply.trace);
  EXPECT_EQ(trace["children"][0]["children"][0]["message"], "rpc at vmstorage " + addrs_[0]);
}

}  // namespace
}  // namespace vm::select
