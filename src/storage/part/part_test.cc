#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/decimal/decimal.h"
#include "storage/part/part_reader.h"
#include "storage/part/raw_rows.h"

namespace vm::storage {
namespace {

using model::MetricId;
using model::Tsid;

constexpr int64_t kT = 1700000000000;

class PartTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "part_test.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  fs::FileSystem& files_ = fs::RealFileSystem();
  std::string root_;
};

Tsid Series(uint64_t id) { return {0, 0, 7, 1, 2, MetricId{id}}; }

// 3000 series of 3 rows: several index blocks; series 0 has 9000 rows: two blocks.
std::vector<RawRow> ManyRows() {
  std::vector<RawRow> rows;
  for (uint64_t id = 1; id <= 3000; ++id) {
    for (int i = 2; i >= 0; --i) rows.push_back({Series(id), kT + i * 1000, static_cast<double>(id) + i, 64});
  }
  for (int i = 0; i < 9000; ++i) rows.push_back({Series(0), kT + i, static_cast<double>(i), 64});
  return rows;
}

size_t CountBlocks(PartSearch search, std::vector<Tsid>* seen = nullptr) {
  size_t blocks = 0;
  while (true) {
    auto more = search.Next();
    EXPECT_TRUE(more.ok()) << (more.ok() ? "" : more.error().message());
    if (!more.ok() || !more.value()) return blocks;
    ++blocks;
    if (seen != nullptr) seen->push_back(search.block().header.tsid);
  }
}

TEST_F(PartTest, RowsComeBackFromMemoryAndFromFiles) {
  auto rows = ManyRows();
  auto built = BuildPart(rows);
  ASSERT_TRUE(built.ok());
  auto memory = PartReader::FromMemory(std::move(built).value()).value();
  EXPECT_EQ(memory->header().rows_count, 18000u);
  EXPECT_EQ(memory->header().blocks_count, 3002u);
  EXPECT_EQ(memory->metaindex().size(), 5u) << "736 headers a frame at most";

  auto writer = PartWriter::ToFolder(files_, root_ + "/0000000000000001", kRawRowsLevel);
  ASSERT_TRUE(writer.ok());
  PartSearch all(memory);
  while (all.Next().value()) ASSERT_TRUE(writer.value()->Add(all.block()).ok());
  ASSERT_TRUE(writer.value()->Finish(0).ok());
  auto opened = PartReader::OpenFolder(files_, root_ + "/0000000000000001");
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  EXPECT_EQ(opened.value()->header(), memory->header());

  // What goes to files as it is in memory is the same.
  ASSERT_TRUE(memory->StoreTo(files_, root_ + "/0000000000000002").ok());
  auto stored = PartReader::OpenFolder(files_, root_ + "/0000000000000002");
  ASSERT_TRUE(stored.ok()) << stored.error().message();
  for (const char* file : PartReader::kFiles) {
    EXPECT_EQ(files_.ReadFile(stored.value()->path() + "/" + file).value(),
              files_.ReadFile(opened.value()->path() + "/" + file).value()) << file;
  }

  for (const auto& part : {memory, opened.value(), stored.value()}) {
    const Tsid wanted[] = {Series(0), Series(735), Series(736), Series(3000), Series(5000)};
    std::vector<Tsid> seen;
    EXPECT_EQ(CountBlocks(PartSearch(part, wanted, {0, INT64_MAX}), &seen), 5u);
    EXPECT_EQ(seen, (std::vector<Tsid>{Series(0), Series(0), Series(735), Series(736), Series(3000)}));
    EXPECT_EQ(CountBlocks(PartSearch(part, wanted, {kT + 8500, INT64_MAX})), 1u);
    EXPECT_EQ(CountBlocks(PartSearch(part, wanted, {kT - 10, kT - 1})), 0u);
    EXPECT_EQ(CountBlocks(PartSearch(part, {}, {0, INT64_MAX})), 0u);
    PartSearch one(part, std::span(wanted).subspan(3, 1), {0, INT64_MAX});
    ASSERT_TRUE(one.Next().value());
    model::DecodedBlock block;
    ASSERT_TRUE(model::DecodeBlock(one.block(), block).ok());
    EXPECT_EQ(block.timestamps, (std::vector<int64_t>{kT, kT + 1000, kT + 2000}));
    std::vector<double> values;
    decimal::AppendDecimalsToFloats(values, block.mantissas, block.scale);
    EXPECT_EQ(values, (std::vector<double>{3000, 3001, 3002}));
  }
}

// If this breaks, sequential readers of the original stop at the part.
TEST_F(PartTest, SharesTimestampsOnlyWithTheBlockBefore) {
  std::vector<RawRow> rows;
  const auto add = [&](uint64_t id, std::vector<int64_t> offsets) {
    for (const int64_t offset : offsets) rows.push_back({Series(id), kT + offset, 1.0, 64});
  };
  add(1, {0, 15000});
  add(2, {500, 15500});  // Other start, equal deltas: shared.
  add(3, {0});           // Empty array: ends the run.
  add(4, {0, 15000});
  auto part = PartReader::FromMemory(BuildPart(rows).value()).value();
  std::vector<std::pair<uint64_t, uint32_t>> places;
  PartSearch all(part);
  while (all.Next().value()) {
    places.emplace_back(all.block().header.timestamps_offset, all.block().header.timestamps_size);
  }
  EXPECT_EQ(places, (std::vector<std::pair<uint64_t, uint32_t>>{{0, 3}, {0, 3}, {3, 0}, {3, 3}}));
}

TEST_F(PartTest, RefusesBrokenMetadataAndTruncatedFiles) {
  EXPECT_FALSE(ParsePartHeader("[]").ok());
  EXPECT_FALSE(ParsePartHeader(R"({"RowsCount":1,"BlocksCount":1,"MaxTimestamp":5})").ok());
  EXPECT_FALSE(ParsePartHeader(R"({"RowsCount":1,"BlocksCount":2,"MinTimestamp":1,"MaxTimestamp":5})").ok());
  EXPECT_TRUE(ParsePartHeader(R"({ "RowsCount": 1, "BlocksCount":1,"MinTimestamp":1,"MaxTimestamp":5})").ok());
  EXPECT_EQ(FormatPartHeader({10627, 13, 1795277160000, 1795288845000, 0}),
            R"({"RowsCount":10627,"BlocksCount":13,"MinTimestamp":1795277160000,"MaxTimestamp":1795288845000,"MinDedupInterval":0})");
  auto rows = ManyRows();
  PartBuffers cut = BuildPart(rows).value();
  cut.index.resize(cut.index.size() / 2);
  auto part = PartReader::FromMemory(std::move(cut)).value();
  PartSearch all(part);
  bool failed = false;
  while (true) {
    auto more = all.Next();
    if (!more.ok()) {
      failed = true;
      EXPECT_EQ(more.error().code(), ErrorCode::kCorrupted);
      break;
    }
    if (!more.value()) break;
  }
  EXPECT_TRUE(failed);
}

TEST_F(PartTest, PiecesOfRowsGiveTheSamePart) {
  const std::vector<RawRow> rows = ManyRows();
  std::vector<std::vector<RawRow>> pieces(4);
  for (size_t i = 0; i < rows.size(); ++i) pieces[i * 4 / rows.size() == 2 ? 3 : i * 4 / rows.size()].push_back(rows[i]);
  const PartBuffers whole = BuildPart(rows).value();
  const PartBuffers parts = BuildPart(pieces).value();
  EXPECT_EQ(parts.timestamps, whole.timestamps);
  EXPECT_EQ(parts.values, whole.values);
  EXPECT_EQ(parts.index, whole.index);
  EXPECT_EQ(parts.metaindex, whole.metaindex);
  EXPECT_EQ(FormatPartHeader(parts.header), FormatPartHeader(whole.header));
}

TEST(MetaindexTest, HasTheKnownBytes) {
  const MetaindexRow row{{0, 0, 0x33bf00a859c4ba3f, 0xa98c6e5b, 0x7fe19c40, MetricId{0x18ea24e309263ead}},
                         3, 1795288111766, 1795288111766, 0, 126};
  ByteBuffer dst;
  MarshalMetaindexRow(dst, row);
  EXPECT_EQ(ToHex(dst),
            "000000000000000033bf00a859c4ba3fa98c6e5b7fe19c4018ea24e309263ead0000000300000343ff05352c"
            "00000343ff05352c00000000000000000000007e");
  EXPECT_EQ(UnmarshalMetaindexRows(dst).value(), std::vector<MetaindexRow>{row});
  EXPECT_FALSE(UnmarshalMetaindexRows(ByteView(dst).first(63)).ok());
  EXPECT_FALSE(UnmarshalMetaindexRows({}).ok());
}

std::vector<std::filesystem::path> GoldenParts() {
  std::vector<std::filesystem::path> parts;
  const std::filesystem::path root = std::filesystem::path(VM_SHARED_DIR) / "golden" / "disk";
  if (!std::filesystem::exists(root)) return parts;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().filename() == kTimestampsFile) parts.push_back(entry.path().parent_path());
  }
  return parts;
}

