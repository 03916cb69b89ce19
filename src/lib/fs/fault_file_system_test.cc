#include "lib/fs/fault_file_system.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace vm::fs {
namespace {

std::string Text(FileSystem& fs, const std::string& path) {
  auto bytes = fs.ReadFile(path);
  return bytes.ok() ? std::string(AsText(bytes.value())) : "<" + bytes.error().message() + ">";
}

class FaultFileSystemTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(CreateDirectoriesSynced(fs_, "/d").ok()); }

  void Write(const std::string& path, const std::string& text, bool sync) {
    auto writer = fs_.CreateWriter(path);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer.value()->Append(AsBytes(text)).ok());
    if (sync) {
      ASSERT_TRUE(writer.value()->Sync().ok());
    }
    ASSERT_TRUE(writer.value()->Close().ok());
  }

  FaultFileSystem fs_;
};

TEST_F(FaultFileSystemTest, KeepsOnlyWhatWasSynced) {
  Write("/d/both", "abc", true);
  ASSERT_TRUE(fs_.SyncDirectory("/d").ok());
  Write("/d/file_alone", "abc", true);
  auto writer = fs_.CreateWriter("/d/half");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(writer.value()->Append(AsBytes("first")).ok());
  ASSERT_TRUE(writer.value()->Sync().ok());
  ASSERT_TRUE(writer.value()->Append(AsBytes("second")).ok());
  ASSERT_TRUE(fs_.CreateDirectories("/d/x/y").ok());
  ASSERT_TRUE(fs_.SyncDirectory("/d/x").ok());
  EXPECT_EQ(Text(fs_, "/d/half"), "firstsecond");

  const auto dropped = fs_.AfterPowerCut(PowerCut::kDropUnsynced);
  EXPECT_EQ(Text(*dropped, "/d/both"), "abc");
  EXPECT_FALSE(dropped->Exists("/d/file_alone"));
  EXPECT_FALSE(dropped->Exists("/d/half"));
  EXPECT_FALSE(dropped->Exists("/d/x"));

  const auto entries = fs_.AfterPowerCut(PowerCut::kKeepEntries);
  EXPECT_EQ(Text(*entries, "/d/half"), "first");
  EXPECT_TRUE(entries->Exists("/d/x/y"));

  const auto all = fs_.AfterPowerCut(PowerCut::kKeepAll);
  EXPECT_EQ(Text(*all, "/d/half"), "firstsecond");

  // What is left is durable and is not cut again.
  EXPECT_EQ(Text(*all->AfterPowerCut(PowerCut::kDropUnsynced), "/d/half"), "firstsecond");
}

TEST_F(FaultFileSystemTest, RenamesAreDurableWithTheirDirectory) {
  ASSERT_TRUE(fs_.AtomicWriteFile("/d/list", AsBytes("old")).ok());
  Write("/d/tmp", "new", false);
  ASSERT_TRUE(fs_.Rename("/d/tmp", "/d/list").ok());
  EXPECT_EQ(Text(fs_, "/d/list"), "new");
  EXPECT_EQ(Text(*fs_.AfterPowerCut(PowerCut::kDropUnsynced), "/d/list"), "old");
  // The classic mistake: renamed before its bytes were synced.
  EXPECT_EQ(Text(*fs_.AfterPowerCut(PowerCut::kKeepEntries), "/d/list"), "");
}

TEST_F(FaultFileSystemTest, MixedCutsDifferByTheirSeed) {
  ASSERT_TRUE(fs_.AtomicWriteFile("/d/kept", AsBytes("kept")).ok());
  Write("/d/maybe", "0123456789", false);
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const auto left = fs_.AfterPowerCut(PowerCut::kMixed, seed);
    EXPECT_EQ(Text(*left, "/d/kept"), "kept");
    EXPECT_EQ(Text(*left, "/d/maybe"), Text(*fs_.AfterPowerCut(PowerCut::kMixed, seed), "/d/maybe"));
    seen.insert(left->Exists("/d/maybe") ? Text(*left, "/d/maybe") : "absent");
  }
  EXPECT_TRUE(seen.contains("absent"));
  EXPECT_TRUE(seen.contains(""));
  EXPECT_TRUE(seen.contains("0123456789"));
  EXPECT_GT(seen.size(), 8u);
}

