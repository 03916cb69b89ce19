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
  EXPECT_EQ(prefix("^foo(bar.*|baz.*)$"), "fooba");
  EXPECT_EQ(prefix("(?i)foo"), "");
}

TEST(Regex, MatchesWholeValuesAndLineFeeds) {
  const auto re = Regex::Compile("fo+.b");
  ASSERT_TRUE(re.ok());
  EXPECT_TRUE(re.value().Match("foo\nb"));
  EXPECT_FALSE(re.value().Match("xfoo b"));
  EXPECT_FALSE(Regex::Compile("a(").ok());
}

TEST(Regex, FastPathsGiveWhatTheMatcherGives) {
  const auto match = [](std::string_view text, std::string_view value) {
    const auto re = Regex::Compile(text);
    EXPECT_TRUE(re.ok()) << text;
    return re.ok() && re.value().Match(value);
  };
  EXPECT_TRUE(match("foo.*", "foo\n"));
  EXPECT_FALSE(match("foo.+", "foo"));
  EXPECT_TRUE(match(".*foo.*", "foo"));
  EXPECT_FALSE(match(".+foo.+", "afoo"));
  EXPECT_TRUE(match(".+foo.+", "foofoox"));
  EXPECT_FALSE(match(".+foo.+", "foofoo"));
  EXPECT_TRUE(match("^(foo|ba[rz])$", "baz"));
  EXPECT_FALSE(match("a|b", "ab"));
  EXPECT_TRUE(match("(?i)foo", "FoO"));
  EXPECT_TRUE(match("a{0,1000}", "aaa"));
  EXPECT_TRUE(match("^?ba", "ba"));
  EXPECT_FALSE(match("(?:^b$){2}$", "bb"));
  EXPECT_TRUE(match("(?<name>a+)b", "aab"));
}

}  // namespace
}  // namespace vm::regex
