#include "lib/sys/sys.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

// malloc_trim and mallinfo2 say nothing about the allocators of the sanitizers; the release lane runs the test.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kHasOwnAllocator = true;
#else
constexpr bool kHasOwnAllocator = false;
#endif

namespace vm::sys {
namespace {

TEST(SysTest, LimitsArePositive) {
  EXPECT_GE(AvailableCpus(), 1u);
  EXPECT_GT(AvailableMemoryBytes(), 0);
  EXPECT_EQ(AllowedMemoryBytes(123, 60), 123);
  EXPECT_LT(AllowedMemoryBytes(0, 60), AvailableMemoryBytes());
  EXPECT_FALSE(HostName().empty());
}

TEST(SysTest, ThreadsHaveTheStackThatWasAskedFor) {
  pthread_attr_t before;
  ASSERT_EQ(pthread_getattr_default_np(&before), 0);
  SetThreadStackBytes(size_t{24} << 20);
  size_t bytes = 0;
  std::thread([&bytes] {
    pthread_attr_t mine;
    ASSERT_EQ(pthread_getattr_np(pthread_self(), &mine), 0);
    pthread_attr_getstacksize(&mine, &bytes);
    pthread_attr_destroy(&mine);
  }).join();
  EXPECT_EQ(bytes, size_t{24} << 20);
  EXPECT_EQ(pthread_setattr_default_np(&before), 0);
  pthread_attr_destroy(&before);
}

size_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  size_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * 4096;
}

TEST(SysTest, MemoryBetweenBlocksInUseIsReturned) {
  if (kHasOwnAllocator) GTEST_SKIP() << "a sanitizer brings its own allocator";
  constexpr size_t kBlock = 10'000, kBlocks = 10'000, kKeep = 100;
  std::vector<std::unique_ptr<char[]>> blocks;
  for (size_t i = 0; i < kBlocks; ++i) {
    blocks.push_back(std::make_unique<char[]>(kBlock));
    std::memset(blocks.back().get(), 1, kBlock);
  }
  for (size_t i = 0; i < kBlocks; ++i) {
    if (i % kKeep != 0) blocks[i].reset();
  }
  const size_t before = ResidentBytes();
  EXPECT_FALSE(ReturnFreeMemory(size_t{1} << 30));
  EXPECT_TRUE(ReturnFreeMemory(size_t{50} << 20));
  EXPECT_LT(ResidentBytes() + (size_t{80} << 20), before);
}

}  // namespace
}  // namespace vm::sys
