#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
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

TEST(SelectCodecTest, ReplaysRecordedCalls) { ReplaySelect("select", 6); }
TEST(SelectCodecTest, ReplaysUncompressedRecordedCalls) { ReplaySelect("select_uncompressed", 4); }
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
