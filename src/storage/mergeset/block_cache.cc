#include "storage/mergeset/block_cache.h"

#include <iterator>
#include <utility>

namespace vm::mergeset {
namespace {

// Keys that were asked for once, in a shard: some 256 KiB.
constexpr size_t kMaxMissed = 4096;
// An entry beside its value: list and map nodes.
constexpr size_t kEntryOverhead = 160;

}  // namespace

size_t BlockCache::HashKey::operator()(const Key& key) const noexcept {
  // Parts are small numbers and offsets have zeros at their ends: spread them.
  uint64_t h = (key.part * 0x9e3779b97f4a7c15) ^ (key.offset + 0x7f4a7c15);
  h *= 0xbf58476d1ce4e5b9;
  return static_cast<size_t>(h ^ (h >> 31));
}

BlockCache::Value BlockCache::Get(uint64_t part, uint64_t offset) {
  const Key key{part, offset};
  requests_.fetch_add(1, std::memory_order_relaxed);
  Shard& shard = ShardOf(key);
  MutexLock lock(shard.mutex);
  const auto it = shard.index.find(key);
  if (it == shard.index.end()) {
    misses_.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
  }
  shard.entries.splice(shard.entries.begin(), shard.entries, it->second);
  return it->second->value;
}

void BlockCache::Put(uint64_t part, uint64_t offset, Value value, size_t size) {
  const Key key{part, offset};
  size += kEntryOverhead;
  std::list<Entry> dropped;  // Freed without the lock.
  Shard& shard = ShardOf(key);
  MutexLock lock(shard.mutex);
  if (size > max_shard_bytes_ || shard.index.contains(key)) return;
  if (shard.missed.erase(key) == 0) {
    if (shard.missed.size() >= kMaxMissed) shard.missed.clear();
    shard.missed.insert(key);
    return;
  }
  shard.entries.push_front({key, std::move(value), size});
  shard.index.emplace(key, shard.entries.begin());
  shard.size += size;
  while (shard.size > max_shard_bytes_) {
    shard.size -= shard.entries.back().size;
    shard.index.erase(shard.entries.back().key);
    dropped.splice(dropped.begin(), shard.entries, std::prev(shard.entries.end()));
  }
}

void BlockCache::Forget(uint64_t part) {
  for (Shard& shard : shards_) {
    std::list<Entry> dropped;
    MutexLock lock(shard.mutex);
    for (auto it = shard.entries.begin(); it != shard.entries.end();) {
      const auto next = std::next(it);
      if (it->key.part == part) {
        shard.size -= it->size;
        shard.index.erase(it->key);
        dropped.splice(dropped.begin(), shard.entries, it);
      }
      it = next;
    }
  }
}

BlockCache::Stats BlockCache::stats() const {
  Stats stats;
  stats.max_bytes = max_shard_bytes_ * kShards;
  stats.requests = requests_.load(std::memory_order_relaxed);
  stats.misses = misses_.load(std::memory_order_relaxed);
  for (const Shard& shard : shards_) {
    MutexLock lock(shard.mutex);
    stats.entries += shard.entries.size();
    stats.size_bytes += shard.size;
  }
  return stats;
}

}  // namespace vm::mergeset
