#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "storage/engine/directory.h"
#include "storage/engine/metadata_store.h"
#include "storage/engine/time_limits.h"

namespace vm::storage {
namespace {

constexpr int64_t kNow = 1795392000123;  // 2026-11-23 00:00:00.123 UTC.

std::string NewDirectory(const char* name) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("vm_engine_parts_" + std::to_string(getpid()) + "_" + name);
  std::filesystem::remove_all(path);
  return path.string();
}

TEST(TimeLimitsTest, ExcludesTheFirstDayOf1970) {
  const auto range = AcceptedTimestamps(kNow, 100LL * 365 * model::kMsecPerDay, 0, 0);
  EXPECT_EQ(range.min_timestamp, 86400000);
  EXPECT_EQ(range.max_timestamp, 1795392000000 + 2 * model::kMsecPerDay);
}

TEST(TimeLimitsTest, CutsBackfillAgeToTheRetention) {
  const auto range = AcceptedTimestamps(kNow, 31 * model::kMsecPerDay, 40 * model::kMsecPerDay, 0);
  EXPECT_EQ(range.min_timestamp, 1795392000000 - 31 * model::kMsecPerDay);
  const auto shorter = AcceptedTimestamps(kNow, 31 * model::kMsecPerDay, model::kMsecPerDay, 0);
  EXPECT_EQ(shorter.min_timestamp, 1795392000000 - model::kMsecPerDay);
}

TEST(TimeLimitsTest, ComputesMonths) {
  // February 2024: 1706745600000 up to 1709251199999.
  const model::TimeRange february{1706745600000, 1709251199999};
  EXPECT_EQ(MonthOf(1706745600000), february);
  EXPECT_EQ(MonthOf(1709251199999), february);
  EXPECT_EQ(MonthOf(1709251200000).min_timestamp, 1709251200000);
}

TEST(StorageDirectoryTest, CreatesTheFilesOfAnEmptyDatabase) {
  const std::string path = NewDirectory("new");
  auto lock = OpenStorageDirectory(fs::RealFileSystem(), path, kNow);
  ASSERT_TRUE(lock.ok()) << lock.error().message();
  auto content = fs::RealFileSystem().ReadFile(path + "/metadata/minTimestampForCompositeIndex");
  ASSERT_TRUE(content.ok());
  EXPECT_EQ(ToHex(content.value()), "0000000000000000");
  EXPECT_TRUE(std::filesystem::exists(path + "/flock.lock"));
  EXPECT_FALSE(OpenStorageDirectory(fs::RealFileSystem(), path, kNow).ok());
}

TEST(StorageDirectoryTest, WaitsTwoDaysWithCompositeKeysOverALegacyIndex) {
  const std::string path = NewDirectory("legacy");
  std::filesystem::create_directories(path + "/indexdb");
  auto lock = OpenStorageDirectory(fs::RealFileSystem(), path, 1795305600000 + 5);
  ASSERT_TRUE(lock.ok()) << lock.error().message();
  auto content = fs::RealFileSystem().ReadFile(path + "/metadata/minTimestampForCompositeIndex");
  ASSERT_TRUE(content.ok());
  EXPECT_EQ(ToHex(content.value()), "0000034415b45800") << "1795478400000, zigzag";
}

TEST(StorageDirectoryTest, DeletesCachesOfTheOriginal) {
  const std::string path = NewDirectory("caches");
  std::filesystem::create_directories(path + "/cache/metricName_tsid");
  std::ofstream(path + "/cache/metricName_tsid/data.0.bin") << "x";
  std::ofstream(path + "/cache/curr_hour_metric_ids_v2") << "x";
  auto lock = OpenStorageDirectory(fs::RealFileSystem(), path, kNow);
  ASSERT_TRUE(lock.ok()) << lock.error().message();
  EXPECT_TRUE(std::filesystem::exists(path + "/cache"));
  EXPECT_TRUE(std::filesystem::is_empty(path + "/cache"));
}

TEST(StorageDirectoryTest, RefusesAnUnfinishedRestore) {
  const std::string path = NewDirectory("restore");
  std::filesystem::create_directories(path);
  std::ofstream(path + "/restore-in-progress") << "";
  auto lock = OpenStorageDirectory(fs::RealFileSystem(), path, kNow);
  ASSERT_FALSE(lock.ok());
  EXPECT_NE(lock.error().message().find("incomplete vmrestore run"), std::string::npos);
}

TEST(MetadataStoreTest, ReplacesFiltersAndForgets) {
  MetadataStore store(1 << 20);
  const model::MetadataRow a{{1, 0}, 1, "a", "help", "s"};
  const model::MetadataRow b{{2, 0}, 2, "b", "", ""};
  const model::MetadataRow rows[] = {b, a};
  store.Add(rows, kNow);
  EXPECT_EQ(store.Search(nullptr, 0, "", kNow), (std::vector<model::MetadataRow>{a, b}));
  EXPECT_EQ(store.Search(nullptr, 1, "", kNow).size(), 1u);
  EXPECT_EQ(store.Search(nullptr, 0, "b", kNow), std::vector<model::MetadataRow>{b});
  EXPECT_EQ(store.Search(&a.tenant, 0, "", kNow), std::vector<model::MetadataRow>{a});
  EXPECT_TRUE(store.Search(nullptr, 0, "", kNow + 3600 * 1000 + 1).empty());
}

}  // namespace
}  // namespace vm::storage
