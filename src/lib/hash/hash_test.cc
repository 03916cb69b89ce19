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
  // A second row of placements seen from the original: m0 .. m7 with job="a", instance="i<k>", tenant 5:6.
  const size_t by_import[] = {1, 1, 0, 0, 0, 1, 2, 2};
  const size_t by_remote_write[] = {2, 0, 0, 0, 1, 0, 0, 0};
  for (size_t k = 0; k < 8; ++k) {
    const std::string digit = std::to_string(k);
    const auto pick = [&](std::string_view name_key) {
      ByteBuffer row;
      AppendBigEndian<uint32_t>(row, 5);
      AppendBigEndian<uint32_t>(row, 6);
      for (const std::string& text : {std::string(name_key), "m" + digit, std::string("job"), std::string("a"),
                                      std::string("instance"), "i" + digit}) {
        AppendBigEndian(row, static_cast<uint16_t>(text.size()));
        Append(row, text);
      }
      return plain.Pick(XXH64(row));
    };
    EXPECT_EQ(pick(""), by_import[k]) << k;
    EXPECT_EQ(pick("__name__"), by_remote_write[k]) << k;
  }
  const size_t all[] = {0, 1, 2};
  EXPECT_EQ(plain.Pick(0xadb981964da62e23u, all), 0u);
}

}  // namespace
}  // namespace vm::hash
