#include "storage/engine/directory.h"

#include "lib/encoding/int.h"
#include "lib/model/time_range.h"

namespace vm::storage {
namespace {

/// The original trusts the ids in its caches without asking the index: they must not outlive our first write. Ours carry
/// a digest and stay, unless the operator left the original's mark.
Status CleanCacheDirectory(fs::FileSystem& file_system, const std::string& path) {
  VM_TRY(file_system.CreateDirectories(path));
  if (file_system.Exists(fs::Join(path, "reset_cache_on_startup"))) {
    VM_TRY(fs::RemoveContents(file_system, path));
    return file_system.SyncDirectory(path);
  }
  VM_ASSIGN_OR_RETURN(const auto entries, file_system.ListDirectory(path));
  for (const fs::DirEntry& entry : entries) {
    if (entry.name == kSeriesCacheFile || entry.name == kNameUsageFile) continue;
    const std::string entry_path = fs::Join(path, entry.name);
    VM_TRY(entry.is_directory ? fs::RemoveDirectory(file_system, entry_path) : file_system.RemoveFile(entry_path));
  }
  return file_system.SyncDirectory(path);
}

/// Composite rows exist for all series registered from that time on: since ever in a new directory, from the day
/// after tomorrow on when there is an index of a version that may lack them.
Status CreateMinTimestampForCompositeIndex(fs::FileSystem& file_system, const std::string& root,
                                           int64_t now_ms) {
  const std::string directory = root + "/metadata";
  const std::string path = directory + "/minTimestampForCompositeIndex";
  VM_TRY(file_system.CreateDirectories(directory));
  if (file_system.Exists(path)) {
    VM_ASSIGN_OR_RETURN(const ByteBuffer content, file_system.ReadFile(path));
    if (content.size() == 8) return Ok();
  }
  int64_t min_timestamp = 0;
  if (file_system.Exists(root + "/indexdb")) {
    min_timestamp = (now_ms / model::kMsecPerDay + 2) * model::kMsecPerDay;
  }
  ByteBuffer content;
  AppendBigEndian(content, encoding::ZigZag64(min_timestamp));
  return file_system.AtomicWriteFile(path, content);
}

}  // namespace

Result<std::unique_ptr<fs::FileLock>> OpenStorageDirectory(fs::FileSystem& file_system,
                                                           const std::string& path,
                                                           int64_t now_ms) {
  VM_TRY(fs::CreateDirectoriesSynced(file_system, path));
  auto lock = file_system.LockFile(path + "/flock.lock");
  if (!lock.ok()) {
    return std::move(lock).error().WithContext(
        "cannot create lock file; make sure a single process has exclusive access to \"" + path +
        "\"");
  }
  const std::string restore = path + "/restore-in-progress";
  if (file_system.Exists(restore)) {
    return Error(ErrorCode::kCorrupted,
                 "incomplete vmrestore run; run vmrestore again or remove lock file \"" + restore +
                     "\"");
  }
  VM_TRY(CleanCacheDirectory(file_system, path + "/cache"));
  VM_TRY(file_system.CreateDirectories(path + "/snapshots"));
  VM_TRY(CreateMinTimestampForCompositeIndex(file_system, path, now_ms));
  VM_TRY(file_system.SyncDirectory(path));
  return lock;
}

}  // namespace vm::storage
