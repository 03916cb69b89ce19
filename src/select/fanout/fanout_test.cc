#include "select/fanout/fanout.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <thread>

#include "select/fanout/fake_node.h"
#include "select/fanout/test_blocks.h"

namespace {
/// Allocations of exactly this size fail.
std::atomic<size_t> refused_size{0};
}  // namespace

void* operator new(size_t size) {
  if (size == refused_size.load(std::memory_order_relaxed) && size > 0) throw std::bad_alloc();
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace vm::select {
namespace {

using namespace std::chrono_literals;

rpc::SelectReply Blocks(std::initializer_list<ByteBuffer> blocks) {
  rpc::SelectReply reply;
  for (const auto& block : blocks) reply.AddItem(block);
  return reply;
}

class FanoutTest : public testing::Test {
 protected:
  FanoutTest() : runtime_(2) {}

  /// A node that answers every call alike.
  FakeNode& AddNode(rpc::SelectReply reply) {
    auto answer = [reply = std::move(reply)](const rpc::SelectArgs&) { return reply; };
    nodes_.push_back(std::make_unique<FakeNode>(runtime_, std::move(answer)));
    addrs_.push_back(nodes_.back()->addr());
    return *nodes_.back();
  }
  void AddMissingNode() { addrs_.push_back("127.0.0.1:1"); }

  Fanout& Start() {
    auto set = rpc::NodeSet::Parse(addrs_, 8401);
    fanout_ = std::make_unique<Fanout>(runtime_, set.value(), options_);
    return *fanout_;
  }
  FanoutRequest Request() { return {Deadline::After(10s, stop_.get_token()), deny_partial_, false, budget_}; }
  Result<Partial<PackedSeries>> Search() {
    model::SearchQuery query;
    query.time_range = {0, 1000};
    query.tag_filter_groups = {{{"", "m"}}};
    return net::BlockOn(runtime_.MakeStrand(), Start().Search(query, Request()));
  }

  Result<bool> Stream(BlockConsumer& consumer) {
    model::SearchQuery query;
    query.time_range = {0, 1000};
    query.tag_filter_groups = {{{"", "m"}}};
    return net::BlockOn(runtime_.MakeStrand(), Start().StreamBlocks(query, Request(), consumer));
  }

  metrics::Registry registry_;  // Outlives the connections.
  net::Runtime runtime_;
  FanoutOptions options_;
  std::vector<std::unique_ptr<FakeNode>> nodes_;
  std::vector<std::string> addrs_;
  std::unique_ptr<Fanout> fanout_;
  std::stop_source stop_;
  bool deny_partial_ = false;
  std::shared_ptr<Budget> budget_;
};

TEST_F(FanoutTest, JoinsTheAnswersOfAllNodes) {
  AddNode(Blocks({MarshalledBlock({'a'}, {1, 3}, {1, 3}), MarshalledBlock({'b'}, {1}, {1})}));
  AddNode(Blocks({MarshalledBlock({'a'}, {2}, {2})}));
  const auto found = Search();
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_FALSE(found.value().is_partial);
  EXPECT_EQ(found.value().value.size(), 2u);
}

TEST_F(FanoutTest, AMissingNodeMakesTheAnswerPartialOrFail) {
  AddNode(Blocks({MarshalledBlock({'a'}, {1}, {1})}));
  AddMissingNode();
  const auto partial = Search();
  ASSERT_TRUE(partial.ok()) << partial.error().message();
  EXPECT_TRUE(partial.value().is_partial);
  EXPECT_EQ(partial.value().value.size(), 1u);
  deny_partial_ = true;
  const auto denied = Search();
  ASSERT_FALSE(denied.ok());
  EXPECT_EQ(denied.error().code(), ErrorCode::kUnavailable);
  options_.replication_factor = 2;
  const auto replaced = Search();
  ASSERT_TRUE(replaced.ok());
  EXPECT_FALSE(replaced.value().is_partial);
}

TEST_F(FanoutTest, ANodeThatRefusesFailsTheRequest) {
  rpc::SelectReply refusal;
  refusal.error = "too many series";
  AddNode(refusal);
  AddNode(Blocks({}));
  const auto found = Search();
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code(), ErrorCode::kInvalidInput);
  EXPECT_NE(found.error().message().find("too many series"), std::string::npos);
}

TEST_F(FanoutTest, ABusyNodeCountsAsMissing) {
  rpc::SelectReply busy;
  busy.error = "couldn't start executing the request, since -search.maxConcurrentRequests=1";
  AddNode(busy);
  AddNode(Blocks({}));
  const auto found = Search();
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found.value().is_partial);
}

TEST_F(FanoutTest, TheSamplesLimitEndsTheSearchBeforeTheLastBlock) {
  options_.max_samples_per_query = 3;
  FakeNode& node = AddNode(Blocks({MarshalledBlock({'a'}, {1, 2}, {1, 2}), MarshalledBlock({'a'}, {3, 4}, {3, 4}),
                                   MarshalledBlock({'a'}, {5}, {5})}));
  node.HoldAfter(2);
  const auto found = Search();
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code(), ErrorCode::kLimitExceeded);
  EXPECT_EQ(found.error().message().find("cannot select more than -search.maxSamplesPerQuery=3"), 0u) << found.error().message();
}

