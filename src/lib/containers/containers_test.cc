#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "lib/containers/key_filter.h"

#include <string>

#include "lib/containers/byte_key_cache.h"
#include "lib/containers/generation_set.h"
#include "lib/containers/large_array.h"

namespace vm::containers {
namespace {

TEST(ByteKeyCacheTest, ReturnsWhatWasPut) {
  ByteKeyCache<int> cache(1 << 20);
  EXPECT_FALSE(cache.Get(AsBytes("a")));
  cache.Put(AsBytes("a"), 1);
  cache.Put(AsBytes("b"), 2);
  cache.Put(AsBytes("a"), 3);
  EXPECT_EQ(cache.Get(AsBytes("a")), 3);
  EXPECT_EQ(cache.Get(AsBytes("b")), 2);
  EXPECT_EQ(cache.entries(), 2u);
  EXPECT_EQ(cache.requests(), 3u);
  EXPECT_EQ(cache.misses(), 1u);
  cache.Clear();
  EXPECT_FALSE(cache.Get(AsBytes("a")));
}

TEST(ByteKeyCacheTest, PreparedKeysFindTheSameEntries) {
  ByteKeyCache<uint64_t> cache(1 << 20);
  std::vector<Key128> keys;
  for (uint64_t i = 0; i < 2000; ++i) {
    const std::string name = "series_" + std::to_string(i);
    keys.push_back(cache.Prepare(AsBytes(name)));
    if (i % 2 == 0) cache.Put(keys.back(), i);
    if (i % 2 == 1) cache.Put(AsBytes(name), i);
  }
  for (uint64_t i = 0; i < keys.size(); ++i) {
    ASSERT_EQ(cache.Get(keys[i]), i);
    ASSERT_EQ(cache.Get(AsBytes("series_" + std::to_string(i))), i);
  }
  cache.Clear();
  EXPECT_FALSE(cache.Get(cache.Prepare(AsBytes("series_1"))));
}

// Sizes around those from which on large pages are used, and what they are rounded to.
TEST(LargeArrayTest, IsZeroAndItsOwn) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{1000}, size_t{1'500'000}, size_t{1'600'000}, size_t{2 << 20},
                            size_t{3'000'000}, size_t{5'000'001}}) {
    LargeArray<uint8_t> first(size), second(size);
    ASSERT_EQ(first.size(), size);
    for (size_t i = 0; i < size; ++i) ASSERT_EQ(first[i], 0) << i;
    std::fill(first.begin(), first.end(), uint8_t{1});
    for (size_t i = 0; i < size; ++i) ASSERT_EQ(second[i], 0) << i;
    LargeArray<uint8_t> moved(std::move(first));
    EXPECT_EQ(moved.size(), size);
    second = std::move(moved);
    EXPECT_EQ(std::count(second.begin(), second.end(), 1), static_cast<ptrdiff_t>(size));
    EXPECT_EQ(first.size(), 0u);
  }
}

TEST(FlatTableTest, KeepsEveryKeyWhileItGrows) {
  FlatTable<uint64_t> table;
  EXPECT_EQ(table.Find({1, 0}), nullptr);
  for (uint64_t i = 1; i <= 10000; ++i) table.Put({i, i % 3}, i * 7);
  for (uint64_t i = 1; i <= 10000; ++i) {
    const uint64_t* found = table.Find({i, i % 3});
    ASSERT_NE(found, nullptr) << i;
    EXPECT_EQ(*found, i * 7);
    EXPECT_EQ(table.Find({i, i % 3 + 1}), nullptr);
  }
  table.Put({5, 2}, 1);
  EXPECT_EQ(table.size(), 10000u);
  EXPECT_EQ(*table.Find({5, 2}), 1u);
  EXPECT_GE(table.bytes_after_put(), table.bytes());
  table.Clear();
  EXPECT_EQ(table.Find({5, 2}), nullptr);
}

TEST(ByteKeyCacheTest, StaysBelowItsLimitAndKeepsWhatIsUsed) {
  constexpr size_t kLimit = 1 << 21;
  ByteKeyCache<uint64_t> cache(kLimit);
  cache.Put(AsBytes("hot"), 7);
  for (uint64_t i = 0; i < 200000; ++i) {
    cache.Put(AsBytes("series_" + std::to_string(i)), i);
    ASSERT_EQ(cache.Get(AsBytes("hot")), 7u);
  }
  EXPECT_LE(cache.size_bytes(), kLimit);
  EXPECT_GT(cache.size_bytes(), kLimit / 4);
}

TEST(GenerationSetTest, KnowsPairsByBothParts) {
  GenerationSet set(1000);
  set.Add(1, 5);
  EXPECT_TRUE(set.Has(1, 5));
  EXPECT_FALSE(set.Has(2, 5));
  EXPECT_FALSE(set.Has(1, 6));
}

TEST(GenerationSetTest, IsBounded) {
  GenerationSet set(1000);
  for (uint64_t i = 0; i < 100000; ++i) set.Add(1, i);
  EXPECT_LE(set.entries(), 1200u);
  EXPECT_TRUE(set.Has(1, 99999));
}

TEST(KeyFilterTest, MissesNoneAndRarelyErrs) {
  std::mt19937_64 random(5);
  for (const size_t count : {0, 1, 100, 100000}) {
    std::vector<uint64_t> keys(count);
    for (uint64_t& key : keys) key = random();
    const KeyFilter filter(keys);
    EXPECT_EQ(filter.bytes(), KeyFilter::BytesFor(count));
    EXPECT_LE(filter.bytes(), 64 + count * 2);
    for (const uint64_t key : keys) ASSERT_TRUE(filter.MayHave(key));
    int wrong = 0;
    for (int i = 0; i < 100000; ++i) wrong += filter.MayHave(random()) ? 1 : 0;
    EXPECT_LT(wrong, 500);
  }
}

}  // namespace
}  // namespace vm::containers
