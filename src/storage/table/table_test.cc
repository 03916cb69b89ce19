#include "storage/table/table.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "lib/decimal/decimal.h"
#include "storage/partset/parts_json.h"

namespace vm::storage {
namespace {

using model::MetricId;
using model::Tsid;

constexpr int64_t kNow = 1'795'284'360'000;  // 2026-11-22.

Tsid Series(uint64_t id) {
  Tsid tsid;
  tsid.metric_group_id = 7;
  tsid.metric_id = MetricId{id};
  return tsid;
}

class TableTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/vm_table_test_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::unique_ptr<Table> Open(bool background = false) {
    TableOptions options;
    options.partition.fs = &fs::RealFileSystem();
    options.partition.data_path = root_ + "/data";
    options.partition.now_ms = [this] { return now_.load(); };
    options.background = background;
    auto table = Table::Open(std::move(options));
    EXPECT_TRUE(table.ok()) << (table.ok() ? "" : table.error().message());
    return table.ok() ? std::move(table).value() : nullptr;
  }

  static std::vector<std::pair<int64_t, double>> Read(Table& table, std::vector<Tsid> tsids, model::TimeRange range,
                                                      size_t* blocks = nullptr) {
    std::vector<std::pair<int64_t, double>> samples;
    TableSearch search = table.Search(tsids, range);
    while (true) {
      auto found = search.Next();
      EXPECT_TRUE(found.ok());
      if (!found.ok() || !found.value()) break;
      if (blocks != nullptr) ++*blocks;
      model::DecodedBlock decoded;
      EXPECT_TRUE(model::DecodeBlock(search.block(), decoded).ok());
      std::vector<double> values;
      decimal::AppendDecimalsToFloats(values, decoded.mantissas, decoded.scale);
      for (size_t i = 0; i < values.size(); ++i) samples.emplace_back(decoded.timestamps[i], values[i]);
    }
    return samples;
  }

