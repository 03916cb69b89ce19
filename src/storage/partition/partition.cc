#include "storage/partition/partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <thread>

#include "lib/log/log.h"
#include "storage/partset/link_part.h"
#include "storage/partset/open_error.h"
#include "storage/partset/parts_json.h"
#include "storage/partset/select_parts.h"
#include "storage/partset/unlisted_folder.h"

namespace vm::storage {
namespace {

// 8 MiB of rows a shard, as the original has it. Full ones are collected: the more rows of a series become a part at
// once, the less of it is headers.
constexpr size_t kMaxRowsPerShard = (8 << 20) / 56;
constexpr size_t kMaxCollected = 8;
/// At most this share of the memory limit is collected.
constexpr uint64_t kCollectedShare = 32;
constexpr uint64_t kMaxPartSize = 1'000'000'000'000;
constexpr uint64_t kBigPartWriters = 4;  // Which share the disk.
constexpr uint64_t kMinSmallPartSize = 10'000'000;
constexpr uint64_t kMinInmemoryPartSize = 1'000'000;
constexpr size_t kMaxShards = 16;
/// At most this share of the memory limit holds the order of series for new parts.
constexpr uint64_t kSeriesOrderShare = 64;
/// A month that gets no rows for so long gives that order back.
constexpr int64_t kForgetOrderAfterMs = 60'000;
/// A forced merge of files that small takes rows from memory along: it is done before they would be written anyway.
constexpr uint64_t kShortMergeBytes = 100'000'000;

// The index may hold this share of the memory limit that its files have not got yet.
constexpr uint64_t kIndexMemoryPercent = 5;
/// A set of index items above that makes no better files, only takes memory: some fifty thousand series.
constexpr uint64_t kMaxIndexSetBytes = 32 << 20;
/// Knowing which parts of the index lack a name takes two bytes for each series and day.
constexpr uint64_t kIndexFilterShare = 128;
constexpr int64_t kIndexFlushSlackMs = 1000;

/// Whether `interval_ms` have passed since `since_ms`; also when the clock was set back.
bool IsDue(int64_t since_ms, int64_t interval_ms, int64_t now_ms) noexcept {
  return now_ms - since_ms >= interval_ms || now_ms < since_ms;
}

}  // namespace

std::string PartitionName(int64_t timestamp_ms) {
  using namespace std::chrono;
  const year_month_day date(floor<days>(sys_time<milliseconds>(milliseconds(timestamp_ms))));
  return fmt::format("{:04d}_{:02d}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()));
}

Result<model::TimeRange> PartitionTimeRange(std::string_view name) {
  using namespace std::chrono;
  int year_number = 0;
  unsigned month_number = 0;
  const auto parse = [](std::string_view text, auto& number) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
           std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc();
  };
  if (name.size() != 7 || name[4] != '_' || !parse(name.substr(0, 4), year_number) ||
      !parse(name.substr(5), month_number) || month_number < 1 || month_number > 12) {
    return Error(ErrorCode::kInvalidInput, fmt::format("cannot parse partition name \"{}\"; want YYYY_MM", name));
  }
  const year_month first = year(year_number) / month(month_number);
  const auto start = [](year_month m) {
    return duration_cast<milliseconds>(sys_days(m / day(1)).time_since_epoch()).count();
  };
  return model::TimeRange{start(first), start(first + months(1)) - 1};
}

/// Rows that are not in a part yet.
struct Partition::Shard {
  Mutex mutex;
  std::vector<RawRow> rows VM_GUARDED_BY(mutex);
};

/// A part of one of the lists. The folder goes with the last reader once no list names the part.
struct Partition::ListedPart {
  ListedPart(fs::FileSystem& file_system, std::string part_name, std::string part_path,
             std::shared_ptr<const PartReader> part_reader)
      : files(file_system), name(std::move(part_name)), path(std::move(part_path)), reader(std::move(part_reader)) {}
  ListedPart(const ListedPart&) = delete;
  ListedPart& operator=(const ListedPart&) = delete;
  ~ListedPart() {
    reader.reset();
    if (!must_drop.load()) return;
    if (Status status = fs::RemoveUnlistedDirectory(files, path); !status.ok()) {
      VM_LOG_ERROR("cannot remove the merged part \"{}\", which goes at the next start: {}", path,
                   status.error().message());
    }
  }

