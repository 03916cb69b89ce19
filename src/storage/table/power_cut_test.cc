// A short life of a table whose power is cut after every single change of the disk, and whose disk fails at every
// single one.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "lib/decimal/decimal.h"
#include "lib/fs/fault_file_system.h"
#include "lib/log/log.h"
#include "storage/partset/parts_json.h"
#include "storage/table/table.h"

namespace vm::storage {
namespace {

using fs::FaultFileSystem;
using fs::FileOperation;
using fs::FileOperationKind;
using fs::PowerCut;
using model::MetricId;
using model::Tsid;

constexpr int64_t kNow = 1'795'284'360'000;  // 2026-11-22.
constexpr int64_t kRetention = 40 * model::kMsecPerDay;
constexpr int64_t kOctober = kNow - 30 * model::kMsecPerDay;
const char* const kDataPath = "/storage/data";

std::atomic<uint64_t> error_lines{0};

Tsid Series(uint64_t id) {
  Tsid tsid;
  tsid.metric_group_id = id / 2;
  tsid.metric_id = MetricId{id};
  return tsid;
}

model::MetricName Name(uint64_t id) {
  model::MetricName name;
  name.metric_group = "series";
  name.tags = {{"id", std::to_string(id)}};
  return name;
}

using Sample = std::pair<uint64_t, int64_t>;  // Series and timestamp.
using Samples = std::map<Sample, double>;

/// What must be there and what may be there.
struct Expected {
  Samples durable;
  Samples added;
  std::set<std::pair<uint64_t, std::string>> names;  // Series and month whose names are durable.
  int64_t now = kNow;
};

TableOptions Options(fs::FileSystem& files, const std::atomic<int64_t>& now) {
  TableOptions options;
  options.partition.fs = &files;
  options.partition.data_path = kDataPath;
  options.partition.now_ms = [&now] { return now.load(); };
  options.partition.retention_ms = kRetention;
  options.background = false;
  return options;
}

Samples ReadAll(Table& table, bool* doubled) {
  std::vector<Tsid> tsids;
  for (uint64_t id = 1; id <= 20; ++id) tsids.push_back(Series(id));
  Samples samples;
  TableSearch search = table.Search(tsids, {0, kNow * 2});
  while (true) {
    auto found = search.Next();
    EXPECT_TRUE(found.ok()) << (found.ok() ? "" : found.error().message());
    if (!found.ok() || !found.value()) break;
    model::DecodedBlock block;
    EXPECT_TRUE(model::DecodeBlock(search.block(), block).ok());
    std::vector<double> values;
    decimal::AppendDecimalsToFloats(values, block.mantissas, block.scale);
    for (size_t i = 0; i < values.size(); ++i) {
      const Sample key{static_cast<uint64_t>(block.tsid.metric_id), block.timestamps[i]};
      if (!samples.emplace(key, values[i]).second) *doubled = true;
    }
  }
  return samples;
}

/// Open what a disk holds without any help and compare it with what it must and may hold.
void CheckDisk(FaultFileSystem& disk, const Expected& expected, bool write_too) {
  const std::atomic<int64_t> now = expected.now;
  auto opened = Table::Open(Options(disk, now));
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  Table& table = *opened.value();
  bool doubled = false;
  const Samples samples = ReadAll(table, &doubled);
  EXPECT_FALSE(doubled);
  for (const auto& [sample, value] : expected.durable) {
    if (sample.second < expected.now - kRetention) continue;
    const auto it = samples.find(sample);
    ASSERT_TRUE(it != samples.end()) << "lost: series " << sample.first << " at " << sample.second;
    EXPECT_EQ(it->second, value);
  }
  for (const auto& [sample, value] : samples) {
    const auto it = expected.added.find(sample);
    ASSERT_TRUE(it != expected.added.end()) << "made up: series " << sample.first << " at " << sample.second;
    EXPECT_EQ(it->second, value);
    const PartitionRef month = table.GetPartition(sample.second);
    ASSERT_NE(month, nullptr);
    EXPECT_TRUE(month->index().HasMetricId({}, MetricId{sample.first}).value())
        << "no name: series " << sample.first << " at " << sample.second;
  }
  for (const auto& [id, month_name] : expected.names) {
    for (const PartitionRef& month : table.AllPartitions()) {
      if (month->name() != month_name) continue;
      EXPECT_TRUE(month->index().HasMetricId({}, MetricId{id}).value()) << "lost name " << id;
      const uint64_t date = static_cast<uint64_t>(month->time_range().min_timestamp) / model::kMsecPerDay;
      EXPECT_TRUE(month->index().HasDate({}, date, MetricId{id}).value());
    }
  }
  for (const PartitionRef& month : table.AllPartitions()) {
    const std::string small = std::string(kDataPath) + "/small/" + month->name();
    const std::string big = std::string(kDataPath) + "/big/" + month->name();
    const PartNames listed = ParsePartNames(AsText(disk.ReadFile(small + "/parts.json").value())).value();
    EXPECT_EQ(ListPartFolders(disk, small).value(), listed.small);
    EXPECT_EQ(ListPartFolders(disk, big).value(), listed.big);
  }
  if (!write_too) return;
  const int64_t at = expected.now + 1;
  ASSERT_TRUE(table.AddRows(std::vector<RawRow>{{Series(20), at, 1}}).ok());
  ASSERT_TRUE(table.GetPartition(at)->index().AddGlobal(Name(20), Series(20)).ok());
  ASSERT_TRUE(table.ForceMerge("").ok());
  ASSERT_TRUE(table.Close().ok());
  opened.value().reset();
  auto again = Table::Open(Options(disk, now));
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(ReadAll(*again.value(), &doubled).size(), samples.size() + 1);
}

/// The life: each step is done until it succeeds.
class Life {
 public:
  explicit Life(FaultFileSystem& disk) : disk_(disk) {}

