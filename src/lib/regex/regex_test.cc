#include "lib/regex/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vm::regex {
namespace {

TEST(Regex, LiteralsBecomeOrValues) {
  const auto re = Regex::Compile("b|a\\.c|b");
  ASSERT_TRUE(re.ok());
  EXPECT_THAT(re.value().or_values(), testing::ElementsAre("a.c", "b"));
  EXPECT_TRUE(re.value().Match("a.c"));
  EXPECT_FALSE(re.value().Match("abc"));
}

TEST(Regex, PrefixEndsBeforeRepetition) {
  const auto prefix = [](std::string_view text) { return Regex::Compile(text).value().prefix(); };
  EXPECT_EQ(prefix("foo.*"), "foo");
  EXPECT_EQ(prefix("foo*"), "fo");
  EXPECT_EQ(prefix("f\xc3\xa4?x"), "f");
  EXPECT_EQ(prefix("foo.*|bar"), "");
  EXPECT_EQ(prefix("(?i)foo"), "");
}

TEST(Regex, MatchesWholeValuesAndLineFeeds) {
  const auto re = Regex::Compile("fo+.b");
  ASSERT_TRUE(re.ok());
  EXPECT_TRUE(re.value().Match("foo\nb"));
  EXPECT_FALSE(re.value().Match("xfoo b"));
  EXPECT_FALSE(Regex::Compile("a(").ok());
}

}  // namespace
}  // namespace vm::regex
