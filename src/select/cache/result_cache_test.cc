#include "select/cache/result_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace vm::select {
namespace {

ByteBuffer Bytes(uint8_t value, size_t size = 10) { return ByteBuffer(size, value); }

uint8_t ValueOf(const ResultCache::Packed& packed) { return packed == nullptr ? 0 : packed->at(0); }

TEST(ResultCacheTest, FindsTheResultThatHoldsTheStartAndMostOfTheRest) {
  ResultCache cache(1 << 20);
  EXPECT_EQ(cache.Find("a", {0, 10}), nullptr);
  cache.Put("a", {10, 20}, Bytes(1));
  cache.Put("a", {10, 30}, Bytes(2));
  cache.Put("a", {15, 100}, Bytes(3));
  cache.Put("b", {0, 100}, Bytes(4));
  EXPECT_EQ(ValueOf(cache.Find("a", {10, 15})), 2);  // Of equal ones the last.
  EXPECT_EQ(ValueOf(cache.Find("a", {10, 40})), 2);
  EXPECT_EQ(ValueOf(cache.Find("a", {15, 40})), 3);
  EXPECT_EQ(ValueOf(cache.Find("a", {100, 200})), 3);
  EXPECT_EQ(cache.Find("a", {9, 40}), nullptr);
  EXPECT_EQ(cache.Find("a", {101, 140}), nullptr);
  EXPECT_TRUE(cache.Covers("a", {10, 30}));
  EXPECT_FALSE(cache.Covers("a", {10, 31}));
  EXPECT_FALSE(cache.Covers("c", {10, 10}));
  const auto stats = cache.stats();
  EXPECT_EQ(stats.requests, 7u);
  EXPECT_EQ(stats.misses, 3u);
  EXPECT_EQ(stats.entries, 4u);
  cache.Remove("a");
  EXPECT_EQ(cache.Find("a", {10, 15}), nullptr);
  EXPECT_EQ(ValueOf(cache.Find("b", {10, 15})), 4);
  cache.Reset();
  EXPECT_EQ(cache.Find("b", {10, 15}), nullptr);
  EXPECT_EQ(cache.stats().size_bytes, 0u);
}

TEST(ResultCacheTest, AKeyKeepsItsLastResults) {
  ResultCache cache(1 << 20);
  for (uint8_t i = 1; i <= 11; ++i) cache.Put("a", {100 * i, 100 * i + 10}, Bytes(i));
  EXPECT_EQ(cache.stats().entries, 6u);
  EXPECT_EQ(cache.Find("a", {500, 505}), nullptr);
  EXPECT_EQ(ValueOf(cache.Find("a", {600, 605})), 6);
  EXPECT_EQ(ValueOf(cache.Find("a", {1100, 1105})), 11);
}

TEST(ResultCacheTest, WhatWasNotUsedForLongestMakesRoom) {
  ResultCache cache(10'000);
  for (uint8_t i = 0; i < 9; ++i) cache.Put(std::string(1, static_cast<char>('a' + i)), {0, 10}, Bytes(i + 1, 800));
  EXPECT_EQ(cache.stats().entries, 9u);
  EXPECT_EQ(ValueOf(cache.Find("a", {0, 10})), 1);
  cache.Put("x", {0, 10}, Bytes(100, 1500));
  EXPECT_LE(cache.stats().size_bytes, 10'000u);
  EXPECT_EQ(cache.Find("b", {0, 10}), nullptr);
  EXPECT_EQ(ValueOf(cache.Find("a", {0, 10})), 1);
  EXPECT_EQ(ValueOf(cache.Find("x", {0, 10})), 100);
  cache.Put("y", {0, 10}, Bytes(101, 10'000));
  EXPECT_EQ(cache.Find("y", {0, 10}), nullptr);
  EXPECT_GT(cache.stats().entries, 5u);
  ResultCache nothing(0);
  nothing.Put("a", {0, 10}, Bytes(1));
  EXPECT_EQ(nothing.stats().entries, 0u);
}

class ResultFileTest : public testing::Test {
 protected:
  ResultFileTest() : dir_(std::filesystem::temp_directory_path() / ("vm_result_cache_test." + std::to_string(::getpid()))) {
    std::filesystem::create_directories(dir_);
    path_ = dir_ / "results.bin";
  }
  ~ResultFileTest() override { std::filesystem::remove_all(dir_); }

  const std::filesystem::path dir_;
  std::string path_;
  fs::FileSystem& fs_ = fs::RealFileSystem();
};

TEST_F(ResultFileTest, KeepsResultsAndTheOrderOfTheirUse) {
  ResultCache cache(1 << 20);
  cache.Put("a", {-5, 10}, Bytes(1));
  cache.Put("a", {20, 30}, Bytes(2));
  cache.Put("b", {0, 100}, Bytes(3));
  cache.Find("a", {-5, 10});
  ASSERT_TRUE(cache.Save(fs_, path_, "x").ok());
  ASSERT_TRUE(cache.Save(fs_, path_, "x").ok());
  ResultCache loaded(1 << 20), small(600);
  ASSERT_TRUE(loaded.Load(fs_, path_, "x").ok());
  EXPECT_EQ(ValueOf(loaded.Find("a", {-5, 10})), 1);
  EXPECT_EQ(ValueOf(loaded.Find("a", {20, 30})), 2);
  EXPECT_EQ(ValueOf(loaded.Find("b", {0, 10})), 3);
  EXPECT_EQ(loaded.stats().size_bytes, cache.stats().size_bytes);
  ASSERT_TRUE(small.Load(fs_, path_, "x").ok());
  EXPECT_EQ(ValueOf(small.Find("a", {-5, 10})), 1);
  EXPECT_EQ(small.Find("a", {20, 30}), nullptr);
  ResultCache other(1 << 20);
  const auto refused = other.Load(fs_, path_, "y");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kCorrupted);
  EXPECT_EQ(other.stats().entries, 0u);
}

TEST_F(ResultFileTest, ABrokenFileGivesOnlyWhatIsWhole) {
  ResultCache cache(1 << 20);
  cache.Put("a", {0, 10}, Bytes(1));
  cache.Put("b", {0, 10}, Bytes(2));
  ASSERT_TRUE(cache.Save(fs_, path_, "x").ok());
  const ByteBuffer whole = fs_.ReadFile(path_).value();
  for (size_t size = 0; size < whole.size(); ++size) {
    ASSERT_TRUE(fs_.AtomicWriteFile(path_, ByteView(whole).first(size)).ok());
    ResultCache loaded(1 << 20);
    const bool is_loaded = loaded.Load(fs_, path_, "x").ok();
    // Cut between two records nothing is wrong.
    EXPECT_TRUE(!is_loaded || loaded.stats().entries < 2);
    const auto found = loaded.Find("a", {0, 10});
    if (found != nullptr) {
      EXPECT_EQ(*found, Bytes(1));
    }
    EXPECT_EQ(loaded.Find("b", {0, 10}), nullptr);
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    ByteBuffer broken = whole;
    broken[at] ^= 0x40;
    ASSERT_TRUE(fs_.AtomicWriteFile(path_, broken).ok());
    ResultCache loaded(1 << 20);
    EXPECT_FALSE(loaded.Load(fs_, path_, "x").ok()) << at;
    const auto found = loaded.Find("a", {0, 10});
    if (found != nullptr) {
      EXPECT_EQ(*found, Bytes(1));
    }
    EXPECT_EQ(loaded.Find("b", {0, 10}), nullptr);
  }
}

TEST_F(ResultFileTest, AFileThatCannotBeWrittenIsAnError) {
  ResultCache cache(1 << 20);
  EXPECT_FALSE(cache.Save(fs_, dir_ / "no" / "results.bin", "x").ok());
  EXPECT_FALSE(cache.Load(fs_, dir_ / "no" / "results.bin", "x").ok());
}

}  // namespace
}  // namespace vm::select
