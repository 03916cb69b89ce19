#include "select/promql/parse_cache.h"

#include <gtest/gtest.h>

namespace vm::select {
namespace {

TEST(ParseCacheTest, ParsesEachTextOnce) {
  ParseCache cache({});
  const auto first = cache.Parse("1 < foo");
  ASSERT_TRUE(first->ok());
  EXPECT_EQ(metricsql::ToString(*first->value()), "foo > 1");
  EXPECT_EQ(cache.Parse("1 < foo"), first);
  EXPECT_NE(cache.Parse("1  < foo"), first);
  const auto broken = cache.Parse("foo{");
  EXPECT_FALSE(broken->ok());
  EXPECT_EQ(cache.Parse("foo{"), broken);
  EXPECT_EQ(cache.requests(), 5u);
  EXPECT_EQ(cache.misses(), 3u);
  EXPECT_EQ(cache.entries(), 3u);
}

TEST(ParseCacheTest, ForgetsWhatWasNotAskedForLongest) {
  ParseCache cache({}, 80);
  const std::string often = "often";
  const auto kept = cache.Parse(often);
  for (char c = 'a'; c <= 'z'; ++c) {
    cache.Parse(std::string(20, c));
    EXPECT_EQ(cache.Parse(often), kept) << c;
    EXPECT_LE(cache.entries(), 4u);
  }
  const uint64_t misses = cache.misses();
  cache.Parse(std::string(20, 'a'));
  EXPECT_EQ(cache.misses(), misses + 1);
  // Too big to be kept at all.
  cache.Parse(std::string(100, 'x'));
  cache.Parse(std::string(100, 'x'));
  EXPECT_EQ(cache.misses(), misses + 3);
}

TEST(ParseCacheTest, ObeysTheOptionsOfQueries) {
  ParseCache plain({}), dots({.treat_dots_as_is = true});
  const std::string query = R"(foo{a=~"x.y"})";
  EXPECT_NE(metricsql::ToString(*plain.Parse(query)->value()), metricsql::ToString(*dots.Parse(query)->value()));
}

}  // namespace
}  // namespace vm::select
