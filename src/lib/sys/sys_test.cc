#include "lib/sys/sys.h"

#include <gtest/gtest.h>

namespace vm::sys {
namespace {

TEST(SysTest, LimitsArePositive) {
  EXPECT_GE(AvailableCpus(), 1u);
  EXPECT_GT(AvailableMemoryBytes(), 0);
  EXPECT_EQ(AllowedMemoryBytes(123, 60), 123);
  EXPECT_LT(AllowedMemoryBytes(0, 60), AvailableMemoryBytes());
  EXPECT_FALSE(HostName().empty());
}

}  // namespace
}  // namespace vm::sys
