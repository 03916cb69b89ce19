#include <gtest/gtest.h>

#include <algorithm>

#include "lib/decimal/decimal.h"
#include "lib/hash/xxhash.h"
#include "lib/model/block.h"
#include "lib/model/dedup.h"
#include "lib/model/metric_name.h"
#include "lib/model/rows.h"
#include "lib/model/search_query.h"

namespace vm::model {
namespace {

constexpr int64_t kT = 1700000000000;

ByteBuffer Bytes(std::string_view hex) {
  ByteBuffer bytes;
  EXPECT_TRUE(FromHex(hex, bytes)) << hex;
  return bytes;
}

/// `decode` must refuse every proper prefix of `bytes`.
template <class F>
void ExpectEveryTruncationRefused(const ByteBuffer& bytes, F decode) {
  for (size_t n = 0; n < bytes.size(); ++n) {
    SCOPED_TRACE(n);
    EXPECT_FALSE(decode(ByteView(bytes).first(n)));
  }
}

constexpr std::string_view kHeaderHex =
    "00000000 00000000 33bf00a859c4ba3f 1af39f9b 7fe19c40 18ea24e309263eaf "
    "00000343fe92b680 00000343fe941610 0000000000000bb8 "
    "0000000000000003 000000000000000d 00000003 00000008 00000004 0005 02 06 40";

// If this breaks, parts written by earlier versions and by the original can no longer be read.
TEST(BlockTest, EncodesToTheKnownBytes) {
  const Tsid tsid{0, 0, 0x33bf00a859c4ba3f, 0x1af39f9b, 0x7fe19c40, MetricId{0x18ea24e309263eaf}};
  const int64_t t = 1795284360000;
  std::vector<int64_t> mantissas;
  const double values[] = {1.5, -2.25, 1000, 0.001};
  const int16_t scale = decimal::AppendFloatsToDecimals(mantissas, values);
  ByteBuffer timestamps_data, values_data;
  const int64_t timestamps[] = {t, t + 15000, t + 30000, t + 45000};
  BlockHeader header = EncodeBlock(tsid, timestamps, mantissas, scale, 64, timestamps_data, values_data);
  header.timestamps_offset = 3;
  header.values_offset = 13;
  ByteBuffer dst = {0xAA};
  MarshalBlockHeader(dst, header);
  ASSERT_EQ(dst.size(), 1 + kBlockHeaderSize);
  EXPECT_EQ(dst.front(), 0xAA) << "Marshal must append, not overwrite";
  EXPECT_EQ(ToHex(ByteView(dst).subspan(1)), ToHex(Bytes(kHeaderHex)));
  EXPECT_EQ(ToHex(timestamps_data), "b0ea01");
  EXPECT_EQ(ToHex(values_data), "cb3a94ac7afd887a");
  DecodedBlock back;
  ASSERT_TRUE(DecodeBlock({header, timestamps_data, values_data}, back).ok());
  std::vector<int64_t> ts;
  std::vector<double> vs;
  AppendSamplesInRange(back, {t + 1, t + 30000}, ts, vs);
  EXPECT_EQ(ts, (std::vector<int64_t>{t + 15000, t + 30000}));
  EXPECT_EQ(vs, (std::vector<double>{-2.25, 1000}));
}

TEST(BlockTest, HeaderRefusesEveryTruncationAndBadRanges) {
  const ByteBuffer good = Bytes(kHeaderHex);
  ExpectEveryTruncationRefused(good, [](ByteView src) { return UnmarshalBlockHeader(src).ok(); });
  const auto expect_bad = [&](size_t at, std::initializer_list<uint8_t> bytes) {
    ByteBuffer bad = good;
    std::copy(bytes.begin(), bytes.end(), bad.begin() + static_cast<ptrdiff_t>(at));
    ByteView src = bad;
    EXPECT_FALSE(UnmarshalBlockHeader(src).ok()) << at;
    EXPECT_EQ(src.size(), bad.size()) << "input must stay untouched on error";
  };
  expect_bad(80, {0, 0, 0, 0});        // no rows
  expect_bad(80, {0, 0, 0x40, 1});     // 16385 rows
  expect_bad(72, {0, 2, 0, 1});        // 131073 bytes
  expect_bad(86, {7});
  expect_bad(87, {7});
  expect_bad(88, {0});
  expect_bad(88, {65});
}

TEST(BlockTest, ReadsTheBlocksOfARealStorageNode) {
  // temp{zone="x",host="h1"}, tenant 12:34.
  const ByteBuffer bytes = Bytes(
      "1c 0000000c 00000022 74656d70 01 686f7374 01 6831 01 7a6f6e65 01 78 01"
      "0000000c 00000022 2f661af4d84dd889 e4e36755 83041123 18ea24e5ea1e2b8d"
      "000003179fcad000 000003179fcb1652 000000000000012c"
      "0000000000000003 0000000000000000 0000000a 0000000e 00000006 0003 05 06 40"
      "0a d00fe807ef15b862fd63"
      "0e 96019908d888af5feb83af5fe40a");
  auto got = UnmarshalMetricBlock(bytes);
  ASSERT_TRUE(got.ok()) << got.error().message();
  auto name = MetricName::Unmarshal(got.value().metric_name);
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name.value().metric_group, "temp");
  EXPECT_EQ(name.value().tags, (std::vector<Tag>{{"host", "h1"}, {"zone", "x"}}));
  DecodedBlock block;
  ASSERT_TRUE(DecodeBlock(got.value().block, block).ok());
  std::vector<int64_t> ts;
  std::vector<double> vs;
  AppendSamplesInRange(block, {0, INT64_MAX}, ts, vs);
  EXPECT_EQ(ts, (std::vector<int64_t>{kT, kT + 1000, kT + 2500, kT + 2600, kT + 9000, kT + 9001}));
  EXPECT_EQ(vs, (std::vector<double>{1.5, 2.25, -3, 1000000, 0.1, 7}));
  ByteBuffer again;
  MarshalMetricBlock(again, got.value());
  EXPECT_EQ(ToHex(again), ToHex(bytes));
  ExpectEveryTruncationRefused(bytes, [](ByteView src) { return UnmarshalMetricBlock(src).ok(); });
}

TEST(BlockTest, PortableFormHasTheKnownBytes) {
  const ByteBuffer bytes = Bytes("80a0abfef962 c0d8adfef962 54 03 00 02 03 40 03 a09c01 00");
  auto block = UnmarshalPortableBlock(bytes);
  ASSERT_TRUE(block.ok()) << block.error().message();
  DecodedBlock decoded;
  ASSERT_TRUE(DecodeBlock(block.value(), decoded).ok());
  EXPECT_EQ(decoded.timestamps, (std::vector<int64_t>{kT, kT + 10000, kT + 20000}));
  EXPECT_EQ(decoded.mantissas, (std::vector<int64_t>{42, 42, 42}));
  ByteBuffer again;
  MarshalPortableBlock(again, block.value());
  EXPECT_EQ(ToHex(again), ToHex(bytes));
  ExpectEveryTruncationRefused(bytes, [](ByteView src) { return UnmarshalPortableBlock(src).ok(); });
}

TEST(BlockTest, RefusesDataThatContradictsTheHeader) {
  BlockHeader h;
  h.rows_count = 1;
  h.timestamps_type = encoding::MarshalType::kNearestDelta2;
  DecodedBlock out;
  EXPECT_FALSE(DecodeBlock({h, {}, {}}, out).ok()) << "delta2 of one row ends the original";
  h.rows_count = 3;
  h.min_timestamp = 10;
  h.max_timestamp = 20;
  h.timestamps_type = encoding::MarshalType::kNearestDelta;
  const uint8_t falling[] = {4, 1};  // +2, -1
  EXPECT_FALSE(DecodeBlock({h, falling, {}}, out).ok());
  const uint8_t beyond[] = {4, 40};
  EXPECT_FALSE(DecodeBlock({h, beyond, {}}, out).ok());
  const uint8_t fine[] = {4, 4};
  EXPECT_TRUE(DecodeBlock({h, fine, {}}, out).ok());
}

TEST(MetricNameTest, RawFormHasTheKnownBytesAndHash) {
  ByteBuffer raw;
  const LabelView labels[] = {{"__name__", "m1"}, {"job", "a"}, {"empty", ""}, {"instance", "b"}};
  MarshalMetricNameRaw(raw, {0, 0}, labels);
  EXPECT_EQ(ToHex(raw), ToHex(Bytes("00000000 00000000 0000 0002 6d31 0003 6a6f62 0001 61 "
                                    "0008 696e7374616e6365 0001 62")));
  ByteBuffer routed;
  const LabelView m4[] = {{"", "m4"}, {"job", "a"}, {"instance", "i4"}};
  MarshalMetricNameRaw(routed, {5, 6}, m4);
  EXPECT_EQ(hash::XXH64(routed), 0xadb981964da62e23u);
}

TEST(MetricNameTest, ReadsRawLabelsLikeTheOriginal) {
  ByteBuffer raw;
  AppendBigEndian<uint32_t>(raw, 1);
  AppendBigEndian<uint32_t>(raw, 2);
  const auto add = [&](std::string_view key, std::string_view value) {
    AppendBigEndian(raw, static_cast<uint16_t>(key.size()));
    Append(raw, key);
    AppendBigEndian(raw, static_cast<uint16_t>(value.size()));
    Append(raw, value);
  };
  add("zone", "z1");
  add("", "m1");
  add("dup", "1");
  add("dup", "2");
  add("__name__", "X");
  auto name = MetricName::UnmarshalRaw(raw);
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name.value().metric_group, "m1X");
  name.value().SortTags();
  EXPECT_EQ(name.value().tags, (std::vector<Tag>{{"dup", "2"}, {"zone", "z1"}}));
  raw.pop_back();
  EXPECT_FALSE(MetricName::UnmarshalRaw(raw).ok());
}

