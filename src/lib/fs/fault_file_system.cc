#include "lib/fs/fault_file_system.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <utility>

namespace vm::fs {
namespace {

using Kind = FileOperationKind;

constexpr int kMaxLinks = 16;  // Symbolic links followed on the way to one file.

Error IoError(std::string_view what, const std::string& path, int code) {
  char text[128];
  return Error(ErrorCode::kIo, "cannot " + std::string(what) + " \"" + path + "\": " +
                                   strerror_r(code, text, sizeof(text)));
}

std::vector<std::string> Split(std::string_view path) {
  std::vector<std::string> names;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, slash);
    if (!name.empty() && name != ".") names.emplace_back(name);
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return names;
}

}  // namespace

/// A file, a directory or a symbolic link.
struct FaultFileSystem::Node {
  enum class Type : uint8_t { kFile, kDirectory, kLink };
  using Entries = std::map<std::string, std::shared_ptr<Node>>;

  explicit Node(Type node_type) : type(node_type) {}

  const Type type;
  // Of a file.
  ByteBuffer data;
  ByteBuffer durable;
  size_t lost_from = 0, lost_to = 0;  // Bytes whose sync failed.
  uint64_t names = 0;                 // Entries that name it.
  // Of a directory.
  Entries entries;
  Entries durable_entries;
  // Of a link.
  std::string target;
};

/// A directory and a name in it.
struct FaultFileSystem::Place {
  std::shared_ptr<Node> directory;
  std::string name;
  std::shared_ptr<Node> node;  // Null when there is none of the name.
};

struct FaultFileSystem::State {
  mutable Mutex mutex;
  std::shared_ptr<Node> root VM_GUARDED_BY(mutex) = std::make_shared<Node>(Node::Type::kDirectory);
  uint64_t changes VM_GUARDED_BY(mutex) = 0;
  std::function<int(const FileOperation&)> fault VM_GUARDED_BY(mutex);
  std::function<void(const FileOperation&)> observer VM_GUARDED_BY(mutex);
  std::optional<uint64_t> free_bytes VM_GUARDED_BY(mutex);
  std::set<const Node*> locked VM_GUARDED_BY(mutex);
  std::atomic<uint64_t> temporary_counter{0};

  /// Count the operation and ask the fault. Returns an errno or 0.
  int Begin(FileOperation& operation) VM_REQUIRES(mutex) {
    if (operation.kind < Kind::kOpen) operation.number = ++changes;
    return fault ? fault(operation) : 0;
  }
  void Observe(const FileOperation& operation) VM_EXCLUDES(mutex) {
    std::function<void(const FileOperation&)> call;
    {
      MutexLock lock(mutex);
      call = observer;
    }
    if (call) call(operation);
  }
  bool Full() const VM_REQUIRES(mutex) { return free_bytes.has_value() && *free_bytes == 0; }

  /// Where `path` leads. The errno in `code` says why to nowhere. A link in the last place is followed with `follow`.
  std::optional<Place> Find(const std::string& path, bool follow, int& code) const VM_REQUIRES(mutex) {
    std::vector<std::string> names = Split(path);
    std::vector<std::shared_ptr<Node>> above = {root};
    int links = 0;
    for (size_t i = 0; i < names.size(); ++i) {
      const bool last = i + 1 == names.size();
      if (names[i] == "..") {
        if (above.size() > 1) above.pop_back();
        continue;
      }
      const std::shared_ptr<Node> directory = above.back();
      const auto it = directory->entries.find(names[i]);
      if (it == directory->entries.end()) {
        if (last) return Place{directory, names[i], nullptr};
        code = ENOENT;
        return std::nullopt;
      }
      const std::shared_ptr<Node> node = it->second;
      if (node->type == Node::Type::kLink && (!last || follow)) {
        if (++links > kMaxLinks) {
          code = ELOOP;
          return std::nullopt;
        }
        std::vector<std::string> rest = Split(node->target);
        if (node->target.starts_with('/')) above.resize(1);
        rest.insert(rest.end(), names.begin() + static_cast<ptrdiff_t>(i) + 1, names.end());
        names = std::move(rest);
        i = static_cast<size_t>(-1);
        continue;
      }
      if (last) return Place{directory, names[i], node};
      if (node->type != Node::Type::kDirectory) {
        code = ENOTDIR;
        return std::nullopt;
      }
      above.push_back(node);
    }
    return Place{above.back(), ".", above.back()};
  }

