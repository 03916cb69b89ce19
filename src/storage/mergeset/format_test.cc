// Bytes of the format: what the original wrote is read and written again.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "lib/encoding/zstd.h"
#include "storage/mergeset/part.h"

namespace vm::mergeset {
namespace {

ByteBuffer Bytes(std::string_view hex) {
  ByteBuffer bytes;
  EXPECT_TRUE(FromHex(hex, bytes));
  return bytes;
}

constexpr const char* kFiles[] = {"items.bin", "lens.bin", "index.bin", "metaindex.bin", "metadata.json"};

// A complete part of 16 items as the original wrote it.
constexpr std::string_view kMetadata =
    R"({"ItemsCount":16,"BlocksCount":1,"FirstItem":"010000000000000000016e616e5f6d65747269630118ea2505c5cc3438","LastItem":"07000000000000512a00000000000000006e65776f6e6501780131010200000000000000008880f76e1235fb08360564d47fe19c4018ea2505c5cc3437"})";
constexpr std::string_view kMetaindex =
    "28b52ffd202e7101001d010000000000000000016e616e5f6d65747269630118ea2505c5cc34380000000100000000000000000000003a";
constexpr std::string_view kIndex =
    "28b52ffd203c8d01008402001d01000000016e616e5f6d65747269630118ea2505c5cc3438010000001000000000d100000027020081762d2802";
constexpr std::string_view kLens =
    "28b52ffd201ef100000b0200091010101018181302001112040c082c0015003d003c043c381800";
constexpr std::string_view kItems =
    "28b52ffd608d003d0600b40865776f6e650118ea2505c5cc3437780131fe066e65776f6e650200000000000000008880f76e1235fb08360564d47fe19c40"
    "380000e8c3619fa3f697ed360564d47fe19c4038030000006e65776f6e650178013101386e616e5f6d65747269630105512a06512a016e616e5f6d657472"
    "69630118ea2505c5cc34380700512a000000e8c3619fa3f697ed381700310b80530d4bdbaec176b6d8120c63c075d5447bad37a673186ec8ad71c1dc0660"
    "d3514482af552107a1434002d99904d024ce4dcebf284b";

class MergesetFormatTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "mergeset_format.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  // Read every block of the part in `folder` and write the same blocks into `copy`.
  void Rewrite(const std::string& folder, const std::string& copy) {
    auto part = Part::Open(files_, folder);
    ASSERT_TRUE(part.ok()) << part.error().message();
    PartCursor cursor(part.value());
    const PrepareBlock keep;
    PartWriter writer(CompressLevelFor(part.value()->header().items_count), keep);
    ASSERT_TRUE(cursor.Seek({}).ok());
    while (cursor.valid()) {
      ASSERT_TRUE(writer.Add(cursor.item()).ok());
      ASSERT_TRUE(cursor.Next().ok());
    }
    auto written = writer.Finish(files_, copy);
    ASSERT_TRUE(written.ok()) << written.error().message();
    ASSERT_TRUE(written.value());
    EXPECT_EQ(writer.header().items_count, part.value()->header().items_count);
  }