  fs::FileSystem& files;
  const std::string name;
  const std::string path;  // Empty in memory.
  std::shared_ptr<const PartReader> reader;
  std::atomic<bool> must_drop{false};
};

Partition::Partition(std::string name, model::TimeRange time_range, PartitionOptions options)
    : name_(std::move(name)),
      time_range_(time_range),
      options_(std::move(options)),
      max_collected_(std::clamp<size_t>(options_.memory_limit_bytes / kCollectedShare / (kMaxRowsPerShard * sizeof(RawRow)),
                                        1, kMaxCollected)),
      order_(options_.memory_limit_bytes / kSeriesOrderShare),
      part_counter_(static_cast<uint64_t>(options_.now_ms()) * 1'000'000),
      index_flushed_ms_(options_.now_ms()) {
  const size_t shards = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kMaxShards);
  for (size_t i = 0; i < shards; ++i) shards_.push_back(std::make_unique<Shard>());
}

Partition::~Partition() {
  index_.reset();
  if (!must_drop_.load()) return;
  // The list of parts goes first, the index last: no part is ever missed, nor without its names.
  for (const std::string& path : {SmallPath(), BigPath(), IndexPath()}) {
    if (Status status = fs::RemoveDirectory(*options_.fs, path); !status.ok()) {
      VM_LOG_ERROR("cannot remove \"{}\" of the dropped month, which is tried again after the next start: {}", path,
                   status.error().message());
      return;
    }
  }
}

std::string Partition::SmallPath() const { return fs::Join(fs::Join(options_.data_path, "small"), name_); }
std::string Partition::BigPath() const { return fs::Join(fs::Join(options_.data_path, "big"), name_); }
std::string Partition::IndexPath() const { return fs::Join(fs::Join(options_.data_path, "indexdb"), name_); }
std::string Partition::NextPartName() { return fmt::format("{:016X}", ++part_counter_); }
void Partition::NotifyAdded() const {
  if (options_.parts_added) options_.parts_added();
}

uint64_t Partition::MaxInmemoryPartSize() const {
  return std::max(options_.memory_limit_bytes / 10 / 60, kMinInmemoryPartSize);
}
uint64_t Partition::MaxSmallPartSize() const {
  const uint64_t by_memory = std::max(options_.memory_limit_bytes / 15, kMinSmallPartSize);
  const auto free = options_.fs->FreeSpace(SmallPath());
  const uint64_t writers = std::max<uint64_t>(std::thread::hardware_concurrency(), 4);
  return free.ok() ? std::min(by_memory, free.value() / writers) : by_memory;
}

Result<PartitionRef> Partition::Open(const std::string& name, PartitionOptions options) {
  VM_ASSIGN_OR_RETURN(const model::TimeRange range, PartitionTimeRange(name));
  PartitionRef partition(new Partition(name, range, std::move(options)));
  if (Status s = partition->OpenFiles(); !s.ok()) {
    return partition->LastingError(std::move(s).error()).WithContext("cannot open partition \"" + name + "\"");
  }
  return partition;
}

Status Partition::EnsureFolders() {
  MutexLock lock(folders_mutex_);
  if (has_folders_) return Ok();
  fs::FileSystem& files = *options_.fs;
  for (const std::string& path : {SmallPath(), BigPath(), IndexPath()}) {
    VM_TRY(fs::CreateDirectoriesSynced(files, path));
  }
  // A month with folders and without a list is one of an old version, or was cut off here.
  const std::string list_path = fs::Join(SmallPath(), kPartsFile);
  if (files.Exists(list_path)) {
    // Whoever wrote the list may have been cut off before it was durable. Without it unfinished parts would count.
    VM_TRY(files.SyncDirectory(SmallPath()));
  } else {
    PartNames names;
    VM_ASSIGN_OR_RETURN(names.small, ListPartFolders(files, SmallPath()));
    VM_ASSIGN_OR_RETURN(names.big, ListPartFolders(files, BigPath()));
    VM_TRY(files.AtomicWriteFile(list_path, AsBytes(FormatPartNames(std::move(names)))));
  }
  has_folders_ = true;
  return Ok();
}

Error Partition::LastingError(Error error) const {
  if (error.code() != ErrorCode::kIo) return error;
  for (const char* kind : {"small", "big", "indexdb"}) {
    const auto entries = options_.fs->ListDirectory(fs::Join(options_.data_path, kind));
    if (!entries.ok()) continue;
    for (const fs::DirEntry& entry : entries.value()) {
      // The volume behind a link may come back.
      if (entry.name == name_ && !entry.is_directory && !entry.is_symlink) return Error(ErrorCode::kCorrupted, error.message());
    }
  }
  return error;
}