  /// What `path` names. Nothing when `code` says already why not, or says so then; kFile and kDirectory alone are asked
  /// for.
  Place There(const std::string& path, bool follow, std::optional<Node::Type> type, int& code) const
      VM_REQUIRES(mutex) {
    if (code != 0) return {};
    std::optional<Place> place = Find(path, follow, code);
    if (code == 0 && place->node == nullptr) code = ENOENT;
    if (code == 0 && type && place->node->type != *type) code = *type == Node::Type::kFile ? EISDIR : ENOTDIR;
    return code == 0 ? *std::move(place) : Place();
  }
  /// Where `path` can be created, likewise.
  Place Vacant(const std::string& path, bool follow, int& code) const VM_REQUIRES(mutex) {
    if (code == 0 && Full()) code = ENOSPC;
    if (code != 0) return {};
    std::optional<Place> place = Find(path, follow, code);
    if (code == 0 && place->node != nullptr) code = EEXIST;
    return code == 0 ? *std::move(place) : Place();
  }

  void Forget(const std::shared_ptr<Node>& node) VM_REQUIRES(mutex) {
    if (node->type == Node::Type::kFile && --node->names == 0 && free_bytes) *free_bytes += node->data.size();
  }
};

class FaultFileSystem::Writer final : public FileWriter {
 public:
  Writer(std::shared_ptr<State> state, std::shared_ptr<Node> file, std::string path)
      : state_(std::move(state)), file_(std::move(file)), path_(std::move(path)) {}

  Status Append(ByteView bytes) override {
    FileOperation operation{Kind::kWrite, path_};
    {
      MutexLock lock(state_->mutex);
      int code = state_->Begin(operation);
      size_t size = code == 0 ? bytes.size() : bytes.size() / 2;
      if (state_->free_bytes) {
        if (size > *state_->free_bytes) {
          size = *state_->free_bytes;
          code = ENOSPC;
        }
        *state_->free_bytes -= size;
      }
      vm::Append(file_->data, bytes.first(size));
      if (code != 0) return IoError("write to", path_, code);
    }
    state_->Observe(operation);
    return Ok();
  }
  Status Sync() override {
    FileOperation operation{Kind::kSync, path_};
    {
      MutexLock lock(state_->mutex);
      Node& file = *file_;
      if (const int code = state_->Begin(operation); code != 0) {
        if (file.lost_to == 0) file.lost_from = std::min(file.durable.size(), file.data.size());
        file.lost_to = file.data.size();
        return IoError("sync", path_, code);
      }
      file.durable = file.data;
      const size_t lost_to = std::min(file.lost_to, file.durable.size());
      for (size_t i = file.lost_from; i < lost_to; ++i) file.durable[i] = 0;
    }
    state_->Observe(operation);
    return Ok();
  }
  Status Close() override { return Ok(); }

 private:
  const std::shared_ptr<State> state_;
  const std::shared_ptr<Node> file_;
  const std::string path_;
};

class FaultFileSystem::Reader final : public FileReader {
 public:
  Reader(std::shared_ptr<State> state, std::shared_ptr<Node> file, std::string path, uint64_t size)
      : state_(std::move(state)), file_(std::move(file)), path_(std::move(path)), size_(size) {}

  uint64_t size() const noexcept override { return size_; }
  Status ReadAt(uint64_t offset, std::span<uint8_t> dst) const override {
    FileOperation operation{Kind::kRead, path_};
    MutexLock lock(state_->mutex);
    if (const int code = state_->Begin(operation); code != 0) return IoError("read", path_, code);
    if (offset > size_ || dst.size() > size_ - offset || file_->data.size() < offset + dst.size()) {
      return Error(ErrorCode::kCorrupted, "cannot read " + std::to_string(dst.size()) + " bytes at offset " +
                                              std::to_string(offset) + " of \"" + path_ + "\": it holds " +
                                              std::to_string(size_) + " bytes");
    }
    if (!dst.empty()) std::memcpy(dst.data(), file_->data.data() + offset, dst.size());
    return Ok();
  }
  Result<ByteView> View(uint64_t offset, size_t size, ByteBuffer& scratch) const override {
    scratch.resize(std::min<uint64_t>(size, size_));
    if (size > size_) return Error(ErrorCode::kCorrupted, "cannot read beyond the end of \"" + path_ + "\"");
    VM_TRY(ReadAt(offset, scratch));
    return ByteView(scratch);
  }

