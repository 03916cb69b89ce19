#include "storage/part/index_block_cache.h"

#include <iterator>
#include <utility>

namespace vm::storage {
namespace {

// Keys that were asked for once, in a shard: some 64 KiB.
constexpr size_t kMaxMissed = 1024;
// An entry beside its headers: list and map nodes.
constexpr size_t kEntryOverhead = 160;

}  // namespace

IndexBlockCache::IndexBlockCache(size_t max_bytes) : max_shard_bytes_(max_bytes / kShards) {}

size_t IndexBlockCache::HashKey::operator()(const Key& key) const noexcept {
  // Parts and rows are small numbers: spread them.
  uint64_t h = (key.part * 0x9e3779b97f4a7c15) ^ (key.row + 0x7f4a7c15);
  h *= 0xbf58476d1ce4e5b9;
  return static_cast<size_t>(h ^ (h >> 31));
}

IndexBlockCache::Headers IndexBlockCache::Get(uint64_t part, size_t row) {
  const Key key{part, row};
  requests_.fetch_add(1, std::memory_order_relaxed);
  Shard& shard = ShardOf(key);
  MutexLock lock(shard.mutex);
  const auto it = shard.index.find(key);
  if (it == shard.index.end()) {
    misses_.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
  }
  shard.entries.splice(shard.entries.begin(), shard.entries, it->second);
  return it->second->headers;
}

void IndexBlockCache::Put(uint64_t part, size_t row, Headers headers) {
  const Key key{part, row};
  const size_t size = headers->capacity() * sizeof(model::BlockHeader) + kEntryOverhead;
  std::list<Entry> dropped;  // Freed without the lock.
  Shard& shard = ShardOf(key);
  MutexLock lock(shard.mutex);
  if (size > max_shard_bytes_ || shard.index.contains(key)) return;
  if (shard.missed.erase(key) == 0) {
    if (shard.missed.size() >= kMaxMissed) shard.missed.clear();
    shard.missed.insert(key);
    return;
  }
  shard.entries.push_front({key, std::move(headers), size});
  shard.index.emplace(key, shard.entries.begin());
  shard.size += size;
  while (shard.size > max_shard_bytes_) {
    shard.size -= shard.entries.back().size;
    shard.index.erase(shard.entries.back().key);
    dropped.splice(dropped.begin(), shard.entries, std::prev(shard.entries.end()));
  }
}

void IndexBlockCache::Forget(uint64_t part, size_t rows) {
  for (size_t row = 0; row < rows; ++row) {
    const Key key{part, row};
    Shard& shard = ShardOf(key);
    MutexLock lock(shard.mutex);
    shard.missed.erase(key);
    const auto it = shard.index.find(key);
    if (it == shard.index.end()) continue;
    shard.size -= it->second->size;
    shard.entries.erase(it->second);
    shard.index.erase(it);
  }
}

IndexBlockCache::Stats IndexBlockCache::stats() const {
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

}  // namespace vm::storage
