#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <set>

#include "lib/encoding/zstd.h"
#include "storage/mergeset/table.h"

namespace vm::mergeset {
namespace {

ByteBuffer Hex(std::string_view hex) {
  ByteBuffer bytes;
  EXPECT_TRUE(FromHex(hex, bytes));
  return bytes;
}

std::string TempDir(const std::string& name) {
  const std::string dir = testing::TempDir() + "vm_mergeset_" + name;
  std::filesystem::remove_all(dir);
  return dir;
}

std::vector<std::string> AllItems(const Table& table) {
  std::vector<std::string> items;
  Search search = table.NewSearch();
  for (bool more = search.Seek({}); more; more = search.Next()) items.emplace_back(AsText(search.item()));
  EXPECT_TRUE(search.status().ok());
  return items;
}

// The part of section 13 of the format.
constexpr char kMetadata[] =
    R"({"ItemsCount":16,"BlocksCount":1,"FirstItem":"010000000000000000016e616e5f6d65747269630118ea2505c5cc3438","LastItem":"07000000000000512a00000000000000006e65776f6e6501780131010200000000000000008880f76e1235fb08360564d47fe19c4018ea2505c5cc3437"})";
constexpr char kMetaindex[] =
    "28b52ffd202e7101001d010000000000000000016e616e5f6d65747269630118ea2505c5cc34380000000100000000000000000000003a";
constexpr char kIndex[] =
    "28b52ffd203c8d01008402001d01000000016e616e5f6d65747269630118ea2505c5cc3438010000001000000000d100000027020081762d2802";
constexpr char kLens[] =
    "28b52ffd201ef100000b0200091010101018181302001112040c082c0015003d003c043c381800";
constexpr char kItems[] =
    "28b52ffd608d003d0600b40865776f6e650118ea2505c5cc3437780131fe066e65776f6e650200000000000000008880f76e1235fb08360564d47fe19c40"
    "380000e8c3619fa3f697ed360564d47fe19c4038030000006e65776f6e650178013101386e616e5f6d65747269630105512a06512a016e616e5f6d657472"
    "69630118ea2505c5cc34380700512a000000e8c3619fa3f697ed381700310b80530d4bdbaec176b6d8120c63c075d5447bad37a673186ec8ad71c1dc0660"
    "d3514482af552107a1434002d99904d024ce4dcebf284b";

TEST(Part, ReadsAndWritesTheWorkedExample) {
  fs::FileSystem& fs = fs::RealFileSystem();
  const std::string root = TempDir("example");
  ASSERT_TRUE(fs.CreateDirectories(root + "/theirs").ok());
  ASSERT_TRUE(fs::WriteFileSynced(fs, root + "/theirs/metadata.json", AsBytes(kMetadata)).ok());
  for (const auto& [file, hex] : {std::pair{"metaindex.bin", kMetaindex}, std::pair{"index.bin", kIndex},
                                  std::pair{"lens.bin", kLens}, std::pair{"items.bin", kItems}}) {
    ASSERT_TRUE(fs::WriteFileSynced(fs, root + "/theirs/" + file, Hex(hex)).ok());
  }
  auto part = Part::Open(fs, root + "/theirs");
  ASSERT_TRUE(part.ok()) << part.error().message();
  PartCursor cursor(part.value());
  ASSERT_TRUE(cursor.Seek({}).ok());
  const PrepareBlock unchanged;
  PartWriter writer(-5, unchanged);
  size_t count = 0;
  while (cursor.valid()) {
    ASSERT_TRUE(writer.Add(cursor.item()).ok());
    ++count;
    ASSERT_TRUE(cursor.Next().ok());
  }
  EXPECT_EQ(count, 16u);
  const auto written = writer.Finish(fs, root + "/ours");
  ASSERT_TRUE(written.ok()) << written.error().message();
  EXPECT_TRUE(written.value());
  for (const char* file : {"metadata.json", "metaindex.bin", "index.bin", "lens.bin", "items.bin"}) {
    EXPECT_EQ(ToHex(fs.ReadFile(root + "/ours/" + file).value()), ToHex(fs.ReadFile(root + "/theirs/" + file).value()))
        << file;
  }
}

TEST(Block, SingleItemHasNoCommonPrefix) {
  ItemBlock block;
  block.Add(Hex("0418ea24e309263eb2"));
  ByteBuffer items, lens, marshalled;
  MarshalBlockHeader(marshalled, EncodeBlock(block, -5, items, lens));
  EXPECT_EQ(ToHex(marshalled), "00090418ea24e309263eb200" "00000001" "0000000000000000" "0000000000000000"
                               "00000000" "00000000");
  EXPECT_TRUE(items.empty() && lens.empty());
}

TEST(Block, BrokenBytesAreErrors) {
  ItemBlock block;
  for (int i = 0; i < 100; ++i) block.Add(AsBytes("some common prefix " + std::to_string(1000 + i)));
  ByteBuffer items, lens;
  const BlockHeader header = EncodeBlock(block, -5, items, lens);
  ItemBlock decoded;
  ASSERT_TRUE(DecodeBlock(header, items, lens, decoded).ok());
  EXPECT_EQ(decoded.size(), 100u);
  for (size_t cut = 0; cut < lens.size(); ++cut) {
    EXPECT_FALSE(DecodeBlock(header, items, ByteView(lens).subspan(0, cut), decoded).ok());
  }
  for (size_t cut = 0; cut < items.size(); ++cut) {
    EXPECT_FALSE(DecodeBlock(header, ByteView(items).subspan(0, cut), lens, decoded).ok());
  }
}

TEST(Table, ItemsAreFoundInMemoryOnDiskAfterMergesAndReopening) {
  const std::string dir = TempDir("table");
  std::set<std::string> expected;
  {
    auto table = Table::Open(dir, {});
    ASSERT_TRUE(table.ok()) << table.error().message();
    EXPECT_EQ(AsText(fs::RealFileSystem().ReadFile(dir + "/parts.json").value()), "[]");
    for (int round = 0; round < 20; ++round) {
      for (int i = 0; i < 2000; ++i) {
        const std::string item = "item " + std::to_string((i * 7919 + round * 104729) % 1000003);
        expected.insert(item);
        const ByteView view = AsBytes(item);
        ASSERT_TRUE(table.value()->AddItems({&view, 1}).ok());
      }
      Search before = table.value()->NewSearch();
      ASSERT_TRUE(before.Seek({}));
      if (round < 19) {
        ASSERT_TRUE(table.value()->FlushToDisk().ok());
      }
      size_t left = 1;
      while (before.Next()) ++left;
      EXPECT_EQ(left, expected.size());
    }
    EXPECT_GT(table.value()->stats().merges, 0u);
    EXPECT_EQ(AllItems(*table.value()), std::vector<std::string>(expected.begin(), expected.end()));
    ASSERT_TRUE(table.value()->Close().ok());
  }
  auto table = Table::Open(dir, {});
  ASSERT_TRUE(table.ok()) << table.error().message();
  EXPECT_EQ(AllItems(*table.value()), std::vector<std::string>(expected.begin(), expected.end()));
  Search search = table.value()->NewSearch();
  for (const std::string& item : expected) {
    ASSERT_TRUE(search.Seek(AsBytes(item)));
    ASSERT_EQ(AsText(search.item()), item);
  }
  // Wherever the last seek ended: near, far, forwards, backwards, between items and at the same one.
  std::mt19937_64 random(5);
  uint64_t at = 0;
  for (int i = 0; i < 200000; ++i) {
    at = random() % 16 == 0 ? random() % 1100000 : (at + random() % 64 + 1099990) % 1100000;
    const std::string key = "item " + std::to_string(at);
    const auto want = expected.lower_bound(key);
    ASSERT_EQ(search.Seek(AsBytes(key)), want != expected.end()) << key;
    if (want == expected.end()) continue;
    ASSERT_EQ(AsText(search.item()), *want) << key;
    if (random() % 4 > 0 || std::next(want) == expected.end()) continue;
    ASSERT_TRUE(search.Next());
    ASSERT_EQ(AsText(search.item()), *std::next(want)) << key;
  }
  ASSERT_TRUE(table.value()->ForceMerge().ok());
  EXPECT_EQ(table.value()->stats().file_parts, 1u);
  EXPECT_EQ(AllItems(*table.value()).size(), expected.size());
}

TEST(Table, LookupsLeaveOutPartsWithoutTheKey) {
  Options options;
  options.lookup_key = [](ByteView item) { return item.empty() || item[0] != 'k' ? ByteView() : item.first(5); };
  options.wants_work = [] {};
  const std::string dir = TempDir("lookup");
  const auto find = [](const Table& table, const std::string& key) {
    Search search = table.NewLookup(AsBytes(key));
    return search.SeekPrefix(AsBytes(key)) ? std::string(AsText(search.item())) : std::string();
  };
  {
    auto table = Table::Open(dir, options).value();
    for (int part = 0; part < 3; ++part) {
      for (int i = part; i < 300; i += 3) {
        const std::string items[] = {"k" + std::to_string(1000 + i) + "value", "other" + std::to_string(i)};
        const ByteView views[] = {AsBytes(items[0]), AsBytes(items[1])};
        ASSERT_TRUE(table->AddItems(views).ok());
      }
      EXPECT_EQ(find(*table, "k1000"), part == 0 ? "" : "k1000value");  // What is in memory is not looked at.
      ASSERT_TRUE(table->FlushToDisk().ok());
    }
    ASSERT_EQ(table->stats().file_parts, 3u);
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < 300; ++i) EXPECT_EQ(find(*table, "k" + std::to_string(1000 + i)).substr(5), "value");
      EXPECT_EQ(find(*table, "k2000"), "");
      ASSERT_TRUE(table->ForceMerge().ok());
    }
    ASSERT_TRUE(table->Close().ok());
  }
  // Parts that were there before have no filter, and are looked into.
  for (const size_t max_filter_bytes : {size_t{0}, size_t{1} << 20}) {
    options.max_filter_bytes = max_filter_bytes;
    auto table = Table::Open(dir, options).value();
    EXPECT_EQ(find(*table, "k1001"), "k1001value");
    EXPECT_EQ(find(*table, "k2000"), "");
    ASSERT_TRUE(table->ForceMerge().ok());
    EXPECT_EQ(find(*table, "k1001"), "k1001value");
  }
}

