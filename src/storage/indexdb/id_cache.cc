#include "storage/indexdb/id_cache.h"

namespace vm::indexdb {

IdCache::Found IdCache::Get(const std::string& key) {
  MutexLock lock(mutex_);
  ++figures_.requests;
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    ++figures_.misses;
    return {};
  }
  entries_.splice(entries_.begin(), entries_, found->second);
  return {found->second->ids, found->second->generation};
}

void IdCache::CountMiss() {
  MutexLock lock(mutex_);
  ++figures_.misses;
}

void IdCache::Put(const std::string& key, uint64_t generation, Ids ids) {
  Entry entry{key, generation, std::move(ids)};
  const uint64_t size = SizeOf(entry);
  if (size > max_bytes_ / 4) return;
  MutexLock lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    if (found->second->generation > generation) return;  // Another search knew more.
    EraseLocked(found->second);
  }
  entries_.push_front(std::move(entry));
  by_key_[key] = entries_.begin();
  figures_.size_bytes += size;
  while (figures_.size_bytes > max_bytes_) EraseLocked(std::prev(entries_.end()));
}

void IdCache::EraseLocked(std::list<Entry>::iterator it) {
  figures_.size_bytes -= SizeOf(*it);
  by_key_.erase(it->key);
  entries_.erase(it);
}

void IdCache::Clear() {
  MutexLock lock(mutex_);
  entries_.clear();
  by_key_.clear();
  figures_.size_bytes = 0;
  ++figures_.resets;
}

CacheFigures IdCache::figures() const {
  MutexLock lock(mutex_);
  CacheFigures figures = figures_;
  figures.entries = entries_.size();
  figures.max_bytes = max_bytes_;
  return figures;
}

}  // namespace vm::indexdb
