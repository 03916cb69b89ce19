#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "lib/model/block.h"
#include "lib/rpc/frame.h"
#include "lib/rpc/insert_codec.h"
#include "lib/rpc/node_set.h"
#include "lib/rpc/select_codec.h"

namespace vm::rpc {
namespace {

ByteBuffer Hex(std::string_view text) {
  ByteBuffer bytes;
  EXPECT_TRUE(FromHex(text, bytes));
  return bytes;
}

nlohmann::json Capture(const std::string& name) {
  std::ifstream file(std::string(VM_SHARED_DIR) + "/golden/wire/" + name + ".json");
  return file ? nlohmann::json::parse(file) : nlohmann::json();
}

/// Replay all calls of a recording; at least `calls` of them must be known here.
void ReplaySelect(const std::string& name, size_t calls) {
  const auto capture = Capture(name);
  if (capture.is_null()) GTEST_SKIP() << "no recordings";
  size_t replayed = 0;
  for (const auto& connection : capture["connections"]) {
    for (const auto& rpc : connection["decoded"]["rpcs"]) {
      const auto* method = FindSelectMethod(rpc["rpc"].get<std::string>());
      if (method == nullptr) continue;
      SCOPED_TRACE(rpc["request_hex"].get<std::string>());
      const auto request = Hex(rpc["request_hex"].get<std::string>());
      ByteView rest = request;
      auto head = TakeRequestHead(rest);
      ASSERT_TRUE(head.ok());
      EXPECT_EQ(head.value().rpc_name, method->name);
      auto args = UnmarshalSelectArgs(*method, rest);
      ASSERT_TRUE(args.ok()) << args.error().message();
      ByteBuffer again;
      AppendSelectRequest(again, args.value(), head.value().trace_enabled,
                          head.value().timeout_seconds);
      EXPECT_EQ(ToHex(again), ToHex(request));

      const auto recorded = Hex(rpc["reply_hex"].get<std::string>());
      ByteView reply_rest = recorded;
      auto reply = TakeSelectReply(*method, reply_rest);
      ASSERT_TRUE(reply.ok()) << reply.error().message();
      EXPECT_TRUE(reply_rest.empty());
      ByteBuffer reply_again;
      AppendSelectReply(reply_again, method->payload, reply.value());
      EXPECT_EQ(ToHex(reply_again), ToHex(recorded));
      for (size_t i = 0; method->name == "search_v7" && i < reply.value().size(); ++i) {
        auto block = model::UnmarshalMetricBlock(reply.value().item(i));
        ASSERT_TRUE(block.ok()) << block.error().message();
        model::DecodedBlock samples;
        EXPECT_TRUE(model::DecodeBlock(block.value().block, samples).ok());
      }
      for (size_t size = 0; size < recorded.size(); ++size) {
        ByteView cut = ByteView(recorded).first(size);
        EXPECT_FALSE(TakeSelectReply(*method, cut).ok());
        EXPECT_EQ(cut.size(), size);
      }
      ++replayed;
    }
  }
  EXPECT_GE(replayed, calls);
}

TEST(SelectCodecTest, ReplaysRecordedCalls) { ReplaySelect("select", 28); }
TEST(SelectCodecTest, ReplaysUncompressedRecordedCalls) { ReplaySelect("select_uncompressed", 6); }
TEST(SelectCodecTest, ReplaysRecordedErrors) { ReplaySelect("select_error", 2); }

TEST(InsertCodecTest, ReplaysRecordedPackets) {
  const auto capture = Capture("insert");
  if (capture.is_null()) GTEST_SKIP() << "no recordings";
  for (const auto& connection : capture["connections"]) {
    for (const auto& rpc : connection["decoded"]["rpcs"]) {
      const auto request = Hex(rpc["request_hex"].get<std::string>());
      ByteView rest = request;
      auto decoded = TakeInsertRequest(rest);
      ASSERT_TRUE(decoded.ok());
      EXPECT_TRUE(rest.empty());
      ByteBuffer rows;
      ASSERT_TRUE(UnpackInsertBody(rows, decoded.value().body).ok());
      EXPECT_EQ(ToHex(rows), rpc["body_plain_hex"].get<std::string>());
      ByteBuffer again;
      AppendInsertRequest(again, decoded.value());
      EXPECT_EQ(ToHex(again), ToHex(request));
      const auto reply = Hex(rpc["reply_hex"].get<std::string>());
      ByteView reply_rest = reply;
      auto text = TakeErrorText(reply_rest);
      ASSERT_TRUE(text.ok());
      EXPECT_EQ(text.value(), "");
    }
  }
}

TEST(InsertCodecTest, ReplaysRecordedOldPackets) {
  const auto capture = Capture("insert_fallback");
  if (capture.is_null()) GTEST_SKIP() << "no recordings";
  size_t packets = 0;
  for (const auto& connection : capture["connections"]) {
    if (!connection["decoded"].contains("c2s_plain")) continue;
    const auto stream = Hex(connection["decoded"]["c2s_plain"].get<std::string>());
    ByteBuffer again;
    for (ByteView rest = stream; !rest.empty(); ++packets) {
      auto rows = TakeLegacyPacket(rest);
      ASSERT_TRUE(rows.ok());
      AppendLegacyPacket(again, rows.value());
    }
    EXPECT_EQ(ToHex(again), ToHex(stream));
  }
  EXPECT_EQ(packets, 3u);
}

TEST(SelectCodecTest, WritesSeriesCountExactly) {
  ByteBuffer bytes;
  AppendSelectRequest(bytes, SeriesCountRequest{}, false, 301);
  EXPECT_EQ(ToHex(bytes), "000000000000000e736572696573436f756e745f7634000000012d0000000000000000");
}

/// `hex` may hold blanks for readability.
void ExpectRequest(std::string hex, const SelectArgs& args, uint32_t timeout) {
  std::erase(hex, ' ');
  SCOPED_TRACE(MethodOf(args).name);
  ByteBuffer bytes;
  AppendSelectRequest(bytes, args, false, timeout);
  EXPECT_EQ(ToHex(bytes), hex);
  ByteView rest = bytes;
  ASSERT_TRUE(TakeRequestHead(rest).ok());
  const auto again = UnmarshalSelectArgs(MethodOf(args), rest);
  ASSERT_TRUE(again.ok()) << again.error().message();
  ByteBuffer bytes_again;
  AppendSelectRequest(bytes_again, again.value(), false, timeout);
  EXPECT_EQ(ToHex(bytes_again), hex);
  for (size_t size = 0; size < rest.size(); ++size) {
    EXPECT_FALSE(UnmarshalSelectArgs(MethodOf(args), rest.first(size)).ok());
  }
}

// The requests of the wire protocol's worked examples.
TEST(SelectCodecTest, WritesTenantsExactly) {
  ExpectRequest("000000000000000a 74656e616e74735f7631 00 0000012d 0000018bcfe56800 0000018bcfe5dd30",
                TenantsRequest{{0x18bcfe56800, 0x18bcfe5dd30}}, 301);
}
TEST(SelectCodecTest, WritesTagValueSuffixesExactly) {
  TagValueSuffixesRequest request;
  request.time_range = {0, 0x1a1ff82f940};
  request.max_suffixes = 100000;
  ExpectRequest("0000000000000013 74616756616c756553756666697865735f7634 00 0000001f 00000000 00000000"
                " 0000000000000000 000001a1ff82f940 0000000000000000 0000000000000000 2e 000186a0",
                request, 31);
}
TEST(SelectCodecTest, WritesTsdbStatusExactly) {
  TsdbStatusRequest request;
  request.query.time_range = {1699920000000, 1700006399999};
  request.query.max_metrics = 10'000'000;
  request.focus_label = "job";
  request.top_n = 3;
  ExpectRequest("000000000000000d 747364625374617475735f7636 00 0000012d 0000000000000019 00000000 00000000"
                " 80d085b2f962 febfb884fa62 00 00989680 0000000000000003 6a6f62 00000003",
                request, 301);
}
TEST(SelectCodecTest, WritesRegisterMetricNamesExactly) {
  RegisterMetricNamesRequest request;
  const auto name = Hex("00000000000000000000000161000162000163");
  request.names = {{name, 0x1a1ff834362}};
  ExpectRequest("0000000000000016 72656769737465724d65747269634e616d65735f7633 00 00000020 0000000000000001"
                " 0000000000000013 00000000 00000000 0000 0001 61 0001 62 0001 63 000001a1ff834362",
                request, 32);
}
TEST(SelectCodecTest, WritesDeleteSeriesExactly) {
  DeleteSeriesRequest request;
  request.query.time_range = {0, 1795288154000};
  request.query.tag_filter_groups = {{{"", "nosuch", false, false}}};
  request.query.max_metrics = 2'000'000'000;
  ExpectRequest("000000000000000f 64656c6574655365726965735f7635 00 0000001f 000000000000001e 00000000 00000000"
                " 00 a0fe99f8bf68 01 01 00 06 6e6f73756368 00 77359400",
                request, 31);
}
TEST(SelectCodecTest, WritesUsageStatsExactly) {
  MetricNamesUsageStatsRequest request;
  request.limit = 1000;
  ExpectRequest("0000000000000018 6d65747269634e616d6573557361676553746174735f7631 00 0000012d 00 000003e8"
                " 0000000000000001 0000000000000000",
                request, 301);
  ExpectRequest("0000000000000018 72657365744d65747269634e616d657353746174735f7631 00 0000012d",
                ResetMetricNamesStatsRequest(), 301);
}

TEST(SelectCodecTest, WritesTsdbStatusAnswersExactly) {
  model::TsdbStatus status;
  status.total_series = 2;
  status.total_label_value_pairs = 5;
  status.series_count_by_metric_name = {{"m1", 1}, {"z1", 1}};
  status.series_count_by_label_name = {{"__name__", 2}, {"job", 2}, {"instance", 1}};
  status.series_count_by_focus_label_value = {{"a", 2}};
  status.series_count_by_label_value_pair = {{"job=a", 2}, {"__name__=z1", 1}, {"instance=b", 1}};
  status.label_value_count_by_label_name = {{"__name__", 2}, {"instance", 1}, {"job", 1}};
  ByteBuffer bytes;
  MarshalTsdbStatus(bytes, status);
  std::string want =
      "0000000000000002 0000000000000005"
      " 0000000000000002 0000000000000002 6d31 0000000000000001 0000000000000002 7a31 0000000000000001"
      " 0000000000000003 0000000000000008 5f5f6e616d655f5f 0000000000000002 0000000000000003 6a6f62 0000000000000002"
      " 0000000000000008 696e7374616e6365 0000000000000001"
      " 0000000000000001 0000000000000001 61 0000000000000002"
      " 0000000000000003 0000000000000005 6a6f623d61 0000000000000002 000000000000000b 5f5f6e616d655f5f3d7a31"
      " 0000000000000001 000000000000000a 696e7374616e63653d62 0000000000000001"
      " 0000000000000003 0000000000000008 5f5f6e616d655f5f 0000000000000002 0000000000000008 696e7374616e6365"
      " 0000000000000001 0000000000000003 6a6f62 0000000000000001"
      " 0000000000000000";
  std::erase(want, ' ');
  EXPECT_EQ(ToHex(bytes), want);
  const auto again = UnmarshalTsdbStatus(bytes);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.value(), status);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(UnmarshalTsdbStatus(ByteView(bytes).first(size)).ok());
  }
}