  void Run(size_t rounds) {
    Retry([&] { return fs::CreateDirectoriesSynced(disk_, "/storage"); });
    Start();
    for (size_t i = 0; i < rounds; ++i) {
      Add(1 + i % 3, kOctober + static_cast<int64_t>(i), 0.5 + static_cast<double>(i));
      Add(4 + i, kNow - 1000 + static_cast<int64_t>(i), 1e18 / static_cast<double>(i + 1));
      Flush();
    }
    Retry([&] { return table_->ForceMerge("2026_11"); });
    Add(1, kNow, 3);
    Retry([&] { return table_->FlushToSearchable(); });
    bool doubled = false;
    EXPECT_EQ(ReadAll(*table_, &doubled), expected_.added);
    EXPECT_FALSE(doubled);
    Stop();
    Start();
    EXPECT_EQ(ReadAll(*table_, &doubled), expected_.added);
    // The names of series alone, then the end of October.
    Register(19, kNow);
    Retry([&] { return table_->GetPartition(kNow)->index().FlushToDisk(); });
    expected_.names.emplace(19, PartitionName(kNow));
    now_ += 20 * model::kMsecPerDay;
    expected_.now = now_;
    Retry([&] { return table_->DropOldPartitions(); });
    // While its folders go, October may still be there after a restart, but it need not.
    std::erase_if(expected_.durable, [&](const auto& entry) { return entry.first.second < now_ - kRetention; });
    Add(2, kNow + 5, 7);
    Flush();
    Stop();
  }

  const Expected& expected() const { return expected_; }
  uint64_t errors() const { return errors_; }

 private:
  template <class Work>
  void Retry(Work work) {
    for (int i = 0; i < 100; ++i) {
      const Status status = work();
      if (status.ok()) return;
      ++errors_;
      // No damage meanwhile: nothing that was searchable is gone.
      bool doubled = false;
      if (table_ != nullptr) {
        const Samples now = ReadAll(*table_, &doubled);
        EXPECT_FALSE(doubled);
        for (const auto& [sample, value] : expected_.durable) {
          EXPECT_TRUE(sample.second < now_ - kRetention || now.contains(sample));
        }
      }
    }
    FAIL() << "a step never succeeds";
  }
  void Start() {
    Retry([&]() -> Status {
      VM_ASSIGN_OR_RETURN(table_, Table::Open(Options(disk_, now_)));
      return Ok();
    });
    ASSERT_NE(table_, nullptr);
  }
  void Stop() {
    Retry([&] { return table_->Close(); });
    expected_.durable = expected_.added;
    table_.reset();
  }
  void Register(uint64_t id, int64_t timestamp) {
    Retry([&]() -> Status {
      VM_ASSIGN_OR_RETURN(const PartitionRef month, table_->GetOrCreatePartition(timestamp));
      return month->index().CreateSeries(Name(id), Series(id),
                                         static_cast<uint64_t>(month->time_range().min_timestamp) / model::kMsecPerDay);
    });
  }
  void Add(uint64_t id, int64_t timestamp, double value) {
    Register(id, timestamp);
    Retry([&] { return table_->AddRows(std::vector<RawRow>{{Series(id), timestamp, value}}); });
    expected_.added.emplace(Sample{id, timestamp}, value);
  }
  void Flush() {
    Retry([&] { return table_->FlushToDisk(); });
    expected_.durable = expected_.added;
    for (const auto& [sample, value] : expected_.durable) {
      expected_.names.emplace(sample.first, PartitionName(sample.second));
    }
  }