Status Partition::OpenFiles() {
  fs::FileSystem& files = *options_.fs;
  const bool is_new = !files.Exists(SmallPath()) && !files.Exists(BigPath()) && !files.Exists(IndexPath());
  if (Status status = EnsureFolders(); !status.ok()) {
    if (!is_new) return status;
    VM_LOG_ERROR("cannot create the folders of month \"{}\", which is tried again before it is written: {}", name_,
                 status.error().message());
    return OpenIndex();
  }
  const std::string list_path = fs::Join(SmallPath(), kPartsFile);
  VM_ASSIGN_OR_RETURN(const ByteBuffer json, files.ReadFile(list_path));
  auto parsed = ParsePartNames(AsText(json));
  if (!parsed.ok()) return std::move(parsed).error().WithContext("\"" + list_path + "\"");
  const PartNames names = std::move(parsed).value();
  {
    MutexLock lock(mutex_);
    // A missing part is found before anything is removed.
    VM_TRY(OpenParts(SmallPath(), names.small, List(PartClass::kSmall)));
    VM_TRY(OpenParts(BigPath(), names.big, List(PartClass::kBig)));
  }
  VM_TRY(RemoveUnlistedParts(files, SmallPath(), names.small));
  VM_TRY(RemoveUnlistedParts(files, BigPath(), names.big));
  return OpenIndex();
}

Status Partition::OpenIndex() {
  indexdb::Options index_options;
  index_options.file_system = options_.fs;
  index_options.time_range = time_range_;
  index_options.disable_per_day_index = options_.disable_per_day_index;
  index_options.max_memory_bytes =
      std::clamp(options_.memory_limit_bytes / 100 * kIndexMemoryPercent / mergeset::kMaxMemorySets,
                 kMinInmemoryPartSize, kMaxIndexSetBytes);
  index_options.max_filter_bytes = std::max<uint64_t>(options_.memory_limit_bytes / kIndexFilterShare, 1 << 20);
  index_options.min_merge_free_space_bytes = options_.min_free_disk_space_bytes;
  index_options.wants_work = options_.parts_added;
  index_options.caches = options_.index_caches;
  index_options.filter_cache_bytes = options_.filter_cache_bytes;
  VM_ASSIGN_OR_RETURN(index_, indexdb::IndexDb::Open(IndexPath(), name_, index_options));
  return Ok();
}

Status Partition::OpenParts(const std::string& path, const std::vector<std::string>& names,
                            std::vector<Entry>& entries) {
  fs::FileSystem& files = *options_.fs;
  const std::string list = fs::Join(SmallPath(), kPartsFile);
  for (const std::string& name : names) {
    const std::string part_path = fs::Join(path, name);
    if (!files.Exists(part_path)) {
      return Error(ErrorCode::kCorrupted,
                   fmt::format("part \"{}\" is listed in \"{}\", but is missing on disk; ensure \"{}\" contents is "
                               "not corrupted; remove \"{}\" from \"{}\" in order to restore access to the "
                               "remaining data",
                               part_path, list, list, name, list));
    }
    auto reader = PartReader::OpenFolder(files, part_path, options_.index_blocks);
    if (!reader.ok()) return OpenError(files, part_path, PartReader::kFiles, std::move(reader).error());
    entries.push_back({std::make_shared<ListedPart>(files, name, part_path, std::move(reader).value())});
    uint64_t number = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number, 16);
    // New names must not meet old ones, also when the clock went back.
    if (parsed.ec == std::errc() && parsed.ptr == name.data() + name.size() && number < (1ull << 63) &&
        number > part_counter_.load()) {
      part_counter_.store(number);
    }
  }
  return Ok();
}

void Partition::AddRows(std::span<const RawRow> rows) {
  while (!rows.empty()) {
    Shard& shard = *shards_[next_shard_.fetch_add(1, std::memory_order_relaxed) % shards_.size()];
    bool full = false;
    {
      MutexLock lock(shard.mutex);
      if (shard.rows.empty()) shard.rows.reserve(kMaxRowsPerShard);
      const size_t count = std::min(rows.size(), kMaxRowsPerShard - shard.rows.size());
      shard.rows.insert(shard.rows.end(), rows.begin(), rows.begin() + static_cast<ptrdiff_t>(count));
      rows = rows.subspan(count);
      if (shard.rows.size() >= kMaxRowsPerShard) full = Collect(shard) >= max_collected_;
    }
    // The rows are kept after an error, which the next flush meets again and reports.
    if (full) static_cast<void>(ConvertCollected().ok());
  }
}

size_t Partition::Collect(Shard& shard) {
  MutexLock lock(conversions_mutex_);
  collected_.push_back(std::exchange(shard.rows, {}));
  return collected_.size();
}