/// Random changes of valid requests: what is still accepted must be stable, and nothing must break.
TEST(SelectCodecTest, ChangedRequestsAreRefusedOrStable) {
  model::SearchQuery query;
  query.time_range = {1000, 2000};
  query.tag_filter_groups = {{{"", "up", false, false}, {"job", "a|b", true, true}}, {}};
  RegisterMetricNamesRequest names;
  names.names = {{ByteBuffer{1, 2, 3}, 4}, {ByteBuffer{}, -1}};
  MetricNamesUsageStatsRequest usage;
  usage.tenant = model::Tenant{1, 2};
  usage.match_pattern = "x.*";
  const std::vector<SelectArgs> requests = {SearchRequest{query}, LabelValuesRequest{"job", query, 7}, names, usage,
                                            TsdbStatusRequest{query, "job", 3}};
  std::mt19937 random(11);
  size_t accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    const SelectArgs& args = requests[random() % requests.size()];
    ByteBuffer bytes;
    AppendSelectArgs(bytes, args);
    for (size_t changes = 1 + random() % 3; changes > 0 && !bytes.empty(); --changes) {
      bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    }
    if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 1));
    const auto changed = UnmarshalSelectArgs(MethodOf(args), bytes);
    if (!changed.ok()) continue;
    ++accepted;
    ByteBuffer once, twice;
    AppendSelectArgs(once, changed.value());
    const auto again = UnmarshalSelectArgs(MethodOf(args), once);
    ASSERT_TRUE(again.ok());
    AppendSelectArgs(twice, again.value());
    ASSERT_EQ(once, twice);
  }
  EXPECT_GT(accepted, 100u);
}