  FaultFileSystem& disk_;
  std::unique_ptr<Table> table_;
  std::atomic<int64_t> now_{kNow};
  Expected expected_;
  uint64_t errors_ = 0;
};

TEST(TablePowerCutTest, NothingDurableIsLostWheneverThePowerGoes) {
  FaultFileSystem disk;
  Life life(disk);
  uint64_t cuts = 0;
  disk.SetObserver([&](const FileOperation& operation) {
    if (testing::Test::HasFatalFailure()) return;
    SCOPED_TRACE(operation.path + " change " + std::to_string(operation.number));
    ++cuts;
    for (const PowerCut cut : {PowerCut::kDropUnsynced, PowerCut::kKeepEntries, PowerCut::kKeepAll, PowerCut::kMixed}) {
      for (uint64_t seed = 0; seed < (cut == PowerCut::kMixed ? 3 : 1); ++seed) {
        SCOPED_TRACE(static_cast<int>(cut));
        const auto left = disk.AfterPowerCut(cut, operation.number * 10 + seed);
        CheckDisk(*left, life.expected(), operation.number % 8 == static_cast<uint64_t>(cut));
      }
    }
  });
  life.Run(2);
  EXPECT_GT(cuts, 300u);
  EXPECT_EQ(life.errors(), 0u);
}

void FailEachChange(int error_number, uint64_t count) {
  uint64_t changes = 0;
  {
    FaultFileSystem disk;
    Life life(disk);
    life.Run(1);
    changes = disk.changes();
  }
  ASSERT_GT(changes, 200u);
  for (uint64_t nth = 1; nth <= changes; ++nth) {
    SCOPED_TRACE("change " + std::to_string(nth));
    FaultFileSystem disk;
    Life life(disk);
    FileOperation failed;
    const auto fault = [&, nth, count](const FileOperation& operation) {
      if (operation.number < nth || operation.number >= nth + count) return 0;
      failed = operation;
      return error_number;
    };
    disk.SetFault(fault);
    const uint64_t lines = error_lines.load();
    life.Run(1);
    ASSERT_GT(failed.number, 0u);
    EXPECT_GT(life.errors() + error_lines.load() - lines, 0u) << "swallowed: " << failed.path;
    if (testing::Test::HasFailure()) return;
    const auto left = disk.AfterPowerCut(PowerCut::kDropUnsynced);
    CheckDisk(*left, life.expected(), false);
  }
}

TEST(TableFaultTest, EachFailingChangeIsReportedAndHarmless) { FailEachChange(EIO, 1); }
TEST(TableFaultTest, EachRowOfFailingChangesIsReportedAndHarmless) { FailEachChange(ENOSPC, 7); }

TEST(TableFaultTest, APowerCutAfterAFailedChangeLosesNothing) {
  // The commit is the place where what the disk holds and what memory holds may part.
  for (uint64_t nth = 1; nth <= 60; ++nth) {
    SCOPED_TRACE(nth);
    FaultFileSystem disk;
    Life life(disk);
    uint64_t lists = 0;
    std::set<uint64_t> cut_at;
    disk.SetFault([&](const FileOperation& operation) {
      const bool commit = operation.path.ends_with("parts.json") ||
                          (operation.kind == FileOperationKind::kSyncDirectory && operation.path.ends_with("2026_11"));
      return commit && ++lists == nth ? EIO : 0;
    });
    disk.SetObserver([&](const FileOperation& operation) {
      if (lists < nth || lists > nth + 3 || testing::Test::HasFailure()) return;
      for (const PowerCut cut : {PowerCut::kDropUnsynced, PowerCut::kKeepAll, PowerCut::kMixed}) {
        const auto left = disk.AfterPowerCut(cut, operation.number);
        CheckDisk(*left, life.expected(), false);
      }
    });
    life.Run(1);
    if (testing::Test::HasFailure()) return;
    if (lists < nth) break;
  }
}

TEST(TableFaultTest, AFullDiskKeepsRowsInMemoryUntilThereIsRoom) {
  FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/storage").ok());
  const std::atomic<int64_t> now = kNow;
  auto table = Table::Open(Options(disk, now)).value();
  Expected expected;
  const auto add = [&](uint64_t id) {
    ASSERT_TRUE(table->GetOrCreatePartition(kNow).value()->index().AddGlobal(Name(id), Series(id)).ok());
    ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(id), kNow, 1.5}}).ok());
    expected.added.emplace(Sample{id, kNow}, 1.5);
  };
  add(1);
  ASSERT_TRUE(table->FlushToDisk().ok());
  const uint64_t used_folders = ListPartFolders(disk, "/storage/data/small/2026_11").value().size();
  // At each size the disk runs full at another place.
  for (uint64_t free = 0; free < 1200; free += 40) {
    SCOPED_TRACE(free);
    disk.SetFreeSpace(free);
    add(2 + free / 40 % 17);
    expected.added.emplace(Sample{2 + free / 40 % 17, kNow}, 1.5);
    static_cast<void>(table->FlushToDisk().ok());
    if (free < 400) {
      EXPECT_FALSE(table->FlushToDisk().ok());
      EXPECT_EQ(ListPartFolders(disk, "/storage/data/small/2026_11").value().size(), used_folders);
      // Unfinished parts are gone, so the room is there again.
      EXPECT_EQ(disk.FreeSpace("/storage").value(), free);
    }
  }
  disk.SetFreeSpace(1 << 30);
  ASSERT_TRUE(table->FlushToDisk().ok());
  expected.durable = expected.added;
  disk.SetFreeSpace(0);
  EXPECT_TRUE(table->Close().ok());
  table.reset();
  // A full disk does not keep a table from being opened and read.
  const auto left = disk.AfterPowerCut(PowerCut::kDropUnsynced);
  left->SetFreeSpace(0);
  auto opened = Table::Open(Options(*left, now));
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  bool doubled = false;
  for (const auto& [sample, value] : ReadAll(*opened.value(), &doubled)) EXPECT_EQ(value, expected.added.at(sample));
}

