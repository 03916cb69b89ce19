#include <gtest/gtest.h>

#include "lib/hash/rendezvous.h"
#include "lib/hash/xxhash.h"

namespace vm::hash {
namespace {

TEST(XXHashTest, HashesToTheKnownValues) {
  EXPECT_EQ(XXH64(AsBytes("")), 0xef46db3751d8e999u);
  EXPECT_EQ(XXH64(AsBytes("a")), 0xd24ec4f1a98c6e5bu);
  EXPECT_EQ(XXH64(AsBytes("foo")), 0x33bf00a859c4ba3fu);
  EXPECT_EQ(XXH64(AsBytes("host-1")), 0x2e03bba7ae31b4ddu);
  EXPECT_EQ(XXH64(AsBytes("host-1:8400")), 0x50066daf5704d62eu);
}

// If this breaks, the same series goes to another node than the original would choose.
TEST(RendezvousTest, PicksTheNodesTheOriginalPicked) {
  const std::vector<std::string> nodes = {"127.0.0.1:18501", "127.0.0.1:18502", "127.0.0.1:18503"};
  const Rendezvous plain(nodes, 0);
  EXPECT_EQ(plain.Pick(0xadb981964da62e23u), 0u);
  const size_t first[] = {0};
  EXPECT_EQ(plain.Pick(0xadb981964da62e23u, first), 2u);
  EXPECT_EQ(plain.Pick(0x40bed52f479498d6u), 1u);
  EXPECT_EQ(Rendezvous(nodes, kClusterNativeSeed).Pick(0xadb981964da62e23u), 1u);
  const size_t all[] = {0, 1, 2};
  EXPECT_EQ(plain.Pick(0xadb981964da62e23u, all), 0u);
}

}  // namespace
}  // namespace vm::hash