TEST_F(FaultFileSystemTest, FailsTheNthChangeAndTearsTheWrite) {
  auto writer = fs_.CreateWriter("/d/f");
  ASSERT_TRUE(writer.ok());
  fs_.FailChanges(2, EIO);
  EXPECT_TRUE(writer.value()->Append(AsBytes("ab")).ok());
  const Status failed = writer.value()->Append(AsBytes("cdef"));
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code(), ErrorCode::kIo);
  EXPECT_EQ(failed.error().message(), "cannot write to \"/d/f\": Input/output error");
  EXPECT_EQ(Text(fs_, "/d/f"), "abcd");
  EXPECT_TRUE(writer.value()->Append(AsBytes("g")).ok());
  fs_.FailChanges(1, EIO, 2);
  EXPECT_FALSE(fs_.CreateDirectory("/d/x").ok());
  EXPECT_FALSE(fs_.RemoveFile("/d/f").ok());
  EXPECT_TRUE(fs_.RemoveFile("/d/f").ok());
}

TEST_F(FaultFileSystemTest, BytesOfAFailedSyncNeverBecomeDurable) {
  auto writer = fs_.CreateWriter("/d/f");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(fs_.SyncDirectory("/d").ok());
  ASSERT_TRUE(writer.value()->Append(AsBytes("lost")).ok());
  fs_.FailChanges(1, EIO);
  EXPECT_FALSE(writer.value()->Sync().ok());
  ASSERT_TRUE(writer.value()->Append(AsBytes("kept")).ok());
  EXPECT_TRUE(writer.value()->Sync().ok());
  EXPECT_EQ(Text(fs_, "/d/f"), "lostkept");
  EXPECT_EQ(Text(*fs_.AfterPowerCut(PowerCut::kDropUnsynced), "/d/f"), std::string(4, '\0') + "kept");
}

TEST_F(FaultFileSystemTest, RunsFullAndFreesWhatIsRemoved) {
  fs_.SetFreeSpace(6);
  Write("/d/a", "1234", true);
  EXPECT_EQ(fs_.FreeSpace("/d").value(), 2u);
  auto writer = fs_.CreateWriter("/d/b");
  ASSERT_TRUE(writer.ok());
  const Status full = writer.value()->Append(AsBytes("567"));
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().message(), "cannot write to \"/d/b\": No space left on device");
  EXPECT_EQ(Text(fs_, "/d/b"), "56");
  EXPECT_FALSE(fs_.CreateDirectory("/d/x").ok());
  ASSERT_TRUE(fs_.RemoveFile("/d/a").ok());
  EXPECT_EQ(fs_.FreeSpace("/d").value(), 4u);
  EXPECT_TRUE(fs_.CreateDirectory("/d/x").ok());
}

TEST_F(FaultFileSystemTest, FaultsCanLookAtTheOperation) {
  Write("/d/a", "x", true);
  Write("/d/b", "x", true);
  fs_.SetFault([](const FileOperation& operation) {
    return operation.kind == FileOperationKind::kRead && operation.path == "/d/a" ? EIO : 0;
  });
  EXPECT_FALSE(fs_.ReadFile("/d/a").ok());
  EXPECT_TRUE(fs_.ReadFile("/d/b").ok());
  fs_.SetFault({});
  EXPECT_TRUE(fs_.ReadFile("/d/a").ok());
}

TEST_F(FaultFileSystemTest, TellsItsObserverEachChange) {
  std::vector<FileOperationKind> kinds;
  fs_.SetObserver([&](const FileOperation& operation) { kinds.push_back(operation.kind); });
  ASSERT_TRUE(fs_.AtomicWriteFile("/d/list", AsBytes("x")).ok());
  EXPECT_EQ(kinds, (std::vector{FileOperationKind::kCreate, FileOperationKind::kWrite, FileOperationKind::kSync,
                                FileOperationKind::kRename, FileOperationKind::kSyncDirectory}));
  EXPECT_EQ(fs_.changes(), 7u);  // With the directory of the test and its sync.
}