Status Partition::ConvertCollected() {
  std::vector<std::vector<RawRow>> rows;
  uint64_t conversion = 0;
  {
    MutexLock lock(conversions_mutex_);
    rows.swap(collected_);
    if (rows.empty()) return Ok();
    conversion = next_conversion_++;
    conversions_.insert(conversion);
  }
  Status status = Convert(rows);
  {
    MutexLock lock(conversions_mutex_);
    if (!status.ok()) {
      ++failed_conversions_;
      conversion_error_ = status.error();
      collected_.insert(collected_.begin(), std::make_move_iterator(rows.begin()), std::make_move_iterator(rows.end()));
    }
    conversions_.erase(conversion);
    conversion_done_.NotifyAll();
  }
  if (status.ok()) NotifyAdded();
  return status;
}

Status Partition::Convert(std::vector<std::vector<RawRow>>& rows) {
  if (conversion_hook_) VM_TRY(conversion_hook_());
  uint64_t lossy_blocks = 0;
  VM_ASSIGN_OR_RETURN(PartBuffers buffers, BuildPart(rows, &lossy_blocks, &order_));
  converted_ms_.store(options_.now_ms(), std::memory_order_relaxed);
  VM_ASSIGN_OR_RETURN(auto reader, PartReader::FromMemory(std::move(buffers)));
  rows.clear();
  lossy_blocks_.fetch_add(lossy_blocks, std::memory_order_relaxed);
  auto part = std::make_shared<ListedPart>(*options_.fs, std::string(), std::string(), std::move(reader));
  MutexLock lock(mutex_);
  const int64_t flush_deadline_ms = options_.now_ms() + options_.inmemory_flush_interval_ms;
  List(PartClass::kInmemory).push_back({std::move(part), false, flush_deadline_ms});
  return Ok();
}

Status Partition::FlushRawRows() {
  for (const auto& shard : shards_) {
    MutexLock lock(shard->mutex);
    if (!shard->rows.empty()) Collect(*shard);
  }
  uint64_t failed_before = 0;
  {
    // Rows whose conversion has failed by now are collected again.
    MutexLock lock(conversions_mutex_);
    failed_before = failed_conversions_;
  }
  VM_TRY(ConvertCollected());
  const int64_t converted_ms = converted_ms_.load(std::memory_order_relaxed);
  if (converted_ms != 0 && IsDue(converted_ms, kForgetOrderAfterMs, options_.now_ms())) {
    order_.Forget();
    converted_ms_.store(0, std::memory_order_relaxed);
  }
  // Rows that other threads have taken before belong to what was added so far.
  MutexLock lock(conversions_mutex_);
  const uint64_t later = next_conversion_;
  while (!conversions_.empty() && *conversions_.begin() < later) conversion_done_.Wait(conversions_mutex_);
  if (failed_conversions_ != failed_before) return *conversion_error_;
  return Ok();
}

void Partition::WaitForMergesLocked(PartClass part_class) {
  const auto merging = [](const Entry& entry) { return entry.in_merge; };
  size_t& waiting = waiting_for_merges_[static_cast<size_t>(part_class)];
  ++waiting;
  while (std::any_of(List(part_class).begin(), List(part_class).end(), merging)) merge_done_.Wait(mutex_);
  --waiting;
}

Status Partition::FlushInmemoryParts(bool force) {
  MutexLock flush_lock(flush_mutex_);
  std::vector<Entry> sources;
  {
    MutexLock lock(mutex_);
    std::vector<Entry>& entries = List(PartClass::kInmemory);
    if (force) WaitForMergesLocked(PartClass::kInmemory);
    const int64_t now = options_.now_ms();
    // One that is due takes all others with it: a file for each interval, not for each part.
    const bool due = force || std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) {
      return !entry.in_merge && IsDue(entry.flush_deadline_ms - options_.inmemory_flush_interval_ms,
                                      options_.inmemory_flush_interval_ms, now);
    });
    for (Entry& entry : entries) {
      if (!due || entry.in_merge) continue;
      entry.in_merge = true;
      sources.push_back(entry);
    }
  }
  if (sources.empty()) return Ok();
  return Merge(sources, true, {});
}

Status Partition::FlushIndex() {
  const int64_t now = options_.now_ms();
  VM_TRY(index_->FlushToDisk());
  index_flushed_ms_.store(now, std::memory_order_relaxed);
  return Ok();
}

Status Partition::FlushIndexIfDue() {
  // Files of samples bring the index with them: it is written alone only when there are none.
  const int64_t interval = options_.inmemory_flush_interval_ms + kIndexFlushSlackMs;
  if (!IsDue(index_flushed_ms_.load(std::memory_order_relaxed), interval, options_.now_ms())) return Ok();
  return FlushIndex();
}

