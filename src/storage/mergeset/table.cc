#include "storage/mergeset/table.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "lib/log/log.h"
#include "storage/mergeset/item_merger.h"
#include "storage/partset/link_part.h"
#include "storage/partset/open_error.h"
#include "storage/partset/parts_json.h"
#include "storage/partset/select_parts.h"
#include "storage/partset/unlisted_folder.h"

namespace vm::mergeset {
namespace {

constexpr uint64_t kMaxPartSize = uint64_t{400} * 1000 * 1000 * 1000;
constexpr size_t kOwnHeadersCacheBytes = 4 << 20;
constexpr size_t kOwnBlocksCacheBytes = 16 << 20;
// Stop requests are looked at after that many items.
constexpr uint64_t kCheckStopEvery = 4096;

Options WithCaches(Options options) {
  if (options.caches == nullptr) options.caches = std::make_shared<Caches>(kOwnHeadersCacheBytes, kOwnBlocksCacheBytes);
  return options;
}

}  // namespace

bool Search::Seek(ByteView key) {
  if (!status_.ok()) return false;
  wanted_.assign(key.begin(), key.end());  // `key` may be a view of the current item.
  for (MemoryCursor& cursor : memory_) cursor.at = cursor.run->LowerBound(wanted_);
  for (PartCursor& cursor : parts_) {
    if (Status status = cursor.Seek(wanted_); !status.ok()) {
      status_ = std::move(status);
      return false;
    }
  }
  return PickSmallest();
}

bool Search::SeekPrefix(ByteView prefix) {
  return Seek(prefix) && item_.size() >= wanted_.size() && Equal(ByteView(item_).subspan(0, wanted_.size()), wanted_);
}

bool Search::Next() {
  if (!status_.ok()) return false;
  for (MemoryCursor& cursor : memory_) {
    while (cursor.valid() && Equal(cursor.item(), item_)) ++cursor.at;
  }
  for (PartCursor& cursor : parts_) {
    while (cursor.valid() && Equal(cursor.item(), item_)) {
      if (Status status = cursor.Next(); !status.ok()) {
        status_ = std::move(status);
        return false;
      }
    }
  }
  return PickSmallest();
}

bool Search::PickSmallest() {
  ByteView smallest;
  bool found = false;
  const auto offer = [&](ByteView item) {
    if (!found || Less(item, smallest)) smallest = item;
    found = true;
  };
  for (const MemoryCursor& cursor : memory_) {
    if (cursor.valid()) offer(cursor.item());
  }
  for (const PartCursor& cursor : parts_) {
    if (cursor.valid()) offer(cursor.item());
  }
  if (found) item_.assign(smallest.begin(), smallest.end());
  return found;
}

Table::Table(std::string path, Options options)
    : path_(std::move(path)),
      options_(WithCaches(std::move(options))),
      fs_(options_.file_system != nullptr ? *options_.file_system : fs::RealFileSystem()),
      next_part_(static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                           std::chrono::system_clock::now().time_since_epoch())
                                           .count())),
      memory_(std::make_shared<MemoryItems>(1)) {}

Table::~Table() = default;

Result<std::unique_ptr<Table>> Table::Open(const std::string& path, Options options) {
  std::unique_ptr<Table> table(new Table(path, std::move(options)));
  VM_TRY(table->OpenParts());
  return table;
}

Status Table::EnsureFolder() {
  MutexLock lock(folder_mutex_);
  if (has_folder_) return Ok();
  VM_TRY(fs::CreateDirectoriesSynced(fs_, path_));
  if (fs_.Exists(fs::Join(path_, storage::kPartsFile))) {
    // Whoever wrote the list may have been cut off before it was durable. Without it unfinished parts would count.
    VM_TRY(fs_.SyncDirectory(path_));
  } else {
    VM_TRY(WritePartsJson({}));
  }
  has_folder_ = true;
  return Ok();
}

