#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::metrics {
class Registry;
}

namespace vm::fs {

/// Appends to one new file. Bytes are buffered; they are durable after Sync. Not thread-safe.
/// Destroying an open writer closes it without syncing.
class FileWriter {
 public:
  virtual ~FileWriter() = default;
  virtual Status Append(ByteView bytes) = 0;
  /// Write what is buffered and fsync the file.
  virtual Status Sync() = 0;
  /// Write what is buffered and close. Does not sync.
  virtual Status Close() = 0;
};

/// Reads one immutable file at random offsets. Thread-safe.
class FileReader {
 public:
  virtual ~FileReader() = default;
  virtual uint64_t size() const noexcept = 0;
  /// Fill all of `dst` from `offset`. Errors: kCorrupted when the file is shorter, kIo otherwise.
  virtual Status ReadAt(uint64_t offset, std::span<uint8_t> dst) const = 0;
  /// Return `size` bytes at `offset`: a view into the mapping when the file is mapped, else bytes read
  /// into `scratch`. The view lives as long as the reader and `scratch` both do, unchanged.
  /// Errors: as ReadAt.
  virtual Result<ByteView> View(uint64_t offset, size_t size, ByteBuffer& scratch) const = 0;
};

/// Exclusive lock on a file; released when destroyed.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct DirEntry {
  std::string name;
  bool is_directory = false;  // Symbolic links are followed.
  bool is_symlink = false;
};

/// What the storage does with files: a seam, so that tests can fail it and cut its power. Thread-safe.
/// Errors are kIo unless stated.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// Create or truncate a file.
  virtual Result<std::unique_ptr<FileWriter>> CreateWriter(const std::string& path) = 0;
  virtual Result<std::unique_ptr<FileReader>> OpenReader(const std::string& path) = 0;
  virtual Result<ByteBuffer> ReadFile(const std::string& path) = 0;
  /// Replace `path` by a file with these bytes: a temporary file, fsync, rename, fsync of the parent.
  /// After a crash the old or the new content is there. After an error too: the new one only when the parent alone
  /// could not be synced, so what both contents need must stay.
  virtual Status AtomicWriteFile(const std::string& path, ByteView bytes) = 0;
  /// Create a directory with its parents. It is no error when it exists.
  virtual Status CreateDirectories(const std::string& path) = 0;
  /// Create one directory. Errors: kIo also when it exists.
  virtual Status CreateDirectory(const std::string& path) = 0;
  /// Make the entries of a directory durable.
  virtual Status SyncDirectory(const std::string& path) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  virtual Status RemoveFile(const std::string& path) = 0;
  /// Remove a directory that has no entries.
  virtual Status RemoveEmptyDirectory(const std::string& path) = 0;
  /// Make `to` a second name of the file `from`.
  virtual Status HardLink(const std::string& from, const std::string& to) = 0;
  virtual Status SymLink(const std::string& target, const std::string& path) = 0;
  /// Entries without "." and "..", sorted by name.
  virtual Result<std::vector<DirEntry>> ListDirectory(const std::string& path) = 0;
  /// False only when there is surely nothing of that name.
  virtual bool Exists(const std::string& path) = 0;
  /// Bytes that an unprivileged process may still write below `path`.
  virtual Result<uint64_t> FreeSpace(const std::string& path) = 0;
  /// Create the file when missing and lock it. Errors: kUnavailable when another process holds it.
  virtual Result<std::unique_ptr<FileLock>> LockFile(const std::string& path) = 0;
};

struct RealFileSystemOptions {
  bool use_mmap = true;  // -fs.disableMmap clears it.
};

/// Make a read error in a mapping end the process with a FATAL line on stderr that names the file and the offset, and
/// exit status 255. Without it the kernel's SIGBUS says nothing. Call once, before threads start; other bus errors keep
/// their effect.
void ReportBusErrors();

/// The operating system's files.
std::unique_ptr<FileSystem> NewRealFileSystem(const RealFileSystemOptions& options = {});
/// A process-wide instance with default options.
FileSystem& RealFileSystem();

/// Show what all real file systems of the process did: `vm_filestream_*` (files written from front to back or read whole)
/// and `vm_fs_*` (reads at an offset). Names are the reference's (lib/filestream, lib/fs). They are the process's.
void RegisterFileMetrics(metrics::Registry& registry);
/// Show `vm_fs_info{path,fs_type}` for a directory that exists.
void RegisterPathMetrics(metrics::Registry& registry, const std::string& path);

/// Name of the file that marks a directory as being removed.
inline constexpr std::string_view kDeleteMarker = ".delete-this-dir";

/// Remove a directory with everything in it so that a crash in between is noticed at the next start: marker, fsync,
/// content, fsync, marker, fsync, directory. A missing directory is no error.
/// Reference: VictoriaMetrics lib/fs/dir_remover.go.
Status RemoveDirectory(FileSystem& fs, const std::string& path);
/// Remove a directory that no list names any more: without a marker, since what an interruption leaves is removed as
/// unlisted at the next start. Needs no free space. A missing directory is no error.
Status RemoveUnlistedDirectory(FileSystem& fs, const std::string& path);
/// Whether a directory carries the marker or has no entries: it is what an interrupted removal leaves.
Result<bool> IsPartiallyRemoved(FileSystem& fs, const std::string& path);
/// Remove what is in a directory, but not the directory itself.
Status RemoveContents(FileSystem& fs, const std::string& path);

/// Replace `path` by a file with these bytes, written as `temporary` first: fsync, rename, fsync of the parent. After
/// an error `path` may have either content when the parent could not be synced, else the old one; `temporary` is gone.
/// What AtomicWriteFile does.
Status ReplaceFile(FileSystem& fs, const std::string& temporary, const std::string& path, ByteView bytes);
/// Create a directory with its parents, and make the entries of all of them durable.
Status CreateDirectoriesSynced(FileSystem& fs, const std::string& path);
/// Write a new file and fsync it.
Status WriteFileSynced(FileSystem& fs, const std::string& path, ByteView bytes);
/// fsync a directory and the one that holds it.
Status SyncDirectoryAndParent(FileSystem& fs, const std::string& path);

/// `a`/`b` with one slash.
std::string Join(std::string_view a, std::string_view b);
/// Everything before the last slash.
std::string ParentPath(std::string_view path);

}  // namespace vm::fs
