#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/result.h"
#include "lib/fs/file_system.h"
#include "storage/indexdb/indexdb.h"

namespace vm::storage {

/// One index table of versions before v1.133: of all months, to be read. Nothing but deletions is written to it.
class LegacyIndex {
 public:
  LegacyIndex(fs::FileSystem& files, std::string path, std::unique_ptr<indexdb::IndexDb> index)
      : files_(files), path_(std::move(path)), index_(std::move(index)) {}
  /// Removes the directory of a dropped table.
  ~LegacyIndex();
  LegacyIndex(const LegacyIndex&) = delete;
  LegacyIndex& operator=(const LegacyIndex&) = delete;

  indexdb::IndexDb& index() noexcept { return *index_; }
  void DropOnLastRelease() noexcept { must_drop_.store(true); }

 private:
  fs::FileSystem& files_;
  const std::string path_;
  std::unique_ptr<indexdb::IndexDb> index_;
  std::atomic<bool> must_drop_{false};
};

/// The tables below <storageDataPath>/indexdb, at most two: the previous and the current one of the version that wrote
/// them. Thread-safe. Reference: VictoriaMetrics lib/storage/storage_legacy.go.
class LegacyIndexes {
 public:
  /// Open what is there; surplus tables are removed as the reference does. Without the directory there are none.
  /// `composite_since_ms` is the content of metadata/minTimestampForCompositeIndex. Errors: kIo, kCorrupted.
  static Result<std::unique_ptr<LegacyIndexes>> Open(fs::FileSystem& files, const std::string& path,
                                                     int64_t composite_since_ms,
                                                     std::shared_ptr<mergeset::Caches> caches);

  /// Oldest first.
  std::vector<std::shared_ptr<LegacyIndex>> All() const VM_EXCLUDES(mutex_);
  bool empty() const VM_EXCLUDES(mutex_);
  /// Give up the oldest table; its directory goes with the last reader.
  void DropOldest() VM_EXCLUDES(mutex_);
  /// Link all tables below the new directory `path`.
  Status CreateSnapshot(const std::string& path) const VM_EXCLUDES(mutex_);
  /// Write deletions to disk.
  Status Flush() VM_EXCLUDES(mutex_);
  Status Close() VM_EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<LegacyIndex>> tables_ VM_GUARDED_BY(mutex_);
};

/// Unix seconds when the oldest table has to go: the next multiple of the retention, 04:00 UTC, moved by
/// -retentionTimezoneOffset.
int64_t NextLegacyDeadline(int64_t now_s, int64_t retention_s, int64_t offset_s);

}  // namespace vm::storage