Status Table::OpenParts() {
  const std::string list_path = fs::Join(path_, storage::kPartsFile);
  std::vector<std::string> names;
  const bool listed = fs_.Exists(list_path);
  if (listed) {
    VM_ASSIGN_OR_RETURN(const ByteBuffer json, fs_.ReadFile(list_path));
    auto parsed = storage::ParsePartNameList(AsText(json));
    if (!parsed.ok()) return std::move(parsed).error().WithContext("\"" + list_path + "\"");
    names = std::move(parsed).value();
  } else if (fs_.Exists(path_)) {
    VM_ASSIGN_OR_RETURN(names, storage::ListPartFolders(fs_, path_));
    std::erase(names, "cache");
  }
  if (!listed && names.empty()) {
    // A new table.
    if (Status status = EnsureFolder(); !status.ok()) {
      VM_LOG_ERROR("cannot create the index table \"{}\", which is tried again before it is written: {}", path_,
                   status.error().message());
      return Ok();
    }
  }
  for (const std::string& name : names) {
    const std::string dir = fs::Join(path_, name);
    if (!fs_.Exists(dir)) {
      return Error(ErrorCode::kCorrupted,
                   fmt::format("part \"{}\" is listed in \"{}\", but is missing on disk; ensure \"{}\" contents is "
                               "not corrupted; remove \"{}\" from \"{}\" in order to restore access to the remaining "
                               "data",
                               dir, list_path, list_path, name, list_path));
    }
  }
  std::vector<std::shared_ptr<Part>> parts;
  for (const std::string& name : names) {
    const std::string dir = fs::Join(path_, name);
    auto part = Part::Open(fs_, dir, options_.caches);
    if (!part.ok()) return storage::OpenError(fs_, dir, Part::kFiles, std::move(part).error());
    parts.push_back(std::move(part).value());
    uint64_t number = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number, 16);
    // New names must not meet old ones, also when the clock went back.
    if (parsed.ec == std::errc() && parsed.ptr == name.data() + name.size() && number < (1ull << 63) &&
        number > next_part_.load()) {
      next_part_.store(number);
    }
  }
  // After the parts were opened: what cannot be read is not made worse.
  VM_TRY(storage::RemoveUnlistedParts(fs_, path_, names));
  if (!listed && !names.empty()) VM_TRY(WritePartsJson(parts));
  {
    MutexLock lock(parts_mutex_);
    parts_ = std::make_shared<const Parts>(std::move(parts));
  }
  return EnsureFolder();
}

Status Table::WritePartsJson(const Parts& parts) {
  std::vector<std::string> names;
  for (const auto& part : parts) names.push_back(part->name());
  return fs_.AtomicWriteFile(fs::Join(path_, storage::kPartsFile),
                             AsBytes(storage::FormatPartNameList(std::move(names))));
}

std::string Table::NextPartName() { return fmt::format("{:016X}", next_part_.fetch_add(1) + 1); }

Status Table::AddItems(std::span<const ByteView> items, const Postings& postings) {
  std::vector<ByteView> short_items, short_tails;  // Used when there are too long ones.
  const auto drop_long = [&](std::span<const ByteView>& views, size_t more, std::vector<ByteView>& kept, size_t each) {
    const auto too_long = [&](ByteView view) { return view.size() + more > kMaxItemSize; };
    if (std::none_of(views.begin(), views.end(), too_long)) return;
    std::remove_copy_if(views.begin(), views.end(), std::back_inserter(kept), too_long);
    items_dropped_.fetch_add((views.size() - kept.size()) * each, std::memory_order_relaxed);
    views = kept;
  };
  drop_long(items, 0, short_items, 1);
  Postings kept = postings;
  size_t longest_prefix = 0;
  for (const ByteView prefix : postings.prefixes) longest_prefix = std::max(longest_prefix, prefix.size());
  drop_long(kept.tails, longest_prefix + sizeof(postings.id), short_tails, postings.prefixes.size());
  std::vector<uint64_t> hashes(kept.tails.size());
  std::transform(kept.tails.begin(), kept.tails.end(), hashes.begin(), PostingTable::HashOf);
  kept.tail_hashes = hashes;
  bool full = false;
  std::shared_ptr<MemoryItems> to_sort;
  {
    // Held over all items, so that a flush takes all of them or none.
    MutexLock lock(mutex_);
    if (memory_->Add(items, kept)) to_sort = memory_;
    items_added_.fetch_add(items.size() + kept.prefixes.size() * kept.tails.size(), std::memory_order_relaxed);
    if (memory_->bytes() >= options_.max_memory_bytes) {
      full = true;
      TurnOverLocked();
    }
  }
  // Others go on adding meanwhile.
  if (to_sort != nullptr) to_sort->SortFull();
  if (!full) return Ok();
  if (!options_.wants_work) return FlushToDisk();
  options_.wants_work();
  return Ok();
}

