#include "lib/flags/flags.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace vm::flags {
namespace {

using namespace std::chrono_literals;

struct TestFlags {
  FlagSet set;
  const std::string* addr = set.String("addr", ":1", "address");
  const bool* fast = set.Bool("fast", false, "speed");
  const int64_t* count = set.Int("count", 3, "count");
  const std::chrono::nanoseconds* wait = set.Duration("wait", 1min, "wait");
  const int64_t* size = set.Bytes("size", 0, "size");
  const std::vector<std::string>* node = set.Array("storageNode", "nodes");
  const std::string* key = set.String("authKey", "", "secret");
};

TEST(FlagSetTest, ParsesEveryForm) {
  TestFlags f;
  ASSERT_TRUE(f.set
                  .Parse({"-addr=:2", "--fast", "-count", "0x1_0", "-wait=1h1.5s", "-size=2KiB",
                          "-storageNode=a,b", "-storageNode=\"c,d\"", "-authKey=x"})
                  .ok());
  EXPECT_EQ(*f.addr, ":2");
  EXPECT_TRUE(*f.fast);
  EXPECT_EQ(*f.count, 16);
  EXPECT_EQ(*f.wait, 1h + 1500ms);
  EXPECT_EQ(*f.size, 2048);
  EXPECT_EQ(*f.node, (std::vector<std::string>{"a", "b", "c,d"}));
  EXPECT_TRUE(f.set.IsSet("addr"));
  EXPECT_FALSE(f.set.IsSet("envflag.enable"));
  const auto set_flags = f.set.SetFlags();
  ASSERT_EQ(set_flags.size(), 7u);
  EXPECT_EQ(set_flags[1], (std::pair<std::string, std::string>{"authKey", "secret"}));
}

TEST(FlagSetTest, ReportsMistakesAsGoDoes) {
  const auto message = [](std::vector<std::string> args) {
    TestFlags f;
    Status status = f.set.Parse(args);
    return status.ok() ? std::string() : status.error().message();
  };
  EXPECT_EQ(message({"-x"}), "flag provided but not defined: -x");
  EXPECT_EQ(message({"-count=y"}), "invalid value \"y\" for flag -count: parse error");
  EXPECT_EQ(message({"-fast", "true"}), "unprocessed command-line args left: [true]");
  EXPECT_EQ(message({"-fast=T", "--"}), "");
  EXPECT_EQ(message({"-addr"}), "flag needs an argument: -addr");
}

TEST(FlagSetTest, ReadsTheEnvironment) {
  setenv("VMTEST_addr", ":9", 1);
  setenv("VMTEST_INNER", "%{VMTEST_addr}", 1);
  TestFlags f;
  ASSERT_TRUE(f.set.Parse({"-envflag.enable", "-envflag.prefix=VMTEST_",
                           "-storageNode=%{VMTEST_INNER},%{VMTEST_NONE}"})
                  .ok());
  EXPECT_EQ(*f.addr, ":9");
  EXPECT_EQ(*f.node, (std::vector<std::string>{":9", "%{VMTEST_NONE}"}));
}

TEST(FlagSetTest, ReadsArraysPerListener) {
  FlagSet set;
  const auto* tls = set.BoolArray("tls", "");
  const auto* cert = set.Array("tlsCertFile", "");
  ASSERT_TRUE(set.Parse({"-tls", "-tls=false,,1", "-tlsCertFile=a"}).ok());
  EXPECT_EQ(*tls, (std::vector<bool>{true, false, false, true}));
  EXPECT_TRUE(ItemOr<bool>(*tls, 3, false));
  EXPECT_FALSE(ItemOr<bool>(*tls, 4, false));
  EXPECT_EQ(ItemOr<std::string>(*cert, 7, "x"), "a");
  FlagSet other;
  other.BoolArray("tls", "");
  EXPECT_FALSE(other.Parse({"-tls=maybe"}).ok());
}

TEST(FlagSetTest, GivesAFlagDefinedTwiceToBoth) {
  FlagSet set;
  const auto* first = set.String("x", "1", "");
  const auto* second = set.Int("x", 2, "");
  ASSERT_TRUE(set.Parse({"-x=3"}).ok());
  EXPECT_EQ(*first, "3");
  EXPECT_EQ(*second, 3);
}

TEST(PasswordTest, ReadsTextAndFiles) {
  Password password;
  ASSERT_TRUE(password.Set("abc").ok());
  EXPECT_EQ(password.Get(), "abc");
  EXPECT_FALSE(password.Set("https://x").ok());
  const std::string path = testing::TempDir() + "vm_password_test";
  std::ofstream(path) << "secret \n";
  Password file;
  ASSERT_TRUE(file.Set("file://" + path).ok());
  EXPECT_EQ(file.Get(), "secret");
  std::remove(path.c_str());
  Password none;
  ASSERT_TRUE(none.Set("file://" + path).ok());
  EXPECT_GE(none.Get().size(), 32u);
}

TEST(ValueTest, ParsesUnits) {
  EXPECT_EQ(ParseRetention("1").value(), 31ll * 86400000);
  EXPECT_EQ(ParseRetention("2d").value(), 2ll * 86400000);
  EXPECT_FALSE(ParseRetention("5m").ok());
  EXPECT_FALSE(ParseGoDuration("1d").ok());
  EXPECT_FALSE(ParseGoDuration("5").ok());
  EXPECT_EQ(ParseGoDuration("0").value(), 0ns);
  EXPECT_EQ(ParseBytes("1.5MB").value(), 1500000);
  EXPECT_FALSE(ParseBytes("x").ok());
  EXPECT_EQ(ParseBytes("99999999999999999999").value(), int64_t{1} << 62);
  EXPECT_EQ(ParseBytes("-9e18GB").value(), -(int64_t{1} << 62));
  EXPECT_FALSE(ParseBytes("10EB").ok());
}

}  // namespace
}  // namespace vm::flags
