#include "select/fanout/packed_series.h"

#include <gtest/gtest.h>

#include <random>

#include "select/fanout/test_blocks.h"

namespace vm::select {
namespace {

using Numbers = std::vector<int64_t>;

class PackedSeriesTest : public testing::Test {
 protected:
  PackedSeriesTest() { options_.range = {0, 1000}; }

  std::shared_ptr<BlockCollector> Node() { return std::make_shared<BlockCollector>(limits_); }
  static void MustAdd(BlockCollector& node, std::string_view name, const Numbers& timestamps, const Numbers& values) {
    const Status added = node.Add(MarshalledBlock(ByteBuffer(name.begin(), name.end()), timestamps, values));
    ASSERT_TRUE(added.ok()) << added.error().message();
  }
  void ExpectSeries(const PackedSeries& packed, size_t i, std::string_view name, const Numbers& timestamps, const std::vector<double>& values) {
    PackedSeries::Scratch scratch;
    Numbers got_timestamps = {99};
    std::vector<double> got_values = {99};
    EXPECT_EQ(packed.name(i), name);
    const Status unpacked = packed.Unpack(i, scratch, got_timestamps, got_values);
    ASSERT_TRUE(unpacked.ok()) << unpacked.error().message();
    EXPECT_EQ(got_timestamps, timestamps);
    EXPECT_EQ(got_values, values);
  }

