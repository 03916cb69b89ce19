#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/fs/file_system.h"

namespace vm::fs {

/// What a FileSystem is asked to do. All but the last three change something.
enum class FileOperationKind : uint8_t {
  kCreate,
  kWrite,
  kSync,
  kMakeDirectory,
  kSyncDirectory,
  kRename,
  kRemove,
  kLink,
  kOpen,
  kRead,
  kList,
};

struct FileOperation {
  FileOperationKind kind = FileOperationKind::kCreate;
  std::string path;
  uint64_t number = 0;  // 1 for the first change; 0 for what changes nothing.

  bool changes() const noexcept { return number > 0; }
};

/// What a disk holds when the power has gone.
enum class PowerCut : uint8_t {
  kDropUnsynced,  // Only what was synced: bytes of files and entries of directories.
  kKeepEntries,   // All entries, but only synced bytes: a renamed file may be empty.
  kKeepAll,       // Everything, as after a killed process.
  kMixed,         // Of what was not synced some is there, some is not, some is torn; chosen by a seed.
};

/// Files in memory that fail, tear, run full and lose power on command: the double of FileSystem for tests.
///
/// It keeps apart what was written and what was synced, for bytes and for directory entries alike: a new file survives
/// a power cut when both it and its directory were synced. Bytes whose sync failed never become durable, as on Linux.
/// Views are copies in the caller's scratch, as without mmap. Thread-safe.
class FaultFileSystem final : public FileSystem {
 public:
  FaultFileSystem();
  ~FaultFileSystem() override;

  /// Changes so far; those that failed count.
  uint64_t changes() const;

  /// Ask `fault` before each operation: 0, or the errno it fails with. Of a failing write the first half is written.
  /// It runs under the lock of the file system and must not call it. Empty: nothing fails.
  void SetFault(std::function<int(const FileOperation&)> fault);
  /// A fault: `count` changes fail with `error_number`, beginning with the `nth` from now.
  void FailChanges(uint64_t nth, int error_number, uint64_t count = 1);
  /// Bytes that may still be written; removing files gives theirs back. Without room nothing can be created either.
  void SetFreeSpace(uint64_t bytes);

  /// Called after each change that did not fail, without locks.
  void SetObserver(std::function<void(const FileOperation&)> observer);

  /// A new file system with what the disk would hold if the power went now.
  std::unique_ptr<FaultFileSystem> AfterPowerCut(PowerCut cut, uint64_t seed = 0) const;

  Result<std::unique_ptr<FileWriter>> CreateWriter(const std::string& path) override;
  Result<std::unique_ptr<FileReader>> OpenReader(const std::string& path) override;
  Result<ByteBuffer> ReadFile(const std::string& path) override;
  Status AtomicWriteFile(const std::string& path, ByteView bytes) override;
  Status CreateDirectories(const std::string& path) override;
  Status CreateDirectory(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status RemoveFile(const std::string& path) override;
  Status RemoveEmptyDirectory(const std::string& path) override;
  Status HardLink(const std::string& from, const std::string& to) override;
  Status SymLink(const std::string& target, const std::string& path) override;
  Result<std::vector<DirEntry>> ListDirectory(const std::string& path) override;
  bool Exists(const std::string& path) override;
  Result<uint64_t> FreeSpace(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> LockFile(const std::string& path) override;

 private:
  struct Node;
  struct Place;
  struct State;
  class Writer;
  class Reader;
  class Lock;

  // Shared with writers, readers and locks, which may outlive the file system.
  std::shared_ptr<State> state_;
};

}  // namespace vm::fs
