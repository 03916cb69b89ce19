#include "storage/mergeset/table.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vm::mergeset {
namespace {

constexpr size_t kPartsToMerge = 15;
constexpr uint64_t kMaxPartSize = uint64_t{400} * 1000 * 1000 * 1000;

/// The run of parts of similar size that is worth joining; empty when there is none.
/// Reference: VictoriaMetrics lib/mergeset/table.go, appendPartsToMerge.
std::vector<std::shared_ptr<Part>> SelectPartsToMerge(std::vector<std::shared_ptr<Part>> parts) {
  std::erase_if(parts, [](const auto& part) {
    return static_cast<double>(part->size_bytes()) > static_cast<double>(kMaxPartSize) / 1.7;
  });
  if (parts.size() < 2) return {};
  std::stable_sort(parts.begin(), parts.end(),
                   [](const auto& a, const auto& b) { return a->size_bytes() < b->size_bytes(); });
  const size_t most = std::min(kPartsToMerge, parts.size());
  double best = 0;
  size_t best_begin = 0;
  size_t best_count = 0;
  for (size_t count = std::max<size_t>((most + 1) / 2, 2); count <= most; ++count) {
    for (size_t begin = 0; begin + count <= parts.size(); ++begin) {
      const uint64_t largest = parts[begin + count - 1]->size_bytes();
      if (parts[begin]->size_bytes() * count < largest) continue;
      uint64_t sum = 0;
      for (size_t i = begin; i < begin + count; ++i) sum += parts[i]->size_bytes();
      if (sum > kMaxPartSize) break;
      const double multiplier = static_cast<double>(sum) / static_cast<double>(largest);
      if (multiplier < best) continue;
      best = multiplier;
      best_begin = begin;
      best_count = count;
    }
  }
  if (best < std::max(static_cast<double>(kPartsToMerge) / 2, 1.7)) return {};
  const auto first = parts.begin() + static_cast<ptrdiff_t>(best_begin);
  return {first, first + static_cast<ptrdiff_t>(best_count)};
}

}  // namespace

void MemoryItems::Add(ByteView item) {
  MutexLock lock(mutex_);
  if (items_.emplace(AsText(item)).second) bytes_.fetch_add(item.size() + 96, std::memory_order_relaxed);
}

bool MemoryItems::Find(ByteView from, bool after, ByteBuffer& item) const {
  const std::string key(AsText(from));
  MutexLock lock(mutex_);
  const auto it = after ? items_.upper_bound(key) : items_.lower_bound(key);
  if (it == items_.end()) return false;
  item.assign(it->begin(), it->end());
  return true;
}

size_t MemoryItems::count() const {
  MutexLock lock(mutex_);
  return items_.size();
}

Status MemoryItems::ForEach(const std::function<Status(ByteView)>& visit) const {
  MutexLock lock(mutex_);
  for (const std::string& item : items_) VM_TRY(visit(AsBytes(item)));
  return Ok();
}

bool Search::Seek(ByteView key) {
  if (!status_.ok()) return false;
  const ByteBuffer wanted(key.begin(), key.end());  // `key` may be a view of the current item.
  for (MemoryCursor& cursor : memory_) cursor.valid = cursor.items->Find(wanted, false, cursor.item);
  for (PartCursor& cursor : parts_) {
    if (Status status = cursor.Seek(wanted); !status.ok()) {
      status_ = std::move(status);
      return false;
    }
  }
  return PickSmallest();
}

bool Search::SeekPrefix(ByteView prefix) {
  const ByteBuffer wanted(prefix.begin(), prefix.end());
  return Seek(wanted) && item_.size() >= wanted.size() && Equal(ByteView(item_).subspan(0, wanted.size()), wanted);
}

bool Search::Next() {
  if (!status_.ok()) return false;
  for (MemoryCursor& cursor : memory_) {
    if (cursor.valid && Equal(cursor.item, item_)) cursor.valid = cursor.items->Find(item_, true, cursor.item);
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
    if (cursor.valid) offer(cursor.item);
  }
  for (const PartCursor& cursor : parts_) {
    if (cursor.valid()) offer(cursor.item());
  }
  if (found) item_.assign(smallest.begin(), smallest.end());
  return found;
}

