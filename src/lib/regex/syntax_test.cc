#include "lib/regex/syntax.h"

#include <gtest/gtest.h>

#include "lib/regex/simplify.h"

namespace vm::regex {
namespace {

void ExpectPrinted(std::string_view expression, std::string_view want) {
  SCOPED_TRACE(expression);
  auto node = ParseSyntax(expression);
  ASSERT_TRUE(node.ok()) << node.error().message();
  EXPECT_EQ(ToString(node.value()), want);
}

void ExpectError(std::string_view expression, std::string_view want) {
  const auto node = ParseSyntax(expression);
  ASSERT_FALSE(node.ok()) << expression;
  EXPECT_EQ(node.error().message(), "error parsing regexp: " + std::string(want));
}

TEST(SyntaxTest, FactorsAlternatives) {
  ExpectPrinted("abc|abd|aef|bcx|bcy", "a(?:b[cd]|ef)|bc[xy]");
  ExpectPrinted("a|b|c|[d-f]", "[a-f]");
  ExpectPrinted("foo||", "foo|(?:)");
  ExpectPrinted("[ab]x|[ab]y", "[ab][xy]");
  ExpectPrinted("[ab]*x|[ab]*y", "[ab]*x|[ab]*y");
}

TEST(SyntaxTest, PrintsFlagsWhereTheyAreNeeded) {
  ExpectPrinted("(?i)foo", "(?i:FOO)");
  ExpectPrinted("(?i:foo)bar", "(?i:FOO)bar");
  ExpectPrinted("(?i)[a]", "(?i:A)");
  ExpectPrinted("(?i)[ks]", "[KSks\xc5\xbf\xe2\x84\xaa]");
  ExpectPrinted("(?-s).", "(?-s:.)");
  ExpectPrinted("(?m)^a$", "(?m:^a$)");
  ExpectPrinted("^a$", "(?-m:\\Aa$)");
  ExpectPrinted("(?U)a+?", "a+");
  ExpectPrinted("(?i)\\pL[\xc3\xa0-\xc3\xbc]", "(?i:\\pL)(?i:[\xc3\xa0-\xc3\xbc])");
}

TEST(SyntaxTest, Classes) {
  ExpectPrinted("[^a]", "[^a]");
  ExpectPrinted("\\d\\W", "[0-9][^0-9A-Z_a-z]");
  ExpectPrinted("[[:alpha:]_-]", "[\\-A-Z_a-z]");
  ExpectPrinted("[\\p{Greek}a]", "[\\p{Greek}a]");
  ExpectPrinted("\\x41\\x{42}\\103\\n", "ABC\\n");
  ExpectPrinted("\\Qa.b\\E+", "a\\.b+");
  ExpectPrinted("a{,2}", "a\\{,2\\}");
}

TEST(SyntaxTest, RejectsWhatGoRejects) {
  ExpectError("a(", "missing closing ): `a(`");
  ExpectError("a)", "unexpected ): `a)`");
  ExpectError("a[b", "missing closing ]: `[b`");
  ExpectError("[z-a]", "invalid character class range: `z-a`");
  ExpectError("*", "missing argument to repetition operator: `*`");
  ExpectError("a**", "invalid nested repetition operator: `**`");
  ExpectError("a{1001}", "invalid repeat count: `{1001}`");
  ExpectError("(?:a{100}){100}", "invalid repeat count: `{100}`");
  ExpectError("\\8", "invalid escape sequence: `\\8`");
  ExpectError("\\C", "invalid escape sequence: `\\C`");
  ExpectError("a\\", "trailing backslash at end of expression: ``");
  ExpectError("(?x)", "invalid or unsupported Perl syntax: `(?x`");
  ExpectError("(?P<n", "invalid named capture: `(?P<n`");
  ExpectError("\\p{Foo}", "invalid character class range: `\\p{Foo}`");
  ExpectError("\xff", "invalid UTF-8: `\xff`");
}

TEST(SyntaxTest, DepthAndSizeAreBounded) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "(a";
  EXPECT_FALSE(ParseSyntax(deep).ok());
  for (int i = 0; i < 100'000; ++i) deep += ")";
  ExpectError(deep, "expression nests too deeply: `" + deep + "`");
  // Written out it would have a million characters: it stays as it is.
  const std::string big = "(?:" + std::string(1000, 'x') + "a?){1000}";
  EXPECT_EQ(Simplify(big, Anchoring::kWhole), (Simplified{"", big}));
}

TEST(SimplifyTest, DropsWhatCannotMatter) {
  EXPECT_EQ(Simplify("(a|b)(?P<n>c)", Anchoring::kWhole), (Simplified{"", "[ab]c"}));
  EXPECT_EQ(Simplify("a{2,3}", Anchoring::kWhole), (Simplified{"aa", "a?"}));
  EXPECT_EQ(Simplify("x(?:)*y", Anchoring::kWhole), (Simplified{"xy", ""}));
}

}  // namespace
}  // namespace vm::regex