  std::string root_;
  std::atomic<int64_t> now_ = kNow;
};

TEST_F(TableTest, FindsRowsAfterFlushAndAfterReopen) {
  const std::vector<RawRow> rows = {{Series(2), kNow, 2.5}, {Series(1), kNow - 1000, 1}, {Series(1), kNow, 3}};
  const model::TimeRange all{0, kNow + 1};
  {
    auto table = Open();
    ASSERT_TRUE(table->AddRows(rows).ok());
    EXPECT_TRUE(Read(*table, {Series(1), Series(2)}, all).empty());
    ASSERT_TRUE(table->FlushToSearchable().ok());
    const std::vector<std::pair<int64_t, double>> want = {{kNow - 1000, 1}, {kNow, 3}, {kNow, 2.5}};
    EXPECT_EQ(Read(*table, {Series(1), Series(2)}, all), want);
    EXPECT_EQ(Read(*table, {Series(2)}, all).size(), 1u);
    EXPECT_TRUE(Read(*table, {Series(2)}, {0, kNow - 1}).empty());
    ASSERT_TRUE(table->Close().ok());
  }
  EXPECT_TRUE(std::filesystem::exists(root_ + "/data/small/2026_11/parts.json"));
  EXPECT_TRUE(std::filesystem::exists(root_ + "/data/big/2026_11"));
  auto table = Open();
  EXPECT_EQ(Read(*table, {Series(1), Series(2)}, all).size(), 3u);
  EXPECT_EQ(table->Stats().small.parts, 1u);
  ASSERT_TRUE(table->Close().ok());
}

TEST_F(TableTest, SkipsRowsOutsideOfTheAcceptedTime) {
  auto table = Open();
  SkippedRows skipped;
  const std::vector<RawRow> rows = {{Series(1), model::kMsecPerDay - 1, 1},
                                    {Series(1), kNow + 3 * model::kMsecPerDay, 1},
                                    {Series(1), kNow, 1}};
  ASSERT_TRUE(table->AddRows(rows, &skipped).ok());
  EXPECT_EQ(skipped.too_old, 1u);
  EXPECT_EQ(skipped.too_new, 1u);
  EXPECT_EQ(skipped.all(), 2u);
  EXPECT_EQ(table->AllPartitions().size(), 1u);
  ASSERT_TRUE(table->Close().ok());
}

TEST_F(TableTest, SpreadsRowsOverMonthsAndForceMergesThem) {
  auto table = Open();
  const model::TimeRange november = PartitionTimeRange("2026_11").value();
  for (int round = 0; round < 3; ++round) {
    const std::vector<RawRow> rows = {{Series(1), november.min_timestamp - 1 - round, 1.0 + round},
                                      {Series(1), november.min_timestamp + round, 2.0 + round}};
    ASSERT_TRUE(table->AddRows(rows).ok());
    ASSERT_TRUE(table->FlushToDisk().ok());
  }
  EXPECT_EQ(table->AllPartitions().size(), 2u);
  EXPECT_EQ(table->Stats().small.parts, 6u);
  ASSERT_TRUE(table->ForceMerge("2026_11").ok());
  EXPECT_EQ(table->Stats().small.parts, 4u);
  ASSERT_TRUE(table->ForceMerge("").ok());
  EXPECT_EQ(table->Stats().small.parts, 2u);
  size_t blocks = 0;
  const auto samples = Read(*table, {Series(1)}, {0, kNow}, &blocks);
  EXPECT_EQ(samples.size(), 6u);
  EXPECT_EQ(blocks, 2u);
  EXPECT_TRUE(std::is_sorted(samples.begin(), samples.end()));
  // The merged sources are gone from the disk.
  auto names = ListPartFolders(fs::RealFileSystem(), root_ + "/data/small/2026_11");
  EXPECT_EQ(names.value().size(), 1u);
  ASSERT_TRUE(table->Close().ok());
}

TEST_F(TableTest, RemovesUnlistedPartsAndRefusesMissingOnes) {
  {
    auto table = Open();
    ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), kNow, 1}}).ok());
    ASSERT_TRUE(table->Close().ok());
  }
  const std::string month = root_ + "/data/small/2026_11";
  std::filesystem::create_directories(month + "/18EA24E83B59AE86");
  std::filesystem::create_directories(month + "/txn");
  std::ofstream(month + "/parts.json.tmp.7") << "x";
  {
    auto table = Open();
    EXPECT_FALSE(std::filesystem::exists(month + "/18EA24E83B59AE86"));
    EXPECT_FALSE(std::filesystem::exists(month + "/txn"));
    EXPECT_TRUE(std::filesystem::exists(month + "/parts.json.tmp.7"));
    ASSERT_TRUE(table->Close().ok());
  }
  std::ofstream(month + "/parts.json") << R"({"Small":["18EA24E83B59AE86"],"Big":[]})";
  TableOptions options;
  options.partition.fs = &fs::RealFileSystem();
  options.partition.data_path = root_ + "/data";
  options.partition.now_ms = [] { return kNow; };
  options.background = false;
  auto table = Table::Open(std::move(options));
  ASSERT_FALSE(table.ok());
  EXPECT_NE(table.error().message().find("but is missing on disk"), std::string::npos);
}

TEST_F(TableTest, DropsMonthsOutsideOfTheRetention) {
  auto table = Open();
  ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), kNow + model::kMsecPerDay, 1}}).ok());
  now_ -= 60 * model::kMsecPerDay;
  ASSERT_TRUE(table->DropOldPartitions().ok());
  EXPECT_TRUE(table->AllPartitions().empty());
  EXPECT_FALSE(std::filesystem::exists(root_ + "/data/small/2026_11"));
  EXPECT_FALSE(std::filesystem::exists(root_ + "/data/indexdb/2026_11"));
  ASSERT_TRUE(table->Close().ok());
}

TEST_F(TableTest, MakesRowsSearchableInTheBackground) {
  auto table = Open(true);
  ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), kNow, 1}}).ok());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (table->Stats().inmemory.parts == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(Read(*table, {Series(1)}, {0, kNow}).size(), 1u);
  now_ += 6000;
  while (table->Stats().small.parts == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(table->Stats().small.parts, 1u);
  EXPECT_EQ(Read(*table, {Series(1)}, {0, kNow}).size(), 1u);
  ASSERT_TRUE(table->Close().ok());
}

TEST_F(TableTest, APartThatIsDueTakesAllOthersIntoOneFile) {
  auto table = Open();
  const PartitionRef month = table->GetOrCreatePartition(kNow).value();
  const auto add = [&](uint64_t id) {
    ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(id), kNow, 1}}).ok());
    ASSERT_TRUE(month->FlushRawRows().ok());
  };
  add(1);
  now_ += 3000;
  add(2);
  ASSERT_TRUE(month->FlushInmemoryParts(false).ok());
  EXPECT_EQ(table->Stats().inmemory.parts, 2u);
  now_ += 2000;
  ASSERT_TRUE(month->FlushInmemoryParts(false).ok());
  EXPECT_EQ(table->Stats().inmemory.parts, 0u);
  EXPECT_EQ(table->Stats().small.parts, 1u);
  EXPECT_EQ(table->Stats().small.rows, 2u);
  ASSERT_TRUE(table->Close().ok());
}