 private:
  const std::shared_ptr<State> state_;
  const std::shared_ptr<Node> file_;
  const std::string path_;
  const uint64_t size_;
};

class FaultFileSystem::Lock final : public FileLock {
 public:
  Lock(std::shared_ptr<State> state, std::shared_ptr<Node> file) : state_(std::move(state)), file_(std::move(file)) {}
  ~Lock() override {
    MutexLock lock(state_->mutex);
    state_->locked.erase(file_.get());
  }

 private:
  const std::shared_ptr<State> state_;
  const std::shared_ptr<Node> file_;
};

FaultFileSystem::FaultFileSystem() : state_(std::make_shared<State>()) {}
FaultFileSystem::~FaultFileSystem() = default;

uint64_t FaultFileSystem::changes() const {
  MutexLock lock(state_->mutex);
  return state_->changes;
}

void FaultFileSystem::SetFault(std::function<int(const FileOperation&)> fault) {
  MutexLock lock(state_->mutex);
  state_->fault = std::move(fault);
}

void FaultFileSystem::FailChanges(uint64_t nth, int error_number, uint64_t count) {
  const uint64_t first = changes() + nth;
  SetFault([=](const FileOperation& operation) {
    return operation.number >= first && operation.number - first < count ? error_number : 0;
  });
}

void FaultFileSystem::SetFreeSpace(uint64_t bytes) {
  MutexLock lock(state_->mutex);
  state_->free_bytes = bytes;
}

void FaultFileSystem::SetObserver(std::function<void(const FileOperation&)> observer) {
  MutexLock lock(state_->mutex);
  state_->observer = std::move(observer);
}

std::unique_ptr<FaultFileSystem> FaultFileSystem::AfterPowerCut(PowerCut cut, uint64_t seed) const {
  auto left = std::make_unique<FaultFileSystem>();
  std::mt19937_64 random(seed);
  const auto coin = [&] { return (random() & 1) != 0; };
  std::map<const Node*, std::shared_ptr<Node>> copies;  // A file may have several names.
  const std::function<std::shared_ptr<Node>(const Node&)> copy = [&](const Node& node) -> std::shared_ptr<Node> {
    if (const auto it = copies.find(&node); it != copies.end()) return it->second;
    auto twin = std::make_shared<Node>(node.type);
    copies.emplace(&node, twin);
    twin->target = node.target;
    if (node.type == Node::Type::kFile) {
      twin->data = cut == PowerCut::kKeepAll || (cut == PowerCut::kMixed && coin()) ? node.data : node.durable;
      if (cut == PowerCut::kMixed && twin->data.size() > node.durable.size()) {
        const size_t unsynced = twin->data.size() - node.durable.size();
        const size_t torn = random() % (unsynced + 1);
        if (coin()) {
          twin->data.resize(twin->data.size() - torn);
        } else {
          std::fill(twin->data.end() - static_cast<ptrdiff_t>(torn), twin->data.end(), uint8_t{0});
        }
      }
      twin->durable = twin->data;
    }
    if (node.type == Node::Type::kDirectory) {
      Node::Entries entries = cut == PowerCut::kDropUnsynced ? node.durable_entries : node.entries;
      if (cut == PowerCut::kMixed) {
        for (const auto& [name, old] : node.durable_entries) {
          const auto it = entries.find(name);
          if (it != entries.end() && it->second == old) continue;
          if (coin()) entries.insert_or_assign(name, old);
        }
        std::erase_if(entries,
                      [&](const auto& entry) { return !node.durable_entries.contains(entry.first) && coin(); });
      }
      for (const auto& [name, child] : entries) {
        twin->entries.emplace(name, copy(*child));
        ++twin->entries.at(name)->names;
      }
      twin->durable_entries = twin->entries;
    }
    return twin;
  };
  MutexLock lock(state_->mutex);
  const std::shared_ptr<Node> root = copy(*state_->root);
  MutexLock left_lock(left->state_->mutex);  // Nobody else knows `left`.
  left->state_->root = root;
  return left;
}

