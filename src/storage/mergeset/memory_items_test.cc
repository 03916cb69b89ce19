#include "storage/mergeset/memory_items.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace vm::mergeset {
namespace {

std::vector<std::string> AllOf(const ItemRuns& runs) {
  std::vector<std::string> items;
  EXPECT_TRUE(MergeRuns(runs, [&](ByteView item) {
                items.emplace_back(AsText(item));
                return Ok();
              }).ok());
  return items;
}

void AddOne(MemoryItems& items, const std::string& item) {
  const ByteView view = AsBytes(item);
  if (items.Add({&view, 1})) items.SortFull();
}

// Strings that share prefixes, end inside a word, hold zeros, and come twice.
std::string RandomItem(std::mt19937_64& random) {
  static const std::string kPrefixes[] = {"", std::string(1, '\0'), "abcdefg", "abcdefgh", "abcdefghi",
                                          std::string(40, 'p'), std::string(7, '\0'), std::string(16, '\xff')};
  std::string item = kPrefixes[random() % 8];
  for (size_t n = random() % 20; n > 0; --n) item += "\0\x01" "ab\xff"[random() % 5];
  return item;
}

TEST(ItemRunTest, SortsAnyStrings) {
  std::mt19937_64 random(1);
  for (const size_t count : {0, 1, 2, 16, 17, 1000, 20000}) {
    ItemRun run;
    std::set<std::string> want;
    for (size_t i = 0; i < count; ++i) {
      const std::string item = RandomItem(random);
      run.Add(AsBytes(item));
      want.insert(item);
    }
    const ItemRun sorted = run.Sorted();
    ASSERT_EQ(sorted.size(), want.size());
    size_t i = 0;
    for (const std::string& item : want) ASSERT_EQ(AsText(sorted.Item(i++)), item);
  }
}

TEST(ItemRunTest, SortsEqualAndOrderedItemsWithoutDeepRecursion) {
  ItemRun run;
  const std::string big(60000, 'x');
  for (int i = 0; i < 200; ++i) run.Add(AsBytes(big));
  for (int i = 0; i < 100000; ++i) run.Add(AsBytes("same"));
  for (int i = 0; i < 100000; ++i) run.Add(AsBytes(std::to_string(1000000 + i)));
  const ItemRun sorted = run.Sorted();
  EXPECT_EQ(sorted.size(), 100002u);
  EXPECT_EQ(AsText(sorted.Item(0)), "1000000");
  EXPECT_EQ(AsText(sorted.Item(100001)), big);
}

TEST(ItemRunTest, LowerBoundFindsTheFirstNotBelow) {
  ItemRun run;
  for (const char* item : {"b", "bb", "d"}) run.Add(AsBytes(item));
  EXPECT_EQ(run.LowerBound(AsBytes("")), 0u);
  EXPECT_EQ(run.LowerBound(AsBytes("b")), 0u);
  EXPECT_EQ(run.LowerBound(AsBytes("ba")), 1u);
  EXPECT_EQ(run.LowerBound(AsBytes("c")), 2u);
  EXPECT_EQ(run.LowerBound(AsBytes("e")), 3u);
}

TEST(MemoryItemsTest, ShowsEverythingHoweverOftenOneLooks) {
  std::mt19937_64 random(2);
  for (const size_t look_every : {1, 7, 1000, 100000}) {
    MemoryItems items(3);
    std::set<std::string> want;
    for (size_t i = 0; i < 5000; ++i) {
      const std::string item = RandomItem(random);
      AddOne(items, item);
      want.insert(item);
      if (i % look_every == 0) {
        ASSERT_LE(items.Runs().size(), 81u);
      }
    }
    EXPECT_EQ(AllOf(items.Runs()), std::vector<std::string>(want.begin(), want.end()));
    EXPECT_EQ(items.count(), 5000u);
    EXPECT_EQ(items.epoch(), 3u);
  }
}

TEST(MemoryItemsTest, FullPiecesBecomeRuns) {
  MemoryItems items(1);
  const std::string tail(1000, 't');
  for (int i = 0; i < 5000; ++i) AddOne(items, std::to_string(10000 - i) + tail);
  EXPECT_GT(items.bytes(), size_t{5000} * 1000);
  const auto all = AllOf(items.Runs());
  ASSERT_EQ(all.size(), 5000u);
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
}

TEST(MemoryItemsTest, WhoeverLooksFindsWhatOthersSort) {
  MemoryItems items(1);
  constexpr int kThreads = 3, kItems = 6000;
  const std::string tail(600, 't');  // A full piece every few times 1700 items.
  std::atomic<int> missing{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kItems; ++i) {
        const std::string item = std::to_string(t) + "/" + std::to_string(kItems + i) + tail;
        AddOne(items, item);
        if (i % 500 != 0) continue;
        const ItemRuns runs = items.Runs();
        const bool found = std::any_of(runs.begin(), runs.end(), [&](const auto& run) {
          const size_t at = run->LowerBound(AsBytes(item));
          return at < run->size() && Equal(run->Item(at), AsBytes(item));
        });
        if (!found) missing.fetch_add(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(missing.load(), 0);
  EXPECT_EQ(AllOf(items.Runs()).size(), size_t{kThreads} * kItems);
  size_t bytes = 0;
  for (const auto& run : items.Runs()) bytes += run->bytes();
  EXPECT_EQ(items.bytes(), bytes) << "nothing is pending";
}

TEST(MergeRunsTest, StopsAtTheFirstError) {
  MemoryItems items(1);
  for (const char* item : {"a", "b", "c"}) AddOne(items, item);
  int seen = 0;
  const Status status = MergeRuns(items.Runs(), [&](ByteView) -> Status {
    if (++seen == 2) return Error(ErrorCode::kIo, "full");
    return Ok();
  });
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(seen, 2);
}

}  // namespace
}  // namespace vm::mergeset