Table::Table(std::string path, Options options)
    : path_(std::move(path)),
      options_(std::move(options)),
      fs_(options_.file_system != nullptr ? *options_.file_system : fs::RealFileSystem()),
      next_part_(static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                           std::chrono::system_clock::now().time_since_epoch())
                                           .count())),
      memory_(std::make_shared<MemoryItems>()) {}

Table::~Table() = default;

Result<std::unique_ptr<Table>> Table::Open(const std::string& path, Options options) {
  std::unique_ptr<Table> table(new Table(path, std::move(options)));
  VM_TRY(table->OpenParts());
  return table;
}

Status Table::OpenParts() {
  VM_TRY(fs_.CreateDirectories(path_));
  const std::string list_path = fs::Join(path_, "parts.json");
  VM_ASSIGN_OR_RETURN(const std::vector<fs::DirEntry> entries, fs_.ListDirectory(path_));
  std::vector<std::string> names;
  const bool listed = fs_.Exists(list_path);
  if (listed) {
    VM_ASSIGN_OR_RETURN(const ByteBuffer json, fs_.ReadFile(list_path));
    const auto parsed = nlohmann::json::parse(AsText(json), nullptr, false);
    if (!parsed.is_array()) return Error(ErrorCode::kCorrupted, "cannot parse \"" + list_path + "\"");
    for (const auto& name : parsed) {
      if (!name.is_string()) return Error(ErrorCode::kCorrupted, "cannot parse \"" + list_path + "\"");
      const auto& text = name.get_ref<const std::string&>();
      if (text.empty() || text == "." || text == ".." || text.find('/') != std::string::npos) {
        return Error(ErrorCode::kCorrupted, "bad part name in \"" + list_path + "\"");
      }
      names.push_back(text);
    }
  } else {
    for (const fs::DirEntry& entry : entries) {
      if (entry.is_directory && entry.name != "tmp" && entry.name != "txn" && entry.name != "snapshots" &&
          entry.name != "cache") {
        names.push_back(entry.name);
      }
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
  for (const fs::DirEntry& entry : entries) {
    if (entry.is_directory && std::find(names.begin(), names.end(), entry.name) == names.end()) {
      VM_TRY(fs::RemoveDirectory(fs_, fs::Join(path_, entry.name)));
    }
  }
  std::vector<std::shared_ptr<Part>> parts;
  for (const std::string& name : names) {
    VM_ASSIGN_OR_RETURN(auto part, Part::Open(fs_, fs::Join(path_, name)));
    parts.push_back(std::move(part));
  }
  if (!listed) VM_TRY(WritePartsJson(parts));
  MutexLock lock(mutex_);
  parts_ = std::move(parts);
  return Ok();
}

Status Table::WritePartsJson(const std::vector<std::shared_ptr<Part>>& parts) {
  std::vector<std::string> names;
  for (const auto& part : parts) names.push_back(part->name());
  std::sort(names.begin(), names.end());
  return fs_.AtomicWriteFile(fs::Join(path_, "parts.json"), AsBytes(nlohmann::json(names).dump()));
}

std::string Table::NextPartName() { return fmt::format("{:016X}", next_part_.fetch_add(1) + 1); }

Status Table::AddItems(std::span<const ByteView> items) {
  bool full = false;
  {
    // Held over all items, so that a flush takes all of them or none.
    MutexLock lock(mutex_);
    for (const ByteView item : items) {
      if (item.size() > kMaxItemSize) {
        items_dropped_.fetch_add(1, std::memory_order_relaxed);
        continue;
      }
      memory_->Add(item);
      items_added_.fetch_add(1, std::memory_order_relaxed);
    }
    full = memory_->bytes() >= options_.max_memory_bytes;
  }
  return full ? FlushToDisk() : Ok();
}

Search Table::NewSearch() const {
  Search search;
  MutexLock lock(mutex_);
  const auto add = [&](const std::shared_ptr<MemoryItems>& items) {
    search.memory_.push_back({.items = items, .item = {}, .valid = false});
  };
  if (memory_->bytes() > 0) add(memory_);
  for (const auto& items : flushing_) add(items);
  for (const auto& part : parts_) search.parts_.emplace_back(part);
  return search;
}

Status Table::FlushToDisk() {
  MutexLock flush_lock(flush_mutex_);
  std::vector<std::shared_ptr<MemoryItems>> flushing;
  {
    MutexLock lock(mutex_);
    if (memory_->bytes() > 0) {
      flushing_.push_back(std::move(memory_));
      memory_ = std::make_shared<MemoryItems>();
    }
    flushing = flushing_;
  }
  // More than one only after a failed attempt.
  for (const auto& items : flushing) {
    const std::string dir = fs::Join(path_, NextPartName());
    PartWriter writer(CompressLevelFor(items->count()), options_.prepare_block);
    VM_TRY(items->ForEach([&](ByteView item) { return writer.Add(item); }));
    VM_ASSIGN_OR_RETURN(const bool written, writer.Finish(fs_, dir));
    std::shared_ptr<Part> part;
    if (written) {
      VM_ASSIGN_OR_RETURN(part, Part::Open(fs_, dir));
    }
    VM_TRY(SwapPartsLocked({}, part));
    MutexLock lock(mutex_);
    std::erase(flushing_, items);
  }
  while (true) {
    std::vector<std::shared_ptr<Part>> parts;
    {
      MutexLock lock(mutex_);
      parts = parts_;
    }
    std::vector<std::shared_ptr<Part>> selected = SelectPartsToMerge(std::move(parts));
    if (selected.empty()) return Ok();
    VM_TRY(MergeLocked(std::move(selected)));
  }
}

Status Table::ForceMerge() {
  VM_TRY(FlushToDisk());
  MutexLock flush_lock(flush_mutex_);
  std::vector<std::shared_ptr<Part>> parts;
  {
    MutexLock lock(mutex_);
    parts = parts_;
  }
  return parts.size() < 2 ? Ok() : MergeLocked(std::move(parts));
}

Status Table::MergeLocked(std::vector<std::shared_ptr<Part>> sources) {
  uint64_t items_count = 0;
  std::vector<PartCursor> cursors;
  for (const auto& part : sources) {
    items_count += part->header().items_count;
    cursors.emplace_back(part);
    VM_TRY(cursors.back().Seek({}));
  }
  const std::string dir = fs::Join(path_, NextPartName());
  PartWriter writer(CompressLevelFor(items_count), options_.prepare_block);
  VM_TRY(writer.OpenFiles(fs_, dir));
  while (true) {
    PartCursor* smallest = nullptr;
    for (PartCursor& cursor : cursors) {
      if (cursor.valid() && (smallest == nullptr || Less(cursor.item(), smallest->item()))) smallest = &cursor;
    }
    if (smallest == nullptr) break;
    VM_TRY(writer.Add(smallest->item()));
    VM_TRY(smallest->Next());
  }
  VM_ASSIGN_OR_RETURN(const bool written, writer.Finish(fs_, dir));
  std::shared_ptr<Part> part;
  if (written) {
    VM_ASSIGN_OR_RETURN(part, Part::Open(fs_, dir));
  }
  merges_.fetch_add(1, std::memory_order_relaxed);
  return SwapPartsLocked(sources, std::move(part));
}

Status Table::SwapPartsLocked(const std::vector<std::shared_ptr<Part>>& removed, std::shared_ptr<Part> added) {
  std::vector<std::shared_ptr<Part>> parts;
  {
    MutexLock lock(mutex_);
    parts = parts_;
  }
  std::erase_if(parts, [&](const auto& part) {
    return std::find(removed.begin(), removed.end(), part) != removed.end();
  });
  if (added != nullptr) parts.push_back(std::move(added));
  VM_TRY(WritePartsJson(parts));
  for (const auto& part : removed) part->Drop();
  MutexLock lock(mutex_);
  parts_ = std::move(parts);
  return Ok();
}

Stats Table::stats() const {
  Stats stats;
  stats.items_added = items_added_.load(std::memory_order_relaxed);
  stats.too_long_items_dropped = items_dropped_.load(std::memory_order_relaxed);
  stats.merges = merges_.load(std::memory_order_relaxed);
  MutexLock lock(mutex_);
  stats.memory_items = memory_->count();
  for (const auto& items : flushing_) stats.memory_items += items->count();
  stats.file_parts = parts_.size();
  for (const auto& part : parts_) {
    stats.file_items += part->header().items_count;
    stats.file_bytes += part->size_bytes();
  }
  return stats;
}

}  // namespace vm::mergeset
