#include "lib/fs/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/metrics/metrics.h"

namespace vm::fs {
namespace {

constexpr size_t kWriteBufferSize = 64 * 1024;

Error IoError(std::string_view what, const std::string& path) {
  const int code = errno;
  char text[128];
  const char* reason = strerror_r(code, text, sizeof(text));
  return Error(ErrorCode::kIo, "cannot " + std::string(what) + " \"" + path + "\": " + reason);
}

/// What the real file systems did. Counted per call of the operating system or per block, never per sample.
struct Figures {
  struct Stream {
    metrics::Counter buffered_calls;
    metrics::Counter buffered_bytes;
    metrics::Counter real_calls;
    metrics::Counter real_bytes;
    metrics::Counter nanoseconds;
    std::atomic<int64_t> open{0};
  };
  Stream writes;
  Stream reads;
  metrics::Counter sync_calls;
  metrics::Counter sync_nanoseconds;
  metrics::Counter random_read_calls;
  metrics::Counter random_read_bytes;
  std::atomic<int64_t> random_readers{0};
};

Figures& AllFigures() {
  static auto* const figures = new Figures;  // Files in static objects may outlive every other one.
  return *figures;
}

/// Adds its lifetime to a counter.
class Stopwatch {
 public:
  explicit Stopwatch(metrics::Counter& nanoseconds) : nanoseconds_(nanoseconds) {}
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() {
    const std::chrono::nanoseconds taken = std::chrono::steady_clock::now() - start_;
    nanoseconds_.Add(static_cast<uint64_t>(taken.count()));
  }

