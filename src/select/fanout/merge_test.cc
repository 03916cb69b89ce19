#include "select/fanout/merge.h"

#include <gtest/gtest.h>

namespace vm::select {
namespace {

using Timestamps = std::vector<int64_t>;
using Values = std::vector<double>;

void ExpectMerged(std::vector<SortedBlock> blocks, int64_t interval, const Timestamps& want_timestamps,
                  const Values& want_values) {
  Timestamps timestamps;
  Values values;
  MergeSortBlocks(std::move(blocks), interval, timestamps, values);
  EXPECT_EQ(timestamps, want_timestamps);
  EXPECT_EQ(values, want_values);
}

TEST(MergeTest, OrdersSamplesOfOverlappingBlocks) {
  ExpectMerged({{{1, 4, 5}, {1, 4, 5}}, {{2, 3, 6}, {2, 3, 6}}}, 0, {1, 2, 3, 4, 5, 6},
               {1, 2, 3, 4, 5, 6});
}

TEST(MergeTest, KeepsReplicasWithoutDeduplication) {
  ExpectMerged({{{1, 2}, {1, 2}}, {{1, 2}, {1, 2}}}, 0, {1, 1, 2, 2}, {1, 1, 2, 2});
}

TEST(MergeTest, TakesReplicasOnceWithDeduplication) {
  ExpectMerged({{{1, 2}, {1, 2}}, {{1, 2}, {1, 2}}}, 1, {1, 2}, {1, 2});
}

TEST(MergeTest, KeepsTheLargestOfEqualTimestamps) {
  ExpectMerged({{{1, 2}, {1, 9}}, {{1, 2}, {3, 2}}}, 1, {1, 2}, {3, 9});
}

TEST(MergeTest, NoBlocksGiveNothing) { ExpectMerged({}, 1, {}, {}); }

}  // namespace
}  // namespace vm::select