  fs::FileSystem& files_ = fs::RealFileSystem();
  std::string root_;
};

// If this breaks, index tables of earlier versions and of the original can no longer be read.
TEST_F(MergesetFormatTest, ReadsAndWritesTheKnownBytes) {
  const std::string folder = root_ + "/known";
  ASSERT_TRUE(files_.CreateDirectory(folder).ok());
  const ByteBuffer bytes[] = {Bytes(kItems), Bytes(kLens), Bytes(kIndex), Bytes(kMetaindex),
                              ByteBuffer(kMetadata.begin(), kMetadata.end())};
  for (size_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(fs::WriteFileSynced(files_, folder + "/" + kFiles[i], bytes[i]).ok());
  }
  auto part = Part::Open(files_, folder);
  ASSERT_TRUE(part.ok()) << part.error().message();
  EXPECT_EQ(part.value()->header().items_count, 16u);
  PartCursor cursor(part.value());
  ASSERT_TRUE(cursor.Seek(Bytes("02")).ok());
  ASSERT_TRUE(cursor.valid());
  EXPECT_EQ(cursor.item()[0], 2);
  ASSERT_TRUE(cursor.Seek({}).ok());
  EXPECT_EQ(ToHex(cursor.item()), "010000000000000000016e616e5f6d65747269630118ea2505c5cc3438");
  ASSERT_TRUE(cursor.Next().ok());
  EXPECT_EQ(ToHex(cursor.item()), "010000000000000000016e65776f6e650118ea2505c5cc3437");
  ASSERT_TRUE(cursor.Seek(Bytes("08")).ok());
  EXPECT_FALSE(cursor.valid());
  Rewrite(folder, root_ + "/copy");
  EXPECT_EQ(AsText(files_.ReadFile(root_ + "/copy/metadata.json").value()), kMetadata);
  EXPECT_EQ(ToHex(files_.ReadFile(root_ + "/copy/metaindex.bin").value()), ToHex(Bytes(kMetaindex)));
}

TEST_F(MergesetFormatTest, EncodesASingleItemWithoutPrefixAndReadsTheOlderForm) {
  ItemBlock block;
  block.Add(Bytes("0418ea24e309263eb2"));
  ByteBuffer items, lens, header_bytes;
  MarshalBlockHeader(header_bytes, EncodeBlock(block, -5, items, lens));
  EXPECT_EQ(ToHex(header_bytes),
            "00090418ea24e309263eb20000000001000000000000000000000000000000000000000000000000");
  EXPECT_TRUE(items.empty() && lens.empty());
  const ByteBuffer old = Bytes("09 0418ea24e309263eb2 09 0418ea24e309263eb2 00 00000001 0000000000000000 "
                               "0000000000000000 00000000 00000000");
  for (const ByteBuffer& bytes : {header_bytes, old}) {
    ByteView src = bytes;
    auto header = UnmarshalBlockHeader(src);
    ASSERT_TRUE(header.ok());
    ItemBlock back;
    ASSERT_TRUE(DecodeBlock(header.value(), {}, {}, back).ok());
    EXPECT_EQ(ToHex(back.Item(0)), "0418ea24e309263eb2");
    for (size_t n = 0; n < bytes.size(); ++n) {
      ByteView cut = ByteView(bytes).first(n);
      EXPECT_FALSE(UnmarshalBlockHeader(cut).ok());
    }
  }
}

ItemBlock RandomBlock(std::mt19937& random, size_t count) {
  std::vector<ByteBuffer> items;
  for (size_t i = 0; i < count; ++i) {
    ByteBuffer item = {'p', 'r', 'e'};
    for (size_t n = random() % 40; n > 0; --n) item.push_back(static_cast<uint8_t>(random() % 4));
    items.push_back(std::move(item));
  }
  std::sort(items.begin(), items.end());
  ItemBlock block;
  for (const ByteBuffer& item : items) block.Add(item);
  return block;
}

TEST_F(MergesetFormatTest, RoundTripsBlocksAndRefusesBrokenBodies) {
  std::mt19937 random(1);
  for (const size_t count : {2, 3, 5, 17, 100, 1000}) {
    SCOPED_TRACE(count);
    const ItemBlock block = RandomBlock(random, count);
    ByteBuffer items, lens;
    BlockHeader header = EncodeBlock(block, 1, items, lens);
    ItemBlock back;
    ASSERT_TRUE(DecodeBlock(header, items, lens, back).ok());
    ASSERT_EQ(back.size(), block.size());
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(ToHex(back.Item(i)), ToHex(block.Item(i)));
    for (size_t n = 0; n < items.size(); ++n) {
      EXPECT_FALSE(DecodeBlock(header, ByteView(items).first(n), lens, back).ok());
    }
    for (size_t n = 0; n < lens.size(); ++n) {
      EXPECT_FALSE(DecodeBlock(header, items, ByteView(lens).first(n), back).ok());
    }
    header.items_count = UINT32_MAX;
    EXPECT_FALSE(DecodeBlock(header, items, lens, back).ok()) << "counts must be checked before allocating";
  }
}

TEST_F(MergesetFormatTest, RewritesThePartsOfTheOriginal) {
  const std::filesystem::path golden = std::filesystem::path(VM_SHARED_DIR) / "golden" / "disk";
  if (!std::filesystem::exists(golden)) GTEST_SKIP() << "no ../shared/golden beside this checkout";
  int copies = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(golden)) {
    if (entry.path().filename() != "lens.bin") continue;
    const std::filesystem::path folder = entry.path().parent_path();
    SCOPED_TRACE(folder);
    const std::string copy = root_ + "/" + std::to_string(copies++);
    Rewrite(folder.string(), copy);
    // Row merging may leave blocks that are not full, so block borders are the original's own there.
    EXPECT_TRUE(Part::Open(files_, copy).ok());
    const auto original = Part::Open(files_, folder.string()).value();
    if (original->header().blocks_count != 1) continue;
    for (const char* file : kFiles) {
      EXPECT_EQ(ToHex(files_.ReadFile(copy + "/" + file).value()),
                ToHex(files_.ReadFile((folder / file).string()).value()))
          << file;
    }
  }
  EXPECT_GT(copies, 5);
}

}  // namespace
}  // namespace vm::mergeset