 private:
  metrics::Counter& nanoseconds_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Counts itself as long as it lives.
class Presence {
 public:
  explicit Presence(std::atomic<int64_t>& count) : count_(count) { count_.fetch_add(1, std::memory_order_relaxed); }
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;
  ~Presence() { count_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  std::atomic<int64_t>& count_;
};

/// A file descriptor that is closed when it goes away.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }
  bool Close() { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

class RealWriter final : public FileWriter {
 public:
  RealWriter(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Status Append(ByteView bytes) override {
    figures_.buffered_calls.Inc();
    figures_.buffered_bytes.Add(bytes.size());
    if (buffer_.size() + bytes.size() > kWriteBufferSize) VM_TRY(FlushBuffer());
    if (bytes.size() >= kWriteBufferSize) return WriteAll(bytes);
    vm::Append(buffer_, bytes);
    return Ok();
  }
  Status Sync() override {
    VM_TRY(FlushBuffer());
    AllFigures().sync_calls.Inc();
    Stopwatch watch(AllFigures().sync_nanoseconds);
    if (::fsync(fd_.get()) != 0) return IoError("sync", path_);
    return Ok();
  }
  Status Close() override {
    VM_TRY(FlushBuffer());
    if (!fd_.Close()) return IoError("close", path_);
    return Ok();
  }

 private:
  Status FlushBuffer() {
    Status status = WriteAll(buffer_);
    buffer_.clear();
    return status;
  }
  Status WriteAll(ByteView bytes) {
    if (bytes.empty()) return Ok();
    Stopwatch watch(figures_.nanoseconds);
    while (!bytes.empty()) {
      figures_.real_calls.Inc();
      const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
      if (n < 0) {
        if (errno == EINTR) continue;
        return IoError("write to", path_);
      }
      figures_.real_bytes.Add(static_cast<uint64_t>(n));
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
    return Ok();
  }

  Figures::Stream& figures_ = AllFigures().writes;
  const Presence presence_{figures_.open};
  Fd fd_;
  const std::string path_;
  ByteBuffer buffer_;
};

/// A mapping that the handler of SIGBUS knows. Slots are used again and never freed, so the handler can walk over them
/// without a lock.
struct Mapping {
  std::atomic<const uint8_t*> begin{nullptr};  // Null: the slot is free. Written last, cleared first.
  std::atomic<size_t> size{0};
  std::atomic<const char*> path{nullptr};
  Mapping* next = nullptr;
};
std::atomic<Mapping*> first_mapping{nullptr};

class Mappings {
 public:
  static Mapping* Add(const uint8_t* begin, size_t size, const char* path) {
    Mappings& all = Instance();
    MutexLock lock(all.mutex_);
    Mapping* slot = nullptr;
    if (all.free_.empty()) {
      slot = new Mapping;  // Reachable from first_mapping for the life of the process.
      slot->next = first_mapping.load(std::memory_order_relaxed);
      first_mapping.store(slot, std::memory_order_release);  // Pairs with the load in the handler.
    } else {
      slot = all.free_.back();
      all.free_.pop_back();
    }
    slot->path.store(path, std::memory_order_relaxed);
    slot->size.store(size, std::memory_order_relaxed);
    slot->begin.store(begin, std::memory_order_release);  // Pairs with the load in the handler.
    return slot;
  }
  static void Remove(Mapping* slot) {
    Mappings& all = Instance();
    MutexLock lock(all.mutex_);
    slot->begin.store(nullptr, std::memory_order_release);
    all.free_.push_back(slot);
  }

 private:
  static Mappings& Instance() {
    static auto* const mappings = new Mappings;  // Readers in static objects may outlive every other one.
    return *mappings;
  }
  Mutex mutex_;
  std::vector<Mapping*> free_ VM_GUARDED_BY(mutex_);
};

// Only what may be called in a signal handler.
void OnBusError(int, siginfo_t* info, void*) {
  const auto* const at = static_cast<const uint8_t*>(info->si_addr);
  for (const Mapping* m = first_mapping.load(std::memory_order_acquire); m != nullptr; m = m->next) {
    const uint8_t* const begin = m->begin.load(std::memory_order_acquire);
    if (begin == nullptr || at < begin || at >= begin + m->size.load(std::memory_order_relaxed)) continue;
    char digits[24];
    size_t from = sizeof(digits);
    auto offset = static_cast<uint64_t>(at - begin);
    do {
      digits[--from] = static_cast<char>('0' + offset % 10);
      offset /= 10;
    } while (offset > 0);
    const auto print = [](const char* text, size_t size) { static_cast<void>(!::write(STDERR_FILENO, text, size)); };
    const auto print_text = [&](const char* text) { print(text, ::strlen(text)); };
    print_text("FATAL: cannot read \"");
    print_text(m->path.load(std::memory_order_relaxed));
    print_text("\" at offset ");
    print(digits + from, sizeof(digits) - from);
    print_text(": SIGBUS: the disk has an error there or the file was cut; "
               "-fs.disableMmap makes it an ordinary error\n");
    ::_exit(255);
  }
  // Not ours: the faulting instruction runs again, now with the default effect.
  ::signal(SIGBUS, SIG_DFL);
}

class RealReader final : public FileReader {
 public:
  RealReader(Fd fd, std::string path, uint64_t size, const uint8_t* mapping)
      : fd_(std::move(fd)), path_(std::move(path)), size_(size), mapping_(mapping) {
    if (mapping_ != nullptr) slot_ = Mappings::Add(mapping_, size_, path_.c_str());
  }
  ~RealReader() override {
    if (mapping_ == nullptr) return;
    Mappings::Remove(slot_);
    ::munmap(const_cast<uint8_t*>(mapping_), size_);
  }
  RealReader(const RealReader&) = delete;
  RealReader& operator=(const RealReader&) = delete;

  uint64_t size() const noexcept override { return size_; }

  Status ReadAt(uint64_t offset, std::span<uint8_t> dst) const override {
    VM_TRY(CheckRange(offset, dst.size()));
    Count(dst.size());
    if (mapping_ != nullptr) {
      if (!dst.empty()) std::memcpy(dst.data(), mapping_ + offset, dst.size());
      return Ok();
    }
    while (!dst.empty()) {
      const ssize_t n = ::pread(fd_.get(), dst.data(), dst.size(), static_cast<off_t>(offset));
      if (n < 0) {
        if (errno == EINTR) continue;
        return IoError("read", path_);
      }
      if (n == 0) {
        return Error(ErrorCode::kCorrupted, "cannot read \"" + path_ + "\": the file shrank");
      }
      dst = dst.subspan(static_cast<size_t>(n));
      offset += static_cast<uint64_t>(n);
    }
    return Ok();
  }

  Result<ByteView> View(uint64_t offset, size_t size, ByteBuffer& scratch) const override {
    VM_TRY(CheckRange(offset, size));
    if (mapping_ != nullptr) {
      Count(size);
      return ByteView(mapping_ + offset, size);
    }
    scratch.resize(size);
    VM_TRY(ReadAt(offset, scratch));
    return ByteView(scratch);
  }

 private:
  void Count(uint64_t size) const {
    figures_.random_read_calls.Inc();
    figures_.random_read_bytes.Add(size);
  }
  Status CheckRange(uint64_t offset, uint64_t size) const {
    if (offset > size_ || size > size_ - offset) {
      return Error(ErrorCode::kCorrupted, "cannot read " + std::to_string(size) + " bytes at offset " +
                                              std::to_string(offset) + " of \"" + path_ +
                                              "\": it holds " + std::to_string(size_) + " bytes");
    }
    return Ok();
  }

  Figures& figures_ = AllFigures();
  const Presence presence_{figures_.random_readers};
  const Fd fd_;
  const std::string path_;
  const uint64_t size_;
  const uint8_t* const mapping_;  // Null for empty files and without mmap.
  Mapping* slot_ = nullptr;
};

class RealLock final : public FileLock {
 public:
  explicit RealLock(Fd fd) : fd_(std::move(fd)) {}

 private:
  const Fd fd_;
};

class RealFiles final : public FileSystem {
 public:
  explicit RealFiles(const RealFileSystemOptions& options) : options_(options) {}

  Result<std::unique_ptr<FileWriter>> CreateWriter(const std::string& path) override {
    Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (fd.get() < 0) return IoError("create", path);
    return std::unique_ptr<FileWriter>(new RealWriter(std::move(fd), path));
  }

  Result<std::unique_ptr<FileReader>> OpenReader(const std::string& path) override {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return IoError("open", path);
    struct stat info;
    if (::fstat(fd.get(), &info) != 0) return IoError("stat", path);
    const auto size = static_cast<uint64_t>(info.st_size);
    const uint8_t* mapping = nullptr;
    if (options_.use_mmap && size > 0) {
      void* at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
      if (at == MAP_FAILED) return IoError("mmap", path);
      mapping = static_cast<const uint8_t*>(at);
    }
    return std::unique_ptr<FileReader>(new RealReader(std::move(fd), path, size, mapping));
  }

  Result<ByteBuffer> ReadFile(const std::string& path) override {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return IoError("open", path);
    Figures::Stream& figures = AllFigures().reads;
    const Presence presence(figures.open);
    Stopwatch watch(figures.nanoseconds);
    ByteBuffer bytes;
    for (;;) {
      const size_t at = bytes.size();
      bytes.resize(at + kWriteBufferSize);
      figures.real_calls.Inc();
      const ssize_t n = ::read(fd.get(), bytes.data() + at, kWriteBufferSize);
      if (n < 0 && errno != EINTR) return IoError("read", path);
      bytes.resize(at + (n > 0 ? static_cast<size_t>(n) : 0));
      if (n == 0) break;
    }
    figures.real_bytes.Add(bytes.size());
    figures.buffered_calls.Inc();
    figures.buffered_bytes.Add(bytes.size());
    return bytes;
  }

  Status AtomicWriteFile(const std::string& path, ByteView bytes) override {
    return ReplaceFile(*this, path + ".tmp." + std::to_string(++temporary_counter_), path, bytes);
  }

  Status CreateDirectories(const std::string& path) override {
    if (::mkdir(path.c_str(), 0755) == 0 || (errno == EEXIST && IsDirectory(path))) return Ok();
    if (errno != ENOENT) return IoError("create directory", path);
    const std::string parent = ParentPath(path);
    if (parent == path) return IoError("create directory", path);
    VM_TRY(CreateDirectories(parent));
    if (::mkdir(path.c_str(), 0755) == 0 || (errno == EEXIST && IsDirectory(path))) return Ok();
    return IoError("create directory", path);
  }

  Status CreateDirectory(const std::string& path) override {
    if (::mkdir(path.c_str(), 0755) != 0) return IoError("create directory", path);
    return Ok();
  }

  Status SyncDirectory(const std::string& path) override {
    Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) return IoError("open directory", path);
    if (::fsync(fd.get()) != 0) return IoError("sync directory", path);
    return Ok();
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return IoError("rename to \"" + to + "\"", from);
    return Ok();
  }
  Status RemoveFile(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return IoError("remove", path);
    return Ok();
  }
  Status RemoveEmptyDirectory(const std::string& path) override {
    if (::rmdir(path.c_str()) != 0) return IoError("remove directory", path);
    return Ok();
  }
  Status HardLink(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) != 0) return IoError("link to \"" + to + "\"", from);
    return Ok();
  }
  Status SymLink(const std::string& target, const std::string& path) override {
    if (::symlink(target.c_str(), path.c_str()) != 0) return IoError("create symlink", path);
    return Ok();
  }

  Result<std::vector<DirEntry>> ListDirectory(const std::string& path) override {
    DIR* dir = ::opendir(path.c_str());
    if (dir == nullptr) return IoError("open directory", path);
    std::vector<DirEntry> entries;
    errno = 0;
    while (const dirent* entry = ::readdir(dir)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") {
        const bool is_directory = entry->d_type == DT_DIR || (entry->d_type != DT_REG &&
                                                              IsDirectory(Join(path, name)));
        entries.push_back({name, is_directory, entry->d_type == DT_LNK || IsSymlink(Join(path, name), entry->d_type)});
      }
      errno = 0;
    }
    const int code = errno;
    ::closedir(dir);
    errno = code;
    if (code != 0) return IoError("read directory", path);
    std::sort(entries.begin(), entries.end(),
              [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
    return entries;
  }

  bool Exists(const std::string& path) override {
    struct stat info;
    // What cannot be looked at may be there: whoever opens it gets the error.
    return ::stat(path.c_str(), &info) == 0 || (errno != ENOENT && errno != ENOTDIR);
  }

  Result<uint64_t> FreeSpace(const std::string& path) override {
    struct statvfs info;
    if (::statvfs(path.c_str(), &info) != 0) return IoError("determine free space of", path);
    return static_cast<uint64_t>(info.f_bavail) * info.f_bsize;
  }

  Result<std::unique_ptr<FileLock>> LockFile(const std::string& path) override {
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (fd.get() < 0) return IoError("create lock file", path);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      const bool taken = errno == EWOULDBLOCK;
      Error error = IoError("acquire lock on file", path);
      return taken ? Error(ErrorCode::kUnavailable, error.message()) : error;
    }
    return std::unique_ptr<FileLock>(new RealLock(std::move(fd)));
  }

 private:
  static bool IsSymlink(const std::string& path, unsigned char type) {
    struct stat info;
    // Not every file system says the type in the directory.
    return type == DT_UNKNOWN && ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
  }
  static bool IsDirectory(const std::string& path) {
    struct stat info;
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  }

  const RealFileSystemOptions options_;
  std::atomic<uint64_t> temporary_counter_{0};
};

/// Remove everything in `path` but the entry `keep`.
Status RemoveEntries(FileSystem& fs, const std::string& path, std::string_view keep) {
  VM_ASSIGN_OR_RETURN(const std::vector<DirEntry> entries, fs.ListDirectory(path));
  for (const DirEntry& entry : entries) {
    if (entry.name == keep) continue;
    const std::string child = Join(path, entry.name);
    if (entry.is_directory && !entry.is_symlink) {
      VM_TRY(RemoveEntries(fs, child, {}));
      VM_TRY(fs.RemoveEmptyDirectory(child));
    } else {
      VM_TRY(fs.RemoveFile(child));
    }
  }
  return Ok();
}

}  // namespace

void ReportBusErrors() {
  struct sigaction action = {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

void RegisterFileMetrics(metrics::Registry& registry) {
  const auto counter = [&](const char* name, const metrics::Counter& value, double per_unit = 1) {
    registry.SetCounterCallback(name, [&value, per_unit] { return static_cast<double>(value.Get()) / per_unit; });
  };
  // The reference counts these as counters too.
  const auto level = [&](const char* name, const std::atomic<int64_t>& value) {
    registry.SetCounterCallback(name, [&value] { return static_cast<double>(value.load(std::memory_order_relaxed)); });
  };
  constexpr double kNanosecondsPerSecond = 1e9;
  Figures& f = AllFigures();
  counter("vm_filestream_buffered_write_calls_total", f.writes.buffered_calls);
  counter("vm_filestream_buffered_written_bytes_total", f.writes.buffered_bytes);
  counter("vm_filestream_real_write_calls_total", f.writes.real_calls);
  counter("vm_filestream_real_written_bytes_total", f.writes.real_bytes);
  counter("vm_filestream_write_duration_seconds_total", f.writes.nanoseconds, kNanosecondsPerSecond);
  level("vm_filestream_writers", f.writes.open);
  counter("vm_filestream_fsync_calls_total", f.sync_calls);
  counter("vm_filestream_fsync_duration_seconds_total", f.sync_nanoseconds, kNanosecondsPerSecond);
  counter("vm_filestream_buffered_read_calls_total", f.reads.buffered_calls);
  counter("vm_filestream_buffered_read_bytes_total", f.reads.buffered_bytes);
  counter("vm_filestream_real_read_calls_total", f.reads.real_calls);
  counter("vm_filestream_real_read_bytes_total", f.reads.real_bytes);
  counter("vm_filestream_read_duration_seconds_total", f.reads.nanoseconds, kNanosecondsPerSecond);
  level("vm_filestream_readers", f.reads.open);
  counter("vm_fs_read_calls_total", f.random_read_calls);
  counter("vm_fs_read_bytes_total", f.random_read_bytes);
  level("vm_fs_readers", f.random_readers);
}

void RegisterPathMetrics(metrics::Registry& registry, const std::string& path) {
  // linux/magic.h; the names that the reference shows, all others are "unknown" there too.
  struct Kind {
    uint32_t magic;
    const char* name;
  };
  static constexpr Kind kKinds[] = {
      {0xEF53, "ext2/ext3/ext4"}, {0x9123683E, "btrfs"},     {0x58465342, "xfs"},    {0xF2F52010, "f2fs"},
      {0xca451a4e, "bcachefs"},   {0x794c7630, "overlayfs"}, {0x65735546, "fuse"},   {0x6969, "nfs"},
      {0xFF534D42, "cifs"},       {0x3434, "nilfs"},         {0xf15f, "ecryptfs"},   {0xE0F5E1E2, "erofs"},
      {0x9660, "isofs"},          {0x72b6, "jffs2"},         {0x5346414F, "afs"},    {0x0187, "autofs"},
      {0xf995e849, "hpfs"},       {0x00c0ffee, "hostfs"},    {0xabba1974, "xenfs"},
  };
  const char* name = "unknown";
  struct statfs info;
  if (::statfs(path.c_str(), &info) == 0) {
    const auto kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                   [&](const Kind& k) { return k.magic == static_cast<uint32_t>(info.f_type); });
    if (kind != std::end(kKinds)) name = kind->name;
  }
  registry.SetGaugeCallback("vm_fs_info{path=\"" + path + "\", fs_type=\"" + name + "\"}", [] { return 1.0; });
}

std::unique_ptr<FileSystem> NewRealFileSystem(const RealFileSystemOptions& options) {
  return std::make_unique<RealFiles>(options);
}

FileSystem& RealFileSystem() {
  static RealFiles files{RealFileSystemOptions{}};
  return files;
}

Status RemoveDirectory(FileSystem& fs, const std::string& path) {
  if (!fs.Exists(path)) return Ok();
  const std::string marker = Join(path, kDeleteMarker);
  VM_TRY(WriteFileSynced(fs, marker, {}));
  VM_TRY(fs.SyncDirectory(path));
  VM_TRY(RemoveEntries(fs, path, kDeleteMarker));
  VM_TRY(fs.SyncDirectory(path));
  VM_TRY(fs.RemoveFile(marker));
  VM_TRY(fs.SyncDirectory(path));
  return fs.RemoveEmptyDirectory(path);
}

Status RemoveUnlistedDirectory(FileSystem& fs, const std::string& path) {
  if (!fs.Exists(path)) return Ok();
  VM_TRY(RemoveEntries(fs, path, {}));
  return fs.RemoveEmptyDirectory(path);
}

Result<bool> IsPartiallyRemoved(FileSystem& fs, const std::string& path) {
  VM_ASSIGN_OR_RETURN(const std::vector<DirEntry> entries, fs.ListDirectory(path));
  return entries.empty() || std::any_of(entries.begin(), entries.end(), [](const DirEntry& entry) {
           return entry.name == kDeleteMarker;
         });
}

Status RemoveContents(FileSystem& fs, const std::string& path) {
  return RemoveEntries(fs, path, {});
}

Status ReplaceFile(FileSystem& fs, const std::string& temporary, const std::string& path, ByteView bytes) {
  Status status = WriteFileSynced(fs, temporary, bytes);
  if (status.ok()) status = fs.Rename(temporary, path);
  if (!status.ok()) {
    // Each attempt has another name: without this a full disk would stay full. The first error is the one that counts.
    if (fs.Exists(temporary)) static_cast<void>(fs.RemoveFile(temporary));
    return status;
  }
  return fs.SyncDirectory(ParentPath(path));
}

Status CreateDirectoriesSynced(FileSystem& fs, const std::string& path) {
  const std::string parent = ParentPath(path);
  if (parent == path) return Ok();
  if (!fs.Exists(path)) {
    if (parent != ".") VM_TRY(CreateDirectoriesSynced(fs, parent));
    VM_TRY(fs.CreateDirectories(path));
  }
  // Also when it exists: the run that created it may have been cut off before this.
  return fs.SyncDirectory(parent);
}

Status WriteFileSynced(FileSystem& fs, const std::string& path, ByteView bytes) {
  VM_ASSIGN_OR_RETURN(const std::unique_ptr<FileWriter> writer, fs.CreateWriter(path));
  VM_TRY(writer->Append(bytes));
  VM_TRY(writer->Sync());
  return writer->Close();
}

Status SyncDirectoryAndParent(FileSystem& fs, const std::string& path) {
  VM_TRY(fs.SyncDirectory(path));
  return fs.SyncDirectory(ParentPath(path));
}

std::string Join(std::string_view a, std::string_view b) {
  std::string joined(a);
  if (!joined.empty() && joined.back() != '/') joined += '/';
  return joined.append(b);
}

std::string ParentPath(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, std::max<size_t>(slash, 1)));
}

}  // namespace vm::fs
