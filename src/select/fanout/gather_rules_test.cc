#include "select/fanout/gather_rules.h"

#include <gtest/gtest.h>

#include <vector>

namespace vm::select {
namespace {

rpc::NodeSet Nodes(std::vector<std::string> addrs) {
  auto nodes = rpc::NodeSet::Parse(addrs, 8401);
  return nodes.ok() ? std::move(nodes).value() : rpc::NodeSet();
}

size_t One(const std::string&) { return 1; }
size_t Two(const std::string&) { return 2; }

TEST(GatherRulesTest, OneMissingNodeIsTooManyWithoutReplication) {
  GatherRules rules(Nodes({"a", "b"}), One, 1);
  EXPECT_FALSE(rules.IsIncomplete());
  rules.CountFailure("");
  EXPECT_TRUE(rules.IsIncomplete());
}

TEST(GatherRulesTest, ReplicationReplacesNodes) {
  GatherRules rules(Nodes({"a", "b", "c"}), Two, 1);
  rules.CountFailure("");
  EXPECT_FALSE(rules.IsIncomplete());
  rules.CountFailure("");
  EXPECT_TRUE(rules.IsIncomplete());
}

TEST(GatherRulesTest, GroupsReplaceEachOther) {
  GatherRules rules(Nodes({"x/a", "x/b", "y/c"}), One, 2);
  rules.CountFailure("x");
  rules.CountFailure("x");
  EXPECT_FALSE(rules.IsIncomplete());
  rules.CountFailure("y");
  EXPECT_TRUE(rules.IsIncomplete());
}

TEST(GatherRulesTest, IsCompleteOnceReplicasCoverTheRest) {
  GatherRules rules(Nodes({"a", "b", "c"}), Two, 1);
  rules.CountSuccess("");
  EXPECT_FALSE(rules.IsCompleteAlready());
  rules.CountSuccess("");
  EXPECT_TRUE(rules.IsCompleteAlready());
}

TEST(GatherRulesTest, IsCompleteOnceEnoughGroupsAre) {
  GatherRules rules(Nodes({"x/a", "x/b", "y/c", "y/d"}), One, 2);
  rules.CountSuccess("x");
  rules.CountSuccess("y");
  EXPECT_FALSE(rules.IsCompleteAlready());
  rules.CountSuccess("y");
  EXPECT_TRUE(rules.IsCompleteAlready());
}

}  // namespace
}  // namespace vm::select