Result<std::unique_ptr<FileWriter>> FaultFileSystem::CreateWriter(const std::string& path) {
  FileOperation operation{Kind::kCreate, path};
  std::shared_ptr<Node> file;
  {
    MutexLock lock(state_->mutex);
    int code = state_->Begin(operation);
    if (code == 0 && state_->Full()) code = ENOSPC;
    std::optional<Place> place;
    if (code == 0) place = state_->Find(path, true, code);
    if (place && place->node != nullptr && place->node->type != Node::Type::kFile) code = EISDIR;
    if (code != 0) return IoError("create", path, code);
    file = place->node;
    if (file == nullptr) {
      file = std::make_shared<Node>(Node::Type::kFile);
      file->names = 1;
      place->directory->entries.emplace(place->name, file);
    } else {
      if (state_->free_bytes) *state_->free_bytes += file->data.size();
      file->data.clear();
    }
  }
  state_->Observe(operation);
  return std::unique_ptr<FileWriter>(new Writer(state_, std::move(file), path));
}

Result<std::unique_ptr<FileReader>> FaultFileSystem::OpenReader(const std::string& path) {
  FileOperation operation{Kind::kOpen, path};
  MutexLock lock(state_->mutex);
  int code = state_->Begin(operation);
  Place place = state_->There(path, true, Node::Type::kFile, code);
  if (code != 0) return IoError("open", path, code);
  const uint64_t size = place.node->data.size();
  return std::unique_ptr<FileReader>(new Reader(state_, std::move(place.node), path, size));
}

Result<ByteBuffer> FaultFileSystem::ReadFile(const std::string& path) {
  VM_ASSIGN_OR_RETURN(const std::unique_ptr<FileReader> reader, OpenReader(path));
  ByteBuffer bytes(reader->size());
  VM_TRY(reader->ReadAt(0, bytes));
  return bytes;
}

Status FaultFileSystem::AtomicWriteFile(const std::string& path, ByteView bytes) {
  return ReplaceFile(*this, path + ".tmp." + std::to_string(++state_->temporary_counter), path, bytes);
}

Status FaultFileSystem::CreateDirectories(const std::string& path) {
  {
    MutexLock lock(state_->mutex);
    int code = 0;
    const std::optional<Place> place = state_->Find(path, true, code);
    if (place && place->node != nullptr && place->node->type == Node::Type::kDirectory) return Ok();
  }
  const std::string parent = ParentPath(path);
  if (parent != path && parent != ".") VM_TRY(CreateDirectories(parent));
  return CreateDirectory(path);
}

Status FaultFileSystem::CreateDirectory(const std::string& path) {
  FileOperation operation{Kind::kMakeDirectory, path};
  {
    MutexLock lock(state_->mutex);
    int code = state_->Begin(operation);
    const Place place = state_->Vacant(path, true, code);
    if (code != 0) return IoError("create directory", path, code);
    place.directory->entries.emplace(place.name, std::make_shared<Node>(Node::Type::kDirectory));
  }
  state_->Observe(operation);
  return Ok();
}

Status FaultFileSystem::SyncDirectory(const std::string& path) {
  FileOperation operation{Kind::kSyncDirectory, path};
  {
    MutexLock lock(state_->mutex);
    int code = state_->Begin(operation);
    const Place place = state_->There(path, true, Node::Type::kDirectory, code);
    if (code != 0) return IoError("sync directory", path, code);
    place.node->durable_entries = place.node->entries;
  }
  state_->Observe(operation);
  return Ok();
}

Status FaultFileSystem::Rename(const std::string& from, const std::string& to) {
  FileOperation operation{Kind::kRename, to};
  {
    MutexLock lock(state_->mutex);
    int code = state_->Begin(operation);
    const Place source = state_->There(from, false, std::nullopt, code);
    std::optional<Place> target;
    if (code == 0) target = state_->Find(to, false, code);
    if (code == 0 && target->node != nullptr && target->node->type == Node::Type::kDirectory) code = EISDIR;
    if (code != 0) return IoError("rename to \"" + to + "\"", from, code);
    if (target->node != nullptr) state_->Forget(target->node);
    source.directory->entries.erase(source.name);
    target->directory->entries.insert_or_assign(target->name, source.node);
  }
  state_->Observe(operation);
  return Ok();
}