TEST_F(FanoutTest, TheMemoryLimitIsAnErrorThatNamesIt) {
  budget_ = std::make_shared<Budget>("-search.maxMemoryPerQuery", 1000);
  AddNode(Blocks({MarshalledBlock({'a'}, {1, 2}, {1, 2})}));
  const auto found = Search();
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code(), ErrorCode::kLimitExceeded);
  EXPECT_NE(found.error().message().find("-search.maxMemoryPerQuery"), std::string::npos);
}

TEST_F(FanoutTest, AStopEndsTheRequestAndTheCalls) {
  FakeNode& node = AddNode(Blocks({MarshalledBlock({'a'}, {1}, {1}), MarshalledBlock({'a'}, {2}, {2})}));
  node.HoldAfter(1);
  std::jthread stopper([&] {
    while (node.connections() == 0) std::this_thread::yield();
    stop_.request_stop();
  });
  const auto from = std::chrono::steady_clock::now();
  const auto found = Search();
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code(), ErrorCode::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - from, 5s);
  node.Release();
  while (node.connections() > 0) std::this_thread::sleep_for(1ms);
}

TEST_F(FanoutTest, SkipsSlowReplicas) {
  options_.replication_factor = 2;
  options_.skip_slow_replicas = true;
  AddNode(Blocks({MarshalledBlock({'a'}, {1}, {1})}));
  FakeNode& slow = AddNode(Blocks({MarshalledBlock({'a'}, {1}, {1}), MarshalledBlock({'a'}, {2}, {2})}));
  slow.HoldAfter(1);
  const auto found = Search();
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_FALSE(found.value().is_partial);
  EXPECT_EQ(found.value().value.rows_count(0), 1u);
}

/// Keeps the bytes of the blocks it sees; what it says to each batch is up to the test.
class Keeper : public BlockConsumer {
 public:
  net::asio::awaitable<Status> Consume(const BlockBatch& batch) override {
    for (size_t i = 0; i < batch.size(); ++i) blocks.emplace_back(batch[i].begin(), batch[i].end());
    if (throws) throw std::bad_alloc();
    if (refuses) co_return Error(ErrorCode::kCancelled, "enough");
    if (on_batch) on_batch();
    co_return Ok();
  }
  std::vector<ByteBuffer> blocks;
  bool throws = false;
  bool refuses = false;
  std::function<void()> on_batch;
};

TEST_F(FanoutTest, StreamsTheBlocksOfAllNodes) {
  const auto a = MarshalledBlock({'a'}, {1, 3}, {1, 3}), b = MarshalledBlock({'b'}, {1}, {1}), c = MarshalledBlock({'a'}, {2}, {2});
  options_.max_samples_per_query = 1;
  AddNode(Blocks({a, b}));
  AddNode(Blocks({c, a}));
  Keeper keeper;
  const auto streamed = Stream(keeper);
  ASSERT_TRUE(streamed.ok()) << streamed.error().message();
  EXPECT_FALSE(streamed.value());
  std::sort(keeper.blocks.begin(), keeper.blocks.end());
  std::vector<ByteBuffer> want = {a, b, c, a};
  std::sort(want.begin(), want.end());
  EXPECT_EQ(keeper.blocks, want);
}

