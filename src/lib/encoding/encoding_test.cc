#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <thread>
#include <nlohmann/json.hpp>

#include "lib/encoding/common_prefix.h"
#include "lib/encoding/int.h"
#include "lib/encoding/int64_array.h"
#include "lib/encoding/zstd.h"

namespace vm::encoding {
namespace {

std::string ArrayHex(const std::vector<int64_t>& values, MarshalType want) {
  ByteBuffer dst;
  int64_t first = 0;
  EXPECT_EQ(MarshalInt64Array(dst, values, 64, first), want);
  EXPECT_EQ(first, values[0]);
  std::vector<int64_t> back;
  EXPECT_TRUE(UnmarshalInt64Array(back, dst, want, first, values.size()).ok());
  EXPECT_EQ(back, values);
  return ToHex(dst);
}

// If this breaks, parts written by earlier versions and by the original can no longer be read.
TEST(Int64ArrayTest, EncodesToTheKnownBytes) {
  const int64_t t = 1795284360000;
  EXPECT_EQ(ArrayHex({t, t + 15000, t + 30000, t + 45000}, MarshalType::kDeltaConst), "b0ea01");
  EXPECT_EQ(ArrayHex({1, 2, 3, 4}, MarshalType::kDeltaConst), "02");
  EXPECT_EQ(ArrayHex({7, 7, 7, 7}, MarshalType::kConst), "");
  EXPECT_EQ(ArrayHex({10, 15, 40, 41}, MarshalType::kNearestDelta2), "0a282f");
  EXPECT_EQ(ArrayHex({1500, -2250, 1000000, 1}, MarshalType::kNearestDelta), "cb3a94ac7afd887a");
  EXPECT_EQ(ArrayHex({std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min(), 1, 0},
                     MarshalType::kNearestDelta),
            "02fdffffffffffffffff0101");
  EXPECT_EQ(ArrayHex({0, -64, -128}, MarshalType::kDeltaConst), "ff00");
}

// Runs of short deltas are read eight at a time.
TEST(Int64ArrayTest, ReadsShortAndLongDeltasInAnyOrder) {
  std::mt19937_64 random(7);
  for (const size_t count : {2, 3, 8, 9, 10, 16, 17, 18, 100, 1000}) {
    for (const uint64_t long_every : {1, 3, 9, 20, 1000}) {
      std::vector<int64_t> values = {5};
      for (int64_t d = 0; values.size() < count;) {
        d = static_cast<int64_t>(random() % 127) - 63;
        if (random() % long_every == 0) d = static_cast<int64_t>(random() >> random() % 64);
        values.push_back(static_cast<int64_t>(static_cast<uint64_t>(values.back()) + static_cast<uint64_t>(d)));
      }
      for (const auto type : {MarshalType::kNearestDelta, MarshalType::kNearestDelta2}) {
        ByteBuffer bytes;
        const int64_t first = type == MarshalType::kNearestDelta ? MarshalInt64NearestDelta(bytes, values, 64)
                                                                 : MarshalInt64NearestDelta2(bytes, values, 64);
        std::vector<int64_t> back;
        ASSERT_TRUE(UnmarshalInt64Array(back, bytes, type, first, count).ok());
        EXPECT_EQ(back, values);
        EXPECT_FALSE(UnmarshalInt64Array(back, bytes, type, first, count + 1).ok());
        if (count > 2) {
          EXPECT_FALSE(UnmarshalInt64Array(back, bytes, type, first, count - 1).ok());
        }
        bytes.pop_back();
        EXPECT_FALSE(UnmarshalInt64Array(back, bytes, type, first, count).ok());
        EXPECT_EQ(back, values) << "failed decoding must append nothing";
      }
    }
  }
}

TEST(Int64ArrayTest, RefusesDelta2OfOneItemAndBytesLeftOver) {
  std::vector<int64_t> dst = {5};
  const uint8_t one[] = {2};
  EXPECT_FALSE(UnmarshalInt64Array(dst, one, MarshalType::kNearestDelta2, 1, 1).ok());
  EXPECT_FALSE(UnmarshalInt64Array(dst, one, MarshalType::kConst, 1, 3).ok());
  const uint8_t three[] = {2, 2, 2};
  EXPECT_FALSE(UnmarshalInt64Array(dst, three, MarshalType::kNearestDelta, 1, 3).ok());
  EXPECT_FALSE(UnmarshalInt64Array(dst, three, MarshalType::kNearestDelta, 1, 5).ok());
  EXPECT_FALSE(UnmarshalInt64Array(dst, three, static_cast<MarshalType>(0), 1, 3).ok());
  EXPECT_EQ(dst, std::vector<int64_t>{5}) << "failed decoding must append nothing";
}

TEST(IntTest, EncodesToTheKnownBytes) {
  const auto single = [](int64_t v) {
    ByteBuffer dst;
    AppendVarInt64(dst, v);
    ByteView src = dst;
    const auto back = TakeVarInt64(src);
    EXPECT_TRUE(back.ok() && back.value() == v && src.empty());
    return ToHex(dst);
  };
  EXPECT_EQ(single(0), "00");
  EXPECT_EQ(single(-1), "01");
  EXPECT_EQ(single(-63), "7d");
  EXPECT_EQ(single(-64), "ff00");
  EXPECT_EQ(single(-65), "8101");
  EXPECT_EQ(single(1700000000000), "80a0abfef962");
  EXPECT_EQ(single(std::numeric_limits<int64_t>::min()), "ffffffffffffffffff01");
  ByteBuffer dst;
  AppendInt16(dst, -2);
  AppendInt64(dst, 1700000000000);
  EXPECT_EQ(ToHex(dst), "0003000003179fcad000");
}

TEST(IntTest, RefusesEveryTruncationAndOverlongNumbers) {
  ByteBuffer dst;
  AppendVarUint64(dst, std::numeric_limits<uint64_t>::max());
  for (size_t n = 0; n < dst.size(); ++n) {
    ByteView src(dst.data(), n);
    EXPECT_FALSE(TakeVarUint64(src).ok());
    EXPECT_EQ(src.size(), n) << "input must stay untouched on error";
  }
  ByteBuffer overlong(9, 0xFF);
  overlong.push_back(2);
  ByteView src = overlong;
  EXPECT_FALSE(TakeVarUint64(src).ok());
}

TEST(ZstdTest, ReadsFramesOfEveryKindAndStopsAtTheLimit) {
  const ByteBuffer text(100000, 'x');
  ByteBuffer frame;
  CompressZstd(frame, text, 1);
  ByteBuffer two = frame;
  Append(two, frame);
  ByteBuffer out;
  ASSERT_TRUE(DecompressZstd(out, two, 200000).ok());
  EXPECT_EQ(out.size(), 200000u);
  out.clear();
  EXPECT_FALSE(DecompressZstd(out, two, 199999).ok());
  EXPECT_FALSE(DecompressZstd(out, frame, 99999).ok());
  EXPECT_FALSE(DecompressZstd(out, ByteView(frame).first(frame.size() - 1), 200000).ok());
  EXPECT_TRUE(out.empty());
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/// Leaves this process 32 MiB to grow by.
void LimitMemory() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlimit limit{pages * 4096 + (32 << 20), RLIM_INFINITY};
  setrlimit(RLIMIT_AS, &limit);
}

// The frame is all right: whoever sent it should try again.
TEST(ZstdTest, WantOfMemoryIsNoFaultOfTheFrame) {
  ByteBuffer frame;
  ASSERT_TRUE(FromHex("28b52ffd" "00" "88" "090000" "78", frame));  // A window of 128 MiB, "x".
  ByteBuffer out;
  ASSERT_TRUE(DecompressZstd(out, frame, 10).ok());
  const auto code_without_memory = [&](bool by_stream) {
    LimitMemory();
    ZstdStreamDecompressor stream;
    ByteView rest = frame;
    const Status status = by_stream ? stream.Decompress(out, rest, 10) : DecompressZstd(out, frame, 10);
    return status.ok() ? -1 : static_cast<int>(status.error().code());
  };
  EXPECT_EXIT(std::_Exit(code_without_memory(true)), testing::ExitedWithCode(static_cast<int>(ErrorCode::kIo)), "");
  // Another thread has no context yet.
  EXPECT_EXIT(std::_Exit([&] {
                int code = 0;
                std::thread([&] { code = code_without_memory(false); }).join();
                return code;
              }()), testing::ExitedWithCode(static_cast<int>(ErrorCode::kIo)), "");
}
#endif

TEST(ZstdTest, AWiderWindowFindsWhatCameLongBefore) {
  ByteBuffer noise(1 << 20);
  uint32_t state = 1;
  for (uint8_t& byte : noise) byte = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  ByteBuffer twice = noise;
  Append(twice, ByteView(noise));
  ByteBuffer usual, wide;
  CompressZstd(usual, twice, 1);
  CompressZstd(wide, twice, 1, 22);
  EXPECT_GT(usual.size(), noise.size() * 3 / 2);
  EXPECT_LT(wide.size(), noise.size() * 9 / 8);
  EXPECT_EQ(ZstdContentSize(wide), twice.size());
  ByteBuffer out;
  ASSERT_TRUE(DecompressZstd(out, wide, twice.size()).ok());
  EXPECT_EQ(out, twice);
  // The context is the same one, but what was asked of it is not remembered.
  ByteBuffer again;
  CompressZstd(again, twice, 1);
  EXPECT_EQ(again, usual);
  ZstdStreamDecompressor stream;
  ByteView rest = wide;
  out.clear();
  while (!rest.empty()) ASSERT_TRUE(stream.Decompress(out, rest, 1 << 20).ok());
  ASSERT_TRUE(stream.Decompress(out, rest, 4 << 20).ok());
  EXPECT_EQ(out, twice);
}

TEST(ZstdTest, StreamDeliversWhatAFlushMadeAvailable) {
  ZstdStreamCompressor compressor(1);
  ZstdStreamDecompressor decompressor;
  for (int round = 0; round < 3; ++round) {
    ByteBuffer wire, out;
    compressor.Compress(wire, AsBytes("hello"));
    compressor.Flush(wire);
    ByteView src = wire;
    ASSERT_TRUE(decompressor.Decompress(out, src, 1 << 20).ok());
    EXPECT_EQ(AsText(out), "hello");
    EXPECT_TRUE(src.empty());
  }
}

// Replies of a real storage node on one compressed connection: 24 zero bytes each, the frame never ends.
TEST(ZstdTest, ReadsTheStreamOfARealStorageNode) {
  ZstdStreamDecompressor decompressor;
  for (const std::string_view hex : {"28b52ffd004844000010000001000ac002", "c2000000", "c2000000"}) {
    ByteBuffer wire, out;
    ASSERT_TRUE(FromHex(hex, wire));
    // In the smallest pieces a socket can give.
    for (const uint8_t& byte : wire) {
      ByteView src(&byte, 1);
      ASSERT_TRUE(decompressor.Decompress(out, src, 1 << 20).ok());
      EXPECT_TRUE(src.empty());
    }
    EXPECT_EQ(out, ByteBuffer(24, 0));
  }
}

TEST(ZstdTest, StreamHasTheHeaderOfTheReferenceAndReadsCompleteFrames) {
  ZstdStreamCompressor compressor(1);
  ByteBuffer wire;
  compressor.Compress(wire, AsBytes("0123456789"));
  compressor.Flush(wire);
  EXPECT_EQ(ToHex(ByteView(wire).first(6)), "28b52ffd0048");
  ZstdStreamDecompressor decompressor;
  ByteBuffer frames, out;
  CompressZstd(frames, AsBytes("one"), 1);
  CompressZstd(frames, AsBytes("two"), 3);
  ByteView src = frames;
  ASSERT_TRUE(decompressor.Decompress(out, src, 1 << 20).ok());
  EXPECT_EQ(AsText(out), "onetwo");
  const ByteBuffer garbage = {1, 2, 3, 4, 5, 6, 7, 8};
  src = garbage;
  EXPECT_FALSE(decompressor.Decompress(out, src, 1 << 20).ok());
}

TEST(ZstdTest, FramesFromBeforeOneAreRefused) {
  // A frame of 0.7 without content: some builds of the library take it, in one piece or in several.
  const uint8_t old[] = {0x27, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0xc0, 0x00, 0x00};
  ByteBuffer modern;
  CompressZstd(modern, AsBytes("one"), 1);
  ByteBuffer behind = modern;
  Append(behind, old);
  ByteBuffer out;
  for (const ByteView src : {ByteView(old), ByteView(behind)}) {
    EXPECT_FALSE(DecompressZstd(out, src, 1000).ok());
    for (const size_t step : {size_t{1}, src.size()}) {
      ZstdStreamDecompressor stream;
      Status status = Ok();
      for (ByteView rest = src; status.ok() && !rest.empty();) {
        ByteView piece = rest.first(std::min(step, rest.size()));
        rest = rest.subspan(piece.size());
        do {
          const size_t before = piece.size();
          status = stream.Decompress(out, piece, 1000);
          if (piece.size() == before) break;
        } while (status.ok() && !piece.empty());
      }
      EXPECT_FALSE(status.ok()) << step;
    }
  }
  EXPECT_FALSE(DecompressZstdTo({}, old).ok());
  EXPECT_FALSE(ZstdContentSize(old).has_value());
}

TEST(ZstdTest, StreamStopsAtTheLimitAndGoesOn) {
  ZstdStreamCompressor compressor(1);
  ByteBuffer wire, out;
  const ByteBuffer text(1 << 20, 'y');
  compressor.Compress(wire, text);
  compressor.Flush(wire);
  ZstdStreamDecompressor decompressor;
  ByteView src = wire;
  while (true) {
    ByteBuffer piece;
    ASSERT_TRUE(decompressor.Decompress(piece, src, 1000).ok());
    if (piece.empty()) break;
    ASSERT_LE(piece.size(), 1000u);
    Append(out, piece);
  }
  EXPECT_EQ(out, text);
}

TEST(CommonPrefixTest, IsThatOfABytewiseLook) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 20000; ++round) {
    std::string a(random() % 40, 'a');
    std::string b(random() % 40, 'a');
    if (!a.empty() && random() % 2 == 0) a[random() % a.size()] = static_cast<char>(random());
    if (!b.empty() && random() % 2 == 0) b[random() % b.size()] = static_cast<char>(random());
    size_t want = 0;
    while (want < a.size() && want < b.size() && a[want] == b[want]) ++want;
    ASSERT_EQ(CommonPrefixSize(AsBytes(a), AsBytes(b)), want);
    if (want > 0) {
      ASSERT_EQ(CommonPrefixSize(AsBytes(a), AsBytes(b), random() % want), want);
    }
  }
}

