#include <gtest/gtest.h>

#include <filesystem>

#include "select/promql/transform_test_util.h"
#include "select/promql/transform_timezone.h"

namespace vm::select::transform {
namespace {

/// Offsets of a zone at Unix times; the error when there is no such zone.
std::string Offsets(const std::string& name, const std::vector<int64_t>& times) {
  const auto zone = TimeZone::Load(name);
  if (!zone.ok()) return zone.error().message();
  std::string text;
  for (const int64_t time : times) text += std::to_string(zone.value().OffsetAt(time)) + ' ';
  return text;
}

TEST(TimeZoneTest, KnowsTheZonesOfTheSystem) {
  if (!std::filesystem::exists("/usr/share/zoneinfo/Europe/Berlin")) GTEST_SKIP() << "no tzdata";
  // Before the first transition, war time, summer, the seconds around a change, a winter after the last transition.
  EXPECT_EQ(Offsets("Europe/Berlin", {-3000000000, -875000000, 1720000000, 1711846799, 1711846800, 4000000000}),
            "3208 7200 7200 3600 7200 7200 ");
  EXPECT_EQ(Offsets("Australia/Sydney", {1720000000, 4000000000, 4010000000}), "36000 36000 39600 ");
  EXPECT_EQ(Offsets("Australia/Sydney", {1704067200, 4102444800}), "39600 39600 ");
  EXPECT_EQ(Offsets("Asia/Kolkata", {0, 4102444800}), "19800 19800 ");
  EXPECT_EQ(Offsets("Etc/GMT+3", {0, 4102444800}), "-10800 -10800 ");
  EXPECT_EQ(Apply("timezone_offset", Args(2).Add("America/New_York")), "{} -18000 -18000");
}

TEST(TimeZoneTest, RefusesOtherNames) {
  EXPECT_EQ(Offsets("", {1}) + Offsets("UTC", {1}), "0 0 ");
  for (const std::string name : {"../etc/localtime", "Europe/../Europe/Berlin", "/etc/localtime", "\\x"}) {
    EXPECT_EQ(Offsets(name, {}), "time: invalid location name") << name;
  }
  EXPECT_EQ(Offsets(std::string("UTC\0x", 5), {}), "time: invalid location name");
  EXPECT_EQ(Apply("timezone_offset", Args().Add("No/Where")),
            "error: cannot load timezone \"No/Where\": unknown time zone No/Where");
  EXPECT_EQ(Apply("timezone_offset", Args().Add("Europe")),
            "error: cannot load timezone \"Europe\": unknown time zone Europe");
  EXPECT_EQ(Apply("timezone_offset", Args().Add(1)), "error: cannot get timezone name: arg #1 must be a string");
}

/// A file of version 2 with one type per transition and then `footer`.
ByteBuffer MakeZoneFile(const std::vector<std::pair<int64_t, int32_t>>& transitions, const std::string& footer) {
  const auto append_header = [](ByteBuffer& dst, uint32_t times, uint32_t types) {
    Append(dst, "TZif2");
    dst.resize(dst.size() + 15);
    for (const uint32_t count : {0u, 0u, 0u, times, types, types == 0 ? 0u : 4u}) AppendBigEndian(dst, count);
  };
  ByteBuffer file;
  append_header(file, 0, 0);
  const auto count = static_cast<uint32_t>(transitions.size());
  append_header(file, count, count);
  for (const auto& [at, offset] : transitions) AppendBigEndian(file, static_cast<uint64_t>(at));
  for (uint8_t i = 0; i < count; ++i) file.push_back(i);
  for (const auto& [at, offset] : transitions) {
    AppendBigEndian(file, static_cast<uint32_t>(offset));
    file.push_back(0);
    file.push_back(0);
  }
  Append(file, std::string_view("ABC\0", 4));
  Append(file, "\n" + footer + "\n");
  return file;
}

TEST(TimeZoneTest, FollowsTheRulesAtTheEndOfAFile) {
  const auto offset = [](const std::string& footer, int64_t time) {
    const auto zone = TimeZone::Parse(MakeZoneFile({{-1000, 5}}, footer));
    EXPECT_TRUE(zone.ok());
    return zone.value().OffsetAt(time);
  };
  const int64_t january = 1704067200, july = 1719792000;
  EXPECT_EQ(offset("", july), 5);
  EXPECT_EQ(offset("XXX-2", july), 7200);
  EXPECT_EQ(offset("<+0330>-3:30", july), 12600);
  EXPECT_EQ(offset("AAA5BBB", july), -14400);
  EXPECT_EQ(offset("AAA5BBB", january), -18000);
  EXPECT_EQ(offset("AAA5BBB4:30,J100,J300/1:30", july), -16200);
  EXPECT_EQ(offset("AAA-10BBB,M10.1.0,M4.1.0/3", january), 39600);
  EXPECT_EQ(offset("AAA-10BBB,M10.1.0,M4.1.0/3", july), 36000);
  EXPECT_EQ(offset("AAA0BBB,0/0,365/23", july), 3600);
  // Day 60 without counting February 29 is March 1, also in a leap year.
  EXPECT_EQ(offset("AAA0BBB,J60/0,J300", 1709251199), 0);
  EXPECT_EQ(offset("AAA0BBB,J60/0,J300", 1709251200), 3600);
  // The zero-based day 59 is February 29 there.
  EXPECT_EQ(offset("AAA0BBB,59/0,300", 1709164799), 0);
  EXPECT_EQ(offset("AAA0BBB,59/0,300", 1709164800), 3600);
  // What is no rule is ignored: the last transition holds.
  for (const char* bad : {"A5", "AAA", "AAA25", "AAA5BBB,J0,J1", "AAA5BBB,M13.1.0,M1.1.0", "AAA5BBB,J1", "<AAA5",
                          "AAA5BBB,J1,J2x", "AAA5BBB,M1.6.0,M2.1.0", "AAA5BBB,366,1", "AAA5:60"}) {
    EXPECT_EQ(offset(bad, july), 5) << bad;
  }
}

TEST(TimeZoneTest, RejectsEveryTruncationAndWildIndexes) {
  const ByteBuffer file = MakeZoneFile({{-1000, 5}, {1000, 6}}, "");
  ASSERT_TRUE(TimeZone::Parse(file).ok());
  // The footer may be missing.
  for (size_t size = 0; size + 2 < file.size(); ++size) {
    EXPECT_FALSE(TimeZone::Parse(ByteView(file).first(size)).ok()) << size;
  }
  ByteBuffer wild = file;
  wild[44 + 44 + 16] = 2;  // Type of the first transition.
  EXPECT_FALSE(TimeZone::Parse(wild).ok());
  ByteBuffer huge = file;
  for (size_t i = 44 + 32; i < 44 + 36; ++i) huge[i] = 0xff;  // Number of transitions.
  EXPECT_FALSE(TimeZone::Parse(huge).ok());
}

}  // namespace
}  // namespace vm::select::transform
