#include "storage/part/index_block_cache.h"

#include <gtest/gtest.h>

#include "lib/fs/fault_file_system.h"
#include "storage/part/part_reader.h"
#include "storage/part/raw_rows.h"

namespace vm::storage {
namespace {

IndexBlockCache::Headers Frame(uint32_t rows) {
  model::BlockHeader header;
  header.rows_count = rows;
  return std::make_shared<const std::vector<model::BlockHeader>>(100, header);
}

TEST(IndexBlockCacheTest, KeepsWhatIsAskedForTwice) {
  IndexBlockCache cache(1 << 20);
  EXPECT_EQ(cache.Get(1, 0), nullptr);
  cache.Put(1, 0, Frame(7));
  EXPECT_EQ(cache.Get(1, 0), nullptr);
  cache.Put(1, 0, Frame(7));
  const auto headers = cache.Get(1, 0);
  ASSERT_NE(headers, nullptr);
  EXPECT_EQ(headers->front().rows_count, 7u);
  EXPECT_EQ(cache.Get(2, 0), nullptr);
  EXPECT_EQ(cache.Get(1, 1), nullptr);
  const IndexBlockCache::Stats stats = cache.stats();
  EXPECT_EQ(stats.entries, 1u);
  EXPECT_EQ(stats.requests, 5u);
  EXPECT_EQ(stats.misses, 4u);
  EXPECT_GE(stats.size_bytes, 100 * sizeof(model::BlockHeader));
}

TEST(IndexBlockCacheTest, StaysWithinItsLimitAndForgetsTheOldestFirst) {
  const size_t limit = 16 * 10 * (100 * sizeof(model::BlockHeader) + 200);
  IndexBlockCache cache(limit);
  for (size_t row = 0; row < 10'000; ++row) {
    for (int i = 0; i < 2; ++i) {
      if (cache.Get(1, row) == nullptr) cache.Put(1, row, Frame(1));
    }
    EXPECT_NE(cache.Get(1, row), nullptr);
    if (row >= 1) {
      EXPECT_NE(cache.Get(1, row - 1), nullptr);
    }
  }
  EXPECT_LE(cache.stats().size_bytes, limit);
  EXPECT_GT(cache.stats().entries, 100u);
  EXPECT_EQ(cache.Get(1, 0), nullptr);
  // A frame that is greater than a share of the cache is not kept.
  IndexBlockCache tiny(1000);
  for (int i = 0; i < 3; ++i) tiny.Put(1, 0, Frame(1));
  EXPECT_EQ(tiny.stats().entries, 0u);
}

TEST(IndexBlockCacheTest, SearchesReadAFrameOnceAndAClosedPartIsForgotten) {
  fs::FaultFileSystem files;
  std::vector<RawRow> rows;
  std::vector<model::Tsid> tsids;
  for (uint64_t id = 1; id <= 3000; ++id) {
    model::Tsid tsid;
    tsid.metric_id = model::MetricId{id};
    rows.push_back({tsid, 1000, static_cast<double>(id)});
    if (id % 1000 == 500) tsids.push_back(tsid);
  }
  ASSERT_TRUE(PartReader::FromMemory(BuildPart(rows).value()).value()->StoreTo(files, "/part").ok());
  const auto cache = std::make_shared<IndexBlockCache>(10 << 20);
  auto part = PartReader::OpenFolder(files, "/part", cache).value();
  uint64_t index_reads = 0;
  files.SetFault([&](const fs::FileOperation& operation) {
    if (operation.kind == fs::FileOperationKind::kRead && operation.path == "/part/index.bin") ++index_reads;
    return 0;
  });
  const auto search = [&] {
    PartSearch found(part, tsids, {0, 2000});
    size_t blocks = 0;
    while (found.Next().value()) {
      EXPECT_EQ(found.block().header.tsid, tsids[blocks]);
      ++blocks;
    }
    return blocks;
  };
  for (int i = 0; i < 2; ++i) EXPECT_EQ(search(), 3u);
  const uint64_t reads = index_reads;
  EXPECT_GT(reads, 0u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(search(), 3u);
  EXPECT_EQ(index_reads, reads);
  // A merge reads all frames and keeps none.
  const uint64_t entries = cache->stats().entries;
  {
    PartSearch all(part);
    while (all.Next().value()) {
    }
  }
  EXPECT_EQ(cache->stats().entries, entries);
  EXPECT_GT(entries, 0u);
  part.reset();
  EXPECT_EQ(cache->stats().entries, 0u);
  EXPECT_EQ(cache->stats().size_bytes, 0u);
}

}  // namespace
}  // namespace vm::storage