TEST(Table, TooLongItemsAreDroppedAlone) {
  auto table = Table::Open(TempDir("long"), {});
  ASSERT_TRUE(table.ok());
  const std::string longest(kMaxItemSize, 'x');
  const std::string too_long = longest + "x";
  const ByteView items[] = {AsBytes("a"), AsBytes(too_long), AsBytes(longest)};
  ASSERT_TRUE(table.value()->AddItems(items).ok());
  ASSERT_TRUE(table.value()->FlushToDisk().ok());
  EXPECT_EQ(AllItems(*table.value()), (std::vector<std::string>{"a", longest}));
  EXPECT_EQ(table.value()->stats().too_long_items_dropped, 1u);
  const ByteView prefixes[] = {AsBytes("p"), AsBytes("q")}, tails[] = {AsBytes("t"), AsBytes(longest)};
  ASSERT_TRUE(table.value()->AddItems({}, {.prefixes = prefixes, .tails = tails, .id = 1}).ok());
  EXPECT_EQ(AllItems(*table.value()).size(), 4u);
  EXPECT_EQ(table.value()->stats().too_long_items_dropped, 3u);
}

TEST(Table, ListedPartMustExist) {
  const std::string dir = TempDir("missing");
  ASSERT_TRUE(fs::RealFileSystem().CreateDirectories(dir + "/UNLISTED/x").ok());
  ASSERT_TRUE(fs::RealFileSystem().AtomicWriteFile(dir + "/parts.json", AsBytes("[ ]")).ok());
  EXPECT_TRUE(Table::Open(dir, {}).ok());
  EXPECT_FALSE(fs::RealFileSystem().Exists(dir + "/UNLISTED"));
  ASSERT_TRUE(fs::RealFileSystem().AtomicWriteFile(dir + "/parts.json", AsBytes("[\"GONE\"]")).ok());
  const auto table = Table::Open(dir, {});
  ASSERT_FALSE(table.ok());
  EXPECT_NE(table.error().message().find("is listed in"), std::string::npos);
}

}  // namespace
}  // namespace vm::mergeset
