#include "select/fanout/fanout.h"

#include <gtest/gtest.h>

#include <thread>

#include "select/fanout/fake_node.h"
#include "select/fanout/test_blocks.h"

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