Status FaultFileSystem::RemoveFile(const std::string& path) {
  FileOperation operation{Kind::kRemove, path};
  {
    MutexLock lock(state_->mutex);
    int code = state_->Begin(operation);
    const Place place = state_->There(path, false, std::nullopt, code);
    if (code == 0 && place.node->type == Node::Type::kDirectory) code = EISDIR;
    if (code != 0) return IoError("remove", path, code);
    state_->Forget(place.node);
    place.directory->entries.erase(place.name);
  }
  state_->Observe(operation);
  return Ok();
}

Status FaultFileSystem::RemoveEmptyDirectory(const std::string& path) {
  FileOperation operation{Kind::kRemove, path};
  {
    MutexLock lock(state_->mutex);
    int code = state_->Begin(operation);
    const Place place = state_->There(path, false, Node::Type::kDirectory, code);
    if (code == 0 && !place.node->entries.empty()) code = ENOTEMPTY;
    if (code != 0) return IoError("remove directory", path, code);
    place.directory->entries.erase(place.name);
  }
  state_->Observe(operation);
  return Ok();
}

Status FaultFileSystem::HardLink(const std::string& from, const std::string& to) {
  FileOperation operation{Kind::kLink, to};
  {
    MutexLock lock(state_->mutex);
    int code = state_->Begin(operation);
    const Place source = state_->There(from, true, std::nullopt, code);
    if (code == 0 && source.node->type != Node::Type::kFile) code = EPERM;
    const Place target = state_->Vacant(to, false, code);
    if (code != 0) return IoError("link to \"" + to + "\"", from, code);
    ++source.node->names;
    target.directory->entries.emplace(target.name, source.node);
  }
  state_->Observe(operation);
  return Ok();
}

Status FaultFileSystem::SymLink(const std::string& target, const std::string& path) {
  FileOperation operation{Kind::kLink, path};
  {
    MutexLock lock(state_->mutex);
    int code = state_->Begin(operation);
    const Place place = state_->Vacant(path, false, code);
    if (code != 0) return IoError("create symlink", path, code);
    auto link = std::make_shared<Node>(Node::Type::kLink);
    link->target = target;
    place.directory->entries.emplace(place.name, std::move(link));
  }
  state_->Observe(operation);
  return Ok();
}

Result<std::vector<DirEntry>> FaultFileSystem::ListDirectory(const std::string& path) {
  FileOperation operation{Kind::kList, path};
  MutexLock lock(state_->mutex);
  int code = state_->Begin(operation);
  const Place place = state_->There(path, true, Node::Type::kDirectory, code);
  if (code != 0) return IoError("open directory", path, code);
  std::vector<DirEntry> entries;
  for (const auto& [name, node] : place.node->entries) {
    bool is_directory = node->type == Node::Type::kDirectory;
    if (node->type == Node::Type::kLink) {
      const std::optional<Place> end = state_->Find(Join(path, name), true, code);
      is_directory = end && end->node != nullptr && end->node->type == Node::Type::kDirectory;
    }
    entries.push_back({name, is_directory, node->type == Node::Type::kLink});
  }
  return entries;
}

bool FaultFileSystem::Exists(const std::string& path) {
  MutexLock lock(state_->mutex);
  int code = 0;
  const std::optional<Place> place = state_->Find(path, true, code);
  return place && place->node != nullptr;
}

Result<uint64_t> FaultFileSystem::FreeSpace(const std::string& path) {
  FileOperation operation{Kind::kOpen, path};
  MutexLock lock(state_->mutex);
  if (const int code = state_->Begin(operation); code != 0) return IoError("get the free space at", path, code);
  return state_->free_bytes.value_or(uint64_t{1} << 50);
}

Result<std::unique_ptr<FileLock>> FaultFileSystem::LockFile(const std::string& path) {
  VM_ASSIGN_OR_RETURN(const std::unique_ptr<FileWriter> created, CreateWriter(path));
  MutexLock lock(state_->mutex);
  int code = 0;
  const Place place = state_->There(path, true, std::nullopt, code);
  if (code != 0) return IoError("create lock file", path, code);
  if (!state_->locked.insert(place.node.get()).second) {
    return Error(ErrorCode::kUnavailable, IoError("acquire lock on file", path, EWOULDBLOCK).message());
  }
  return std::unique_ptr<FileLock>(new Lock(state_, place.node));
}

}  // namespace vm::fs