std::vector<Partition::Entry> Partition::TakeForMergeLocked(std::vector<Entry>& entries, uint64_t max_output,
                                                            bool& lacks_space) {
  std::vector<PartSize> sizes;
  std::vector<size_t> idle;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].in_merge) continue;
    idle.push_back(i);
    const PartReader& reader = *entries[i].part->reader;
    sizes.push_back({reader.size_bytes(), reader.header().min_timestamp});
  }
  std::vector<Entry> taken;
  for (const size_t i : SelectPartsToMerge(sizes, max_output)) {
    entries[idle[i]].in_merge = true;
    taken.push_back(entries[idle[i]]);
  }
  lacks_space = taken.empty() && max_output < kMaxPartSize && !SelectPartsToMerge(sizes, kMaxPartSize).empty();
  return taken;
}

Result<bool> Partition::TryMerge(PartClass part_class) {
  const std::stop_token stop = stop_merges_.get_token();
  if (stop.stop_requested()) return false;
  LackOfSpace& lack = lacks_space_[static_cast<size_t>(part_class)];
  {
    // Parts in memory are about to be merged into a file: only if there are so many that searches suffer, earlier.
    const size_t few = part_class == PartClass::kInmemory ? kMaxPartsToMerge : 2;
    MutexLock lock(mutex_);
    const auto idle = std::count_if(List(part_class).begin(), List(part_class).end(),
                                    [](const Entry& entry) { return !entry.in_merge; });
    if (static_cast<size_t>(idle) < few) {
      lack.Set(false, {}, 0, 0);
      return false;
    }
  }
  // Merges in memory may end in a file, too, but one that would be written anyway.
  const auto free = options_.fs->FreeSpace(BigPath());
  if (!free.ok() && part_class != PartClass::kInmemory) return free.error();
  const uint64_t min_free = part_class == PartClass::kInmemory ? 0 : options_.min_free_disk_space_bytes;
  const uint64_t max_output =
      free.ok() ? std::min(MaxMergeOutput(free.value(), min_free, kBigPartWriters), kMaxPartSize) : kMaxPartSize;
  std::vector<Entry> sources;
  bool lacks_space = false;
  size_t parts = 0;
  {
    MutexLock lock(mutex_);
    // Else who waits might wait for ever.
    if (waiting_for_merges_[static_cast<size_t>(part_class)] > 0) return false;
    sources = TakeForMergeLocked(List(part_class), max_output, lacks_space);
    parts = List(part_class).size();
  }
  lack.Set(lacks_space, part_class == PartClass::kBig ? BigPath() : SmallPath(), parts, free.ok() ? free.value() : 0);
  if (sources.empty()) return false;
  VM_TRY(Merge(sources, false, stop));
  return true;
}

Status Partition::ForceMerge() {
  VM_TRY(FlushRawRows());
  std::vector<Entry> sources;
  std::vector<PartClass> classes = {PartClass::kSmall, PartClass::kBig};
  // Of those that are in no merge.
  const auto size_of_all = [&]() VM_REQUIRES(mutex_) {
    uint64_t size = 0;
    for (const PartClass part_class : classes) {
      for (const Entry& entry : List(part_class)) {
        if (!entry.in_merge) size += entry.part->reader->size_bytes();
      }
    }
    return size;
  };
  bool is_short = false;
  {
    MutexLock lock(mutex_);
    is_short = size_of_all() <= kShortMergeBytes;
  }
  if (is_short) {
    classes.push_back(PartClass::kInmemory);
  } else {
    VM_TRY(FlushInmemoryParts(true));
  }
  {
    MutexLock lock(mutex_);
    for (const PartClass part_class : classes) WaitForMergesLocked(part_class);
    // A later wait may have let new merges of the first class start; those are left alone.
    const uint64_t size = size_of_all();
    const auto free = options_.fs->FreeSpace(BigPath());
    if (free.ok() && free.value() < size) {
      return Error(ErrorCode::kLimitExceeded,
                   fmt::format("cannot initiate force merge for the partition {}; additional space needed: {} bytes",
                               name_, size - free.value()));
    }
    for (const PartClass part_class : classes) {
      for (Entry& entry : List(part_class)) {
        if (std::exchange(entry.in_merge, true)) continue;
        sources.push_back(entry);
      }
    }
  }
  if (sources.empty()) return Ok();
  return Merge(sources, true, stop_merges_.get_token());
}

