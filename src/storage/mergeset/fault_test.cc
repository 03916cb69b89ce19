// An index table whose power is cut after every change of the disk, and whose disk fails at every one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "lib/fs/fault_file_system.h"
#include "storage/mergeset/table.h"
#include "storage/partset/parts_json.h"

namespace vm::mergeset {
namespace {

using fs::FaultFileSystem;
using fs::FileOperation;
using fs::FileOperationKind;
using fs::PowerCut;

constexpr char kPath[] = "/index";

/// Items of one AddItems: they are all there or none is.
std::vector<std::string> Group(int number) {
  std::vector<std::string> items;
  for (int i = 0; i < 3; ++i) items.push_back("item " + std::to_string(i) + " of " + std::to_string(number));
  return items;
}

std::set<std::string> ReadAll(const Table& table) {
  std::set<std::string> items;
  Search search = table.NewSearch();
  for (bool more = search.Seek({}); more; more = search.Next()) items.emplace(AsText(search.item()));
  EXPECT_TRUE(search.status().ok()) << (search.status().ok() ? "" : search.status().error().message());
  return items;
}

void CheckDisk(FaultFileSystem& disk, int durable, int added) {
  Options options;
  options.file_system = &disk;
  auto table = Table::Open(kPath, options);
  ASSERT_TRUE(table.ok()) << table.error().message();
  const std::set<std::string> items = ReadAll(*table.value());
  size_t groups = 0;
  for (int number = 0; number < added; ++number) {
    size_t found = 0;
    for (const std::string& item : Group(number)) found += items.count(item);
    EXPECT_TRUE(found == 0 || found == 3) << "half of group " << number;
    EXPECT_TRUE(found == 3 || number >= durable) << "lost group " << number;
    groups += found / 3;
  }
  EXPECT_EQ(items.size(), groups * 3);
  const auto listed =
      storage::ParsePartNameList(AsText(disk.ReadFile(std::string(kPath) + "/parts.json").value())).value();
  EXPECT_EQ(storage::ListPartFolders(disk, kPath).value(), listed);
}

class Life {
 public:
  explicit Life(FaultFileSystem& disk) : disk_(disk) {}

  void Run() {
    Open();
    for (int round = 0; round < 9; ++round) {
      Add();
      Flush();
    }
    Retry([&]() -> Status {
      VM_ASSIGN_OR_RETURN(const bool merged, table_->TryMerge());
      merged_ = merged_ || merged;
      return Ok();
    });
    Add();
    Retry([&] { return table_->ForceMerge(); });
    durable_ = added_;
    Add();
    Retry([&] { return table_->Close(); });
    durable_ = added_;
    EXPECT_EQ(ReadAll(*table_).size(), static_cast<size_t>(added_) * 3);
    table_.reset();
    Open();
    EXPECT_EQ(ReadAll(*table_).size(), static_cast<size_t>(added_) * 3);
  }
  int added() const { return added_; }
  int durable() const { return durable_; }
  bool merged() const { return merged_; }
  uint64_t errors() const { return errors_; }

 private:
  template <class Work>
  void Retry(Work work) {
    for (int i = 0; i < 30; ++i) {
      if (work().ok()) return;
      ++errors_;
      if (table_ != nullptr) {
        EXPECT_EQ(ReadAll(*table_).size(), static_cast<size_t>(added_) * 3);
      }
    }
    FAIL() << "a step never succeeds";
  }
  void Open() {
    Options options;
    options.file_system = &disk_;
    options.wants_work = [] {};
    Retry([&]() -> Status {
      VM_ASSIGN_OR_RETURN(table_, Table::Open(kPath, options));
      return Ok();
    });
  }
  void Add() {
    const std::vector<std::string> items = Group(added_);
    std::vector<ByteView> views;
    for (const std::string& item : items) views.push_back(AsBytes(item));
    ASSERT_TRUE(table_->AddItems(views).ok());
    ++added_;
  }
  void Flush() {
    Retry([&] { return table_->FlushToDisk(); });
    durable_ = added_;
  }