TEST(TableFaultTest, ANewMonthDoesNotNeedTheDiskToTakeRows) {
  FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/storage").ok());
  const std::atomic<int64_t> now = kNow;
  auto table = Table::Open(Options(disk, now)).value();
  // Creating the folders gets this far, then one step further with each try.
  Expected expected;
  for (uint64_t nth = 1; nth < 40; ++nth) {
    disk.SetFault([first = disk.changes() + nth](const FileOperation& operation) {
      return operation.number >= first ? ENOSPC : 0;
    });
    const int64_t at = kOctober + static_cast<int64_t>(nth);
    auto month = table->GetOrCreatePartition(at);
    ASSERT_TRUE(month.ok()) << month.error().message();
    if (nth == 1) {
      ASSERT_TRUE(month.value()->index().CreateSeries(Name(1), Series(1), 20'000).ok());
    }
    ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), at, 2}}).ok());
    expected.added.emplace(Sample{1, at}, 2);
    ASSERT_TRUE(table->FlushToSearchable().ok());
    bool doubled = false;
    EXPECT_EQ(ReadAll(*table, &doubled), expected.added);
    static_cast<void>(table->FlushToDisk().ok());
    EXPECT_EQ(ReadAll(*table, &doubled), expected.added);
    EXPECT_FALSE(doubled);
    CheckDisk(*disk.AfterPowerCut(PowerCut::kMixed, nth), expected, false);
  }
  disk.SetFault({});
  ASSERT_TRUE(table->FlushToDisk().ok());
  expected.durable = expected.added;
  CheckDisk(*disk.AfterPowerCut(PowerCut::kDropUnsynced), expected, true);
  ASSERT_TRUE(table->Close().ok());
}

TEST(TableFaultTest, AFailingReadIsAnErrorOfTheQueryAlone) {
  FaultFileSystem disk;
  Life life(disk);
  life.Run(1);
  const std::atomic<int64_t> now = life.expected().now;
  auto table = Table::Open(Options(disk, now)).value();
  disk.SetFault([](const FileOperation& operation) {
    return operation.kind == FileOperationKind::kRead && operation.path.ends_with("values.bin") ? EIO : 0;
  });
  const std::vector<Tsid> tsids = {Series(1), Series(4)};
  TableSearch search = table->Search(tsids, {0, kNow * 2});
  const auto found = search.Next();
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code(), ErrorCode::kIo);
  EXPECT_NE(found.error().message().find("values.bin"), std::string::npos) << found.error().message();
  // A merge that cannot read keeps its sources.
  EXPECT_FALSE(table->ForceMerge("").ok());
  disk.SetFault({});
  bool doubled = false;
  EXPECT_FALSE(ReadAll(*table, &doubled).empty());
  EXPECT_TRUE(table->ForceMerge("").ok());
}