TEST_F(FanoutTest, AStreamShowsBlocksBeforeTheNodeHasSentAll) {
  FakeNode& node = AddNode(Blocks({MarshalledBlock({'a'}, {1}, {1}), MarshalledBlock({'a'}, {2}, {2})}));
  node.HoldAfter(1);
  Keeper keeper;
  keeper.on_batch = [&] { node.Release(); };
  ASSERT_TRUE(Stream(keeper).ok());
  EXPECT_EQ(keeper.blocks.size(), 2u);
}

TEST_F(FanoutTest, AStreamEndsWithTheErrorOfItsConsumer) {
  FakeNode& node = AddNode(Blocks({MarshalledBlock({'a'}, {1}, {1}), MarshalledBlock({'a'}, {2}, {2})}));
  node.HoldAfter(1);
  Keeper keeper;
  keeper.refuses = true;
  const auto streamed = Stream(keeper);
  ASSERT_FALSE(streamed.ok());
  EXPECT_EQ(streamed.error().message(), "enough");
  EXPECT_EQ(keeper.blocks.size(), 1u);
  keeper.throws = true;
  EXPECT_THROW(static_cast<void>(Stream(keeper)), std::bad_alloc);
  node.Release();
  while (node.connections() > 0) std::this_thread::sleep_for(1ms);
}

TEST_F(FanoutTest, AStreamEndsWhenItsClientLeaves) {
  FakeNode& node = AddNode(Blocks({MarshalledBlock({'a'}, {1}, {1}), MarshalledBlock({'a'}, {2}, {2})}));
  node.HoldAfter(1);
  Keeper keeper;
  keeper.on_batch = [&] { stop_.request_stop(); };
  const auto streamed = Stream(keeper);
  ASSERT_FALSE(streamed.ok());
  EXPECT_EQ(streamed.error().code(), ErrorCode::kCancelled);
  node.Release();
  while (node.connections() > 0) std::this_thread::sleep_for(1ms);
}

TEST_F(FanoutTest, AStreamFailsWithANodeUnlessAnotherHasAll) {
  AddNode(Blocks({MarshalledBlock({'a'}, {1}, {1})}));
  AddMissingNode();
  deny_partial_ = true;
  Keeper keeper;
  const auto streamed = Stream(keeper);
  ASSERT_FALSE(streamed.ok());
  EXPECT_EQ(streamed.error().code(), ErrorCode::kUnavailable);
  options_.replication_factor = 2;
  keeper.blocks.clear();
  EXPECT_TRUE(Stream(keeper).ok());
  EXPECT_EQ(keeper.blocks.size(), 1u);
}

TEST_F(FanoutTest, AStreamIsChargedToTheBudget) {
  budget_ = std::make_shared<Budget>("-search.maxMemoryPerQuery", 1000);
  AddNode(Blocks({}));
  Keeper keeper;
  const auto streamed = Stream(keeper);
  ASSERT_FALSE(streamed.ok());
  EXPECT_NE(streamed.error().message().find("-search.maxMemoryPerQuery"), std::string::npos);
  EXPECT_EQ(budget_->used_bytes(), 0);
}

TEST_F(FanoutTest, AnExceptionInACallIsAnErrorOfTheRequest) {
  // A frame is read into memory of just its size; nothing else here needs as much.
  constexpr size_t kOddSize = 300'001;
  AddNode(Blocks({ByteBuffer(kOddSize), ByteBuffer(5)}));
  AddNode(Blocks({}));
  refused_size = kOddSize;
  const auto found = Search();
  refused_size = 0;
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code(), ErrorCode::kLimitExceeded);
  EXPECT_NE(found.error().message().find("exception: std::bad_alloc"), std::string::npos) << found.error().message();
}

// Answers come where nothing may fail: as a call ends.
TEST_F(FanoutTest, TheAnswersOfAllNodesHaveRoomBeforeTheyCome) {
  struct Arrival {  // As in Fanout.
    size_t node;
    rpc::CallResult result;
    double duration_ms;
  };
  AddNode(Blocks({}));
  AddNode(Blocks({}));
  AddNode(Blocks({}));
  Start();
  refused_size = 2 * sizeof(Arrival);  // What a vector takes for the second one.
  const auto found = Search();
  refused_size = 0;
  EXPECT_TRUE(found.ok());
}

