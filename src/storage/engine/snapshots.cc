#include <algorithm>
#include <chrono>
#include <optional>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "lib/log/log.h"
#include "storage/engine/engine_impl.h"

// Snapshots: <path>/snapshots/<name>, and the links below data/{small,big,indexdb}/snapshots/<name>.
// Format: docs/format/directory.md.
namespace vm::storage {
namespace {

constexpr const char* kKinds[] = {"small", "big", "indexdb"};
// Ends the name of a snapshot that is being made; such names are not listed.
constexpr std::string_view kUnfinished = ".tmp";

/// Unix milliseconds of the name of a snapshot, "20240910123456-18EA24E83B59AE86"; nothing for other names.
std::optional<int64_t> SnapshotTime(std::string_view name) {
  using namespace std::chrono;
  const size_t dash = name.find('-');
  if (dash != 14 || name.size() == 15) return std::nullopt;
  const auto all = [](std::string_view text, std::string_view of) { return text.find_first_not_of(of) == text.npos; };
  if (!all(name.substr(0, 14), "0123456789") || !all(name.substr(15), "0123456789ABCDEFabcdef")) return std::nullopt;
  const auto number = [&](size_t at, size_t size) {
    unsigned n = 0;
    for (const char c : name.substr(at, size)) n = n * 10 + static_cast<unsigned>(c - '0');
    return n;
  };
  const year_month_day day(year(static_cast<int>(number(0, 4))), month(number(4, 2)), std::chrono::day(number(6, 2)));
  const unsigned hour = number(8, 2), minute = number(10, 2), second = number(12, 2);
  if (!day.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const auto time = sys_days(day) + hours(hour) + minutes(minute) + seconds(second);
  return duration_cast<milliseconds>(time.time_since_epoch()).count();
}

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::vector<std::string> EngineImpl::SnapshotPaths(const std::string& name) const {
  std::vector<std::string> paths = {options_.path + "/snapshots/" + name};
  for (const char* kind : kKinds) paths.push_back(fmt::format("{}/data/{}/snapshots/{}", options_.path, kind, name));
  paths.push_back(options_.path + "/indexdb/snapshots/" + name);
  return paths;
}

Result<std::string> EngineImpl::CreateSnapshot() {
  VM_LOG_INFO("creating Storage snapshot for \"{}\"...", options_.path);
  const auto start = std::chrono::steady_clock::now();
  MutexLock lock(snapshot_mutex_);
  const std::string name =
      fmt::format("{:%Y%m%d%H%M%S}-{:08X}", fmt::gmtime(static_cast<time_t>(options_.now_ms() / 1000)),
                  next_snapshot_.fetch_add(1, std::memory_order_relaxed) + 1);
  if (Status status = WriteSnapshot(name); !status.ok()) {
    if (Status removed = RemoveSnapshot(name); !removed.ok()) {
      VM_LOG_ERROR("cannot remove the unfinished snapshot \"{}\": {}", name, removed.error().message());
    }
    return std::move(status).error().WithContext(fmt::format("cannot create snapshot \"{}\"", name));
  }
  VM_LOG_INFO("created Storage snapshot for \"{}\" at \"{}\" in {:.3f} seconds", options_.path,
              SnapshotPaths(name).front(), SecondsSince(start));
  return name;
}

Status EngineImpl::WriteSnapshot(const std::string& name) {
  // From here on an interrupted snapshot is found at the next start, with all of its links.
  VM_TRY(fs::CreateDirectoriesSynced(file_system_, SnapshotPaths(name).front() + std::string(kUnfinished)));
  for (const PartitionRef& partition : table_->AllPartitions()) VM_TRY(partition->CreateSnapshot(name));
  // The directory gets its own name last: only whole snapshots are listed.
  const std::string final_path = SnapshotPaths(name).front();
  const std::string path = final_path + std::string(kUnfinished);
  const std::string data = path + "/data";
  VM_TRY(file_system_.CreateDirectories(data));
  for (const char* kind : kKinds) {
    const std::string links = fmt::format("{}/data/{}/snapshots/{}", options_.path, kind, name);
    VM_TRY(file_system_.CreateDirectories(links));
    VM_TRY(fs::SyncDirectoryAndParent(file_system_, fs::ParentPath(links)));
    VM_TRY(file_system_.SymLink(fmt::format("../../../data/{}/snapshots/{}", kind, name), fs::Join(data, kind)));
  }
  VM_TRY(file_system_.SyncDirectory(data));
  if (!legacy_->empty()) {
    const std::string links = options_.path + "/indexdb/snapshots/" + name;
    VM_TRY(legacy_->CreateSnapshot(links));
    VM_TRY(fs::SyncDirectoryAndParent(file_system_, links));
    VM_TRY(fs::SyncDirectoryAndParent(file_system_, fs::ParentPath(links)));  // The first snapshot made that folder.
    VM_TRY(file_system_.SymLink("../../indexdb/snapshots/" + name, path + "/indexdb"));
  }
  const std::string metadata = options_.path + "/metadata";
  VM_TRY(file_system_.CreateDirectories(path + "/metadata"));
  VM_ASSIGN_OR_RETURN(const auto entries, file_system_.ListDirectory(metadata));
  for (const fs::DirEntry& entry : entries) {
    if (entry.is_directory) continue;
    VM_ASSIGN_OR_RETURN(const ByteBuffer bytes, file_system_.ReadFile(fs::Join(metadata, entry.name)));
    VM_TRY(fs::WriteFileSynced(file_system_, fs::Join(path + "/metadata", entry.name), bytes));
  }
  VM_TRY(file_system_.SyncDirectory(path + "/metadata"));
  VM_TRY(file_system_.SyncDirectory(path));
  VM_TRY(file_system_.Rename(path, final_path));
  return file_system_.SyncDirectory(fs::ParentPath(final_path));
}

Result<std::vector<std::string>> EngineImpl::ListSnapshots() {
  VM_ASSIGN_OR_RETURN(const auto entries, file_system_.ListDirectory(options_.path + "/snapshots"));
  std::vector<std::string> names;
  for (const fs::DirEntry& entry : entries) {
    if (SnapshotTime(entry.name)) names.push_back(entry.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status EngineImpl::RemoveSnapshot(const std::string& name) {
  std::vector<std::string> paths = SnapshotPaths(name);
  const std::string unfinished = paths.front() + std::string(kUnfinished);
  // Half a snapshot must not be listed; an interrupted deletion goes on at the next start.
  if (file_system_.Exists(paths.front())) {
    // A power cut amid a renaming may leave both names.
    if (file_system_.Exists(unfinished)) VM_TRY(fs::RemoveDirectory(file_system_, unfinished));
    VM_TRY(file_system_.Rename(paths.front(), unfinished));
    VM_TRY(file_system_.SyncDirectory(fs::ParentPath(unfinished)));
  }
  paths.front() = unfinished;
  for (auto path = paths.rbegin(); path != paths.rend(); ++path) {
    if (!file_system_.Exists(*path)) continue;
    VM_TRY(fs::RemoveDirectory(file_system_, *path));
    VM_TRY(file_system_.SyncDirectory(fs::ParentPath(*path)));
  }
  return Ok();
}

Status EngineImpl::RemoveUnfinishedSnapshots() {
  MutexLock lock(snapshot_mutex_);
  VM_ASSIGN_OR_RETURN(const auto entries, file_system_.ListDirectory(options_.path + "/snapshots"));
  for (const fs::DirEntry& entry : entries) {
    if (!entry.name.ends_with(kUnfinished)) continue;
    const std::string name = entry.name.substr(0, entry.name.size() - kUnfinished.size());
    if (!SnapshotTime(name)) continue;
    VM_LOG_INFO("removing the snapshot \"{}\" that was not finished", name);
    VM_TRY(RemoveSnapshot(name));
  }
  return Ok();
}

Status EngineImpl::DeleteSnapshot(const std::string& name) {
  MutexLock lock(snapshot_mutex_);
  VM_ASSIGN_OR_RETURN(const auto names, ListSnapshots());
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    return Error(ErrorCode::kInvalidInput, fmt::format("cannot find snapshot \"{}\"", name));
  }
  const std::string path = SnapshotPaths(name).front();
  VM_LOG_INFO("deleting snapshot \"{}\"...", path);
  const auto start = std::chrono::steady_clock::now();
  if (Status status = RemoveSnapshot(name); !status.ok()) {
    return std::move(status).error().WithContext(fmt::format("cannot delete snapshot \"{}\"", name));
  }
  VM_LOG_INFO("deleted snapshot \"{}\" in {:.3f} seconds", path, SecondsSince(start));
  return Ok();
}

Status EngineImpl::DeleteStaleSnapshots(int64_t max_age_ms) {
  VM_ASSIGN_OR_RETURN(const auto names, ListSnapshots());
  for (const std::string& name : names) {
    if (*SnapshotTime(name) < options_.now_ms() - max_age_ms) VM_TRY(DeleteSnapshot(name));
  }
  return Ok();
}

}  // namespace vm::storage