TEST(TableFaultTest, AFailingReadAtTheStartHarmsNothing) {
  FaultFileSystem disk;
  Life life(disk);
  life.Run(2);
  const std::atomic<int64_t> now = life.expected().now;
  uint64_t refused = 0;
  for (uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    const auto copy = disk.AfterPowerCut(PowerCut::kKeepAll);
    uint64_t reads = 0;
    copy->SetFault([&](const FileOperation& operation) { return !operation.changes() && ++reads == nth ? EIO : 0; });
    {
      const auto table = Table::Open(Options(*copy, now));
      if (reads < nth) break;
      if (!table.ok()) {
        ++refused;
        EXPECT_EQ(table.error().code(), ErrorCode::kIo) << table.error().message();
        EXPECT_NE(table.error().message().find("/storage/data"), std::string::npos) << table.error().message();
      }
    }
    copy->SetFault({});
    CheckDisk(*copy, life.expected(), false);
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  EXPECT_GT(refused, 20u);
}

TEST(TableFaultTest, BackgroundWorkReportsErrorsAndGoesOn) {
  FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/storage").ok());
  std::atomic<int64_t> now = kNow;
  TableOptions options = Options(disk, now);
  options.background = true;
  options.rows_flush_interval_ms = 5;
  auto table = Table::Open(std::move(options)).value();
  ASSERT_TRUE(table->GetOrCreatePartition(kNow).value()->index().AddGlobal(Name(1), Series(1)).ok());
  disk.SetFault([](const FileOperation& operation) { return operation.changes() ? EIO : 0; });
  ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), kNow, 1}}).ok());
  const auto wait_for = [](const auto& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return condition();
  };
  ASSERT_TRUE(wait_for([&] { return table->Stats().inmemory.parts > 0; }));
  now += 6000;
  const uint64_t lines = error_lines.load();
  ASSERT_TRUE(wait_for([&] { return table->Stats().background_errors >= 2; }));
  EXPECT_EQ(error_lines.load(), lines + 1);  // Not a line for each attempt.
  EXPECT_EQ(table->Stats().inmemory.rows, 1u);
  disk.SetFault({});
  ASSERT_TRUE(wait_for([&] { return table->Stats().small.parts == 1; }));
  EXPECT_TRUE(table->Close().ok());
}

TEST(TableFaultTest, ACorruptPartIsNamedAtTheStart) {
  FaultFileSystem disk;
  Life life(disk);
  life.Run(1);
  const std::atomic<int64_t> now = life.expected().now;
  const std::string small = "/storage/data/small/2026_11/";
  const std::string index = "/storage/data/indexdb/2026_11/";
  const std::string part = ListPartFolders(disk, small).value().front();
  const std::string index_part = ListPartFolders(disk, index).value().front();
  for (const std::string& folder : {small + part, index + index_part}) {
    for (const char* file : {"/metadata.json", "/metaindex.bin"}) {
      SCOPED_TRACE(folder + file);
      const auto copy = disk.AfterPowerCut(PowerCut::kKeepAll);
      const ByteBuffer whole = copy->ReadFile(folder + file).value();
      for (const size_t keep : {size_t{0}, whole.size() / 2, whole.size() - 1}) {
        ASSERT_TRUE(fs::WriteFileSynced(*copy, folder + file, ByteView(whole).first(keep)).ok());
        auto opened = Table::Open(Options(*copy, now));
        ASSERT_FALSE(opened.ok());
        EXPECT_NE(opened.error().message().find(folder + file), std::string::npos) << opened.error().message();
        EXPECT_TRUE(copy->Exists(folder));  // Nothing is thrown away.
      }
      ASSERT_TRUE(copy->RemoveFile(folder + file).ok());
      EXPECT_FALSE(Table::Open(Options(*copy, now)).ok());
    }
  }
}

TEST(TableFaultTest, CorruptionFoundByAMergeEndsTheProcessWithTheNameOfThePart) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/storage").ok());
  const std::atomic<int64_t> now = kNow;
  {
    auto table = Table::Open(Options(disk, now)).value();
    for (int64_t part = 0; part < 10; ++part) {
      std::vector<RawRow> rows;
      for (int64_t i = 0; i < 50; ++i) {
        rows.push_back({Series(1), kNow - 1000 + i * 10 + part, static_cast<double>(i * i % 31)});
      }
      ASSERT_TRUE(table->AddRows(rows).ok());
      ASSERT_TRUE(table->FlushToDisk().ok());
    }
    ASSERT_TRUE(table->Close().ok());
  }
  const std::string month = "/storage/data/small/2026_11";
  const std::string part = month + "/" + ListPartFolders(disk, month).value()[4];
  const size_t size = disk.ReadFile(part + "/values.bin").value().size();
  ASSERT_TRUE(fs::WriteFileSynced(disk, part + "/values.bin", ByteBuffer(size, 0xff)).ok());
  EXPECT_EXIT(
      {
        TableOptions options = Options(disk, now);
        options.background = true;
        auto table = Table::Open(std::move(options)).value();
        // A merge begins when there is news.
        static_cast<void>(table->AddRows(std::vector<RawRow>{{Series(2), kNow, 1}}).ok());
        std::this_thread::sleep_for(std::chrono::seconds(20));
      },
      testing::ExitedWithCode(255), "cannot merge part \"" + part);
}

