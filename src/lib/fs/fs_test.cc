#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <map>

#include "lib/fs/file_system.h"
#include "lib/metrics/metrics.h"

namespace vm::fs {
namespace {

class FileSystemTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    char name[] = "/tmp/vm_fs_test_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
    fs_ = NewRealFileSystem({.use_mmap = GetParam()});
  }
  void TearDown() override { EXPECT_TRUE(RemoveDirectory(*fs_, root_).ok()); }

  std::string root_;
  std::unique_ptr<FileSystem> fs_;
};

TEST_P(FileSystemTest, ReadsBackWhatWasAppended) {
  const std::string path = Join(root_, "f");
  auto writer = fs_->CreateWriter(path);
  ASSERT_TRUE(writer.ok());
  const ByteBuffer big(200'000, 7);
  ASSERT_TRUE(writer.value()->Append(AsBytes("abc")).ok());
  ASSERT_TRUE(writer.value()->Append(big).ok());
  ASSERT_TRUE(writer.value()->Append(AsBytes("xyz")).ok());
  ASSERT_TRUE(writer.value()->Sync().ok());
  ASSERT_TRUE(writer.value()->Close().ok());

  auto reader = fs_->OpenReader(path);
  ASSERT_TRUE(reader.ok());
  ASSERT_EQ(reader.value()->size(), 200'006u);
  ByteBuffer scratch;
  auto tail = reader.value()->View(200'003, 3, scratch);
  ASSERT_TRUE(tail.ok());
  EXPECT_EQ(AsText(tail.value()), "xyz");
  EXPECT_FALSE(reader.value()->View(200'004, 3, scratch).ok());
  EXPECT_FALSE(reader.value()->View(~0ull, 3, scratch).ok());
  auto all = fs_->ReadFile(path);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all.value().size(), 200'006u);
}

TEST_P(FileSystemTest, ReplacesAFileAtomically) {
  const std::string path = Join(root_, "parts.json");
  ASSERT_TRUE(fs_->AtomicWriteFile(path, AsBytes("old")).ok());
  ASSERT_TRUE(fs_->AtomicWriteFile(path, AsBytes("new")).ok());
  EXPECT_EQ(AsText(fs_->ReadFile(path).value()), "new");
  EXPECT_EQ(fs_->ListDirectory(root_).value().size(), 1u);
}

TEST_P(FileSystemTest, RemovesDirectoriesAndNoticesHalfRemovedOnes) {
  const std::string dir = Join(root_, "a/b");
  ASSERT_TRUE(fs_->CreateDirectories(dir).ok());
  EXPECT_TRUE(IsPartiallyRemoved(*fs_, dir).value());
  ASSERT_TRUE(WriteFileSynced(*fs_, Join(dir, "f"), AsBytes("x")).ok());
  EXPECT_FALSE(IsPartiallyRemoved(*fs_, dir).value());
  ASSERT_TRUE(WriteFileSynced(*fs_, Join(dir, kDeleteMarker), {}).ok());
  EXPECT_TRUE(IsPartiallyRemoved(*fs_, dir).value());
  ASSERT_TRUE(RemoveDirectory(*fs_, Join(root_, "a")).ok());
  EXPECT_FALSE(fs_->Exists(Join(root_, "a")));
  EXPECT_TRUE(RemoveDirectory(*fs_, Join(root_, "a")).ok());
}

TEST_P(FileSystemTest, DoesNotFollowLinksWhenRemoving) {
  ASSERT_TRUE(fs_->CreateDirectories(Join(root_, "kept")).ok());
  ASSERT_TRUE(WriteFileSynced(*fs_, Join(root_, "kept/f"), {}).ok());
  ASSERT_TRUE(fs_->CreateDirectories(Join(root_, "gone")).ok());
  ASSERT_TRUE(fs_->SymLink("../kept", Join(root_, "gone/link")).ok());
  ASSERT_TRUE(RemoveDirectory(*fs_, Join(root_, "gone")).ok());
  EXPECT_TRUE(fs_->Exists(Join(root_, "kept/f")));
}

TEST_P(FileSystemTest, WhatCannotBeLookedAtIsNotAbsent) {
  EXPECT_FALSE(fs_->Exists(Join(root_, "none")));
  EXPECT_FALSE(fs_->Exists(Join(root_, "none/below")));
  ASSERT_TRUE(WriteFileSynced(*fs_, Join(root_, "f"), {}).ok());
  EXPECT_FALSE(fs_->Exists(Join(root_, "f/below")));
  // A loop of links is an error that root gets, too.
  ASSERT_TRUE(fs_->SymLink("loop", Join(root_, "loop")).ok());
  EXPECT_TRUE(fs_->Exists(Join(root_, "loop")));
  EXPECT_FALSE(fs_->ReadFile(Join(root_, "loop")).ok());
}

TEST_P(FileSystemTest, RefusesASecondLock) {
  const std::string path = Join(root_, "flock.lock");
  auto first = fs_->LockFile(path);
  ASSERT_TRUE(first.ok());
  auto second = fs_->LockFile(path);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kUnavailable);
  first.value().reset();
  EXPECT_TRUE(fs_->LockFile(path).ok());
}

// A page beyond the end of a file that was cut is what a disk error in a mapping is to the process.
TEST_P(FileSystemTest, AnUnreadablePageIsReportedWithFileAndOffset) {
  const std::string path = Join(root_, "values.bin");
  ASSERT_TRUE(WriteFileSynced(*fs_, path, ByteBuffer(50'000, 7)).ok());
  const auto reader = fs_->OpenReader(path);
  ASSERT_TRUE(reader.ok());
  ASSERT_EQ(truncate(path.c_str(), 10'000), 0);
  ByteBuffer bytes(3);
  EXPECT_TRUE(reader.value()->ReadAt(9'000, bytes).ok());
  if (!GetParam()) {
    const Status status = reader.value()->ReadAt(40'000, bytes);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code(), ErrorCode::kCorrupted);
    return;
  }
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        ReportBusErrors();
        static_cast<void>(reader.value()->ReadAt(40'960, bytes).ok());
      },
      testing::ExitedWithCode(255), "FATAL: cannot read \".*/values.bin\" at offset 40960: SIGBUS");
}

INSTANTIATE_TEST_SUITE_P(MmapAndPread, FileSystemTest, testing::Bool());

TEST(FileMetricsTest, CountWhatTheFileSystemsDid) {
  metrics::Registry registry;
  RegisterFileMetrics(registry);
  const auto value = [&](const std::string& name) {
    std::string text;
    registry.Write(text);
    const size_t at = ("\n" + text).find("\n" + name + " ");
    return at == std::string::npos ? -1.0 : std::stod(text.substr(at + name.size() + 1));
  };
  // Other tests of the process counted too.
  const std::vector<std::string> names = {
      "vm_filestream_buffered_write_calls_total", "vm_filestream_buffered_written_bytes_total",
      "vm_filestream_real_write_calls_total",     "vm_filestream_real_written_bytes_total",
      "vm_filestream_fsync_calls_total",          "vm_filestream_real_read_bytes_total",
      "vm_fs_read_calls_total",                   "vm_fs_read_bytes_total"};
  std::map<std::string, double> before;
  for (const std::string& name : names) before[name] = value(name);
  const double waited = value("vm_filestream_fsync_duration_seconds_total");
  const std::string path = testing::TempDir() + "vm_file_metrics_" + std::to_string(getpid());
  for (const bool use_mmap : {true, false}) {
    const auto files = NewRealFileSystem({.use_mmap = use_mmap});
    auto writer = files->CreateWriter(path);
    ASSERT_TRUE(writer.ok());
    EXPECT_EQ(value("vm_filestream_writers"), 1);
    const ByteBuffer bytes(100);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(writer.value()->Append(bytes).ok());
    ASSERT_TRUE(writer.value()->Sync().ok());
    ASSERT_TRUE(writer.value()->Close().ok());
    writer.value().reset();
    EXPECT_EQ(value("vm_filestream_writers"), 0);
    ASSERT_TRUE(files->ReadFile(path).ok());
    const auto reader = files->OpenReader(path);
    ASSERT_TRUE(reader.ok());
    EXPECT_EQ(value("vm_fs_readers"), 1);
    ByteBuffer scratch(20);
    ASSERT_TRUE(reader.value()->View(10, 30, scratch).ok());
    scratch.resize(20);
    ASSERT_TRUE(reader.value()->ReadAt(0, scratch).ok());
    ASSERT_FALSE(reader.value()->ReadAt(290, scratch).ok());
  }
  EXPECT_EQ(value("vm_fs_readers"), 0);
  const std::vector<double> expected = {6, 600, 2, 600, 2, 600, 4, 100};
  for (size_t i = 0; i < names.size(); ++i) EXPECT_EQ(value(names[i]) - before[names[i]], expected[i]) << names[i];
  EXPECT_GT(value("vm_filestream_fsync_duration_seconds_total"), waited);
  ASSERT_TRUE(RealFileSystem().RemoveFile(path).ok());

  RegisterPathMetrics(registry, testing::TempDir());
  std::string text;
  registry.Write(text);
  EXPECT_NE(text.find("vm_fs_info{path=\"" + testing::TempDir() + "\", fs_type=\""), std::string::npos) << text;
}

TEST(PathTest, JoinsAndSplits) {
  EXPECT_EQ(Join("a", "b"), "a/b");
  EXPECT_EQ(Join("a/", "b"), "a/b");
  EXPECT_EQ(ParentPath("/a/b"), "/a");
  EXPECT_EQ(ParentPath("/a"), "/");
  EXPECT_EQ(ParentPath("a"), ".");
}

}  // namespace
}  // namespace vm::fs
