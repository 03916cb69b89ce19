// Blocks of parts that the original wrote; read when ../shared is beside the checkout.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "lib/encoding/zstd.h"
#include "lib/model/block.h"

namespace vm::model {
namespace {

namespace stdfs = std::filesystem;

ByteBuffer ReadAll(const stdfs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return ByteBuffer(std::istreambuf_iterator<char>(in), {});
}

ByteBuffer Unpack(ByteView frame) {
  ByteBuffer plain;
  const Status status = encoding::DecompressZstd(plain, frame, 1 << 20);
  EXPECT_TRUE(status.ok());
  return plain;
}

// If this breaks, directories of the original are read wrongly, or merged into something it cannot read.
TEST(GoldenPartsTest, BlocksOfTheOriginalDecodeAndEncodeToTheSameBytes) {
  const stdfs::path root = stdfs::path(VM_SHARED_DIR) / "golden/disk";
  if (!stdfs::exists(root)) GTEST_SKIP() << "no ../shared/golden beside this checkout";
  std::set<encoding::MarshalType> types;
  size_t blocks = 0;
  for (const auto& entry : stdfs::recursive_directory_iterator(root)) {
    if (entry.path().filename() != "timestamps.bin") continue;
    const stdfs::path part = entry.path().parent_path();
    SCOPED_TRACE(part.string());
    const ByteBuffer timestamps = ReadAll(part / "timestamps.bin");
    const ByteBuffer values = ReadAll(part / "values.bin");
    const ByteBuffer index = ReadAll(part / "index.bin");
    const ByteBuffer rows = Unpack(ReadAll(part / "metaindex.bin"));
    ASSERT_EQ(rows.size() % 64, 0u);
    for (size_t at = 0; at < rows.size(); at += 64) {
      const auto offset = LoadBigEndian<uint64_t>(rows.data() + at + 52);
      const auto size = LoadBigEndian<uint32_t>(rows.data() + at + 60);
      const ByteBuffer frame = Unpack(ByteView(index).subspan(offset, size));
      ByteView src = frame;
      while (!src.empty()) {
        auto got = UnmarshalBlockHeader(src);
        ASSERT_TRUE(got.ok()) << got.error().message();
        const BlockHeader h = got.value();
        const EncodedBlock block{h, ByteView(timestamps).subspan(h.timestamps_offset, h.timestamps_size),
                                 ByteView(values).subspan(h.values_offset, h.values_size)};
        DecodedBlock decoded;
        const Status status = DecodeBlock(block, decoded);
        ASSERT_TRUE(status.ok()) << status.error().message();
        ++blocks;
        types.insert(h.timestamps_type);
        types.insert(h.values_type);
        if (h.precision_bits < 64) continue;  // The digits cleared in the first encoding are gone.
        ByteBuffer timestamps_data, values_data;
        BlockHeader again = EncodeBlock(h.tsid, decoded.timestamps, decoded.mantissas, h.scale, 64,
                                        timestamps_data, values_data);
        again.timestamps_offset = h.timestamps_offset;
        again.values_offset = h.values_offset;
        EXPECT_EQ(again, h);
        EXPECT_EQ(ToHex(timestamps_data), ToHex(block.timestamps_data));
        EXPECT_EQ(ToHex(values_data), ToHex(block.values_data));
      }
    }
  }
  EXPECT_GT(blocks, 1000u);
  EXPECT_EQ(types.size(), 6u) << "all six array types must occur";
}

}  // namespace
}  // namespace vm::model