// Everything at once: rows, background work, forced merges and searches, on a disk that fails now and then and whose
// power is cut now and then.
TEST(TableStressTest, ConcurrentWorkOnABadDiskLosesNothing) {
  FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/storage").ok());
  std::atomic<int64_t> now = kNow;
  TableOptions options = Options(disk, now);
  options.background = true;
  options.rows_flush_interval_ms = 2;
  options.partition.inmemory_flush_interval_ms = 1;
  options.on_background_error = [](const Error& error) { EXPECT_EQ(error.code(), ErrorCode::kIo) << error.message(); };
  auto table = Table::Open(std::move(options)).value();
  for (uint64_t id = 1; id <= 6; ++id) {
    for (const int64_t at : {kNow, kOctober}) {
      ASSERT_TRUE(table->GetOrCreatePartition(at).value()->index().AddGlobal(Name(id), Series(id)).ok());
    }
  }
  Mutex mutex;
  Expected expected;
  std::atomic<uint64_t> failures = 0, cuts = 0;
  disk.SetFault([&](const FileOperation& operation) {
    // Every 61st change: no row of failures, no pattern either.
    if (!operation.changes() || operation.number % 61 != 0) return 0;
    failures.fetch_add(1);
    return operation.number % 2 == 0 ? EIO : ENOSPC;
  });
  disk.SetObserver([&](const FileOperation& operation) {
    if (operation.number % 97 != 0 || testing::Test::HasFailure()) return;
    Expected before;
    {
      MutexLock lock(mutex);
      before = expected;
    }
    const auto left = disk.AfterPowerCut(operation.number % 2 == 0 ? PowerCut::kDropUnsynced : PowerCut::kMixed,
                                         operation.number);
    {
      MutexLock lock(mutex);
      before.added = expected.added;
    }
    CheckDisk(*left, before, false);
    cuts.fetch_add(1);
  });
  {
    std::atomic<bool> done = false;
    std::vector<std::jthread> threads;
    for (uint64_t writer = 0; writer < 2; ++writer) {
      threads.emplace_back([&, writer] {
        for (int64_t i = 0; i < 400; ++i) {
          const uint64_t id = 1 + writer * 3 + static_cast<uint64_t>(i % 3);
          const int64_t at = (i % 2 == 0 ? kNow - 1000 : kOctober) + i;
          const double value = static_cast<double>(i) / 8;
          {
            MutexLock lock(mutex);
            expected.added.emplace(Sample{id, at}, value);
          }
          ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(id), at, value}}).ok());
          if (i % 20 != 19) continue;
          // Rows of this writer so far are durable when this succeeds.
          if (!table->FlushToDisk().ok()) continue;
          MutexLock lock(mutex);
          for (const auto& [sample, added] : expected.added) {
            if ((sample.first - 1) / 3 != writer) continue;
            const int64_t number = sample.second - (sample.second > kOctober + 1'000'000 ? kNow - 1000 : kOctober);
            if (number <= i) expected.durable.emplace(sample, added);
          }
        }
      });
    }
    std::jthread merger([&] {
      while (!done) {
        const Status status = table->ForceMerge("");
        EXPECT_TRUE(status.ok() || status.error().code() == ErrorCode::kIo) << status.error().message();
        now += 10;
      }
    });
    std::jthread reader([&] {
      while (!done) {
        bool doubled = false;
        Samples must;
        {
          MutexLock lock(mutex);
          must = expected.durable;
        }
        const Samples found = ReadAll(*table, &doubled);
        EXPECT_FALSE(doubled);
        for (const auto& [sample, value] : must) EXPECT_TRUE(found.contains(sample));
      }
    });
    threads.clear();
    done = true;
  }
  EXPECT_GT(failures, 10u);
  EXPECT_GT(cuts, 10u);
  disk.SetFault({});
  disk.SetObserver({});
  ASSERT_TRUE(table->Close().ok());
  expected.durable = expected.added;
  table.reset();
  CheckDisk(*disk.AfterPowerCut(PowerCut::kDropUnsynced), expected, true);
}

TEST(TableMergeTest, StoppingEndsAMergeAndRemovesItsOutput) {
  FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/storage").ok());
  const std::atomic<int64_t> now = kNow;
  auto table = Table::Open(Options(disk, now)).value();
  for (int round = 0; round < 3; ++round) {
    std::vector<RawRow> rows;
    for (uint64_t id = 1; id <= 20; ++id) rows.push_back({Series(id), kNow + round, 1});
    ASSERT_TRUE(table->AddRows(rows).ok());
    for (uint64_t id = 1; id <= 20; ++id) {
      ASSERT_TRUE(table->GetPartition(kNow)->index().AddGlobal(Name(id + 20 * round), Series(id)).ok());
    }
    ASSERT_TRUE(table->FlushToDisk().ok());
  }
  const std::string small = "/storage/data/small/2026_11";
  const auto listed = ListPartFolders(disk, small).value();
  ASSERT_EQ(listed.size(), 3u);
  disk.SetObserver([&](const FileOperation& operation) {
    if (operation.kind == FileOperationKind::kWrite) table->StopMerges();
  });
  const Status status = table->ForceMerge("");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kCancelled);
  disk.SetObserver({});
  EXPECT_EQ(ListPartFolders(disk, small).value(), listed);
  EXPECT_FALSE(table->GetPartition(kNow)->TryMerge(PartClass::kSmall).value());
  // Flushes go on.
  ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), kNow + 9, 1}}).ok());
  ASSERT_TRUE(table->Close().ok());
  EXPECT_EQ(ListPartFolders(disk, small).value().size(), 4u);
}