bool Partition::NeedsFinalDedup() const {
  if (options_.dedup_interval_ms <= 0) return false;
  MutexLock lock(mutex_);
  for (const PartClass part_class : {PartClass::kSmall, PartClass::kBig}) {
    for (const Entry& entry : List(part_class)) {
      if (entry.part->reader->header().min_dedup_interval < options_.dedup_interval_ms) return true;
    }
  }
  return false;
}

void Partition::StopMerges() noexcept {
  stop_merges_.request_stop();
  index_->StopMerges();
}

void Partition::DropOnLastRelease() noexcept {
  StopMerges();
  must_drop_.store(true);
}

void Partition::Release(const std::vector<Entry>& sources) {
  MutexLock lock(mutex_);
  for (auto& entries : parts_) {
    for (Entry& entry : entries) {
      for (const Entry& source : sources) {
        if (entry.part == source.part) entry.in_merge = false;
      }
    }
  }
  merge_done_.NotifyAll();
}

Status Partition::Merge(const std::vector<Entry>& sources, bool to_disk, std::stop_token stop) {
  Status status = MergeMarked(sources, to_disk, std::move(stop));
  Release(sources);
  if (status.ok()) NotifyAdded();
  return status;
}

PartClass Partition::TargetOf(const std::vector<Entry>& sources, bool to_disk) const {
  uint64_t size = 0;
  bool from_files = false;
  for (const Entry& source : sources) {
    size += source.part->reader->size_bytes();
    from_files = from_files || !source.part->path.empty();
  }
  if (size > MaxSmallPartSize()) return PartClass::kBig;
  if (to_disk || from_files || size > MaxInmemoryPartSize()) return PartClass::kSmall;
  return PartClass::kInmemory;
}

Status Partition::MergeMarked(const std::vector<Entry>& sources, bool to_disk, std::stop_token stop) {
  const PartClass target = TargetOf(sources, to_disk);
  MergeCounters& counters = counters_[static_cast<size_t>(target)];
  counters.active.fetch_add(1, std::memory_order_relaxed);
  auto result = WriteMerged(sources, target, std::move(stop));
  counters.active.fetch_sub(1, std::memory_order_relaxed);
  if (!result.ok()) return std::move(result).error();
  counters.merges.fetch_add(1, std::memory_order_relaxed);
  return Swap(sources, std::move(result).value(), target);
}

Result<std::shared_ptr<Partition::ListedPart>> Partition::WriteMerged(const std::vector<Entry>& sources,
                                                                      PartClass target, std::stop_token stop) {
  fs::FileSystem& files = *options_.fs;
  uint64_t rows = 0;
  uint64_t blocks = 0;  // Of the result, when parts have the same series; they mostly do.
  std::vector<std::shared_ptr<const PartReader>> readers;
  for (const Entry& source : sources) {
    rows += source.part->reader->header().rows_count;
    blocks = std::max(blocks, source.part->reader->header().blocks_count);
    readers.push_back(source.part->reader);
  }
  MergePolicy policy;
  policy.dedup_interval_ms = options_.dedup_interval_ms;
  policy.is_deleted = [this](model::MetricId id) { return index_->IsDeleted(id); };
  if (options_.retention_ms > 0) policy.retention_deadline_ms = options_.now_ms() - options_.retention_ms;
  MergeCounters& counters = counters_[static_cast<size_t>(target)];
  MergeStats stats;
  const auto merge = [&](PartWriter& writer) -> Status {
    VM_TRY(MergeParts(readers, writer, policy, stop, stats));
    counters.rows_merged.fetch_add(stats.rows_read, std::memory_order_relaxed);
    counters.rows_deleted.fetch_add(stats.rows_deleted, std::memory_order_relaxed);
    lossy_blocks_.fetch_add(stats.lossy_blocks, std::memory_order_relaxed);
    rows_deduplicated_.fetch_add(stats.rows_deduplicated, std::memory_order_relaxed);
    return Ok();
  };
  const std::string part_name = NextPartName();

  if (target == PartClass::kInmemory) {
    PartBuffers buffers;
    const auto writer = PartWriter::ToMemory(buffers, IndexLevelForMerge(rows, blocks));
    VM_TRY(merge(*writer));
    if (writer->rows_count() == 0) return std::shared_ptr<ListedPart>();
    VM_TRY(writer->Finish(options_.dedup_interval_ms));
    VM_ASSIGN_OR_RETURN(auto reader, PartReader::FromMemory(std::move(buffers)));
    return std::make_shared<ListedPart>(files, std::string(), std::string(), std::move(reader));
  }

  const std::string path = fs::Join(target == PartClass::kBig ? BigPath() : SmallPath(), part_name);
  VM_TRY(EnsureFolders());
  // A sample must never be durable without the name of its series.
  VM_TRY(FlushIndex());
  if (sources.size() == 1 && sources.front().part->path.empty() && options_.dedup_interval_ms == 0) {
    VM_TRY(readers.front()->StoreTo(files, path));
    counters.rows_merged.fetch_add(rows, std::memory_order_relaxed);
  } else {
    VM_ASSIGN_OR_RETURN(auto writer, PartWriter::ToFolder(files, path, IndexLevelForMerge(rows, blocks)));
    UnlistedFolder folder(files, path);
    VM_TRY(merge(*writer));
    if (writer->rows_count() == 0) return std::shared_ptr<ListedPart>();
    VM_TRY(writer->Finish(options_.dedup_interval_ms));
    folder.Keep();
  }
  UnlistedFolder folder(files, path);
  VM_ASSIGN_OR_RETURN(auto reader, PartReader::OpenFolder(files, path, options_.index_blocks));
  folder.Keep();
  return std::make_shared<ListedPart>(files, part_name, path, std::move(reader));
}

