#include "select/http/tenant_cache.h"

#include <gtest/gtest.h>

namespace vm::select {
namespace {

using namespace std::chrono_literals;

constexpr int64_t kDay = 24 * 3600 * 1000;
const TenantCache::Clock::time_point kNow{};
const std::vector<model::Tenant> kTenants = {{1, 2}, {3, 0}};

TEST(TenantCacheTest, KnowsTheDaysOfARange) {
  TenantCache cache(1min);
  EXPECT_FALSE(cache.Get({kDay + 5, kDay + 6}, kNow));
  cache.Put({kDay + 5, kDay + 6}, kTenants, kNow);
  EXPECT_EQ(cache.Get({kDay, 2 * kDay - 1}, kNow), kTenants);
  EXPECT_FALSE(cache.Get({kDay, 2 * kDay}, kNow));
  EXPECT_EQ(cache.requests(), 3u);
  EXPECT_EQ(cache.misses(), 2u);
  EXPECT_EQ(cache.entries(), 1u);
}

TEST(TenantCacheTest, ForgetsInTime) {
  TenantCache cache(1min);
  cache.Put({0, 1}, kTenants, kNow);
  EXPECT_TRUE(cache.Get({0, 1}, kNow + 59s));
  EXPECT_FALSE(cache.Get({0, 1}, kNow + 60s));
  EXPECT_EQ(cache.entries(), 0u);
}

TEST(TenantCacheTest, KeepsNothingWithoutALifetime) {
  TenantCache cache(0ms);
  cache.Put({0, 1}, kTenants, kNow);
  EXPECT_FALSE(cache.Get({0, 1}, kNow));
  EXPECT_EQ(cache.requests(), 0u);
}

}  // namespace
}  // namespace vm::select
