#include "storage/engine/series_limiter.h"

#include <gtest/gtest.h>

#include "lib/bytes/bytes.h"
#include "lib/hash/xxhash.h"

namespace vm::storage {
namespace {

uint64_t Key(int i) { return hash::XXH64(AsBytes("series " + std::to_string(i))); }

TEST(SeriesLimiterTest, LetsKnownKeysPassWhenTheLimitIsReached) {
  SeriesLimiter limiter(100, 3'600'000, 0);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(limiter.Add(Key(i), 1));
  // Two keys may share all their bits, so a few are missing.
  EXPECT_GE(limiter.current_series(), 98u);
  for (int i = 100; limiter.current_series() < 100; ++i) limiter.Add(Key(i), 1);
  int passed = 0;
  for (int i = 1000; i < 2000; ++i) passed += limiter.Add(Key(i), 2) ? 1 : 0;
  EXPECT_LT(passed, 20);
  EXPECT_EQ(limiter.dropped(), static_cast<uint64_t>(1000 - passed));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(limiter.Add(Key(i), 3));
  EXPECT_EQ(limiter.current_series(), 100u);
}

TEST(SeriesLimiterTest, StartsAnewWithEachPeriod) {
  SeriesLimiter limiter(1, 1000, 0);
  EXPECT_TRUE(limiter.Add(Key(1), 1));
  EXPECT_FALSE(limiter.Add(Key(2), 999));
  EXPECT_TRUE(limiter.Add(Key(2), 1000));
  EXPECT_FALSE(limiter.Add(Key(1), 1999));
  EXPECT_EQ(limiter.current_series(), 1u);
  EXPECT_EQ(limiter.dropped(), 2u);
}

TEST(SeriesLimiterTest, WithoutALimitEverythingPasses) {
  SeriesLimiter limiter(0, 1000, 0);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limiter.Add(Key(i), i * 10));
  EXPECT_EQ(limiter.current_series(), 0u);
}

TEST(SeriesLimiterTest, TheGreatestLimitCostsNoMemoryUntilItIsUsed) {
  SeriesLimiter limiter(INT32_MAX, 1000, 0);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limiter.Add(Key(i), 1));
  EXPECT_EQ(limiter.current_series(), 1000u);
}

}  // namespace
}  // namespace vm::storage
