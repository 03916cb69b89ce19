#include "lib/model/block_merge.h"

#include <gtest/gtest.h>

#include <limits>

#include "lib/decimal/decimal.h"
#include "lib/decimal/lossless.h"

namespace vm::model {
namespace {

DecodedBlock Block(std::vector<int64_t> timestamps, std::vector<int64_t> mantissas, int16_t scale = 0) {
  DecodedBlock block;
  block.timestamps = std::move(timestamps);
  block.mantissas = std::move(mantissas);
  block.scale = scale;
  return block;
}

TEST(BlockMergeTest, InterleavesByTimestampAndKeepsTheCopiedSideFirst) {
  DecodedBlock a = Block({1, 3, 3, 5}, {10, 30, 31, 50});
  DecodedBlock b = Block({2, 3, 5, 5, 9}, {20, 32, 51, 52, 90});
  DecodedBlock out = Block({77}, {77}, 7);
  EXPECT_EQ(MergeBlocks(a, b, 0, out), 0u);
  EXPECT_EQ(out.timestamps, (std::vector<int64_t>{1, 2, 3, 3, 3, 5, 5, 5, 9}));
  // a copies up to b's 2; b then copies 2 and its 3, since a's 3 is not smaller; a copies 3, 3, 5; b the rest.
  EXPECT_EQ(out.mantissas, (std::vector<int64_t>{10, 20, 32, 30, 31, 50, 51, 52, 90}));
  EXPECT_EQ(out.scale, 0);
}

TEST(BlockMergeTest, CalibratesScalesAndTakesTheSmallerPrecision) {
  DecodedBlock a = Block({1, 4}, {15, 25}, -1);
  DecodedBlock b = Block({2}, {1234}, -3);
  b.precision_bits = 12;
  DecodedBlock out;
  MergeBlocks(a, b, 0, out);
  EXPECT_EQ(out.mantissas, (std::vector<int64_t>{1500, 1234, 2500}));
  EXPECT_EQ(out.scale, -3);
  EXPECT_EQ(out.precision_bits, 12);
}

TEST(BlockMergeTest, LeavesOutSamplesOlderThanTheDeadline) {
  DecodedBlock a = Block({1, 2, 3}, {1, 2, 3});
  DecodedBlock b = Block({1, 4}, {9, 4});
  DecodedBlock out;
  EXPECT_EQ(MergeBlocks(a, b, 3, out), 3u);
  EXPECT_EQ(out.timestamps, (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(out.mantissas, (std::vector<int64_t>{3, 4}));
  DecodedBlock c = Block({1}, {1});
  DecodedBlock d = Block({2}, {2});
  EXPECT_EQ(MergeBlocks(c, d, 100, out), 2u);
  EXPECT_TRUE(out.timestamps.empty());
}

// zstd arrays are not checked when decoded, so a corrupted part can bring such blocks.
TEST(BlockMergeTest, EndsForUnsortedTimestamps) {
  DecodedBlock a = Block({5, 100, 100, 100, 1}, {1, 2, 3, 4, 5});
  DecodedBlock b = Block({7, 200, 3, 300, 300}, {6, 7, 8, 9, 10});
  DecodedBlock out;
  EXPECT_EQ(MergeBlocks(a, b, 0, out), 0u);
  EXPECT_EQ(out.timestamps.size(), 10u);
}

TEST(BlockMergeTest, SpecialValuesAreNotScaled) {
  DecodedBlock a = Block({1}, {decimal::kStaleNaNMantissa}, -1024);
  DecodedBlock b = Block({2}, {5}, 0);
  DecodedBlock out;
  MergeBlocks(a, b, 0, out);
  EXPECT_EQ(out.mantissas, (std::vector<int64_t>{decimal::kStaleNaNMantissa, 5000000000000000000}));
  EXPECT_EQ(out.scale, -18);
}

// Digits that would be lost in a joined block survive as samples.
TEST(BlockMergeTest, MergesAsSamplesWithoutLoss) {
  const DecodedBlock a = Block({1, 3}, {1, 2}, 0);
  const DecodedBlock b = Block({2}, {18446744073709548}, 3);
  EXPECT_FALSE(decimal::CalibrationIsLossless(a.mantissas, a.scale, b.mantissas, b.scale));
  std::vector<int64_t> timestamps;
  std::vector<double> values;
  EXPECT_EQ(MergeSamples(a, b, 2, timestamps, values), 1u);
  EXPECT_EQ(timestamps, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(values, (std::vector<double>{18446744073709548e3, 2}));
  EXPECT_EQ(decimal::LosslessPrefix(values), 1u);
}

}  // namespace
}  // namespace vm::model
