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

TEST(ParseLevelTest, KnowsTheFiveLevels) {
  EXPECT_TRUE(ParseLevel("PANIC").ok());
  EXPECT_FALSE(ParseLevel("info").ok());
}

}  // namespace
}  // namespace vm::log