TEST(SelectCodecTest, RejectsTooManyNames) {
  EXPECT_FALSE(
      UnmarshalSelectArgs(*FindSelectMethod("registerMetricNames_v3"), Hex("0000000000100001")).ok());
}

TEST(SelectCodecTest, RejectsBytesAfterArgs) {
  EXPECT_FALSE(UnmarshalSelectArgs(*FindSelectMethod("seriesCount_v4"), Hex("000000000000000000")).ok());
}

TEST(FrameTest, RejectsLengthsThatLie) {
  const auto bytes = Hex("ffffffffffffffff00");
  ByteView rest = bytes;
  EXPECT_FALSE(TakeFrame(rest, SIZE_MAX).ok());
  EXPECT_EQ(rest.size(), bytes.size());
}

TEST(NodeSetTest, SplitsGroupsAndAddsThePort) {
  const std::vector<std::string> flags = {"a/host1", "host2:1"};
  auto set = NodeSet::Parse(flags, 8401);
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(set.value().nodes()[0], (NodeAddress{"a", "host1:8401"}));
  EXPECT_EQ(set.value().nodes()[1], (NodeAddress{"", "host2:1"}));
  const std::vector<std::string> twice = {"x", "x:8401"};
  EXPECT_FALSE(NodeSet::Parse(twice, 8401).ok());
}

}  // namespace
}  // namespace vm::rpc
