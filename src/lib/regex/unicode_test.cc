#include "lib/regex/unicode.h"

#include <gtest/gtest.h>

namespace vm::regex {
namespace {

TEST(UnicodeTest, DecodesWhatItAppends) {
  for (const uint32_t code : {0x0U, 0x7fU, 0x80U, 0x7ffU, 0x800U, 0xd7ffU, 0xe000U, 0xffffU, 0x10000U, 0x10ffffU}) {
    std::string text;
    AppendRune(text, code);
    const Rune rune = DecodeRune(text + "x");
    EXPECT_EQ(rune.code, code);
    EXPECT_EQ(rune.size, text.size());
  }
}

TEST(UnicodeTest, InvalidBytesAreTakenOneByOne) {
  for (const std::string_view text :
       {"\x80", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82x", "\xff"}) {
    EXPECT_EQ(DecodeRune(text).code, kRuneError);
    EXPECT_EQ(DecodeRune(text).size, 1U);
  }
  EXPECT_EQ(DecodeRune("").size, 0U);
}

TEST(UnicodeTest, KnowsCategories) {
  EXPECT_TRUE(IsLetter('Z'));
  EXPECT_TRUE(IsLetter(0x444));   // Cyrillic
  EXPECT_FALSE(IsLetter('['));
  EXPECT_FALSE(IsLetter(0x300));  // A combining mark.
  EXPECT_TRUE(IsPrint(0x300));
  EXPECT_TRUE(IsPrint(' '));
  EXPECT_FALSE(IsPrint(0xa0));    // A no-break space.
  EXPECT_FALSE(IsPrint(0x202c));
  EXPECT_FALSE(IsPrint('\n'));
}

TEST(UnicodeTest, QuotesAsGo) {
  std::string text;
  AppendGoQuoted(text, "a\"\\\n\x01\x7f\xff\xd1\x84\xe2\x80\xac\xf3\xa0\x80\x81");
  EXPECT_EQ(text, "\"a\\\"\\\\\\n\\x01\\x7f\\xff\xd1\x84\\u202c\\U000e0001\"");
}

}  // namespace
}  // namespace vm::regex