  FaultFileSystem& disk_;
  std::unique_ptr<Table> table_;
  int added_ = 0, durable_ = 0;
  bool merged_ = false;
  uint64_t errors_ = 0;
};

TEST(MergesetPowerCutTest, NothingDurableIsLostWheneverThePowerGoes) {
  FaultFileSystem disk;
  Life life(disk);
  disk.SetObserver([&](const FileOperation& operation) {
    if (testing::Test::HasFailure()) return;
    SCOPED_TRACE(operation.path + " change " + std::to_string(operation.number));
    for (const PowerCut cut : {PowerCut::kDropUnsynced, PowerCut::kKeepEntries, PowerCut::kKeepAll, PowerCut::kMixed}) {
      for (uint64_t seed = 0; seed < (cut == PowerCut::kMixed ? 4 : 1); ++seed) {
        CheckDisk(*disk.AfterPowerCut(cut, operation.number * 10 + seed), life.durable(), life.added());
      }
    }
  });
  life.Run();
  EXPECT_TRUE(life.merged());
  EXPECT_EQ(life.errors(), 0u);
}

TEST(MergesetFaultTest, EachFailingChangeIsReportedAndHarmless) {
  uint64_t changes = 0;
  {
    FaultFileSystem disk;
    Life(disk).Run();
    changes = disk.changes();
  }
  uint64_t opening = 0;
  {
    FaultFileSystem disk;
    Options options;
    options.file_system = &disk;
    ASSERT_TRUE(Table::Open(kPath, options).ok());
    opening = disk.changes();
  }
  uint64_t reported = 0, removals = 0;
  for (uint64_t nth = 1; nth <= changes; ++nth) {
    SCOPED_TRACE(nth);
    FaultFileSystem disk;
    FileOperation failed;
    disk.SetFault([&](const FileOperation& operation) {
      if (operation.number != nth) return 0;
      failed = operation;
      return EIO;
    });
    Life life(disk);
    life.Run();
    ASSERT_FALSE(testing::Test::HasFailure());
    // What a removal leaves is logged and goes at the next start; a folder that cannot be created is logged as well.
    (life.errors() > 0 ? reported : removals) += 1;
    EXPECT_TRUE(life.errors() > 0 || failed.kind == FileOperationKind::kRemove || nth <= opening) << failed.path;
    CheckDisk(*disk.AfterPowerCut(PowerCut::kDropUnsynced), life.durable(), life.added());
  }
  EXPECT_GT(reported, 100u);
  EXPECT_GT(removals, 0u);
}

TEST(MergesetFaultTest, StoppingEndsAMergeAndRemovesItsOutput) {
  FaultFileSystem disk;
  Options options;
  options.file_system = &disk;
  options.wants_work = [] {};
  auto table = Table::Open(kPath, options).value();
  for (int part = 0; part < 3; ++part) {
    std::vector<std::string> items;
    for (int i = 0; i < 5000; ++i) items.push_back("item " + std::to_string(i * 3 + part));
    for (const std::string& item : items) {
      const ByteView view = AsBytes(item);
      ASSERT_TRUE(table->AddItems({&view, 1}).ok());
    }
    ASSERT_TRUE(table->FlushToDisk().ok());
  }
  const auto folders = storage::ListPartFolders(disk, kPath).value();
  disk.SetObserver([&](const FileOperation& operation) {
    if (operation.kind == FileOperationKind::kCreate) table->StopMerges();
  });
  const Status status = table->ForceMerge();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kCancelled);
  EXPECT_EQ(storage::ListPartFolders(disk, kPath).value(), folders);
  EXPECT_EQ(ReadAll(*table).size(), 15000u);
  EXPECT_TRUE(table->Close().ok());
}

TEST(MergesetTest, FullSetsWaitForOneFileInTheBackground) {
  FaultFileSystem disk;
  size_t calls = 0;
  Options options;
  options.file_system = &disk;
  options.max_memory_bytes = 1000;
  options.wants_work = [&] { ++calls; };
  auto table = Table::Open(kPath, options).value();
  const uint64_t changes = disk.changes();
  int number = 0;
  while (table->stats().memory_sets < kMaxMemorySets) {
    std::vector<std::string> items = Group(number++);
    std::vector<ByteView> views(items.size());
    std::transform(items.begin(), items.end(), views.begin(), [](const std::string& item) { return AsBytes(item); });
    ASSERT_TRUE(table->AddItems(views).ok());
  }
  // Who adds does not write.
  EXPECT_EQ(disk.changes(), changes);
  EXPECT_EQ(calls, kMaxMemorySets);
  EXPECT_EQ(ReadAll(*table).size(), static_cast<size_t>(number) * 3);
  EXPECT_TRUE(table->TryMerge().value());
  EXPECT_EQ(table->stats().memory_sets, 0u);
  EXPECT_EQ(table->stats().file_parts, 1u);
  EXPECT_EQ(ReadAll(*table).size(), static_cast<size_t>(number) * 3);
  EXPECT_FALSE(table->TryMerge().value());
}

TEST(MergesetFaultTest, ACorruptPartIsNamed) {
  FaultFileSystem disk;
  Life(disk).Run();
  const std::string part = std::string(kPath) + "/" + storage::ListPartFolders(disk, kPath).value().front();
  const auto open = [](FaultFileSystem& files) {
    Options options;
    options.file_system = &files;
    return Table::Open(kPath, options);
  };
  for (const char* file : {"metadata.json", "metaindex.bin"}) {
    const auto copy = disk.AfterPowerCut(PowerCut::kKeepAll);
    ASSERT_TRUE(fs::WriteFileSynced(*copy, part + "/" + file, AsBytes("{}")).ok());
    const auto table = open(*copy);
    ASSERT_FALSE(table.ok());
    EXPECT_NE(table.error().message().find(part), std::string::npos) << table.error().message();
  }
  // Items are checked when they are read.
  for (const char* file : {"items.bin", "lens.bin", "index.bin"}) {
    const auto copy = disk.AfterPowerCut(PowerCut::kKeepAll);
    const size_t size = copy->ReadFile(part + "/" + file).value().size();
    ASSERT_TRUE(fs::WriteFileSynced(*copy, part + "/" + file, ByteBuffer(size, 0x5a)).ok());
    const auto table = open(*copy);
    ASSERT_TRUE(table.ok());
    Search search = table.value()->NewSearch();
    while (search.Seek({}) && search.Next()) {
    }
    ASSERT_FALSE(search.status().ok()) << file;
    EXPECT_NE(search.status().error().message().find(part), std::string::npos) << search.status().error().message();
  }
}

}  // namespace
}  // namespace vm::mergeset
