// Blocks of parts that the original wrote; read when ../shared is beside the checkout.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/decimal/decimal.h"
#include "lib/encoding/zstd.h"
#include "lib/hash/xxhash.h"
#include "lib/model/block.h"

namespace vm::model {
namespace {

namespace stdfs = std::filesystem;

ByteBuffer ReadAll(const stdfs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return ByteBuffer(std::istreambuf_iterator<char>(in), {});
}

ByteBuffer Unpack(ByteView frame) {
  ByteBuffer plain;
  const Status status = encoding::DecompressZstd(plain, frame, 1 << 20);
  EXPECT_TRUE(status.ok());
  return plain;
}

/// Call `visit` for every block of every data part below `root`.
template <class F>
void ForEachBlock(const stdfs::path& root, F visit) {
  for (const auto& entry : stdfs::recursive_directory_iterator(root)) {
    if (entry.path().filename() != "timestamps.bin") continue;
    const stdfs::path part = entry.path().parent_path();
    SCOPED_TRACE(part.string());
    const ByteBuffer timestamps = ReadAll(part / "timestamps.bin");
    const ByteBuffer values = ReadAll(part / "values.bin");
    const ByteBuffer index = ReadAll(part / "index.bin");
    const ByteBuffer rows = Unpack(ReadAll(part / "metaindex.bin"));
    ASSERT_EQ(rows.size() % 64, 0u);
    for (size_t at = 0; at < rows.size(); at += 64) {
      const auto offset = LoadBigEndian<uint64_t>(rows.data() + at + 52);
      const auto size = LoadBigEndian<uint32_t>(rows.data() + at + 60);
      const ByteBuffer frame = Unpack(ByteView(index).subspan(offset, size));
      ByteView src = frame;
      while (!src.empty()) {
        auto got = UnmarshalBlockHeader(src);
        ASSERT_TRUE(got.ok()) << got.error().message();
        const BlockHeader& h = got.value();
        visit(EncodedBlock{h, ByteView(timestamps).subspan(h.timestamps_offset, h.timestamps_size),
                           ByteView(values).subspan(h.values_offset, h.values_size)});
      }
    }
  }
}

const stdfs::path kRoot = stdfs::path(VM_SHARED_DIR) / "golden/disk";

// If this breaks, directories of the original are read wrongly, or merged into something it cannot read.
TEST(GoldenPartsTest, BlocksOfTheOriginalDecodeAndEncodeToTheSameBytes) {
  if (!stdfs::exists(kRoot)) GTEST_SKIP() << "no ../shared/golden beside this checkout";
  std::set<encoding::MarshalType> types;
  size_t blocks = 0;
  ForEachBlock(kRoot, [&](const EncodedBlock& block) {
    const BlockHeader& h = block.header;
    DecodedBlock decoded;
    const Status status = DecodeBlock(block, decoded);
    ASSERT_TRUE(status.ok()) << status.error().message();
    ++blocks;
    types.insert(h.timestamps_type);
    types.insert(h.values_type);
    if (h.precision_bits < 64) return;  // The digits cleared in the first encoding are gone.
    ByteBuffer timestamps_data, values_data;
    BlockHeader again = EncodeBlock(h.tsid, decoded.timestamps, decoded.mantissas, h.scale, 64,
                                    timestamps_data, values_data);
    again.timestamps_offset = h.timestamps_offset;
    again.values_offset = h.values_offset;
    EXPECT_EQ(again, h);
    EXPECT_EQ(ToHex(timestamps_data), ToHex(block.timestamps_data));
    EXPECT_EQ(ToHex(values_data), ToHex(block.values_data));
  });
  EXPECT_GT(blocks, 1000u);
  EXPECT_EQ(types.size(), 6u) << "all six array types must occur";
}

/// What a block of one metric holds, apart from where it lies.
std::string Content(BlockHeader h, ByteView timestamps_data, ByteView values_data) {
  h.tsid = {.metric_group_id = h.tsid.metric_group_id};
  h.timestamps_offset = h.values_offset = 0;
  ByteBuffer dst;
  MarshalBlock(dst, {h, timestamps_data, values_data});
  return ToHex(dst);
}

double Number(const nlohmann::json& j) {
  if (j.is_number()) return j.get<double>();
  const std::string s = j;
  if (s == "StaleNaN") return decimal::StaleNaN();
  const double inf = std::numeric_limits<double>::infinity();
  return s == "NaN" ? std::nan("") : s == "-Infinity" ? -inf : inf;
}

void ExpectSentSeriesGiveTheStoredBlocks(const std::string& name, uint8_t precision_bits, size_t min_blocks) {
  if (!stdfs::exists(kRoot)) GTEST_SKIP() << "no ../shared/golden beside this checkout";
  std::multiset<std::string> stored;
  ForEachBlock(kRoot / name, [&](const EncodedBlock& block) {
    stored.insert(Content(block.header, block.timestamps_data, block.values_data));
  });
  std::ifstream in(kRoot / name / "input.jsonl");
  size_t blocks = 0;
  for (std::string line; std::getline(in, line);) {
    const auto c = nlohmann::json::parse(line);
    std::vector<std::pair<int64_t, double>> rows;
    for (size_t i = 0; i < c["values"].size(); ++i) {
      const double value = Number(c["values"][i]);
      if (!std::isnan(value) || decimal::IsStaleNaN(value)) rows.emplace_back(c["timestamps"][i], value);
    }
    std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    // The original sorts rows unstably: with equal timestamps the stored order is accidental.
    const auto same_time = [](const auto& a, const auto& b) { return a.first == b.first; };
    if (std::adjacent_find(rows.begin(), rows.end(), same_time) != rows.end()) continue;
    Tsid tsid;
    for (const auto& label : c["labels"]) {
      if (label[0] == "__name__") tsid.metric_group_id = hash::XXH64(AsBytes(label[1].get_ref<const std::string&>()));
    }
    for (size_t at = 0; at < rows.size(); at += kMaxRowsPerBlock) {
      std::vector<int64_t> timestamps, mantissas;
      std::vector<double> values;
      for (size_t i = at; i < std::min<size_t>(rows.size(), at + kMaxRowsPerBlock); ++i) {
        timestamps.push_back(rows[i].first);
        values.push_back(rows[i].second);
      }
      const int16_t scale = decimal::AppendFloatsToDecimals(mantissas, values);
      ByteBuffer timestamps_data, values_data;
      const BlockHeader h =
          EncodeBlock(tsid, timestamps, mantissas, scale, precision_bits, timestamps_data, values_data);
      const auto found = stored.find(Content(h, timestamps_data, values_data));
      EXPECT_TRUE(found != stored.end()) << c["labels"].dump() << " rows from " << at;
      if (found != stored.end()) stored.erase(found);
      ++blocks;
    }
  }
  EXPECT_GE(blocks, min_blocks);
}

// Floats to bytes: conversion, scale, choice of the array type and compression agree with the original.
TEST(GoldenPartsTest, SentSeriesGiveTheStoredBlocks) { ExpectSentSeriesGiveTheStoredBlocks("basic", 64, 130); }

TEST(GoldenPartsTest, LossySeriesGiveTheStoredBlocks) { ExpectSentSeriesGiveTheStoredBlocks("precision", 8, 3); }

}  // namespace
}  // namespace vm::model