std::vector<nlohmann::json> Cases(const char* file) {
  std::vector<nlohmann::json> cases;
  std::ifstream in(std::string(VM_SHARED_DIR) + "/conformance/" + file);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) cases.push_back(nlohmann::json::parse(line));
  }
  return cases;
}

std::vector<int64_t> Numbers(const nlohmann::json& list) { return list.get<std::vector<int64_t>>(); }

TEST(Int64ArrayTest, AgreesWithTheRecordedCases) {
  const auto cases = Cases("encoding.jsonl");
  if (cases.empty()) GTEST_SKIP() << "no ../shared/conformance beside this checkout";
  std::map<std::string, int> seen;
  for (const auto& c : cases) {
    const std::string kind = c["kind"];
    SCOPED_TRACE(c.dump().substr(0, 400));
    ++seen[kind];
    ByteBuffer dst;
    if (kind == "int64_array") {
      const auto values = Numbers(c["values"]);
      int64_t first = 0;
      const MarshalType type = MarshalInt64Array(dst, values, c["precision_bits"], first);
      EXPECT_EQ(static_cast<int>(type), c["marshal_type"].get<int>());
      EXPECT_EQ(first, c["first_value"].get<int64_t>());
      EXPECT_EQ(ToHex(dst), c["hex"].get<std::string>());
    } else if (kind == "is_const") {
      EXPECT_EQ(IsConst(Numbers(c["input"])), c["expected"].get<bool>());
    } else if (kind == "is_delta_const") {
      EXPECT_EQ(IsDeltaConst(Numbers(c["input"])), c["expected"].get<bool>());
    } else if (kind == "is_gauge") {
      EXPECT_EQ(IsGauge(Numbers(c["input"])), c["expected"].get<bool>());
    } else if (kind == "nearest_delta_step") {
      const auto& in = c["input"];
      const DeltaStep step = NearestDelta(in["next"], in["prev"], in["precision_bits"],
                                          TrailingZeros(in["prev"], in["precision_bits"]));
      EXPECT_EQ(step.delta, c["expected"]["d"].get<int64_t>());
      EXPECT_EQ(step.trailing_zeros, c["expected"]["trailing_zero_bits"].get<int>());
    } else if (kind == "nearest_delta_marshal" || kind == "nearest_delta2_marshal") {
      const auto values = Numbers(c["input"]["values"]);
      const uint8_t bits = c["input"]["precision_bits"];
      const int64_t first = kind == "nearest_delta_marshal"
                                ? MarshalInt64NearestDelta(dst, values, bits)
                                : MarshalInt64NearestDelta2(dst, values, bits);
      EXPECT_EQ(first, c["expected"]["first_value"].get<int64_t>());
      EXPECT_EQ(ToHex(dst), c["expected"]["hex"].get<std::string>());
    } else if (kind == "nearest_delta_roundtrip" || kind == "nearest_delta2_roundtrip") {
      const auto values = Numbers(c["values"]);
      const bool delta = kind == "nearest_delta_roundtrip";
      const int64_t first = delta ? MarshalInt64NearestDelta(dst, values, c["precision_bits"])
                                  : MarshalInt64NearestDelta2(dst, values, c["precision_bits"]);
      EXPECT_EQ(first, c["first_value"].get<int64_t>());
      EXPECT_EQ(ToHex(dst), c["hex"].get<std::string>());
      std::vector<int64_t> back;
      ASSERT_TRUE(UnmarshalInt64Array(
                      back, dst, delta ? MarshalType::kNearestDelta : MarshalType::kNearestDelta2,
                      first, values.size())
                      .ok());
      EXPECT_EQ(back, Numbers(c["decoded"]));
    } else if (kind == "ensure_non_decreasing") {
      auto values = Numbers(c["input"]["a"]);
      EnsureNonDecreasing(values, c["input"]["v_min"], c["input"]["v_max"]);
      EXPECT_EQ(values, Numbers(c["expected"]));
    } else if (kind == "int") {
      ByteBuffer want;
      ASSERT_TRUE(FromHex(c.value("shortest_hex", c["hex"].get<std::string>()), want));
      const std::string type = c["type"];
      if (type == "uint16") AppendBigEndian<uint16_t>(dst, c["value"].get<uint16_t>());
      if (type == "uint32") AppendBigEndian<uint32_t>(dst, c["value"].get<uint32_t>());
      if (type == "uint64") AppendBigEndian<uint64_t>(dst, c["value"].get<uint64_t>());
      if (type == "int16") AppendInt16(dst, c["value"].get<int16_t>());
      if (type == "int64") AppendInt64(dst, c["value"].get<int64_t>());
      if (type == "var_uint64") AppendVarUint64(dst, c["value"].get<uint64_t>());
      if (type == "var_int64") AppendVarInt64InArray(dst, c["value"].get<int64_t>());
      EXPECT_EQ(ToHex(dst), ToHex(want));
      if (type == "var_int64" || type == "var_uint64") {
        // Padded or not, both forms must be read.
        ByteBuffer given;
        ASSERT_TRUE(FromHex(c["hex"].get<std::string>(), given));
        for (const ByteBuffer& bytes : {given, want}) {
          ByteView src = bytes;
          if (type == "var_int64") {
            EXPECT_EQ(TakeVarInt64(src).value(), c["value"].get<int64_t>());
          } else {
            EXPECT_EQ(TakeVarUint64(src).value(), c["value"].get<uint64_t>());
          }
          EXPECT_TRUE(src.empty());
        }
      }
    } else if (kind == "common_prefix_len") {
      const auto a = c["input"]["a"].get<std::string>(), b = c["input"]["b"].get<std::string>();
      EXPECT_EQ(CommonPrefixSize(AsBytes(a), AsBytes(b)), c["expected"].get<size_t>());
    } else if (kind == "bytes") {
      AppendBytes(dst, AsBytes(c["value"].get_ref<const std::string&>()));
      EXPECT_EQ(ToHex(dst), c["hex"].get<std::string>());
    } else {
      --seen[kind];  // Decimals and rounding: lib/decimal.
    }
  }
  EXPECT_GT(seen["int64_array"], 0);
  EXPECT_GT(seen["nearest_delta2_roundtrip"], 0);
  EXPECT_GT(seen["common_prefix_len"], 0);
}

}  // namespace
}  // namespace vm::encoding