TEST_F(FanoutTest, ListsAreChargedUntilTheRequestIsOver) {
  rpc::SelectReply names;
  for (int i = 0; i < 1000; ++i) names.AddItem(AsBytes("name" + std::to_string(i)));
  AddNode(names);
  Fanout& fanout = Start();
  budget_ = std::make_shared<Budget>("-search.maxMemoryPerQuery", 100'000);
  FanoutRequest request = Request();
  request.held = std::make_shared<HeldMemory>(budget_);
  const auto refused = net::BlockOn(runtime_.MakeStrand(), fanout.LabelNames({}, 0, request));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kLimitExceeded);
  EXPECT_NE(refused.error().message().find("-search.maxMemoryPerQuery=100000"), std::string::npos) << refused.error().message();
  budget_ = std::make_shared<Budget>("-search.maxMemoryPerQuery", 1'000'000);
  request.held = std::make_shared<HeldMemory>(budget_);
  const auto found = net::BlockOn(runtime_.MakeStrand(), fanout.LabelNames({}, 0, request));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found.value().value.size(), 1000u);
  EXPECT_GT(budget_->used_bytes(), 100'000);
  request.held.reset();
  fanout_.reset();
  while (budget_->used_bytes() > 0) std::this_thread::sleep_for(1ms);
}

TEST_F(FanoutTest, CountsCallsAndBlocksOfEachNode) {
  options_.registry = &registry_;
  AddNode(Blocks({MarshalledBlock({'a'}, {1}, {1}), MarshalledBlock({'b'}, {1}, {1})}));
  AddMissingNode();
  ASSERT_TRUE(Search().ok());
  const std::string node = "name=\"vmselect\", addr=\"" + addrs_[0] + "\"", missing = "name=\"vmselect\", addr=\"127.0.0.1:1\"";
  const std::string search = "{action=\"search\", type=\"rpcClient\", ";
  EXPECT_EQ(registry_.GetCounter("vm_requests_total" + search + node + "}").Get(), 1u);
  EXPECT_EQ(registry_.GetCounter("vm_request_errors_total" + search + node + "}").Get(), 0u);
  EXPECT_EQ(registry_.GetCounter("vm_request_errors_total" + search + missing + "}").Get(), 1u);
  EXPECT_EQ(registry_.GetCounter("vm_metric_blocks_read_total{" + node + "}").Get(), 2u);
  EXPECT_EQ(registry_.GetGauge("vm_concurrent_queries{" + node + "}").Get(), 0);
  EXPECT_EQ(registry_.GetCounter("vm_tcpdialer_dials_total{" + node + "}").Get(), 1u);
  std::string text;
  registry_.Write(text);
  for (const auto& line : {"vm_tcpdialer_addr_available{" + node + "} 1\n", "vm_tcpdialer_addr_available{" + missing + "} 0\n",
                           "vm_tcpdialer_conns_idle{" + node + "} 1\n", std::string("vm_tmp_blocks_inmemory_file_size_bytes_count 1\n")}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
  fanout_.reset();
  text.clear();
  registry_.Write(text);
  EXPECT_EQ(text.find("vm_tcpdialer_conns_idle"), std::string::npos);
}

TEST_F(FanoutTest, UnitesLabelNamesAndCutsThem) {
  rpc::SelectReply first, second;
  for (const auto* name : {"c", "a"}) first.AddItem(AsBytes(name));
  for (const auto* name : {"b", "a"}) second.AddItem(AsBytes(name));
  AddNode(first);
  AddNode(second);
  Fanout& fanout = Start();
  auto found = net::BlockOn(runtime_.MakeStrand(), fanout.LabelNames({}, 0, Request()));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found.value().value, (std::vector<std::string>{"a", "b", "c"}));
  found = net::BlockOn(runtime_.MakeStrand(), fanout.LabelNames({}, 2, Request()));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found.value().value, (std::vector<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace vm::select
