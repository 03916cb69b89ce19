#include "lib/containers/piece_cache.h"

#include <gtest/gtest.h>

namespace vm::containers {
namespace {

PieceCache<int>::Piece Number(int n) { return std::make_shared<const int>(n); }

TEST(PieceCacheTest, KeepsWhatIsAskedForTwice) {
  PieceCache<int> cache(1 << 20);
  EXPECT_NE(cache.NewFile(), cache.NewFile());
  EXPECT_EQ(cache.Get(1, 64), nullptr);
  cache.Put(1, 64, Number(7), 100);
  EXPECT_EQ(cache.Get(1, 64), nullptr);
  cache.Put(1, 64, Number(8), 100);
  const auto piece = cache.Get(1, 64);
  ASSERT_NE(piece, nullptr);
  EXPECT_EQ(*piece, 8);
  EXPECT_EQ(cache.Get(1, 65), nullptr);
  EXPECT_EQ(cache.Get(2, 64), nullptr);
  EXPECT_EQ(cache.stats().requests, 5u);
  EXPECT_EQ(cache.stats().misses, 4u);
  EXPECT_EQ(cache.stats().entries, 1u);
  EXPECT_GE(cache.stats().size_bytes, 100u);
  EXPECT_EQ(cache.stats().max_bytes, 1u << 20);
}

TEST(PieceCacheTest, StaysBelowItsLimitAndDropsTheOldest) {
  PieceCache<int> cache(16 * 4000);
  for (uint64_t place = 0; place < 2000; ++place) {
    for (int i = 0; i < 2; ++i) cache.Put(1, place, Number(1), 500);
    EXPECT_NE(cache.Get(1, place), nullptr);
    for (int i = 0; i < 2; ++i) cache.Put(9, 0, Number(1), 500);
    EXPECT_NE(cache.Get(9, 0), nullptr);
  }
  const PieceCacheStats stats = cache.stats();
  EXPECT_LE(stats.size_bytes, 16u * 4000);
  EXPECT_GT(stats.entries, 40u);
  EXPECT_EQ(cache.Get(1, 0), nullptr);
  for (int i = 0; i < 3; ++i) cache.Put(1, 5000, Number(1), 5000);
  EXPECT_EQ(cache.Get(1, 5000), nullptr);  // Too big for a shard.
}

TEST(PieceCacheTest, ForgetsAFile) {
  PieceCache<int> cache(1 << 20);
  for (uint64_t file : {1, 2}) {
    for (uint64_t place = 0; place < 100; ++place) {
      for (int i = 0; i < 2; ++i) cache.Put(file, place, Number(1), 10);
    }
  }
  EXPECT_EQ(cache.stats().entries, 200u);
  cache.Forget(1);
  cache.Forget(3);
  EXPECT_EQ(cache.stats().entries, 100u);
  EXPECT_EQ(cache.Get(1, 3), nullptr);
  EXPECT_NE(cache.Get(2, 3), nullptr);
  cache.Forget(2);
  EXPECT_EQ(cache.stats().entries, 0u);
  EXPECT_EQ(cache.stats().size_bytes, 0u);
}

}  // namespace
}  // namespace vm::containers