TEST(MetricNameTest, SortsJobBeforeInstanceBeforeTheRest) {
  MetricName name{{0, 0}, "m", {{"a", "1"}, {"instance", "2"}, {"Job", "3"}, {"SensorType", "4"}, {"dc", "5"}}};
  name.SortTags();
  EXPECT_EQ(name.tags, (std::vector<Tag>{{"dc", "5"}, {"Job", "3"}, {"SensorType", "4"}, {"instance", "2"}, {"a", "1"}}));
}

// The reference knows these keys and their forms with an upper-case first letter, nothing else.
TEST(MetricNameTest, OnlyTheListedFormsOfAKeySortFirst) {
  MetricName name{{0, 0}, "m", {{"sensorType", "1"}, {"JOB", "2"}, {"Sensor_type", "3"}, {"Name", "4"}}};
  name.SortTags();
  EXPECT_EQ(name.tags, (std::vector<Tag>{{"Sensor_type", "3"}, {"Name", "4"}, {"JOB", "2"}, {"sensorType", "1"}}));
}

TEST(MetricNameTest, EscapesThreeBytesWhereverTheyStand) {
  for (size_t size = 1; size <= 20; ++size) {
    for (size_t at = 0; at < size; ++at) {
      for (const uint8_t byte : {0, 1, 2, 3, 0x7f, 0x80, 0x81, 0x82, 0x83, 0xff}) {
        std::string value(size, 'x');
        value[at] = static_cast<char>(byte);
        std::string wanted = value + '\1';
        if (byte <= 2) wanted.replace(at, 1, {'\0', static_cast<char>('0' + byte)});
        ByteBuffer bytes{'k'};
        MarshalTagValue(bytes, value);
        ASSERT_EQ(AsText(bytes).substr(1), wanted) << size << " " << at << " " << int{byte};
        ByteView src = ByteView(bytes).subspan(1);
        std::string back;
        ASSERT_TRUE(UnmarshalTagValue(src, back).ok());
        ASSERT_EQ(back, value);
      }
    }
  }
}

