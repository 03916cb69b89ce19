// Searches of some series keep frames of index.bin.
#include <gtest/gtest.h>

#include "lib/fs/fault_file_system.h"
#include "storage/part/part_reader.h"
#include "storage/part/raw_rows.h"

namespace vm::storage {
namespace {

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