// Every part that the original wrote: decode all blocks, encode them again to the same bytes, and write
// the same files.
TEST_F(PartTest, ReadsAndRewritesThePartsOfTheOriginal) {
  const auto parts = GoldenParts();
  if (parts.empty()) GTEST_SKIP() << "no ../shared/golden beside this checkout";
  int copies = 0;
  for (const auto& folder : parts) {
    SCOPED_TRACE(folder);
    auto part = PartReader::OpenFolder(files_, folder.string());
    ASSERT_TRUE(part.ok()) << part.error().message();
    auto writer = PartWriter::ToFolder(files_, root_ + "/" + std::to_string(copies++), kRawRowsLevel);
    ASSERT_TRUE(writer.ok());
    uint64_t rows = 0;
    PartSearch all(part.value());
    while (all.Next().value()) {
      const model::EncodedBlock& block = all.block();
      model::DecodedBlock decoded;
      const Status status = model::DecodeBlock(block, decoded);
      ASSERT_TRUE(status.ok()) << status.error().message();
      rows += decoded.timestamps.size();
      if (block.header.precision_bits == 64) {
        ByteBuffer timestamps_data, values_data;
        const auto again = model::EncodeBlock(decoded.tsid, decoded.timestamps, decoded.mantissas, decoded.scale, 64,
                                              timestamps_data, values_data);
        EXPECT_EQ(ToHex(timestamps_data), ToHex(block.timestamps_data));
        EXPECT_EQ(ToHex(values_data), ToHex(block.values_data));
        EXPECT_EQ(again.first_value, block.header.first_value);
      }
      ASSERT_TRUE(writer.value()->Add(block).ok());
    }
    EXPECT_EQ(rows, part.value()->header().rows_count);
    const int64_t dedup = part.value()->header().min_dedup_interval;
    ASSERT_TRUE(writer.value()->Finish(dedup).ok());
    const std::string copy = root_ + "/" + std::to_string(copies - 1);
    for (const char* file : {kTimestampsFile, kValuesFile, kMetadataFile}) {
      EXPECT_EQ(ToHex(files_.ReadFile(copy + "/" + file).value()),
                ToHex(files_.ReadFile((folder / file).string()).value()))
          << file;
    }
    EXPECT_EQ(PartReader::OpenFolder(files_, copy).value()->metaindex().size(), part.value()->metaindex().size());
  }
  EXPECT_GT(copies, 5);
}

}  // namespace
}  // namespace vm::storage
