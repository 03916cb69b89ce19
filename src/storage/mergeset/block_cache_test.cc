#include "storage/mergeset/block_cache.h"

#include <gtest/gtest.h>

namespace vm::mergeset {
namespace {

BlockCache::Value Number(int n) { return std::make_shared<const int>(n); }

TEST(BlockCacheTest, KeepsWhatIsAskedForTwice) {
  BlockCache cache(1 << 20);
  EXPECT_EQ(cache.Get(1, 64), nullptr);
  cache.Put(1, 64, Number(7), 100);
  EXPECT_EQ(cache.Get(1, 64), nullptr);
  cache.Put(1, 64, Number(8), 100);
  const auto value = cache.Get(1, 64);
  ASSERT_NE(value, nullptr);
  EXPECT_EQ(*static_cast<const int*>(value.get()), 8);
  EXPECT_EQ(cache.Get(1, 65), nullptr);
  EXPECT_EQ(cache.Get(2, 64), nullptr);
  EXPECT_EQ(cache.stats().requests, 5u);
  EXPECT_EQ(cache.stats().misses, 4u);
  EXPECT_EQ(cache.stats().entries, 1u);
}

TEST(BlockCacheTest, StaysBelowItsLimitAndDropsTheOldest) {
  BlockCache cache(16 * 4000);
  for (uint64_t offset = 0; offset < 2000; ++offset) {
    for (int i = 0; i < 2; ++i) cache.Put(1, offset, Number(1), 500);
    EXPECT_NE(cache.Get(1, offset), nullptr);
    for (int i = 0; i < 2; ++i) cache.Put(9, 0, Number(1), 500);
    EXPECT_NE(cache.Get(9, 0), nullptr);
  }
  const auto stats = cache.stats();
  EXPECT_LE(stats.size_bytes, 16u * 4000);
  EXPECT_GT(stats.entries, 40u);
  EXPECT_EQ(cache.Get(1, 0), nullptr);
  cache.Put(1, 5000, Number(1), 5000);
  cache.Put(1, 5000, Number(1), 5000);
  EXPECT_EQ(cache.Get(1, 5000), nullptr);  // Too big for a shard.
}

TEST(BlockCacheTest, ForgetsAPart) {
  BlockCache cache(1 << 20);
  for (uint64_t part : {1, 2}) {
    for (uint64_t offset = 0; offset < 100; ++offset) {
      for (int i = 0; i < 2; ++i) cache.Put(part, offset, Number(1), 10);
    }
  }
  EXPECT_EQ(cache.stats().entries, 200u);
  cache.Forget(1);
  EXPECT_EQ(cache.stats().entries, 100u);
  EXPECT_EQ(cache.Get(1, 3), nullptr);
  EXPECT_NE(cache.Get(2, 3), nullptr);
}

}  // namespace
}  // namespace vm::mergeset
