#include "storage/mergeset/postings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "storage/mergeset/memory_items.h"

namespace vm::mergeset {
namespace {

struct Row {
  std::vector<std::string> prefixes, tails;
  uint64_t id;
};

void AddTo(PostingTable& table, const Row& row) {
  std::vector<ByteView> prefixes, tails;
  for (const std::string& prefix : row.prefixes) prefixes.push_back(AsBytes(prefix));
  for (const std::string& tail : row.tails) tails.push_back(AsBytes(tail));
  table.Add({.prefixes = prefixes, .tails = tails, .id = row.id});
}

TEST(PostingTableTest, GivesTheIdsOfEachHeadInOrder) {
  std::mt19937_64 random(3);
  const std::vector<std::vector<std::string>> groups = {{"1.", "2."}, {"2."}, {"1."}, {"2.", "3."}};
  PostingTable table;
  EXPECT_TRUE(table.empty());
  std::map<std::string, std::set<uint64_t>> want;
  for (int i = 0; i < 20000; ++i) {
    Row row{.prefixes = groups[random() % groups.size()], .tails = {}, .id = random() % 1000};
    for (size_t n = 1 + random() % 4; n > 0; --n) row.tails.push_back("tag" + std::to_string(random() % 500));
    AddTo(table, row);
    for (const std::string& prefix : row.prefixes) {
      for (const std::string& tail : row.tails) want[prefix + tail].insert(row.id);
    }
  }
  const auto runs = table.TakeRuns();
  EXPECT_TRUE(table.empty());
  EXPECT_TRUE(table.TakeRuns().empty());
  EXPECT_EQ(runs.size(), 3u);  // "2." is in three groups.
  std::map<std::string, std::set<uint64_t>> got;
  size_t rows = 0;
  for (const auto& run : runs) {
    for (size_t i = 0; i < run->size(); ++i, ++rows) {
      if (i > 0) {
        EXPECT_TRUE(Less(run->Item(i - 1), run->Item(i)));
      }
      ByteView item = run->Item(i);
      const size_t head = std::string_view(AsText(item)).find('g') + 1;
      size_t end = head;
      while (end < item.size() && item[end] >= '0' && item[end] <= '9') ++end;
      ASSERT_EQ((item.size() - end) % 8, 0u);
      ASSERT_LE((item.size() - end) / 8, 64u);
      std::set<uint64_t>& ids = got[std::string(AsText(item.first(end)))];
      for (item = item.subspan(end); !item.empty();) ids.insert(TakeBigEndian<uint64_t>(item));
    }
  }
  EXPECT_EQ(got, want);
  EXPECT_GT(rows, want.size());  // Heads with more ids than an item takes.
}

TEST(PostingTableTest, ItemsDoNotGetTooLong) {
  PostingTable table;
  const std::string longest(kMaxItemSize - 1 - 2 * sizeof(uint64_t), 't');
  for (uint64_t id = 1; id <= 5; ++id) AddTo(table, {.prefixes = {"p"}, .tails = {longest}, .id = id});
  const auto runs = table.TakeRuns();
  ASSERT_EQ(runs.size(), 1u);
  ASSERT_EQ(runs[0]->size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_LE(runs[0]->Item(i).size(), kMaxItemSize);
}

TEST(MemoryItemsTest, PostingsAreItems) {
  MemoryItems items(1);
  const ByteView plain = AsBytes("item"), prefixes[] = {AsBytes("p"), AsBytes("q")}, tails[] = {AsBytes("t")};
  items.Add({&plain, 1}, {.prefixes = prefixes, .tails = tails, .id = 258});
  items.Add({}, {.prefixes = prefixes, .tails = tails, .id = 257});
  EXPECT_EQ(items.count(), 5u);
  std::vector<std::string> all;
  ASSERT_TRUE(MergeRuns(items.Runs(), [&](ByteView item) {
                all.push_back(ToHex(item));
                return Ok();
              }).ok());
  EXPECT_EQ(all, (std::vector<std::string>{ToHex(plain), "707400000000000001010000000000000102",
                                           "717400000000000001010000000000000102"}));
}

}  // namespace
}  // namespace vm::mergeset