void Table::TurnOverLocked() {
  const uint64_t next = memory_->epoch() + 1;
  flushing_.push_back(std::exchange(memory_, std::make_shared<MemoryItems>(next)));
  epoch_.store(next, std::memory_order_release);
}

Search Table::NewSearch(SearchScope scope) const {
  Search search;
  std::vector<std::shared_ptr<MemoryItems>> sets;
  if (scope == SearchScope::kAll) {
    MutexLock lock(mutex_);
    sets = flushing_;
    sets.push_back(memory_);
  }
  // After the sets: one that has become a part meanwhile is seen twice rather than not at all.
  for (const auto& part : *CurrentParts()) search.parts_.emplace_back(part);
  // Outside the lock: new items are sorted for this.
  for (const auto& items : sets) {
    for (auto& run : items->Runs()) search.memory_.push_back({.run = std::move(run)});
  }
  return search;
}

Search Table::NewLookup(ByteView key) const {
  Search search;
  const std::shared_ptr<const Parts> parts = CurrentParts();
  const uint64_t hash = LookupHash(key);
  for (const auto& part : *parts) {
    if (part->filter() == nullptr || part->filter()->MayHave(hash)) search.parts_.emplace_back(part);
  }
  return search;
}

Result<std::shared_ptr<Part>> Table::FinishPart(PartWriter& writer, const std::string& dir, const Parts& replaced) {
  VM_ASSIGN_OR_RETURN(const bool written, writer.Finish(fs_, dir));
  if (!written) return std::shared_ptr<Part>();
  VM_ASSIGN_OR_RETURN(auto part, Part::Open(fs_, dir, options_.caches));
  if (!options_.lookup_key) return part;
  size_t bytes = containers::KeyFilter::BytesFor(writer.lookup_hashes().size());
  for (const auto& other : *CurrentParts()) {
    if (other->filter() == nullptr || std::find(replaced.begin(), replaced.end(), other) != replaced.end()) continue;
    bytes += other->filter()->bytes();
  }
  if (bytes <= options_.max_filter_bytes) part->SetFilter(containers::KeyFilter(writer.lookup_hashes()));
  return part;
}

Status Table::Flush(const std::vector<std::shared_ptr<MemoryItems>>& sets) {
  VM_TRY(EnsureFolder());
  const std::string dir = fs::Join(path_, NextPartName());
  storage::UnlistedFolder folder(fs_, dir);
  ItemRuns runs;
  size_t count = 0;
  for (const auto& items : sets) {
    for (auto& run : items->Runs()) runs.push_back(std::move(run));
  }
  // The original has twice as many at this point, since tags are not yet together: so the level is the same.
  for (const auto& run : runs) count += 2 * run->size();
  PartWriter writer(CompressLevelFor(count), options_.prepare_block, options_.lookup_key);
  VM_TRY(writer.OpenFiles(fs_, dir));
  VM_TRY(MergeRuns(runs, [&](ByteView item) { return writer.Add(item); }));
  VM_ASSIGN_OR_RETURN(std::shared_ptr<Part> part, FinishPart(writer, dir, {}));
  folder.Keep();
  VM_TRY(SwapParts({}, std::move(part)));
  MutexLock lock(mutex_);
  std::erase_if(flushing_, [&](const auto& items) { return std::find(sets.begin(), sets.end(), items) != sets.end(); });
  written_epoch_.store((flushing_.empty() ? memory_ : flushing_.front())->epoch() - 1, std::memory_order_release);
  return Ok();
}

