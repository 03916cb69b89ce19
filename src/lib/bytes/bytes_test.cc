#include "lib/bytes/bytes.h"

#include <gtest/gtest.h>

namespace vm {
namespace {

TEST(BytesTest, WritesAndReadsBigEndian) {
  ByteBuffer dst = {0xAA};
  AppendBigEndian<uint32_t>(dst, 0x01020304u);
  AppendBigEndian<uint8_t>(dst, 0xFFu);
  EXPECT_EQ(ToHex(dst), "aa01020304ff");
  ByteView src = ByteView(dst).subspan(1);
  EXPECT_EQ(TakeBigEndian<uint32_t>(src), 0x01020304u);
  EXPECT_EQ(src.size(), 1u);
}

TEST(BytesTest, ComparesUnsignedAndShorterFirst) {
  EXPECT_LT(Compare(AsBytes("a"), AsBytes("\xff")), 0);
  EXPECT_LT(Compare(AsBytes("a"), AsBytes("ab")), 0);
  EXPECT_EQ(Compare(AsBytes(""), AsBytes("")), 0);
}

TEST(BytesTest, HexRoundTripsAndRejectsBadDigits) {
  ByteBuffer dst;
  EXPECT_TRUE(FromHex("00ff 1a", dst));
  EXPECT_EQ(ToHex(dst), "00ff1a");
  EXPECT_FALSE(FromHex("0g", dst));
  EXPECT_FALSE(FromHex("0", dst));
}

}  // namespace
}  // namespace vm
