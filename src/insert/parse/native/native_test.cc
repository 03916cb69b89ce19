#include "insert/parse/native/native.h"

#include <gtest/gtest.h>

namespace vm::insert {
namespace {

// Written by the reference for `bar{x="<q>'\tz"} 3 1795288448000`.
constexpr std::string_view kBody =
    "0000000000000000" "00000343ff126600" "0000000e" "62617201" "7801" "3c713e275c747a01"
    "00000014" "80f0bdf8bf68" "80f0bdf8bf68" "06" "01" "00" "03" "03" "40" "00" "00";

/// All blocks of whole parts.
Status ReadAll(NativeReader& reader, ByteView whole, std::vector<NativeBlock>& blocks) {
  for (;;) {
    VM_ASSIGN_OR_RETURN(const NativeBlock* const block, reader.Next(whole));
    if (block == nullptr) return Ok();
    blocks.push_back(*block);
  }
}

ByteBuffer Body() {
  ByteBuffer bytes;
  EXPECT_TRUE(FromHex(kBody, bytes));
  return bytes;
}

TEST(NativeReaderTest, ReadsWhatTheReferenceWrites) {
  const ByteBuffer body = Body();
  for (const size_t piece : {size_t{1}, size_t{7}, body.size()}) {
    NativeReader reader;
    std::vector<NativeBlock> blocks;
    size_t start = 0;
    for (size_t end = 0; end <= body.size(); end += piece) {
      const ByteView bytes = ByteView(body).subspan(start, end - start);
      const auto size = reader.WholeSize(bytes, end == body.size());
      ASSERT_TRUE(size.ok()) << size.error().message();
      ASSERT_TRUE(ReadAll(reader, bytes.first(size.value()), blocks).ok());
      start += size.value();
    }
    if (body.size() % piece != 0) continue;
    ASSERT_EQ(blocks.size(), 1u);
    EXPECT_EQ(blocks[0].name.metric_group, "bar");
    EXPECT_EQ(blocks[0].name.tags, (std::vector<model::Tag>{{"x", "<q>'\\tz"}}));
    EXPECT_EQ(blocks[0].timestamps, (std::vector<int64_t>{1795288448000}));
    EXPECT_EQ(blocks[0].values, (std::vector<double>{3}));
  }
}

TEST(NativeReaderTest, LeavesOutSamplesBeyondTheRange) {
  ByteBuffer body = Body();
  body[9] = body[10] = body[11] = 0;
  NativeReader reader;
  std::vector<NativeBlock> blocks;
  ASSERT_EQ(reader.WholeSize(body, true).value(), body.size());
  ASSERT_TRUE(ReadAll(reader, body, blocks).ok());
  ASSERT_EQ(blocks.size(), 1u);
  EXPECT_TRUE(blocks[0].values.empty());
}

TEST(NativeReaderTest, RefusesEveryTruncation) {
  const ByteBuffer body = Body();
  for (size_t size = 0; size < body.size(); ++size) {
    if (size == 16) continue;  // A header and no block is a whole body.
    NativeReader reader;
    EXPECT_FALSE(reader.WholeSize(ByteView(body).first(size), true).ok()) << size;
    EXPECT_TRUE(reader.WholeSize(ByteView(body).first(size), false).ok()) << size;
  }
  NativeReader reader;
  EXPECT_EQ(reader.WholeSize(ByteView(body).first(5), true).error().message(), "cannot read time range: unexpected EOF");
}

TEST(NativeReaderTest, RefusesBrokenBlocksAndSizes) {
  ByteBuffer body = Body();
  body[16] = 1;
  EXPECT_EQ(NativeReader().WholeSize(body, false).error().message(),
            "too big metricName size; got 16777230; shouldn't exceed 1048576");
  body = Body();
  body.back() = 77;
  NativeReader reader;
  ASSERT_TRUE(reader.WholeSize(body, true).ok());
  std::vector<NativeBlock> blocks;
  EXPECT_FALSE(ReadAll(reader, body, blocks).ok());
}

}  // namespace
}  // namespace vm::insert