TEST(TableMergeTest, MergesWaitForFreeSpace) {
  FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/storage").ok());
  const std::atomic<int64_t> now = kNow;
  TableOptions options = Options(disk, now);
  options.partition.min_free_disk_space_bytes = 1'000'000;
  auto table = Table::Open(std::move(options)).value();
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), kNow + round, 1}}).ok());
    ASSERT_TRUE(table->FlushToDisk().ok());
  }
  Partition& month = *table->GetPartition(kNow);
  disk.SetFreeSpace(999'999);
  EXPECT_FALSE(month.TryMerge(PartClass::kSmall).value());
  disk.SetFreeSpace(100);
  const Status forced = month.ForceMerge();
  ASSERT_FALSE(forced.ok());
  EXPECT_EQ(forced.error().code(), ErrorCode::kLimitExceeded);
  EXPECT_NE(forced.error().message().find("additional space needed"), std::string::npos);
  disk.SetFreeSpace(1 << 30);
  EXPECT_TRUE(month.TryMerge(PartClass::kSmall).value());
  const PartitionStats stats = table->Stats();
  EXPECT_EQ(stats.small.parts, 1u);
  EXPECT_EQ(stats.small.merges, 11u);  // Ten flushes too, as the original counts.
  EXPECT_EQ(stats.small.rows_merged, 20u);
}

TEST(TableMergeTest, UnknownSpaceIsNotUnlimited) {
  FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/storage").ok());
  const std::atomic<int64_t> now = kNow;
  auto table = Table::Open(Options(disk, now)).value();
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), kNow + round, 1}}).ok());
    ASSERT_TRUE(table->FlushToDisk().ok());
  }
  Partition& month = *table->GetPartition(kNow);
  disk.SetFault([](const fs::FileOperation& operation) { return operation.path.ends_with("big/2026_11") ? EIO : 0; });
  const auto merged = month.TryMerge(PartClass::kSmall);
  ASSERT_FALSE(merged.ok());
  EXPECT_EQ(merged.error().code(), ErrorCode::kIo);
  EXPECT_EQ(table->Stats().small.parts, 10u);
  disk.SetFault({});
  EXPECT_TRUE(month.TryMerge(PartClass::kSmall).value());
  EXPECT_EQ(table->Stats().small.parts, 1u);
  ASSERT_TRUE(table->Close().ok());
}

TEST(TableMergeTest, RowsGoOnWhenMergesWaitForSpace) {
  FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/storage").ok());
  const std::atomic<int64_t> now = kNow;
  TableOptions options = Options(disk, now);
  options.partition.min_free_disk_space_bytes = 1'000;
  auto table = Table::Open(std::move(options)).value();
  Partition& month = *table->GetOrCreatePartition(kNow).value();
  for (int i = 0; i < 400; ++i) {
    EXPECT_EQ(table->room(), Room::kFree);
    ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), kNow + i, 1}}).ok());
    ASSERT_TRUE(table->FlushToDisk().ok());
  }
  EXPECT_EQ(table->Stats().small.parts, 400u);
  EXPECT_EQ(table->room(), Room::kBusy) << "nobody has looked for merges yet";
  // Above the limit of read-only mode, but too little for the result of a merge.
  disk.SetFreeSpace(1'001);
  EXPECT_FALSE(month.TryMerge(PartClass::kSmall).value());
  EXPECT_EQ(table->Stats().small.lacking_space, 1u);
  EXPECT_EQ(table->room(), Room::kFree);
  // The same below the limit.
  disk.SetFreeSpace(999);
  EXPECT_FALSE(month.TryMerge(PartClass::kSmall).value());
  EXPECT_EQ(table->Stats().small.lacking_space, 1u);
  disk.SetFreeSpace(1 << 30);
  EXPECT_TRUE(month.TryMerge(PartClass::kSmall).value());
  EXPECT_EQ(table->Stats().small.lacking_space, 0u);
  ASSERT_TRUE(table->Close().ok());
}

