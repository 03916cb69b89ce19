#include "storage/part/merge.h"

#include <gtest/gtest.h>

#include "lib/decimal/decimal.h"
#include "lib/fs/fault_file_system.h"
#include "storage/part/raw_rows.h"

namespace vm::storage {
namespace {

using PartPtr = std::shared_ptr<const PartReader>;

model::Tsid Series(uint64_t id) {
  model::Tsid tsid;
  tsid.metric_id = model::MetricId{id};
  return tsid;
}

PartPtr Build(std::vector<RawRow> rows) {
  return PartReader::FromMemory(BuildPart(rows).value()).value();
}

PartPtr Merge(const std::vector<PartPtr>& parts, const MergePolicy& policy = {}) {
  PartBuffers buffers;
  const auto writer = PartWriter::ToMemory(buffers, -5);
  MergeStats stats;
  const Status status = MergeParts(parts, *writer, policy, {}, stats);
  EXPECT_TRUE(status.ok());
  if (writer->rows_count() == 0) return nullptr;
  EXPECT_TRUE(writer->Finish(0).ok());
  return PartReader::FromMemory(std::move(buffers)).value();
}

std::vector<std::pair<int64_t, double>> Read(const PartPtr& part) {
  std::vector<std::pair<int64_t, double>> samples;
  PartSearch search(part);
  while (search.Next().value()) {
    model::DecodedBlock block;
    EXPECT_TRUE(model::DecodeBlock(search.block(), block).ok());
    std::vector<double> values;
    decimal::AppendDecimalsToFloats(values, block.mantissas, block.scale);
    for (size_t i = 0; i < values.size(); ++i) samples.emplace_back(block.timestamps[i], values[i]);
  }
  return samples;
}

TEST(CommonScaleTest, RefusesWhatWouldLoseDigits) {
  CommonScale scale;
  EXPECT_TRUE(scale.Join(1, 0));
  EXPECT_TRUE(scale.Join(0, 0));
  EXPECT_TRUE(scale.Join(decimal::kInfPos, 0));
  EXPECT_TRUE(scale.Join(15, -3));
  EXPECT_FALSE(scale.Join(18446744073709548, 3));
  scale.Reset();
  EXPECT_TRUE(scale.Join(18446744073709548, 3));
  EXPECT_TRUE(scale.Join(1, 20));
  EXPECT_FALSE(scale.Join(1, 0));
}

TEST(MergeTest, JoinsSmallBlocksOfASeriesByTime) {
  const PartPtr merged = Merge({Build({{Series(1), 10, 1.5}, {Series(1), 30, 100}, {Series(2), 5, 1}}),
                                Build({{Series(1), 20, 0.001}, {Series(1), 40, 7}})});
  const std::vector<std::pair<int64_t, double>> want = {{10, 1.5}, {20, 0.001}, {30, 100}, {40, 7}, {5, 1}};
  EXPECT_EQ(Read(merged), want);
  EXPECT_EQ(merged->header().blocks_count, 2u);
}

TEST(MergeTest, CopiesFullBlocksAndCutsOverlappingOnes) {
  std::vector<RawRow> even, odd;
  for (int64_t i = 0; i < 9000; ++i) {
    even.push_back({Series(1), 2 * i, static_cast<double>(i)});
    odd.push_back({Series(1), 2 * i + 1, static_cast<double>(i)});
  }
  const PartPtr merged = Merge({Build(even), Build(odd)});
  EXPECT_EQ(merged->header().rows_count, 18000u);
  auto samples = Read(merged);
  std::sort(samples.begin(), samples.end());
  for (int64_t i = 0; i < 18000; ++i) {
    ASSERT_EQ(samples[static_cast<size_t>(i)], std::make_pair(i, static_cast<double>(i / 2)));
  }
}

TEST(MergeTest, KeepsEveryDigitOfOverlappingBlocks) {
  const double big = 18446744073709551615.0;
  const std::vector<std::pair<int64_t, double>> want = {{10, 1}, {20, big}, {30, 2}, {40, 16}};
  const PartPtr merged = Merge({Build({{Series(1), 10, 1}, {Series(1), 30, 2}}),
                                Build({{Series(1), 20, big}, {Series(1), 40, 16}})});
  const auto samples = Read(merged);
  ASSERT_EQ(samples.size(), 4u);
  EXPECT_EQ(samples[0], want[0]);
  EXPECT_DOUBLE_EQ(samples[1].second, big);
  EXPECT_EQ(samples[2], want[2]);
  EXPECT_EQ(samples[3], want[3]);
}

TEST(MergeTest, CopiesFullBlocksThatDoNotOverlapByteForByte) {
  std::vector<PartPtr> parts;
  for (int64_t part = 0; part < 3; ++part) {
    std::vector<RawRow> rows;
    for (int64_t i = 0; i < 8192; ++i) {
      rows.push_back({Series(1), part * 100'000 + i * 10, static_cast<double>(i * i % 977)});
    }
    parts.push_back(Build(std::move(rows)));
  }
  const PartPtr merged = Merge({parts[2], parts[0], parts[1]});
  PartSearch copies(merged);
  for (const PartPtr& part : parts) {
    PartSearch originals(part);
    ASSERT_TRUE(originals.Next().value());
    ASSERT_TRUE(copies.Next().value());
    EXPECT_TRUE(Equal(copies.block().timestamps_data, originals.block().timestamps_data));
    EXPECT_TRUE(Equal(copies.block().values_data, originals.block().values_data));
    EXPECT_EQ(copies.block().header.first_value, originals.block().header.first_value);
  }
  EXPECT_FALSE(copies.Next().value());
}

TEST(MergeTest, JoinsManySmallBlocksIntoFullOnes) {
  std::vector<PartPtr> parts;
  std::vector<std::pair<int64_t, double>> want;
  for (int64_t part = 0; part < 90; ++part) {
    std::vector<RawRow> rows;
    for (int64_t i = 0; i < 101; ++i) {
      // Exponents differ from part to part.
      const double value = static_cast<double>(part * 101 + i) / (part % 3 == 0 ? 1 : 100);
      rows.push_back({Series(1), part * 1010 + i * 10, value});
      want.emplace_back(part * 1010 + i * 10, value);
    }
    parts.push_back(Build(std::move(rows)));
  }
  const PartPtr merged = Merge(parts);
  EXPECT_EQ(merged->header().blocks_count, 2u);
  EXPECT_EQ(Read(merged), want);
}

TEST(MergeTest, NamesThePartThatIsCorrupt) {
  // The broken block may be the one that waits or the one that comes.
  for (const std::string broken : {"/a", "/b"}) {
    SCOPED_TRACE(broken);
    fs::FaultFileSystem files;
    std::vector<PartPtr> parts;
    for (int64_t i = 0; i < 2; ++i) {
      std::vector<RawRow> rows;
      for (int64_t row = 0; row < 50; ++row) {
        rows.push_back({Series(1), row * 2 + i, static_cast<double>(row * row % 31)});
      }
      const std::string path = i == 0 ? "/a" : "/b";
      ASSERT_TRUE(Build(rows)->StoreTo(files, path).ok());
      if (path == broken) {
        const size_t size = files.ReadFile(path + "/values.bin").value().size();
        ASSERT_GT(size, 20u);
        ASSERT_TRUE(fs::WriteFileSynced(files, path + "/values.bin", ByteBuffer(size, 0xff)).ok());
      }
      parts.push_back(PartReader::OpenFolder(files, path).value());
    }
    PartBuffers buffers;
    const auto writer = PartWriter::ToMemory(buffers, -5);
    MergeStats stats;
    const Status status = MergeParts(parts, *writer, {}, {}, stats);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code(), ErrorCode::kCorrupted);
    EXPECT_NE(status.error().message().find("cannot merge part \"" + broken + "\""), std::string::npos)
        << status.error().message();
  }
}

TEST(MergeTest, StopsWhenAsked) {
  PartBuffers buffers;
  const auto writer = PartWriter::ToMemory(buffers, -5);
  MergeStats stats;
  std::stop_source stop;
  stop.request_stop();
  const std::vector<PartPtr> parts = {Build({{Series(1), 10, 1}})};
  const Status status = MergeParts(parts, *writer, {}, stop.get_token(), stats);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kCancelled);
}

// Values that no exponent has in common: a block each, until there are too many.
double Wild(int64_t i) { return i % 2 == 0 ? 1 : 18446744073709551615.0; }

TEST(ShortBlocksTest, RawRowsGiveUpDigitsAfterSixtyFour) {
  std::vector<RawRow> rows;
  for (int64_t i = 0; i < 1000; ++i) rows.push_back({Series(1), i, Wild(i)});
  uint64_t lossy = 0;
  const PartPtr part = PartReader::FromMemory(BuildPart(rows, &lossy).value()).value();
  EXPECT_EQ(lossy, 1u);
  EXPECT_EQ(part->header().blocks_count, kShortBlocksLimit + 1);
  const auto samples = Read(part);
  ASSERT_EQ(samples.size(), 1000u);
  for (size_t i = 0; i < kShortBlocksLimit; ++i) EXPECT_DOUBLE_EQ(samples[i].second, Wild(samples[i].first));
}

TEST(ShortBlocksTest, MergesGiveUpDigitsAfterSixtyFour) {
  // Blocks that follow each other, and blocks that are cut anew because they overlap.
  for (const bool overlap : {false, true}) {
    SCOPED_TRACE(overlap);
    std::vector<PartPtr> parts;
    if (overlap) {
      std::vector<RawRow> even, odd;
      for (int64_t i = 0; i < 1000; ++i) (i % 2 == 0 ? even : odd).push_back({Series(1), i, Wild(i)});
      parts = {Build(even), Build(odd)};
    } else {
      for (int64_t i = 0; i < 200; ++i) parts.push_back(Build({{Series(1), i, Wild(i)}}));
    }
    PartBuffers buffers;
    const auto writer = PartWriter::ToMemory(buffers, -5);
    MergeStats stats;
    ASSERT_TRUE(MergeParts(parts, *writer, {}, {}, stats).ok());
    EXPECT_GE(stats.lossy_blocks, 1u);
    EXPECT_EQ(writer->rows_count(), overlap ? 1000u : 200u);
    ASSERT_TRUE(writer->Finish(0).ok());
    const PartPtr merged = PartReader::FromMemory(std::move(buffers)).value();
    EXPECT_LT(merged->header().blocks_count, overlap ? 100u : 140u);
    const auto samples = Read(merged);
    for (size_t i = 0; i < kShortBlocksLimit; ++i) EXPECT_DOUBLE_EQ(samples[i].second, Wild(samples[i].first));
  }
}

TEST(ShortBlocksTest, OtherSeriesAreNotTouched) {
  std::vector<RawRow> rows;
  for (int64_t i = 0; i < 60; ++i) rows.push_back({Series(1), i, Wild(i)});
  for (int64_t i = 0; i < 60; ++i) rows.push_back({Series(2), i, Wild(i)});
  uint64_t lossy = 0;
  EXPECT_EQ(PartReader::FromMemory(BuildPart(rows, &lossy).value()).value()->header().blocks_count, 120u);
  EXPECT_EQ(lossy, 0u);
}

TEST(MergeTest, DeduplicatesWhatItWrites) {
  MergePolicy policy;
  policy.dedup_interval_ms = 100;
  const double stale = decimal::StaleNaN();
  // Of each (0, 100], (100, 200] ... the last timestamp stays; of equal ones the largest value, a marker only alone.
  const PartPtr a = Build({{Series(1), 1, 1}, {Series(1), 100, 2}, {Series(1), 101, 3}, {Series(1), 300, 5}});
  const PartPtr b = Build({{Series(1), 50, 9}, {Series(1), 100, 7}, {Series(1), 200, 4}, {Series(1), 300, stale},
                           {Series(2), 5, 1}});
  const std::vector<std::pair<int64_t, double>> want = {{100, 7}, {200, 4}, {300, 5}, {5, 1}};
  EXPECT_EQ(Read(Merge({a, b}, policy)), want);
  // Also a block that is merged with nothing.
  const std::vector<std::pair<int64_t, double>> alone = {{100, 2}, {101, 3}, {300, 5}};
  EXPECT_EQ(Read(Merge({a}, policy)), alone);
}

TEST(MergeTest, DropsDeletedAndOldSeries) {
  const std::vector<PartPtr> parts = {Build({{Series(1), 10, 1}, {Series(2), 10, 1}}), Build({{Series(3), 50, 1}})};
  MergePolicy policy;
  policy.is_deleted = [](model::MetricId id) { return id == model::MetricId{1}; };
  EXPECT_EQ(Read(Merge(parts, policy)).size(), 2u);
  policy.retention_deadline_ms = 20;
  EXPECT_EQ(Read(Merge(parts, policy)).size(), 1u);
  policy.retention_deadline_ms = 60;
  EXPECT_EQ(Merge(parts, policy), nullptr);
}

}  // namespace
}  // namespace vm::storage
