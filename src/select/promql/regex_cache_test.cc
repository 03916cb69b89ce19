#include "select/promql/regex_cache.h"

#include <gtest/gtest.h>
#include <re2/re2.h>

namespace vm::select {
namespace {

TEST(RegexCacheTest, CompilesEachExpressionOnce) {
  RegexCache cache;
  const auto first = cache.Compile("a.b");
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(re2::RE2::FullMatch("axb", *first.value()));
  EXPECT_EQ(cache.Compile("a.b").value(), first.value());
  EXPECT_FALSE(cache.Compile("a(b").ok());
  EXPECT_EQ(cache.texts().requests(), 3u);
  EXPECT_EQ(cache.texts().misses(), 2u);
  EXPECT_EQ(cache.texts().entries(), 1u);
  EXPECT_EQ(cache.texts().text_bytes(), 3u);
}

TEST(RegexCacheTest, KeepsFewAndNoneThatIsBig) {
  RegexCache cache;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(cache.Compile("x" + std::to_string(i)).ok());
  EXPECT_LE(cache.texts().entries(), RegexCache::kMaxEntries);
  const size_t entries = cache.texts().entries();
  // Some hundred copies of a class of many runes.
  ASSERT_TRUE(cache.Compile("(\\pL{50}){5}").ok());
  EXPECT_EQ(cache.texts().entries(), entries);
}

}  // namespace
}  // namespace vm::select
