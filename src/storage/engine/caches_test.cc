#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/fs/file_system.h"
#include "lib/model/metric_name.h"
#include "storage/engine/cache_file.h"
#include "storage/engine/engine.h"

namespace vm::storage {
namespace {

namespace stdfs = std::filesystem;

constexpr int64_t kNow = 1795392000123;  // 2026-11-23 00:00:00.123 UTC.

class CachesTest : public testing::Test {
 protected:
  CachesTest() : path_(stdfs::temp_directory_path() / ("vm_caches_" + std::to_string(getpid()))) {
    stdfs::remove_all(path_);
    for (int i = 0; i < 100; ++i) {
      const std::string value = std::to_string(i);
      const std::vector<model::LabelView> labels = {{"", "metric"}, {"i", value}};
      model::MarshalMetricNameRaw(names_.emplace_back(), {0, 0}, labels);
    }
  }
  ~CachesTest() override { stdfs::remove_all(path_); }

  std::unique_ptr<Engine> Open() {
    EngineOptions options;
    options.path = path_.string();
    options.min_free_disk_space_bytes = 0;
    options.start_background = false;
    options.now_ms = [this] { return now_; };
    auto engine = Engine::Open(std::move(options));
    EXPECT_TRUE(engine.ok()) << engine.error().message();
    return engine.ok() ? std::move(engine).value() : nullptr;
  }
  void Add(Engine& engine, size_t from = 0, size_t to = 100) {
    for (size_t i = from; i < to; ++i) {
      const model::MetricRow row{names_[i], now_, 1};
      EXPECT_TRUE(engine.AddRows({&row, 1}).ok());
    }
  }
  /// Open, add all rows, and say how many of them missed the caches; all must be known to the index.
  uint64_t SlowInserts() {
    auto engine = Open();
    Add(*engine);
    EXPECT_EQ(engine->metrics().new_timeseries_created, 0u);
    EXPECT_EQ(engine->metrics().rows_added, 100u);
    return engine->metrics().slow_row_inserts;
  }
  stdfs::path CacheFile() const { return path_ / "cache/series.vmcache"; }