Status Partition::Swap(const std::vector<Entry>& sources, std::shared_ptr<ListedPart> result, PartClass target) {
  const auto is_source = [&](const Entry& entry) {
    return std::any_of(sources.begin(), sources.end(), [&](const Entry& source) { return source.part == entry.part; });
  };
  bool files_change = target != PartClass::kInmemory && result != nullptr;
  Entry added{result};
  for (const Entry& source : sources) {
    files_change = files_change || !source.part->path.empty();
    if (target == PartClass::kInmemory) {
      added.flush_deadline_ms = std::min(added.flush_deadline_ms, source.flush_deadline_ms);
    }
  }
  std::vector<std::shared_ptr<ListedPart>> dropped;  // Outlives the locks: removing folders takes time.
  MutexLock commit_lock(commit_mutex_);
  if (files_change) {
    PartNames names;
    {
      MutexLock lock(mutex_);
      for (const Entry& entry : List(PartClass::kSmall)) {
        if (!is_source(entry)) names.small.push_back(entry.part->name);
      }
      for (const Entry& entry : List(PartClass::kBig)) {
        if (!is_source(entry)) names.big.push_back(entry.part->name);
      }
    }
    if (result != nullptr) (target == PartClass::kBig ? names.big : names.small).push_back(result->name);
    // The commit point. Searches go on meanwhile; lists of files change only under the commit lock.
    Status status =
        options_.fs->AtomicWriteFile(fs::Join(SmallPath(), kPartsFile), AsBytes(FormatPartNames(std::move(names))));
    if (!status.ok()) {
      if (result != nullptr) uncertain_.push_back(std::move(result));
      return status;
    }
    for (auto& part : uncertain_) {
      part->must_drop.store(true);
      dropped.push_back(std::move(part));
    }
    uncertain_.clear();
  }
  MutexLock lock(mutex_);
  for (auto& entries : parts_) std::erase_if(entries, is_source);
  if (added.part != nullptr) List(target).push_back(std::move(added));
  for (const Entry& source : sources) {
    if (!source.part->path.empty()) source.part->must_drop.store(true);
  }
  return Ok();
}

Status Partition::DropStaleParts() {
  if (options_.retention_ms <= 0) return Ok();
  const int64_t deadline = options_.now_ms() - options_.retention_ms;
  std::vector<Entry> stale;
  {
    MutexLock lock(mutex_);
    for (auto& entries : parts_) {
      for (Entry& entry : entries) {
        if (entry.in_merge || entry.part->reader->header().max_timestamp >= deadline) continue;
        entry.in_merge = true;
        stale.push_back(entry);
      }
    }
  }
  if (stale.empty()) return Ok();
  Status status = Swap(stale, nullptr, PartClass::kSmall);
  Release(stale);
  return status;
}

Status Partition::Close() {
  StopMerges();
  VM_TRY(FlushRawRows());
  VM_TRY(FlushInmemoryParts(true));
  {
    MutexLock lock(mutex_);
    for (const PartClass part_class : {PartClass::kInmemory, PartClass::kSmall, PartClass::kBig}) {
      WaitForMergesLocked(part_class);
    }
  }
  return index_->Close();
}

std::vector<PartRef> Partition::Parts() const {
  std::vector<PartRef> parts;
  MutexLock lock(mutex_);
  for (const auto& entries : parts_) {
    for (const Entry& entry : entries) {
      // Shares the ownership of the list entry, which removes the folder in the end.
      parts.push_back(PartRef(entry.part, entry.part->reader.get()));
    }
  }
  return parts;
}