TEST(MetricNameTest, SortsManyTagsAndKeepsTheLastOfEqualKeys) {
  MetricName name{{0, 0}, "m", {}};
  for (int i = 99; i >= 0; --i) name.tags.push_back({"key_" + std::to_string(100 + i % 50), std::to_string(i)});
  name.SortTags();
  ASSERT_EQ(name.tags.size(), 50u);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(name.tags[static_cast<size_t>(i)], (Tag{"key_" + std::to_string(100 + i), std::to_string(i)}));
  }
}

TEST(MetricNameTest, RefusesBadEscapes) {
  std::string out = "kept";
  for (const std::string_view hex : {"0001", "003301", "61", "00"}) {
    const ByteBuffer bytes = Bytes(hex);
    ByteView src = bytes;
    EXPECT_FALSE(UnmarshalTagValue(src, out).ok()) << hex;
    EXPECT_EQ(src.size(), bytes.size());
  }
  EXPECT_EQ(out, "kept");
}

TEST(RowsTest, HaveTheKnownBytes) {
  const ByteBuffer bytes = Bytes("23 000000000000000000000002 6d31 00036a6f62000161 0008696e7374616e6365000162 "
                                 "0000018bcfe56800 4045000000000000");
  ByteView src = bytes;
  auto row = TakeMetricRow(src);
  ASSERT_TRUE(row.ok());
  EXPECT_TRUE(src.empty());
  EXPECT_EQ(row.value().timestamp, kT);
  EXPECT_EQ(row.value().value, 42);
  ByteBuffer again;
  AppendMetricRow(again, row.value());
  EXPECT_EQ(again, bytes);
  ExpectEveryTruncationRefused(bytes, [](ByteView in) { return TakeMetricRow(in).ok(); });

  const ByteBuffer metadata = Bytes("00000000 00000000 00000001 0013 687474705f72657175657374735f746f74616c "
                                    "000e 546f74616c207265717565737473 0000");
  src = metadata;
  auto meta = TakeMetadataRow(src);
  ASSERT_TRUE(meta.ok());
  EXPECT_EQ(meta.value(), (MetadataRow{{0, 0}, 1, "http_requests_total", "Total requests", ""}));
  again.clear();
  AppendMetadataRow(again, meta.value());
  EXPECT_EQ(again, metadata);
  ExpectEveryTruncationRefused(metadata, [](ByteView in) { return TakeMetadataRow(in).ok(); });
}