TEST(TableMergeTest, IndexesAreNotMergedBelowTheLimitOfFreeSpace) {
  FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/storage").ok());
  const std::atomic<int64_t> now = kNow;
  TableOptions options = Options(disk, now);
  options.partition.min_free_disk_space_bytes = 100'000'000;
  auto table = Table::Open(std::move(options)).value();
  indexdb::IndexDb& index = table->GetOrCreatePartition(kNow).value()->index();
  disk.SetFreeSpace(99'999'999);
  for (uint64_t id = 1; id <= 20; ++id) {
    ASSERT_TRUE(index.AddGlobal(Name(id), Series(id)).ok());
    ASSERT_TRUE(index.FlushToDisk().ok());
  }
  EXPECT_FALSE(index.TryMerge().value());
  EXPECT_EQ(index.stats().lacking_space, 1u);
  EXPECT_EQ(index.stats().file_parts, 20u);
  disk.SetFreeSpace(1 << 30);
  EXPECT_TRUE(index.TryMerge().value());
  EXPECT_EQ(index.stats().lacking_space, 0u);
  ASSERT_TRUE(table->Close().ok());
}

TEST(TableMergeTest, FinalDeduplicationMergesPastMonthsOnce) {
  FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/storage").ok());
  const std::atomic<int64_t> now = kNow;
  const auto samples = [&](Table& table) {
    bool doubled = false;
    return ReadAll(table, &doubled).size();
  };
  {
    auto table = Table::Open(Options(disk, now)).value();
    for (int64_t part = 0; part < 2; ++part) {
      std::vector<RawRow> rows;
      for (int64_t i = 0; i < 100; ++i) {
        rows.push_back({Series(1), kOctober + i * 1000 + part * 100, 1});
        rows.push_back({Series(1), kNow - i * 1000 - part * 100, 1});
      }
      std::sort(rows.begin(), rows.end(), [](const RawRow& a, const RawRow& b) { return a.timestamp < b.timestamp; });
      ASSERT_TRUE(table->AddRows(rows).ok());
      ASSERT_TRUE(table->FlushToDisk().ok());
    }
    EXPECT_FALSE(table->GetPartition(kOctober)->NeedsFinalDedup());
    EXPECT_EQ(samples(*table), 400u);
    ASSERT_TRUE(table->Close().ok());
  }
  TableOptions options = Options(disk, now);
  options.partition.dedup_interval_ms = 10'000;
  auto table = Table::Open(options).value();
  EXPECT_TRUE(table->GetPartition(kOctober)->NeedsFinalDedup());
  ASSERT_TRUE(table->RunFinalDedup().ok());
  EXPECT_FALSE(table->GetPartition(kOctober)->NeedsFinalDedup());
  // Ten seconds a sample in October; the current month is left to ordinary merges.
  EXPECT_EQ(table->GetPartition(kOctober)->Stats().small.rows, 11u);
  EXPECT_EQ(table->Stats().rows_deduplicated, 189u);
  EXPECT_EQ(table->GetPartition(kNow)->Stats().small.rows, 200u);
  const uint64_t merges = table->Stats().small.merges;
  ASSERT_TRUE(table->RunFinalDedup().ok());
  EXPECT_EQ(table->Stats().small.merges, merges);
  ASSERT_TRUE(table->Close().ok());
}

TEST(TableMergeTest, RowsWaitWhenPartsInMemoryPileUpAndAreRefusedWhenTheDiskFails) {
  FaultFileSystem disk;
  ASSERT_TRUE(fs::CreateDirectoriesSynced(disk, "/storage").ok());
  const std::atomic<int64_t> now = kNow;
  auto table = Table::Open(Options(disk, now)).value();
  EXPECT_EQ(table->room(), Room::kFree);
  int parts = 0;
  for (; parts < 1000 && table->room() == Room::kFree; ++parts) {
    ASSERT_TRUE(table->AddRows(std::vector<RawRow>{{Series(1), kNow + parts, 1}}).ok());
    ASSERT_TRUE(table->FlushToSearchable().ok());
  }
  EXPECT_EQ(parts, 60);
  EXPECT_EQ(table->room(), Room::kBusy);
  disk.SetFault([](const FileOperation& operation) { return operation.changes() ? EIO : 0; });
  EXPECT_FALSE(table->FlushToDisk().ok());
  EXPECT_EQ(table->room(), Room::kFailing);
  disk.SetFault({});
  EXPECT_TRUE(table->GetPartition(kNow)->TryMerge(PartClass::kInmemory).value());
  EXPECT_EQ(table->room(), Room::kFree);
  EXPECT_TRUE(table->FlushToDisk().ok());
  EXPECT_EQ(table->room(), Room::kFree);
  ASSERT_TRUE(table->Close().ok());
}

class CountErrorLines : public testing::Environment {
 public:
  void SetUp() override {
    log::Options options;
    options.on_message = [](log::Level level, std::string_view, bool) {
      if (level == log::Level::kError) error_lines.fetch_add(1);
    };
    log::Init(std::move(options));
  }
};
const testing::Environment* const kErrorLines = testing::AddGlobalTestEnvironment(new CountErrorLines);

}  // namespace
}  // namespace vm::storage
