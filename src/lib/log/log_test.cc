#include "lib/log/log.h"

#include <gtest/gtest.h>

namespace vm::log {
namespace {

TEST(FormatLineTest, HasTheFieldsOfTheReference) {
  Options options;
  EXPECT_EQ(FormatLine(options, Level::kInfo, "lib/x.cc:12", "hello\n", 1795288461199),
            "2026-11-21T19:14:21.199Z\tinfo\tlib/x.cc:12\thello");
  options.disable_timestamps = true;
  EXPECT_EQ(FormatLine(options, Level::kError, "lib/x.cc:12", "hello", 0),
            "error\tlib/x.cc:12\thello");
  options.json = true;
  EXPECT_EQ(FormatLine(options, Level::kWarn, "a.cc:1", "say \"x\"\ty", 0),
            R"({"level":"warn","caller":"a.cc:1","msg":"say \"x\"\ty"})");
}

TEST(FormatLineTest, RenamesJsonFieldsAndShowsZones) {
  Options options;
  options.json = true;
  options.json_fields = ParseJsonFields("ts:time, msg:message").value();
  options.time_zone = TimeZone::Load("Asia/Kolkata").value();
  EXPECT_EQ(FormatLine(options, Level::kInfo, "a.cc:1", "x", 1795288461199),
            R"({"time":"2026-11-22T00:44:21.199+0530","level":"info","caller":"a.cc:1","message":"x"})");
  EXPECT_FALSE(ParseJsonFields("ts").ok());
  EXPECT_EQ(ParseJsonFields("x:y").error().message(),
            "unexpected json field name in -loggerJSONFields=\"x:y\": \"x\"; supported values: ts, level, caller, msg");
}

TEST(TimeZoneTest, FollowsSummerTime) {
  const auto zone = TimeZone::Load("Europe/Berlin").value();
  EXPECT_EQ(zone->OffsetSeconds(1767225600), 3600);  // 2026-01-01
  EXPECT_EQ(zone->OffsetSeconds(1782864000), 7200);  // 2026-07-01
  EXPECT_EQ(TimeZone::Load("UTC").value()->OffsetSeconds(0), 0);
  EXPECT_FALSE(TimeZone::Load("No/Where").ok());
  EXPECT_FALSE(TimeZone::Load("../../../etc/passwd").ok());
  EXPECT_FALSE(TimeZone::Parse("TZif2").ok());
}

TEST(FormatTest, CutsLongTexts) {
  EXPECT_EQ(Shorten("0123456789", 10), "0123456789");
  EXPECT_EQ(Shorten("0123456789a", 10), "0123..789a");
  EXPECT_EQ(Shorten("0123456789a", 0), "0..a");
  Options options;
  options.max_arg_length = 6;
  Init(options);
  const std::string text = "abcdefghij";
  EXPECT_EQ(Format("{} {} {}", text, 1234567890, "abcdefghij"), "ab..ij 1234567890 ab..ij");
  Init(Options());
}

struct Seen {
  std::vector<bool> printed;
};

TEST(WriteTest, LimitsAndCountsMessages) {
  Seen seen;
  Options options;
  options.min_level = Level::kWarn;
  options.errors_per_second_limit = 2;
  options.on_message = [&](Level, std::string_view, bool is_printed) { seen.printed.push_back(is_printed); };
  Init(options);
  testing::internal::CaptureStderr();
  VM_LOG_INFO("quiet");
  // A new second may begin inside of the loop.
  for (int i = 0; i < 5; ++i) VM_LOG_ERROR("loud {}", i);
  Init(Options());
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("quiet"), std::string::npos);
  ASSERT_EQ(seen.printed.size(), 6u);
  EXPECT_FALSE(seen.printed[0]);
  EXPECT_NE(text.find("loud 0"), std::string::npos);
  if (!seen.printed[4]) {
    EXPECT_NE(text.find("suppressing log message with rate limit=2: loud 2"), std::string::npos);
    EXPECT_EQ(text.find("loud 3"), std::string::npos);
  }
}

TEST(ThrottleTest, LetsOneThroughPerInterval) {
  Throttle throttle(std::chrono::hours(1));
  EXPECT_EQ(throttle.Pass(), std::optional<uint64_t>(0));
  EXPECT_FALSE(throttle.Pass().has_value());
  Throttle open(std::chrono::milliseconds(0));
  EXPECT_TRUE(open.Pass().has_value());
  EXPECT_TRUE(open.Pass().has_value());
}

TEST(ParseLevelTest, KnowsTheFiveLevels) {
  EXPECT_TRUE(ParseLevel("PANIC").ok());
  EXPECT_FALSE(ParseLevel("info").ok());
}

}  // namespace
}  // namespace vm::log
