#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "storage/part/raw_rows.h"
#include "storage/part/series_order.h"

namespace vm::storage {
namespace {

using model::MetricId;
using model::Tsid;

constexpr int64_t kT = 1'700'000'000'000;

/// Consecutive ids whose order is not that of the series.
Tsid Series(uint64_t id) {
  return {static_cast<uint32_t>(id % 3), 0, (id % 500) * 0x9e3779b97f4a7c15, 1, static_cast<uint32_t>(id / 7),
          MetricId{(uint64_t{1} << 60) + id}};
}

std::vector<Tsid> SeriesOf(uint64_t from, uint64_t to) {
  std::vector<Tsid> tsids;
  for (uint64_t id = from; id < to; ++id) tsids.push_back(Series(id));
  return tsids;
}

uint32_t RankOf(const SeriesRanks& ranks, const Tsid& tsid) {
  size_t page = 0;
  return ranks.Find(tsid, page);
}

void ExpectRanks(const SeriesRanks& ranks, std::vector<Tsid> tsids) {
  std::sort(tsids.begin(), tsids.end());
  ASSERT_EQ(ranks.size(), tsids.size());
  size_t page = 0;
  for (uint32_t rank = 0; rank < tsids.size(); ++rank) {
    ASSERT_EQ(ranks.Find(tsids[rank], page), rank);
    ASSERT_EQ(ranks.At(rank), tsids[rank]);
  }
}

TEST(SeriesRanksTest, AreTheSortedOrderHoweverManyComeAtATime) {
  const SeriesRanks none;
  EXPECT_EQ(none.size(), 0u);
  EXPECT_EQ(RankOf(none, Series(1)), SeriesRanks::kNone);
  // Pages before, between and after those known, and one that is filled up.
  const SeriesRanks some(none, SeriesOf(10'000, 15'500));
  ExpectRanks(some, SeriesOf(10'000, 15'500));
  EXPECT_EQ(RankOf(some, Series(15'500)), SeriesRanks::kNone);
  EXPECT_EQ(RankOf(some, Series(1)), SeriesRanks::kNone);
  std::vector<Tsid> more = SeriesOf(15'500, 40'900);
  const std::vector<Tsid> before = SeriesOf(0, 9'000);
  more.insert(more.end(), before.begin(), before.end());
  const SeriesRanks all(some, more);
  std::vector<Tsid> expected = SeriesOf(0, 9'000);
  const std::vector<Tsid> rest = SeriesOf(10'000, 40'900);
  expected.insert(expected.end(), rest.begin(), rest.end());
  ExpectRanks(all, expected);
}

TEST(SeriesRanksTest, LeavesOutWhatLiesFarApartAndSecondSeriesOfAnId) {
  std::vector<Tsid> tsids = SeriesOf(0, 4'096);
  std::vector<Tsid> far;
  for (uint64_t i = 1; i <= 1'000; ++i) far.push_back(Series(i * 1'000'000));
  tsids.insert(tsids.end(), far.begin(), far.end());
  const SeriesRanks ranks(SeriesRanks(), tsids);
  ExpectRanks(ranks, SeriesOf(0, 4'096));
  EXPECT_LT(ranks.bytes(), size_t{300'000});
  for (const Tsid& tsid : far) EXPECT_EQ(RankOf(ranks, tsid), SeriesRanks::kNone);

  Tsid twin = Series(100);
  twin.job_id = 2;
  EXPECT_EQ(RankOf(ranks, twin), SeriesRanks::kNone) << "the id alone is not the series";
  ExpectRanks(SeriesRanks(ranks, {twin}), SeriesOf(0, 4'096));
}

std::vector<RawRow> RowsOf(const std::vector<Tsid>& tsids, int64_t timestamp) {
  std::vector<RawRow> rows;
  for (const Tsid& tsid : tsids) {
    rows.push_back({tsid, timestamp, static_cast<double>(static_cast<uint64_t>(tsid.metric_id) % 1000)});
  }
  return rows;
}

TEST(SeriesOrderTest, PartsAreTheSameWithIt) {
  SeriesOrder order(size_t{64} << 20);
  std::mt19937_64 random(1);
  for (uint64_t round = 0; round < 6; ++round) {
    // Known series, new ones, some rows of a series out of order, another precision now and then.
    std::vector<std::vector<RawRow>> rows;
    rows.push_back(RowsOf(SeriesOf(round * 5'000, 20'000 + round * 10'000), kT + static_cast<int64_t>(round) * 1000));
    rows.push_back(RowsOf(SeriesOf(round * 9'000, round * 9'000 + 3'000), kT - 5000));
    if (round == 4) {
      for (RawRow& row : rows[1]) row.precision_bits = 12;
    }
    for (size_t i = 0; i < 500; ++i) std::swap(rows[0][random() % rows[0].size()], rows[0][random() % rows[0].size()]);
    const PartBuffers plain = BuildPart(rows).value();
    const PartBuffers ordered = BuildPart(rows, nullptr, &order).value();
    EXPECT_EQ(ordered.timestamps, plain.timestamps);
    EXPECT_EQ(ordered.values, plain.values);
    EXPECT_EQ(ordered.index, plain.index);
    EXPECT_EQ(ordered.metaindex, plain.metaindex);
    EXPECT_EQ(ordered.header, plain.header);
  }
  EXPECT_GE(order.ranks()->size(), 60'000u);
  EXPECT_EQ(RankOf(*order.ranks(), Series(1'000'000)), SeriesRanks::kNone);
  // A few rows are not worth the look at all ranks.
  EXPECT_EQ(BuildPart(RowsOf({Series(5), Series(3)}, kT), nullptr, &order).value().header.rows_count, 2u);
  order.Forget();
  EXPECT_EQ(order.ranks()->size(), 0u);
}

TEST(SeriesOrderTest, BeginsAnewWhenItIsTooBig) {
  SeriesOrder order(size_t{4} << 20);  // Some 120,000 series.
  size_t most = 0;
  for (uint64_t from = 0; from < 1'000'000; from += 50'000) {
    const std::vector<Tsid> tsids = SeriesOf(from, from + 50'000);
    order.Learn(tsids);
    most = std::max(most, order.ranks()->bytes());
  }
  EXPECT_LT(most, size_t{8} << 20);
  EXPECT_GT(order.ranks()->size(), 40'000u);
  EXPECT_EQ(RankOf(*order.ranks(), Series(0)), SeriesRanks::kNone);
}

}  // namespace
}  // namespace vm::storage