uint64_t Partition::CollectedRows() const {
  MutexLock lock(conversions_mutex_);
  uint64_t rows = 0;
  for (const auto& piece : collected_) rows += piece.size();
  return rows;
}

Partition::Load Partition::GetLoad() const {
  Load load;
  {
    MutexLock lock(mutex_);
    load.inmemory_parts = List(PartClass::kInmemory).size();
    load.small_parts = List(PartClass::kSmall).size();
    load.lacks_space = lacks_space_[static_cast<size_t>(PartClass::kSmall)].Get();
    for (const Entry& entry : List(PartClass::kInmemory)) load.memory_bytes += entry.part->reader->size_bytes();
  }
  for (const auto& shard : shards_) {
    MutexLock lock(shard->mutex);
    load.memory_bytes += shard->rows.size() * sizeof(RawRow);
  }
  load.memory_bytes += CollectedRows() * sizeof(RawRow);
  load.index_memory_sets = index_->memory_sets();
  return load;
}

PartitionStats Partition::Stats() const {
  PartitionStats stats;
  {
    MutexLock lock(mutex_);
    const auto add = [](const std::vector<Entry>& entries, PartsStats& sum) {
      for (const Entry& entry : entries) {
        const PartReader& reader = *entry.part->reader;
        ++sum.parts;
        sum.blocks += reader.header().blocks_count;
        sum.rows += reader.header().rows_count;
        sum.size_bytes += reader.size_bytes();
      }
    };
    add(List(PartClass::kInmemory), stats.inmemory);
    add(List(PartClass::kSmall), stats.small);
    add(List(PartClass::kBig), stats.big);
  }
  const auto add_counters = [this](PartClass part_class, PartsStats& sum) {
    const MergeCounters& counters = counters_[static_cast<size_t>(part_class)];
    sum.active_merges = counters.active.load(std::memory_order_relaxed);
    sum.merges = counters.merges.load(std::memory_order_relaxed);
    sum.rows_merged = counters.rows_merged.load(std::memory_order_relaxed);
    sum.rows_deleted = counters.rows_deleted.load(std::memory_order_relaxed);
    sum.lacking_space = lacks_space_[static_cast<size_t>(part_class)].Get() ? 1 : 0;
  };
  add_counters(PartClass::kInmemory, stats.inmemory);
  add_counters(PartClass::kSmall, stats.small);
  add_counters(PartClass::kBig, stats.big);
  stats.lossy_blocks = lossy_blocks_.load(std::memory_order_relaxed);
  stats.rows_deduplicated = rows_deduplicated_.load(std::memory_order_relaxed);
  stats.index_memory_sets = index_->stats().memory_sets;
  for (const auto& shard : shards_) {
    MutexLock lock(shard->mutex);
    stats.pending_rows += shard->rows.size();
  }
  stats.pending_rows += CollectedRows();
  return stats;
}

Status Partition::CreateSnapshot(const std::string& snapshot) {
  fs::FileSystem& files = *options_.fs;
  VM_TRY(FlushRawRows());
  VM_TRY(FlushInmemoryParts(true));
  std::vector<Entry> lists[2];
  {
    MutexLock lock(mutex_);
    lists[0] = List(PartClass::kSmall);
    lists[1] = List(PartClass::kBig);
  }
  PartNames names;
  for (const Entry& entry : lists[0]) names.small.push_back(entry.part->name);
  for (const Entry& entry : lists[1]) names.big.push_back(entry.part->name);
  const std::string sources[2] = {SmallPath(), BigPath()};
  const auto target = [&](const std::string& source) {
    return fs::Join(fs::Join(fs::Join(fs::ParentPath(source), "snapshots"), snapshot), name_);
  };
  for (size_t i = 0; i < 2; ++i) {
    const std::string path = target(sources[i]);
    VM_TRY(files.CreateDirectories(path));
    for (const Entry& entry : lists[i]) {
      VM_TRY(LinkPart(files, entry.part->path, fs::Join(path, entry.part->name)));
    }
    if (i == 0) {
      VM_TRY(files.AtomicWriteFile(fs::Join(path, kPartsFile), AsBytes(FormatPartNames(names))));
    }
    VM_TRY(fs::SyncDirectoryAndParent(files, path));
  }
  // The index after the data: it has the names of all samples that were linked.
  VM_TRY(FlushIndex());
  const std::string path = target(IndexPath());
  VM_TRY(index_->CreateSnapshot(path));
  return fs::SyncDirectoryAndParent(files, path);
}

}  // namespace vm::storage
