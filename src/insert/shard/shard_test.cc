#include "insert/shard/shard.h"

#include <gtest/gtest.h>

namespace vm::insert {
namespace {

const std::vector<std::string> kNodes = {"127.0.0.1:18501", "127.0.0.1:18502", "127.0.0.1:18503"};

size_t NodeOf(std::string_view name_key, int series) {
  const hash::Rendezvous nodes(kNodes, 0);
  ShardWriter writer(nodes, 1 << 20);
  const std::string name = "m" + std::to_string(series), instance = "i" + std::to_string(series);
  const std::vector<model::LabelView> labels = {
      {name_key, name}, {"job", "a"}, {"instance", instance}};
  writer.BeginSeries({5, 6}, labels);
  writer.AddSample(1, 2);
  const auto batches = writer.Finish();
  EXPECT_EQ(batches.size(), 1u);
  return batches.at(0).node;
}

// Observed at the reference; a change here scatters the series of every existing cluster.
TEST(ShardWriterTest, PlacesSeriesWhereTheReferenceDoes) {
  const std::vector<size_t> empty_name = {1, 1, 0, 0, 0, 1, 2, 2};
  const std::vector<size_t> full_name = {2, 0, 0, 0, 1, 0, 0, 0};
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(NodeOf("", i), empty_name[static_cast<size_t>(i)]) << i;
    EXPECT_EQ(NodeOf("__name__", i), full_name[static_cast<size_t>(i)]) << i;
  }
}

// Labels in their sent form give the same rows on the same nodes.
TEST(ShardWriterTest, PlacedSeriesAreTheSame) {
  const hash::Rendezvous nodes(kNodes, 0);
  for (int i = 0; i < 40; ++i) {
    const std::string value(static_cast<size_t>(i * 5 + 1), 'v'), name = "m" + std::to_string(i);
    for (const std::string_view name_key : {"", "__name__", "name"}) {
      const std::vector<model::LabelView> labels = {{"job", "a"}, {name_key, name}, {"instance", value}};
      ShardWriter one(nodes, 1 << 20), other(nodes, 1 << 20);
      one.BeginSeries({5, 6}, labels);
      one.AddSample(7, 8);
      one.AddSample(8, 9);
      ByteBuffer raw;
      model::MarshalMetricNameRaw(raw, {}, labels);
      const ByteView sent = ByteView(raw).subspan(8);
      uint8_t* place = other.PlaceForLabels({5, 6}, sent.size() + 32);
      std::copy(sent.begin(), sent.end(), place);
      const size_t at = name_key == "__name__" ? 2 + 3 + 2 + 1 : std::string_view::npos;
      other.BeginPlacedSeries(sent.size(), at);
      other.AddSample(7, 8);
      other.AddSample(8, 9);
      const auto want = one.Finish(), got = other.Finish();
      ASSERT_EQ(want.size(), 1u);
      ASSERT_EQ(got.size(), 1u);
      EXPECT_EQ(got[0].node, want[0].node) << name_key << i;
      EXPECT_EQ(ToHex(got[0].data), ToHex(want[0].data));
      EXPECT_EQ(got[0].rows_count, 2u);
    }
  }
}

TEST(ShardWriterTest, WritesTheRowBytesOfTheProtocol) {
  const std::vector<std::string> one = {"a"};
  const hash::Rendezvous nodes(one, 0);
  ShardWriter writer(nodes, 1 << 20);
  const std::vector<model::LabelView> labels = {{"__name__", "m1"}, {"job", "a"}, {"instance", "b"}};
  writer.BeginSeries({0, 0}, labels);
  writer.AddSample(0x18bcfe56800, 42);
  const auto batches = writer.Finish();
  ASSERT_EQ(batches.size(), 1u);
  ByteBuffer want;
  ASSERT_TRUE(FromHex("23 000000000000000000000002 6d31 00036a6f62000161 "
                      "0008696e7374616e6365000162 0000018bcfe56800 4045000000000000", want));
  EXPECT_EQ(ToHex(batches[0].data), ToHex(want));
  EXPECT_TRUE(writer.Finish().empty());
}

TEST(ShardWriterTest, ClosesABatchBeforeItReachesTheLimit) {
  const std::vector<std::string> one = {"a"};
  const hash::Rendezvous nodes(one, 0);
  ShardWriter writer(nodes, 100);
  const std::vector<model::LabelView> labels = {{"", "m"}};
  writer.BeginSeries({0, 0}, labels);
  for (int i = 0; i < 10; ++i) writer.AddSample(i, i);
  size_t rows = 0;
  for (const NodeBatch& batch : writer.Finish()) {
    EXPECT_LT(batch.data.size(), 100u);
    rows += batch.rows_count;
  }
  EXPECT_EQ(rows, 10u);
}

TEST(SplitRowsTest, LeavesOutExcludedNodesAndKeepsTheBytes) {
  const hash::Rendezvous nodes(kNodes, 0);
  ShardWriter writer(nodes, 1 << 20);
  const std::vector<model::LabelView> labels = {{"", "m4"}, {"job", "a"}, {"instance", "i4"}};
  writer.BeginSeries({5, 6}, labels);
  writer.AddSample(1, 2);
  writer.AddSample(2, 3);
  const auto batches = writer.Finish();
  ASSERT_EQ(batches.size(), 1u);
  const std::vector<size_t> excluded = {0};
  const auto moved = SplitRows(RowKind::kSamples, batches[0].data, nodes, excluded);
  ASSERT_TRUE(moved.ok());
  ASSERT_EQ(moved.value().size(), 1u);
  EXPECT_EQ(moved.value()[0].node, 2u);
  EXPECT_EQ(moved.value()[0].rows_count, 2u);
  EXPECT_EQ(moved.value()[0].data, batches[0].data);
  EXPECT_FALSE(SplitRows(RowKind::kSamples, ByteView(batches[0].data).first(30), nodes, {}).ok());
}

}  // namespace
}  // namespace vm::insert