  std::shared_ptr<SearchLimits> limits_ = std::make_shared<SearchLimits>();
  PackedSeries::Options options_;
};

TEST_F(PackedSeriesTest, JoinsBlocksOfOneNode) {
  auto node = Node();
  MustAdd(*node, "a", {1, 2}, {10, 20});
  MustAdd(*node, "b", {1}, {5});
  MustAdd(*node, "a", {3, 4}, {30, 40});
  const PackedSeries packed(options_, {node});
  ASSERT_EQ(packed.size(), 2u);
  EXPECT_EQ(packed.rows_count(0), 4u);
  ExpectSeries(packed, 0, "a", {1, 2, 3, 4}, {10, 20, 30, 40});
  ExpectSeries(packed, 1, "b", {1}, {5});
}

TEST_F(PackedSeriesTest, MergesNodes) {
  auto first = Node(), second = Node(), third = Node();
  MustAdd(*first, "a", {1, 5}, {1, 5});
  MustAdd(*second, "b", {2}, {2});
  MustAdd(*second, "a", {2, 6}, {2, 6});
  MustAdd(*third, "b", {1}, {1});
  const PackedSeries packed(options_, {first, second, third});
  ASSERT_EQ(packed.size(), 2u);
  ExpectSeries(packed, 0, "a", {1, 2, 5, 6}, {1, 2, 5, 6});
  ExpectSeries(packed, 1, "b", {1, 2}, {1, 2});
}

TEST_F(PackedSeriesTest, TakesReplicasOnce) {
  options_.dedup_interval_ms = 1;
  auto first = Node(), second = Node();
  MustAdd(*first, "a", {1, 2, 3}, {1, 2, 3});
  MustAdd(*second, "a", {1, 2, 3}, {1, 2, 3});
  ExpectSeries(PackedSeries(options_, {first, second}), 0, "a", {1, 2, 3}, {1, 2, 3});
}

TEST_F(PackedSeriesTest, DropsSamplesOutsideOfTheRange) {
  options_.range = {2, 5};
  auto node = Node();
  MustAdd(*node, "a", {1, 2, 3}, {1, 2, 3});
  MustAdd(*node, "a", {4, 6}, {4, 6});
  MustAdd(*node, "a", {7, 8}, {7, 8});
  MustAdd(*node, "b", {9}, {9});
  const PackedSeries packed(options_, {node});
  ExpectSeries(packed, 0, "a", {2, 3, 4}, {2, 3, 4});
  ExpectSeries(packed, 1, "b", {}, {});
}

TEST_F(PackedSeriesTest, LimitsSamplesWhileBlocksArrive) {
  limits_->max_samples = 3;
  auto first = Node(), second = Node();
  MustAdd(*first, "a", {1, 2}, {1, 2});
  const Status added = second->Add(MarshalledBlock({'a'}, {1, 2}, {1, 2}));
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().code(), ErrorCode::kLimitExceeded);
  EXPECT_NE(added.error().message().find("cannot select more than -search.maxSamplesPerQuery=3 samples"), std::string::npos);
}

TEST_F(PackedSeriesTest, LimitsSamplesOfOneSeries) {
  options_.max_samples_per_series = 3;
  auto node = Node();
  MustAdd(*node, "a", {1, 2}, {1, 2});
  MustAdd(*node, "a", {3, 4}, {3, 4});
  PackedSeries::Scratch scratch;
  Numbers timestamps;
  std::vector<double> values;
  const Status unpacked = PackedSeries(options_, {node}).Unpack(0, scratch, timestamps, values);
  ASSERT_FALSE(unpacked.ok());
  EXPECT_EQ(unpacked.error().code(), ErrorCode::kLimitExceeded);
}

TEST_F(PackedSeriesTest, ChargesTheBudgetAndGivesItBack) {
  limits_->budget = std::make_shared<Budget>("-search.maxMemoryPerQuery", 64 << 10);
  Numbers timestamps(8000), values(8000);
  std::mt19937 random(1);
  for (size_t i = 0; i < timestamps.size(); ++i) {
    timestamps[i] = static_cast<int64_t>(i);
    values[i] = static_cast<int64_t>(random());
  }
  {
    auto node = Node();
    Status added = Ok();
    int count = 0;
    for (; added.ok() && count < 100; ++count) added = node->Add(MarshalledBlock({'a'}, timestamps, values));
    ASSERT_FALSE(added.ok());
    EXPECT_NE(added.error().message().find("-search.maxMemoryPerQuery"), std::string::npos);
    EXPECT_GT(limits_->budget->used_bytes(), 0);
  }
  EXPECT_EQ(limits_->budget->used_bytes(), 0);
}

TEST_F(PackedSeriesTest, TakesAnEmptyNameAsAnyOther) {
  auto node = Node();
  MustAdd(*node, "", {1}, {5});  // Before there is any memory.
  MustAdd(*node, "a", {1}, {6});
  MustAdd(*node, "", {2}, {7});
  const PackedSeries packed(options_, {node});
  ASSERT_EQ(packed.size(), 2u);
  ExpectSeries(packed, 0, "", {1, 2}, {5, 7});
  ExpectSeries(packed, 1, "a", {1}, {6});
}

TEST_F(PackedSeriesTest, RefusesEveryTruncation) {
  const ByteBuffer block = MarshalledBlock({'a'}, {1, 2, 4}, {1, 5, 2});
  for (size_t size = 0; size < block.size(); ++size) {
    auto node = Node();
    const Status added = node->Add(ByteView(block).first(size));
    if (!added.ok()) continue;
    PackedSeries::Scratch scratch;
    Numbers timestamps;
    std::vector<double> values;
    EXPECT_FALSE(PackedSeries(options_, {node}).Unpack(0, scratch, timestamps, values).ok()) << size;
  }
}

TEST_F(PackedSeriesTest, CountsWhatIsSkippedAndDeduplicated) {
  metrics::Registry registry;
  ReadMetrics metrics(registry);
  options_.metrics = &metrics;
  options_.range = {2, 1000};
  options_.dedup_interval_ms = 10;
  auto first = Node(), second = Node();
  MustAdd(*first, "a", {1, 15, 17, 30}, {10, 20, 30, 40});
  MustAdd(*first, "b", {1, 3, 4}, {10, 20, 30});
  MustAdd(*second, "a", {1, 15, 17, 30}, {10, 20, 30, 40});
  const PackedSeries packed(options_, {first, second});
  ExpectSeries(packed, 0, "a", {17, 30}, {30, 40});
  EXPECT_EQ(metrics.rows_skipped.Get(), 2u);
  EXPECT_EQ(metrics.deduplicated_samples.Get(), 4u);
  ExpectSeries(packed, 1, "b", {4}, {30});
  EXPECT_EQ(metrics.rows_skipped.Get(), 3u);
  EXPECT_EQ(metrics.deduplicated_samples.Get(), 5u);
}

}  // namespace
}  // namespace vm::select