TEST(SearchQueryTest, HasTheKnownBytes) {
  const ByteBuffer bytes = Bytes(
      "00000001 00000002 80a0abfef962 80dae281fa62 02"
      "04 00 13 687474705f72657175657374735f746f74616c 00 06 737461747573 03 352e2e 01"
      "   03 656e76 03 646576 02   04 686f7374 03 612e2a 03"
      "01 00 02 7570 00 000493e0");
  const SearchQuery query{{1, 2},
                          {kT, kT + 3600000},
                          {{{"", "http_requests_total", false, false},
                            {"status", "5..", false, true},
                            {"env", "dev", true, false},
                            {"host", "a.*", true, true}},
                           {{"", "up", false, false}}},
                          300000};
  ByteBuffer dst;
  MarshalSearchQuery(dst, query);
  EXPECT_EQ(ToHex(dst), ToHex(bytes));
  auto back = UnmarshalSearchQuery(bytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back.value(), query);
  ExpectEveryTruncationRefused(bytes, [](ByteView src) { return UnmarshalSearchQuery(src).ok(); });
  ByteBuffer longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(UnmarshalSearchQuery(longer).ok());
  const ByteBuffer bomb = Bytes("00000001 00000002 00 00 ffffffff0f 00 00000000");
  EXPECT_FALSE(UnmarshalSearchQuery(bomb).ok()) << "counts must be checked against the bytes left";
}