  const stdfs::path path_;
  std::vector<ByteBuffer> names_;
  int64_t now_ = kNow;
};

TEST_F(CachesTest, ACleanStopLeavesThemWarm) {
  Add(*Open());
  EXPECT_EQ(SlowInserts(), 0u);
  now_ += model::kMsecPerDay;
  auto engine = Open();
  Add(*engine);
  EXPECT_EQ(engine->metrics().slow_row_inserts, 0u);
  EXPECT_EQ(engine->metrics().slow_per_day_index_inserts, 100u);
  EXPECT_EQ(engine->metrics().new_timeseries_created, 0u);
}

TEST_F(CachesTest, ThoseOfOtherPartsAreLeft) {
  Add(*Open(), 0, 50);
  stdfs::copy(CacheFile(), path_ / "old");
  Add(*Open(), 50, 100);
  stdfs::copy(path_ / "old", CacheFile(), stdfs::copy_options::overwrite_existing);
  EXPECT_EQ(SlowInserts(), 100u);
}

TEST_F(CachesTest, BrokenOnesAreLeft) {
  Add(*Open());
  const auto size = stdfs::file_size(CacheFile());
  std::fstream file(CacheFile(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(size / 2));
  file.put('x');
  file.put('y');
  file.close();
  EXPECT_EQ(SlowInserts(), 100u);
  stdfs::resize_file(CacheFile(), stdfs::file_size(CacheFile()) - 5);
  EXPECT_EQ(SlowInserts(), 100u);
}

TEST_F(CachesTest, TheMarkOfTheOperatorAndFilesOfTheOriginal) {
  Add(*Open());
  stdfs::create_directories(path_ / "cache/metricName_tsid");
  std::ofstream(path_ / "cache/metricName_tsid/metadata.bin") << "x";
  EXPECT_EQ(SlowInserts(), 0u);
  EXPECT_FALSE(stdfs::exists(path_ / "cache/metricName_tsid"));
  std::ofstream(path_ / "cache/reset_cache_on_startup") << "";
  EXPECT_EQ(SlowInserts(), 100u);
  EXPECT_FALSE(stdfs::exists(path_ / "cache/reset_cache_on_startup"));
}

TEST_F(CachesTest, NameUsageSurvivesARestart) {
  {
    auto engine = Open();
    Add(*engine);
    engine->ForceFlush();
    model::SearchQuery query;
    query.time_range = {now_, now_};
    query.tag_filter_groups = {{}};
    ASSERT_TRUE(engine->Search(query, Deadline(), [](ByteView, const model::EncodedBlock&) { return Ok(); }).ok());
  }
  now_ += 5000;
  auto engine = Open();
  auto stats = engine->GetMetricNamesUsageStats(std::nullopt, 10, -1, "");
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats.value().collected_since, static_cast<uint64_t>(kNow / 1000));
  EXPECT_EQ(stats.value().records, (std::vector<model::NameUsage>{{"metric", kNow / 1000, 100}}));
  engine->ResetMetricNamesStats();
  engine.reset();
  engine = Open();
  EXPECT_EQ(engine->GetMetricNamesUsageStats(std::nullopt, 10, -1, "").value().total_records, 0u);
}

TEST_F(CachesTest, IdsOfNewSeriesAreAboveThoseOnDiskWhenTheClockWentBack) {
  Add(*Open(), 0, 1);
  // As if a process with a clock of the year 2152 had written it.
  const std::string late = "5000000000000000";
  const stdfs::path month = path_ / "data/indexdb/2026_11";
  std::ifstream list(month / "parts.json");
  const auto parts = nlohmann::json::parse(list);
  ASSERT_EQ(parts.size(), 1u);
  stdfs::rename(month / parts[0].get<std::string>(), month / late);
  std::ofstream(month / "parts.json") << nlohmann::json::array({late}).dump();
  auto engine = Open();
  Add(*engine, 1, 2);
  engine->ForceFlush();
  model::SearchQuery query;
  query.time_range = {now_, now_};
  query.tag_filter_groups = {{{"i", "1", false, false}}};
  uint64_t id = 0;
  ASSERT_TRUE(engine
                  ->Search(query, Deadline(),
                           [&](ByteView, const model::EncodedBlock& block) {
                             id = static_cast<uint64_t>(block.header.tsid.metric_id);
                             return Ok();
                           })
                  .ok());
  EXPECT_GT(id, 0x5000000000000000u);
  EXPECT_LT(id, 0x5000000000001000u);
}

TEST(CacheFileTest, ReadsBackWhatWasWrittenAndNothingElse) {
  auto& files = fs::RealFileSystem();
  const std::string path = testing::TempDir() + "vm_cache_file_" + std::to_string(getpid());
  auto writer = CacheFileWriter::Create(files, path, "magic", 7);
  ASSERT_TRUE(writer.ok());
  ByteBuffer all;
  for (uint32_t i = 0; i < 100'000; ++i) {
    ByteBuffer record;
    AppendBigEndian(record, i);
    Append(all, record);
    ASSERT_TRUE(writer.value()->Append(record).ok());
  }
  EXPECT_FALSE(files.Exists(path));
  ASSERT_TRUE(writer.value()->Finish().ok());
  auto reader = CacheFileReader::Open(files, path, "magic", 7);
  ASSERT_TRUE(reader.ok() && reader.value() != nullptr);
  ByteBuffer read;
  for (;;) {
    const auto block = reader.value()->NextBlock();
    ASSERT_TRUE(block.ok());
    if (block.value().empty()) break;
    Append(read, block.value());
  }
  EXPECT_EQ(read, all);
  EXPECT_EQ(CacheFileReader::Open(files, path, "magic", 8).value(), nullptr);
  EXPECT_EQ(CacheFileReader::Open(files, path, "other", 7).value(), nullptr);
  EXPECT_EQ(CacheFileReader::Open(files, path + "none", "magic", 7).value(), nullptr);
  ASSERT_TRUE(files.RemoveFile(path).ok());
}

}  // namespace
}  // namespace vm::storage