TEST_F(FaultFileSystemTest, BehavesAsTheOperatingSystemsFiles) {
  Write("/d/f", "text", true);
  auto reader = fs_.OpenReader("/d/f");
  ASSERT_TRUE(reader.ok());
  ASSERT_TRUE(fs_.RemoveFile("/d/f").ok());
  ByteBuffer scratch;
  EXPECT_EQ(AsText(reader.value()->View(1, 3, scratch).value()), "ext");
  EXPECT_FALSE(reader.value()->View(2, 3, scratch).ok());
  EXPECT_FALSE(reader.value()->View(~0ull, 3, scratch).ok());
  EXPECT_FALSE(fs_.OpenReader("/d/f").ok());
  EXPECT_FALSE(fs_.CreateWriter("/none/f").ok());
  EXPECT_FALSE(fs_.CreateDirectory("/d").ok());
  EXPECT_TRUE(fs_.CreateDirectories("/d").ok());

  ASSERT_TRUE(fs_.CreateDirectories("/d/kept/in").ok());
  Write("/d/kept/f", "x", true);
  ASSERT_TRUE(fs_.CreateDirectories("/d/gone").ok());
  ASSERT_TRUE(fs_.SymLink("../kept", "/d/gone/link").ok());
  EXPECT_EQ(Text(fs_, "/d/gone/link/f"), "x");
  EXPECT_EQ(fs_.ListDirectory("/d/gone").value().front().is_directory, true);
  EXPECT_FALSE(fs_.RemoveEmptyDirectory("/d/gone").ok());
  ASSERT_TRUE(RemoveDirectory(fs_, "/d/gone").ok());
  EXPECT_FALSE(fs_.Exists("/d/gone"));
  EXPECT_EQ(Text(fs_, "/d/kept/f"), "x");

  ASSERT_TRUE(fs_.HardLink("/d/kept/f", "/d/kept/g").ok());
  ASSERT_TRUE(fs_.RemoveFile("/d/kept/f").ok());
  EXPECT_EQ(Text(fs_, "/d/kept/g"), "x");

  auto lock = fs_.LockFile("/d/flock.lock");
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(fs_.LockFile("/d/flock.lock").error().code(), ErrorCode::kUnavailable);
  lock.value().reset();
  EXPECT_TRUE(fs_.LockFile("/d/flock.lock").ok());
}

// What the callers of these rely on, at each point where the power may go.
TEST(PowerCutTest, AReplacedFileHasOneOfItsContents) {
  FaultFileSystem fs;
  ASSERT_TRUE(CreateDirectoriesSynced(fs, "/d").ok());
  ASSERT_TRUE(fs.AtomicWriteFile("/d/list", AsBytes("old")).ok());
  size_t cuts = 0;
  fs.SetObserver([&](const FileOperation&) {
    for (const PowerCut cut : {PowerCut::kDropUnsynced, PowerCut::kKeepEntries, PowerCut::kKeepAll, PowerCut::kMixed}) {
      for (uint64_t seed = 0; seed < (cut == PowerCut::kMixed ? 16 : 1); ++seed) {
        const std::string text = Text(*fs.AfterPowerCut(cut, seed), "/d/list");
        EXPECT_TRUE(text == "old" || text == "new") << text;
        ++cuts;
      }
    }
  });
  ASSERT_TRUE(fs.AtomicWriteFile("/d/list", AsBytes("new")).ok());
  EXPECT_EQ(cuts, 5u * 19);
  EXPECT_EQ(Text(*fs.AfterPowerCut(PowerCut::kDropUnsynced), "/d/list"), "new");
}

TEST(PowerCutTest, AFailedReplacementLeavesNoTemporaryFile) {
  for (uint64_t nth = 1; nth <= 5; ++nth) {
    SCOPED_TRACE(nth);
    FaultFileSystem fs;
    ASSERT_TRUE(CreateDirectoriesSynced(fs, "/d").ok());
    ASSERT_TRUE(fs.AtomicWriteFile("/d/list", AsBytes("old")).ok());
    fs.FailChanges(nth, ENOSPC);
    EXPECT_FALSE(fs.AtomicWriteFile("/d/list", AsBytes("new")).ok());
    EXPECT_EQ(fs.ListDirectory("/d").value().size(), 1u);
    EXPECT_EQ(Text(fs, "/d/list"), nth == 5 ? "new" : "old");
    fs.SetFault({});
    ASSERT_TRUE(fs.AtomicWriteFile("/d/list", AsBytes("newer")).ok());
    EXPECT_EQ(Text(*fs.AfterPowerCut(PowerCut::kDropUnsynced), "/d/list"), "newer");
  }
}

TEST(PowerCutTest, AnInterruptedRemovalIsNoticed) {
  FaultFileSystem fs;
  ASSERT_TRUE(CreateDirectoriesSynced(fs, "/d/month").ok());
  for (const char* name : {"/d/month/a", "/d/month/b"}) ASSERT_TRUE(WriteFileSynced(fs, name, AsBytes("x")).ok());
  ASSERT_TRUE(fs.SyncDirectory("/d/month").ok());
  fs.SetObserver([&](const FileOperation&) {
    for (uint64_t seed = 0; seed < 16; ++seed) {
      const auto left = fs.AfterPowerCut(PowerCut::kMixed, seed);
      if (!left->Exists("/d/month")) continue;
      const bool whole = left->Exists("/d/month/a") && left->Exists("/d/month/b");
      EXPECT_TRUE(whole || IsPartiallyRemoved(*left, "/d/month").value());
    }
  });
  ASSERT_TRUE(RemoveDirectory(fs, "/d/month").ok());
  EXPECT_FALSE(fs.Exists("/d/month"));
}

}  // namespace
}  // namespace vm::fs
