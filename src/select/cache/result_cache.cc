#include "select/cache/result_cache.h"

#include <algorithm>
#include <utility>

#include "lib/encoding/int.h"
#include "lib/hash/xxhash.h"

namespace vm::select {
namespace {

constexpr size_t kMaxEntriesPerKey = 10;
constexpr size_t kEntriesDroppedAtOnce = 5;
// Around the key and the packed result: nodes of the list and the map, the control block, allocations.
constexpr size_t kEntryOverhead = 256;

// File: the magic, then records. A record: u64 size, u64 XXH64 of its bytes, its bytes. The first one is the fingerprint.
// The others: size of the key (varuint), the key, both ends of the range (i64), the packed result. Oldest first.
constexpr std::string_view kMagic = "vmselect rollup results 1\n";
constexpr size_t kRecordHead = 16;

Error Broken(const std::string& path, std::string_view what) {
  return Error(ErrorCode::kCorrupted, std::string(what) + " in " + path);
}

Status AppendRecord(fs::FileWriter& writer, ByteView bytes) {
  ByteBuffer head;
  AppendBigEndian<uint64_t>(head, bytes.size());
  AppendBigEndian<uint64_t>(head, hash::XXH64(bytes));
  VM_TRY(writer.Append(head));
  return writer.Append(bytes);
}

/// The record at `offset`, which moves behind it.
Result<ByteView> ReadRecord(const fs::FileReader& reader, const std::string& path, uint64_t& offset, ByteBuffer& scratch) {
  if (reader.size() - offset < kRecordHead) return Broken(path, "incomplete record");
  uint8_t head[kRecordHead];
  VM_TRY(reader.ReadAt(offset, head));
  offset += kRecordHead;
  const auto size = LoadBigEndian<uint64_t>(head);
  if (size > reader.size() - offset) return Broken(path, "incomplete record");
  VM_ASSIGN_OR_RETURN(const ByteView bytes, reader.View(offset, size, scratch));
  if (hash::XXH64(bytes) != LoadBigEndian<uint64_t>(head + 8)) return Broken(path, "wrong checksum of a record");
  offset += size;
  return bytes;
}

}  // namespace

size_t ResultCache::SizeOf(const Entry& entry) { return entry.packed->size() + entry.key->size() + kEntryOverhead; }

ResultCache::Packed ResultCache::Find(std::string_view key, model::TimeRange range) {
  MutexLock lock(mutex_);
  ++requests_;
  const auto found = keys_.find(key);
  Entries::iterator best = entries_.end();
  int64_t best_length = 0;
  if (found != keys_.end()) {
    for (const auto entry : found->second) {
      if (range.min_timestamp < entry->range.min_timestamp) continue;
      const int64_t length = std::min(range.max_timestamp, entry->range.max_timestamp) - range.min_timestamp;
      // Of equal ones the last.
      if (length < best_length) continue;
      best_length = length;
      best = entry;
    }
  }
  if (best == entries_.end()) {
    ++misses_;
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, best);
  return best->packed;
}

bool ResultCache::Covers(std::string_view key, model::TimeRange range) const {
  MutexLock lock(mutex_);
  const auto found = keys_.find(key);
  if (found == keys_.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](const auto& entry) {
    return entry->range.min_timestamp <= range.min_timestamp && range.max_timestamp <= entry->range.max_timestamp;
  });
}

void ResultCache::Put(std::string_view key, model::TimeRange range, ByteBuffer packed) {
  packed.shrink_to_fit();
  auto shared = std::make_shared<const ByteBuffer>(std::move(packed));
  MutexLock lock(mutex_);
  if (shared->size() + key.size() + kEntryOverhead > max_bytes_) return;
  const auto of_key = keys_.try_emplace(std::string(key)).first;
  entries_.push_front({&of_key->first, range, std::move(shared)});
  of_key->second.push_back(entries_.begin());
  size_bytes_ += SizeOf(entries_.front());
  if (of_key->second.size() > kMaxEntriesPerKey) {
    for (size_t i = 0; i < kEntriesDroppedAtOnce; ++i) DropLocked(of_key->second.front());
  }
  // What was put last stays: it alone is not beyond the limit.
  while (size_bytes_ > max_bytes_) DropLocked(std::prev(entries_.end()));
}