TEST_F(TableTest, WritesPartsInTimeAlsoWhenTheClockIsSetBack) {
  auto table = Open();
  const PartitionRef month = table->GetOrCreatePartition(kNow).value();
  ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), kNow - 4'000'000, 1}}).ok());
  ASSERT_TRUE(month->FlushRawRows().ok());
  now_ -= 3'600'000;
  ASSERT_TRUE(month->FlushInmemoryParts(false).ok());
  EXPECT_EQ(table->Stats().small.parts, 1u);
  ASSERT_TRUE(table->Close().ok());
}

TEST_F(TableTest, FullShardsWaitForOnePartUnlessThereAreTooMany) {
  auto table = Open();
  const PartitionRef month = table->GetOrCreatePartition(kNow).value();
  constexpr size_t kRows = 400'000;  // More than two shards, less than the three that the limit of 1 GiB allows.
  std::vector<RawRow> rows;
  for (size_t i = 0; i < kRows; ++i) rows.push_back({Series(i % 100), kNow - static_cast<int64_t>(i / 100), 1});
  ASSERT_TRUE(table->AddRows(rows).ok());
  EXPECT_EQ(table->Stats().pending_rows, kRows);
  EXPECT_EQ(month->GetLoad().memory_bytes, kRows * sizeof(RawRow));
  ASSERT_TRUE(table->FlushToSearchable().ok());
  EXPECT_EQ(table->Stats().pending_rows, 0u);
  EXPECT_EQ(table->Stats().inmemory.parts, 1u);
  EXPECT_EQ(table->Stats().inmemory.rows, kRows);
  // What is too much has become a part without anybody asking for it.
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(table->AddRows(rows).ok());
  EXPECT_GT(table->Stats().inmemory.parts, 1u);
  EXPECT_EQ(table->Stats().inmemory.rows + table->Stats().pending_rows, 7 * kRows);
  ASSERT_TRUE(table->Close().ok());
}

TEST_F(TableTest, RowsThatCannotBecomeAPartAreKeptAndNobodyWaitsForThem) {
  std::atomic<bool> fails = true;
  auto table = Open();
  const PartitionRef month = table->GetOrCreatePartition(kNow).value();
  month->SetConversionHookForTest(
      [&]() -> Status { return fails ? Status(Error(ErrorCode::kIo, "conversions fail in this test")) : Ok(); });
  ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), kNow, 1}}).ok());
  EXPECT_FALSE(month->FlushRawRows().ok());
  EXPECT_FALSE(month->FlushRawRows().ok()) << "again, instead of waiting for the first one";
  EXPECT_EQ(table->Stats().pending_rows, 1u);
  constexpr size_t kRows = 1'000'000;  // So many that they are converted as they come.
  std::vector<RawRow> rows;
  for (size_t i = 0; i < kRows; ++i) rows.push_back({Series(2), kNow - static_cast<int64_t>(i), 1});
  ASSERT_TRUE(table->AddRows(rows).ok());
  EXPECT_EQ(table->Stats().pending_rows, kRows + 1);
  fails = false;
  ASSERT_TRUE(month->FlushRawRows().ok());
  EXPECT_EQ(table->Stats().inmemory.rows, kRows + 1);
  EXPECT_EQ(Read(*table, {Series(1)}, {kNow, kNow}).size(), 1u);
  ASSERT_TRUE(table->Close().ok());
}

