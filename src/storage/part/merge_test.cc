#include "storage/part/merge.h"

#include <gtest/gtest.h>

#include "lib/decimal/decimal.h"
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