void ResultCache::DropLocked(Entries::iterator entry) {
  size_bytes_ -= SizeOf(*entry);
  const auto of_key = keys_.find(*entry->key);
  std::erase(of_key->second, entry);
  if (of_key->second.empty()) keys_.erase(of_key);
  entries_.erase(entry);
}

void ResultCache::Remove(std::string_view key) {
  MutexLock lock(mutex_);
  const auto found = keys_.find(key);
  if (found == keys_.end()) return;
  const EntriesOfKey entries = found->second;
  for (const auto entry : entries) DropLocked(entry);
}

void ResultCache::Reset() {
  // Freed without the lock: there may be many.
  Entries entries;
  Keys keys;
  MutexLock lock(mutex_);
  entries.swap(entries_);
  keys.swap(keys_);
  size_bytes_ = 0;
}

ResultCache::Stats ResultCache::stats() const {
  MutexLock lock(mutex_);
  return {entries_.size(), size_bytes_, max_bytes_, requests_, misses_};
}

Status ResultCache::Save(fs::FileSystem& fs, const std::string& path, std::string_view fingerprint) const {
  const std::string temporary = path + ".tmp";
  VM_ASSIGN_OR_RETURN(const auto writer, fs.CreateWriter(temporary));
  VM_TRY(writer->Append(AsBytes(kMagic)));
  VM_TRY(AppendRecord(*writer, AsBytes(fingerprint)));
  {
    MutexLock lock(mutex_);
    ByteBuffer record;
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
      record.clear();
      encoding::AppendVarUint64(record, entry->key->size());
      Append(record, *entry->key);
      AppendBigEndian<uint64_t>(record, static_cast<uint64_t>(entry->range.min_timestamp));
      AppendBigEndian<uint64_t>(record, static_cast<uint64_t>(entry->range.max_timestamp));
      Append(record, *entry->packed);
      VM_TRY(AppendRecord(*writer, record));
    }
  }
  VM_TRY(writer->Sync());
  VM_TRY(writer->Close());
  return fs.Rename(temporary, path);
}

Status ResultCache::Load(fs::FileSystem& fs, const std::string& path, std::string_view fingerprint) {
  VM_ASSIGN_OR_RETURN(const auto reader, fs.OpenReader(path));
  ByteBuffer magic(kMagic.size());
  if (reader->size() < magic.size()) return Broken(path, "another format");
  VM_TRY(reader->ReadAt(0, magic));
  if (AsText(magic) != kMagic) return Broken(path, "another format");
  uint64_t offset = magic.size();
  ByteBuffer scratch;
  VM_ASSIGN_OR_RETURN(const ByteView written, ReadRecord(*reader, path, offset, scratch));
  if (AsText(written) != fingerprint) return Broken(path, "results of other settings");
  while (offset < reader->size()) {
    VM_ASSIGN_OR_RETURN(ByteView record, ReadRecord(*reader, path, offset, scratch));
    VM_ASSIGN_OR_RETURN(const uint64_t key_size, encoding::TakeVarUint64(record));
    if (key_size > record.size() || record.size() - key_size < 2 * sizeof(uint64_t)) return Broken(path, "wrong record");
    const std::string_view key = AsText(record.first(key_size));
    record = record.subspan(key_size);
    const auto min_timestamp = static_cast<int64_t>(TakeBigEndian<uint64_t>(record));
    const auto max_timestamp = static_cast<int64_t>(TakeBigEndian<uint64_t>(record));
    if (min_timestamp > max_timestamp) return Broken(path, "wrong record");
    Put(key, {min_timestamp, max_timestamp}, ByteBuffer(record.begin(), record.end()));
  }
  return Ok();
}

}  // namespace vm::select