TEST(DedupTest, EndsForTimestampsAtTheLimits) {
  std::vector<int64_t> ts = {INT64_MIN, -1, 0, INT64_MAX - 1, INT64_MAX};
  std::vector<int64_t> vs = {1, 2, 3, 4, 5};
  DeduplicateMantissas(ts, vs, 1000);
  EXPECT_EQ(ts.size(), vs.size());
  EXPECT_LE(ts.size(), 5u);
}

TEST(DedupTest, PrefersAnyValueToAStalenessMarkerAndTheLargestValue) {
  std::vector<int64_t> ts = {500, 1000, 1000, 1000, 1500};
  std::vector<double> vs = {9, decimal::StaleNaN(), 3, 2, decimal::StaleNaN()};
  DeduplicateSamples(ts, vs, 1000);
  EXPECT_EQ(ts, (std::vector<int64_t>{1000, 1500}));
  EXPECT_EQ(vs[0], 3);
  EXPECT_TRUE(decimal::IsStaleNaN(vs[1]));
}

TEST(RowsTest, ManyAreTakenAsOneByOne) {
  std::vector<ByteBuffer> names;
  for (const size_t name_size : {0, 1, 126, 127, 128, 300, 16383, 16384, 40000}) {
    names.emplace_back(name_size, static_cast<uint8_t>('a' + names.size()));
  }
  ByteBuffer bytes;
  for (const ByteBuffer& name : names) AppendMetricRow(bytes, {name, kT + static_cast<int64_t>(bytes.size()), 0.5});
  // A size may be written longer than it has to be.
  Append(bytes, Bytes("8100 61 0000018bcfe56800 4045000000000000"));

  std::vector<MetricRow> wanted;
  for (ByteView rest = bytes; !rest.empty();) {
    auto row = TakeMetricRow(rest);
    if (!row.ok()) break;
    wanted.push_back(row.value());
  }
  for (const size_t at_once : {1, 3, 100}) {
    SCOPED_TRACE(at_once);
    ByteView rest = bytes;
    std::vector<MetricRow> rows;
    size_t taken = 0;
    for (Status status = Ok(); !rest.empty() && status.ok();) {
      status = TakeMetricRows(rest, at_once, rows);
      ASSERT_LE(rows.size(), at_once);
      for (const MetricRow& row : rows) {
        ASSERT_LT(taken, wanted.size());
        EXPECT_TRUE(Equal(row.metric_name_raw, wanted[taken].metric_name_raw)) << taken;
        EXPECT_EQ(row.timestamp, wanted[taken].timestamp);
        EXPECT_EQ(row.value, wanted[taken++].value);
      }
    }
    EXPECT_EQ(taken, wanted.size());
  }
}

TEST(RowsTest, ABrokenRowEndsWhatIsTaken) {
  const ByteBuffer name(200, 'x');
  ByteBuffer bytes;
  AppendMetricRow(bytes, {name, kT, 1});
  const size_t row_size = bytes.size();
  AppendMetricRow(bytes, {name, kT, 2});
  for (size_t size = row_size + 1; size < bytes.size(); ++size) {
    ByteView rest = ByteView(bytes).first(size);
    std::vector<MetricRow> rows;
    EXPECT_FALSE(TakeMetricRows(rest, 10, rows).ok()) << size;
    ASSERT_EQ(rows.size(), 1u) << size;
    EXPECT_EQ(rest.size(), size - row_size) << "the broken row stays";
  }
}

TEST(RowsTest, SizeIsKnownBeforehand) {
  for (const size_t name_size : {0, 1, 127, 128, 16383, 16384}) {
    const ByteBuffer name(name_size, 'x');
    MetricRow row;
    row.metric_name_raw = name;
    ByteBuffer bytes;
    AppendMetricRow(bytes, row);
    EXPECT_EQ(bytes.size(), MetricRowSize(row)) << name_size;
  }
}

}  // namespace
}  // namespace vm::model