Status Table::FlushToDisk() {
  MutexLock flush_lock(flush_mutex_);
  std::vector<std::shared_ptr<MemoryItems>> sets;
  {
    MutexLock lock(mutex_);
    if (memory_->bytes() > 0) TurnOverLocked();
    sets = flushing_;
  }
  if (sets.empty()) return Ok();
  VM_TRY(Flush(sets));
  if (!options_.wants_work) {
    while (true) {
      VM_ASSIGN_OR_RETURN(const bool merged, TryMergeParts());
      if (!merged) break;
    }
  }
  return Ok();
}

Result<bool> Table::TryMerge() {
  {
    MutexLock flush_lock(flush_mutex_);
    std::vector<std::shared_ptr<MemoryItems>> sets;
    {
      MutexLock lock(mutex_);
      sets = flushing_;
    }
    if (!sets.empty()) {
      VM_TRY(Flush(sets));
      return true;
    }
  }
  return TryMergeParts();
}

Result<bool> Table::TryMergeParts() {
  if (stop_merges_.stop_requested()) return false;
  if (CurrentParts()->size() < 2) {
    lacks_space_.Set(false, path_, 0, 0);
    return false;
  }
  VM_ASSIGN_OR_RETURN(const uint64_t free, fs_.FreeSpace(path_));
  const uint64_t writers = std::max<uint64_t>(std::thread::hardware_concurrency(), 4);
  const uint64_t max_output =
      std::min(kMaxPartSize, storage::MaxMergeOutput(free, options_.min_merge_free_space_bytes, writers));
  Parts sources;
  bool lacks_space = false;
  size_t parts_count = 0;
  {
    MutexLock lock(mutex_);
    if (waiting_for_merges_ > 0) return false;  // Else who waits might wait for ever.
    Parts idle;
    std::vector<storage::PartSize> sizes;
    for (const auto& part : *CurrentParts()) {
      if (in_merge_.contains(part.get())) continue;
      idle.push_back(part);
      sizes.push_back({part->size_bytes(), 0});
    }
    for (const size_t i : storage::SelectPartsToMerge(sizes, max_output)) {
      in_merge_.insert(idle[i].get());
      sources.push_back(idle[i]);
    }
    lacks_space = sources.empty() && !storage::SelectPartsToMerge(sizes, kMaxPartSize).empty();
    parts_count = idle.size();
  }
  lacks_space_.Set(lacks_space, path_, parts_count, free);
  if (sources.empty()) return false;
  VM_TRY(Merge(sources));
  return true;
}

void Table::WaitForMergesLocked() {
  ++waiting_for_merges_;
  while (!in_merge_.empty()) merge_done_.Wait(mutex_);
  --waiting_for_merges_;
}

Status Table::ForceMerge() {
  VM_TRY(FlushToDisk());
  Parts sources;
  {
    MutexLock lock(mutex_);
    WaitForMergesLocked();
    sources = *CurrentParts();
    if (sources.size() < 2) return Ok();
    uint64_t size = 0;
    for (const auto& part : sources) size += part->size_bytes();
    const auto free = fs_.FreeSpace(path_);
    if (free.ok() && free.value() < size) {
      return Error(ErrorCode::kLimitExceeded, fmt::format("cannot join the parts of \"{}\"; additional space needed: "
                                                          "{} bytes", path_, size - free.value()));
    }
    for (const auto& part : sources) in_merge_.insert(part.get());
  }
  return Merge(sources);
}

Status Table::Merge(const Parts& sources) {
  active_merges_.fetch_add(1, std::memory_order_relaxed);
  auto result = WriteMerged(sources);
  active_merges_.fetch_sub(1, std::memory_order_relaxed);
  Status status = result.ok() ? SwapParts(sources, std::move(result).value()) : Status(std::move(result).error());
  if (status.ok()) merges_.fetch_add(1, std::memory_order_relaxed);
  MutexLock lock(mutex_);
  for (const auto& part : sources) in_merge_.erase(part.get());
  merge_done_.NotifyAll();
  return status;
}

