#include "storage/engine/legacy_index.h"

#include <algorithm>

#include "lib/log/log.h"

namespace vm::storage {
namespace {

constexpr size_t kTablesWritten = 3;  // Previous, current, next.
constexpr size_t kTablesRead = 2;

bool IsTableName(std::string_view name) {
  return name.size() == 16 && name.find_first_not_of("0123456789ABCDEF") == std::string_view::npos;
}

Status RemoveTable(fs::FileSystem& files, const std::string& path) {
  VM_LOG_INFO("removing obsolete indexdb dir \"{}\"...", path);
  VM_TRY(fs::RemoveDirectory(files, path));
  VM_LOG_INFO("removed obsolete indexdb dir \"{}\"", path);
  return Ok();
}

}  // namespace

LegacyIndex::~LegacyIndex() {
  index_.reset();
  if (!must_drop_.load()) return;
  if (Status status = RemoveTable(files_, path_); !status.ok()) {
    VM_LOG_ERROR("cannot remove the old index \"{}\": {}", path_, status.error().message());
  }
}

Result<std::unique_ptr<LegacyIndexes>> LegacyIndexes::Open(fs::FileSystem& files, const std::string& path,
                                                           int64_t composite_since_ms,
                                                           std::shared_ptr<mergeset::Caches> caches) {
  auto indexes = std::make_unique<LegacyIndexes>();
  if (!files.Exists(path)) return indexes;
  VM_ASSIGN_OR_RETURN(const auto entries, files.ListDirectory(path));
  std::vector<std::string> names;
  for (const fs::DirEntry& entry : entries) {
    if (!entry.is_directory || !IsTableName(entry.name)) continue;
    const std::string table_path = fs::Join(path, entry.name);
    VM_ASSIGN_OR_RETURN(const bool removed, fs::IsPartiallyRemoved(files, table_path));
    if (removed) {
      VM_TRY(fs::RemoveDirectory(files, table_path));
    } else {
      names.push_back(entry.name);
    }
  }
  std::sort(names.begin(), names.end());
  while (names.size() > kTablesWritten) {
    VM_TRY(RemoveTable(files, fs::Join(path, names.front())));
    names.erase(names.begin());
  }
  if (names.size() > kTablesRead) {
    // Nothing was registered in it but what the current one has.
    VM_TRY(RemoveTable(files, fs::Join(path, names.back())));
    names.pop_back();
  }
  for (const std::string& name : names) {
    indexdb::Options options;
    options.file_system = &files;
    options.time_range = {0, INT64_MAX};
    options.composite_since_ms = composite_since_ms;
    options.caches = caches;
    const std::string table_path = fs::Join(path, name);
    VM_ASSIGN_OR_RETURN(auto index, indexdb::IndexDb::Open(table_path, name, options));
    MutexLock lock(indexes->mutex_);
    indexes->tables_.push_back(std::make_shared<LegacyIndex>(files, table_path, std::move(index)));
  }
  return indexes;
}

std::vector<std::shared_ptr<LegacyIndex>> LegacyIndexes::All() const {
  MutexLock lock(mutex_);
  return tables_;
}

bool LegacyIndexes::empty() const {
  MutexLock lock(mutex_);
  return tables_.empty();
}

void LegacyIndexes::DropOldest() {
  std::shared_ptr<LegacyIndex> oldest;  // Outlives the lock: removing a folder takes time.
  MutexLock lock(mutex_);
  if (tables_.empty()) return;
  oldest = std::move(tables_.front());
  tables_.erase(tables_.begin());
  oldest->DropOnLastRelease();
}

Status LegacyIndexes::CreateSnapshot(const std::string& path) const {
  for (const auto& table : All()) {
    VM_TRY(table->index().FlushToDisk());
    VM_TRY(table->index().CreateSnapshot(fs::Join(path, table->index().name())));
  }
  return Ok();
}

Status LegacyIndexes::Flush() {
  for (const auto& table : All()) VM_TRY(table->index().FlushToDisk());
  return Ok();
}

Status LegacyIndexes::Close() {
  for (const auto& table : All()) VM_TRY(table->index().Close());
  MutexLock lock(mutex_);
  tables_.clear();
  return Ok();
}

int64_t NextLegacyDeadline(int64_t now_s, int64_t retention_s, int64_t offset_s) {
  constexpr int64_t kDay = 24 * 3600;
  const int64_t retention = (retention_s + kDay - 1) / kDay * kDay;
  const int64_t offset = (offset_s - 4 * 3600) % retention;
  return (now_s + offset + retention - 1) / retention * retention - offset;
}

}  // namespace vm::storage
