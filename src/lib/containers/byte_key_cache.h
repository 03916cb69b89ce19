#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "lib/base/mutex.h"
#include "lib/bytes/bytes.h"
#include "lib/hash/xxhash.h"

namespace vm::containers {

/// A map from byte strings to small values that forgets what was not asked for lately.
///
/// Each shard has a young and an old half. When the young one has used its share of the limit it becomes the
/// old one and the former old one is dropped; a hit in the old half moves the entry to the young one. Thread-safe.
template <class Value>
class ByteKeyCache {
 public:
  explicit ByteKeyCache(size_t max_bytes) : half_bytes_(max_bytes / (2 * kShards)) {}

  std::optional<Value> Get(ByteView key) {
    const uint64_t hash = hash::XXH64(key);
    requests_.fetch_add(1, std::memory_order_relaxed);
    Shard& shard = shards_[hash % kShards];
    const Key probe{AsText(key), hash};
    MutexLock lock(shard.mutex);
    if (auto it = shard.young.find(probe); it != shard.young.end()) return it->second;
    if (auto it = shard.old.find(probe); it != shard.old.end()) {
      const Value value = it->second;
      PutLocked(shard, probe, value);
      return value;
    }
    misses_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }

  void Put(ByteView key, const Value& value) {
    const uint64_t hash = hash::XXH64(key);
    Shard& shard = shards_[hash % kShards];
    MutexLock lock(shard.mutex);
    PutLocked(shard, Key{AsText(key), hash}, value);
  }

  void Clear() {
    for (Shard& shard : shards_) {
      MutexLock lock(shard.mutex);
      shard.young.clear();
      shard.old.clear();
      shard.young_bytes = 0;
      shard.old_bytes = 0;
    }
  }

  size_t entries() {
    size_t n = 0;
    for (Shard& shard : shards_) {
      MutexLock lock(shard.mutex);
      n += shard.young.size() + shard.old.size();
    }
    return n;
  }
  size_t size_bytes() {
    size_t n = 0;
    for (Shard& shard : shards_) {
      MutexLock lock(shard.mutex);
      n += shard.young_bytes + shard.old_bytes;
    }
    return n;
  }
  uint64_t requests() const { return requests_.load(std::memory_order_relaxed); }
  uint64_t misses() const { return misses_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kShards = 64;
  /// What a node of the map costs beside its key and value.
  static constexpr size_t kEntryOverhead = 80;

  struct Key {
    std::string_view bytes;
    uint64_t hash;
  };
  struct StoredKey {
    std::string bytes;
    uint64_t hash;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(const Key& key) const { return key.hash / kShards; }
    size_t operator()(const StoredKey& key) const { return key.hash / kShards; }
  };
  struct Equals {
    using is_transparent = void;
    bool operator()(const StoredKey& a, const StoredKey& b) const { return a.bytes == b.bytes; }
    bool operator()(const Key& a, const StoredKey& b) const { return a.bytes == b.bytes; }
    bool operator()(const StoredKey& a, const Key& b) const { return a.bytes == b.bytes; }
  };
  using Map = std::unordered_map<StoredKey, Value, Hash, Equals>;

  struct Shard {
    Mutex mutex;
    Map young VM_GUARDED_BY(mutex);
    Map old VM_GUARDED_BY(mutex);
    size_t young_bytes VM_GUARDED_BY(mutex) = 0;
    size_t old_bytes VM_GUARDED_BY(mutex) = 0;
  };

  void PutLocked(Shard& shard, const Key& key, const Value& value) VM_REQUIRES(shard.mutex) {
    if (auto it = shard.young.find(key); it != shard.young.end()) {
      it->second = value;
      return;
    }
    const size_t bytes = key.bytes.size() + sizeof(Value) + kEntryOverhead;
    if (bytes > half_bytes_) return;
    if (shard.young_bytes + bytes > half_bytes_) {
      shard.old = std::move(shard.young);
      shard.old_bytes = shard.young_bytes;
      shard.young = Map();
      shard.young_bytes = 0;
    }
    shard.young.emplace(StoredKey{std::string(key.bytes), key.hash}, value);
    shard.young_bytes += bytes;
  }

  const size_t half_bytes_;
  std::array<Shard, kShards> shards_;
  std::atomic<uint64_t> requests_{0};
  std::atomic<uint64_t> misses_{0};
};

}  // namespace vm::containers