TEST_F(TableTest, AFlushIsNotDoneWhenAnotherThreadCouldNotConvertItsRows) {
  std::atomic<int> conversions = 0;
  std::atomic<bool> second_comes = false;
  auto table = Open();
  const PartitionRef month = table->GetOrCreatePartition(kNow).value();
  month->SetConversionHookForTest([&]() -> Status {
    if (conversions++ > 0) return Ok();
    while (!second_comes) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // The second flush waits by now.
    return Error(ErrorCode::kIo, "the first conversion fails in this test");
  });
  ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), kNow, 1}}).ok());
  std::jthread first([&] { EXPECT_FALSE(month->FlushRawRows().ok()); });
  while (conversions == 0) std::this_thread::yield();
  second_comes = true;
  // Whoever says that it is done has made all rows searchable that were there before.
  const Status second = month->FlushRawRows();
  EXPECT_EQ(second.ok(), table->Stats().pending_rows == 0) << table->Stats().pending_rows;
  first.join();
  ASSERT_TRUE(month->FlushRawRows().ok());
  EXPECT_EQ(Read(*table, {Series(1)}, {kNow, kNow}).size(), 1u);
  ASSERT_TRUE(table->Close().ok());
}

TEST_F(TableTest, AForcedFlushDoesNotWaitForMergesThatComeLater) {
  // The first merge ends when it is told to; the clock is what a merge asks for.
  std::atomic<std::thread::id> slow_thread;
  std::atomic<bool> is_merging = false, may_end = false;
  TableOptions options;
  options.partition.fs = &fs::RealFileSystem();
  options.partition.data_path = root_ + "/data";
  options.partition.retention_ms = 100LL * 365 * model::kMsecPerDay;
  options.partition.now_ms = [&] {
    if (std::this_thread::get_id() == slow_thread.load()) {
      is_merging = true;
      while (!may_end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return kNow;
  };
  options.background = false;
  auto table = Table::Open(std::move(options)).value();
  const PartitionRef month = table->GetOrCreatePartition(kNow).value();
  const auto add_parts = [&] {
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), kNow - i, 1}}).ok());
      ASSERT_TRUE(month->FlushRawRows().ok());
    }
  };
  add_parts();
  std::jthread slow([&] {
    slow_thread = std::this_thread::get_id();
    EXPECT_TRUE(month->TryMerge(PartClass::kInmemory).ok());
  });
  while (!is_merging) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::atomic<bool> is_flushed = false;
  std::jthread flush([&] {
    EXPECT_TRUE(month->FlushInmemoryParts(true).ok());
    is_flushed = true;
  });
  // Merges of what comes meanwhile would keep it waiting.
  bool merges = true;
  for (int round = 0; round < 200 && merges; ++round) {
    add_parts();
    merges = month->TryMerge(PartClass::kInmemory).value();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_FALSE(merges);
  EXPECT_FALSE(is_flushed);
  may_end = true;
  slow.join();
  flush.join();
  EXPECT_EQ(table->Stats().inmemory.parts, 0u);
  add_parts();
  EXPECT_TRUE(month->TryMerge(PartClass::kInmemory).value()) << "merges go on afterwards";
  ASSERT_TRUE(table->Close().ok());
}

TEST_F(TableTest, OpensAndForceMergesGoldenDirectories) {
  const std::string golden = std::string(VM_SHARED_DIR) + "/golden/disk";
  if (!std::filesystem::exists(golden)) GTEST_SKIP() << "no recorded directories at " << golden;
  for (const auto& entry : std::filesystem::directory_iterator(golden)) {
    SCOPED_TRACE(entry.path().filename().string());
    std::filesystem::remove_all(root_ + "/data");
    std::filesystem::copy(entry.path() / "data/data", root_ + "/data", std::filesystem::copy_options::recursive);
    std::ifstream exported(entry.path() / "export_blocks.jsonl");
    size_t lines = 0;
    for (std::string line; std::getline(exported, line);) ++lines;
    for (auto it = std::filesystem::recursive_directory_iterator(root_);
         it != std::filesystem::recursive_directory_iterator(); ++it) {
      std::filesystem::permissions(it->path(), std::filesystem::perms::owner_all);
    }
    auto table = Open();
    ASSERT_NE(table, nullptr);
    const PartitionStats before = table->Stats();
    EXPECT_GT(before.small.rows, 0u);
    // Deleted series stay in files until a merge.
    if (entry.path().filename() == "deleted") {
      EXPECT_GT(before.small.blocks, lines);
    } else {
      EXPECT_EQ(before.small.blocks, lines);
    }
    ASSERT_TRUE(table->ForceMerge("").ok());
    const PartitionStats after = table->Stats();
    if (entry.path().filename() == "deleted") {
      EXPECT_LT(after.small.rows, before.small.rows);
    } else {
      EXPECT_EQ(after.small.rows, before.small.rows);
    }
    ASSERT_TRUE(table->Close().ok());
  }
}

}  // namespace
}  // namespace vm::storage
