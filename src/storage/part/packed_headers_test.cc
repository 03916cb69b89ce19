#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "storage/part/packed_headers.h"

namespace vm::storage {
namespace {

using model::BlockHeader;

/// Fields that stay mostly, as those of neighbours do, and now and then anything.
std::vector<BlockHeader> Headers(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto seldom = [&] { return random() % 8 == 0; };
  std::vector<BlockHeader> headers;
  BlockHeader h;
  h.tsid.metric_id = model::MetricId{uint64_t{1} << 60};
  for (size_t i = 0; i < count; ++i) {
    if (seldom()) h.tsid.account_id = static_cast<uint32_t>(random());
    if (seldom()) h.tsid.project_id = static_cast<uint32_t>(random());
    if (seldom()) h.tsid.metric_group_id = random();
    if (seldom()) h.tsid.job_id = static_cast<uint32_t>(random());
    h.tsid.instance_id = static_cast<uint32_t>(random());
    h.tsid.metric_id = model::MetricId{seldom() ? random() : static_cast<uint64_t>(h.tsid.metric_id) + random() % 1000};
    h.min_timestamp = seldom() ? static_cast<int64_t>(random()) : 1'700'000'000'000 + static_cast<int64_t>(random() % 9999);
    h.max_timestamp = seldom() ? static_cast<int64_t>(random()) : h.min_timestamp;
    h.first_value = seldom() ? static_cast<int64_t>(random()) : static_cast<int64_t>(random() % 100);
    h.values_offset += h.values_size;
    if (seldom()) h.timestamps_offset = random();
    if (seldom()) h.values_offset = random();
    h.timestamps_size = seldom() ? static_cast<uint32_t>(random() % (model::kMaxBlockDataSize + 1)) : 0;
    h.values_size = seldom() ? static_cast<uint32_t>(random() % (model::kMaxBlockDataSize + 1)) : 0;
    h.rows_count = 1 + static_cast<uint32_t>(seldom() ? random() % (2 * model::kMaxRowsPerBlock) : 0);
    h.scale = seldom() ? static_cast<int16_t>(random()) : int16_t{-3};
    h.timestamps_type = static_cast<encoding::MarshalType>(random() % 7);
    h.values_type = static_cast<encoding::MarshalType>(random() % 7);
    if (seldom()) h.precision_bits = static_cast<uint8_t>(1 + random() % 64);
    headers.push_back(h);
  }
  return headers;
}

TEST(PackedHeadersTest, ComeBackAsTheyWere) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const std::vector<BlockHeader> headers = Headers(1 + seed * 7, seed);
    ByteBuffer bytes = {1, 2, 3};
    PackBlockHeaders(bytes, headers);
    std::vector<BlockHeader> back(5);
    const Status status = UnpackBlockHeaders(ByteView(bytes).subspan(3), headers.size(), back);
    ASSERT_TRUE(status.ok()) << status.error().message();
    ASSERT_EQ(back, headers);
  }
}

TEST(PackedHeadersTest, AreShortForSeriesWithARowEach) {
  std::vector<BlockHeader> headers(736);
  for (size_t i = 0; i < headers.size(); ++i) {
    headers[i].tsid = {0, 0, 7, 1, static_cast<uint32_t>(i * 77'777), model::MetricId{1'000'000 + i * 677}};
    headers[i].min_timestamp = headers[i].max_timestamp = 1'700'000'000'000 + static_cast<int64_t>(i % 90);
    headers[i].first_value = 5;
    headers[i].rows_count = 1;
  }
  ByteBuffer bytes;
  PackBlockHeaders(bytes, headers);
  EXPECT_LT(bytes.size(), 14 * headers.size());
}

TEST(PackedHeadersTest, BrokenOnesAreRefused) {
  const std::vector<BlockHeader> headers = Headers(40, 1);
  ByteBuffer bytes;
  PackBlockHeaders(bytes, headers);
  std::vector<BlockHeader> back;
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_FALSE(UnpackBlockHeaders(ByteView(bytes).first(size), headers.size(), back).ok()) << size;
  }
  EXPECT_FALSE(UnpackBlockHeaders(bytes, headers.size() - 1, back).ok());
  std::mt19937_64 random(2);
  for (int i = 0; i < 2000; ++i) {
    ByteBuffer bad = bytes;
    bad[random() % bad.size()] ^= static_cast<uint8_t>(1 + random() % 255);
    // Whatever it is, nothing is read beyond the end, and ranges are kept.
    if (!UnpackBlockHeaders(bad, headers.size(), back).ok()) continue;
    for (const BlockHeader& header : back) ASSERT_TRUE(model::CheckBlockHeader(header).ok());
  }
}

}  // namespace
}  // namespace vm::storage