Result<std::shared_ptr<Part>> Table::WriteMerged(const Parts& sources) {
  uint64_t items_count = 0;
  std::vector<PartCursor> cursors;
  for (const auto& part : sources) {
    items_count += part->header().items_count;
    cursors.emplace_back(part, /*use_cache=*/false);
    VM_TRY(cursors.back().Seek({}));
  }
  const std::string dir = fs::Join(path_, NextPartName());
  storage::UnlistedFolder folder(fs_, dir);
  PartWriter writer(CompressLevelFor(items_count), options_.prepare_block, options_.lookup_key);
  VM_TRY(writer.OpenFiles(fs_, dir));
  ItemMerger merger(cursors);
  for (uint64_t i = 0; merger.valid(); ++i) {
    if (i % kCheckStopEvery == 0 && stop_merges_.stop_requested()) {
      return Error(ErrorCode::kCancelled, "the merge was stopped");
    }
    VM_TRY(writer.Add(merger.item()));
    VM_TRY(merger.Next());
  }
  items_merged_.fetch_add(items_count, std::memory_order_relaxed);
  VM_ASSIGN_OR_RETURN(std::shared_ptr<Part> part, FinishPart(writer, dir, sources));
  folder.Keep();
  return part;
}

Status Table::SwapParts(const Parts& removed, std::shared_ptr<Part> added) {
  Parts dropped;  // Outlives the locks: removing folders takes time.
  MutexLock commit_lock(commit_mutex_);
  Parts parts = *CurrentParts();
  std::erase_if(parts, [&](const auto& part) {
    return std::find(removed.begin(), removed.end(), part) != removed.end();
  });
  if (added != nullptr) parts.push_back(added);
  if (Status status = WritePartsJson(parts); !status.ok()) {
    if (added != nullptr) uncertain_.push_back(std::move(added));
    return status;
  }
  for (const auto& part : uncertain_) part->Drop();
  dropped.swap(uncertain_);
  for (const auto& part : removed) part->Drop();
  auto listed = std::make_shared<const Parts>(std::move(parts));
  MutexLock lock(parts_mutex_);
  parts_.swap(listed);  // The old list goes after the lock.
  return Ok();
}

Status Table::Close() {
  StopMerges();
  VM_TRY(FlushToDisk());
  MutexLock lock(mutex_);
  WaitForMergesLocked();
  return Ok();
}

Stats Table::stats() const {
  Stats stats;
  stats.items_added = items_added_.load(std::memory_order_relaxed);
  stats.too_long_items_dropped = items_dropped_.load(std::memory_order_relaxed);
  stats.merges = merges_.load(std::memory_order_relaxed);
  stats.items_merged = items_merged_.load(std::memory_order_relaxed);
  stats.active_merges = active_merges_.load(std::memory_order_relaxed);
  stats.lacking_space = lacks_space_.Get() ? 1 : 0;
  MutexLock lock(mutex_);
  stats.memory_items = memory_->count();
  stats.memory_bytes = memory_->bytes();
  for (const auto& items : flushing_) {
    stats.memory_items += items->count();
    stats.memory_bytes += items->bytes();
  }
  stats.memory_sets = flushing_.size();
  const std::shared_ptr<const Parts> parts = CurrentParts();
  stats.file_parts = parts->size();
  for (const auto& part : *parts) {
    stats.file_items += part->header().items_count;
    stats.file_blocks += part->header().blocks_count;
    stats.file_bytes += part->size_bytes();
  }
  return stats;
}

Status Table::CreateSnapshot(const std::string& path) const {
  const std::shared_ptr<const Parts> parts = CurrentParts();
  VM_TRY(fs_.CreateDirectories(path));
  std::vector<std::string> names;
  for (const auto& part : *parts) {
    VM_TRY(storage::LinkPart(fs_, part->dir(), fs::Join(path, part->name())));
    names.push_back(part->name());
  }
  VM_TRY(fs_.AtomicWriteFile(fs::Join(path, storage::kPartsFile),
                             AsBytes(storage::FormatPartNameList(std::move(names)))));
  return fs_.SyncDirectory(path);
}

}  // namespace vm::mergeset
