#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/bytes/bytes.h"
#include "lib/containers/flat_table.h"
#include "lib/hash/xxhash.h"

namespace vm::containers {

/// A map from byte strings to small values that forgets what was not asked for lately.
///
/// Keys are kept as 128-bit hashes under a random seed, so an entry has a fixed size whatever its key; two keys
/// meet with a probability of n^2 / 2^129. Each shard has a young and an old half. When the young one has used its
/// share of the limit it becomes the old one and the former old one is dropped; a hit in the old half moves the
/// entry to the young one. Who looks up many keys prepares some of them at a time, so that their entries are on the way
/// when they are asked for. Thread-safe.
template <class Value>
class ByteKeyCache {
 public:
  explicit ByteKeyCache(size_t max_bytes)
      : shards_(std::clamp(std::bit_ceil(kShardsPerCpu * size_t{std::thread::hardware_concurrency()}), kMinShards,
                           kMaxShards)),
        half_bytes_(max_bytes / (2 * shards_.size())),
        seed_((uint64_t{std::random_device()()} << 32) | std::random_device()()) {}

  /// Call `visit(key, value)` for each entry, to save them along with seed().
  template <class F>
  void ForEach(F visit) VM_NO_THREAD_SAFETY_ANALYSIS {
    for (Shard& shard : shards_) {
      MutexLock lock(shard.mutex);
      shard.old.ForEach(visit);
      shard.young.ForEach(visit);
    }
  }
  uint64_t seed() const noexcept { return seed_; }
  /// Take over the seed of saved entries. Requires an empty cache that nobody else uses yet.
  void SetSeed(uint64_t seed) noexcept { seed_ = seed; }
  /// Hash a key and have the cache line of its entry read ahead.
  Key128 Prepare(ByteView key) const {
    const Key128 hash = HashOf(key);
    const Shard& shard = shards_[ShardIndex(hash)];
    // Read without the lock: a table that has just gone costs a useless read ahead, which cannot fail.
    const uintptr_t slots = shard.young_slots.load(std::memory_order_relaxed);
    const size_t capacity = shard.young_capacity.load(std::memory_order_relaxed);
    if (capacity > 0) {
      const uintptr_t slot = slots + FlatTable<Value>::HomeOffset(hash, capacity);
      __builtin_prefetch(reinterpret_cast<const void*>(slot));
      __builtin_prefetch(reinterpret_cast<const void*>(slot + sizeof(typename FlatTable<Value>::Slot) - 1));
    }
    return hash;
  }

  std::optional<Value> Get(ByteView key) { return Get(HashOf(key)); }
  std::optional<Value> Get(const Key128& hash) {
    Shard& shard = ShardOf(hash);
    MutexLock lock(shard.mutex);
    ++shard.requests;
    if (const Value* found = shard.young.Find(hash)) return *found;
    if (const Value* found = shard.old.Find(hash)) {
      const Value value = *found;
      PutLocked(shard, hash, value);
      return value;
    }
    ++shard.misses;
    return std::nullopt;
  }

  void Put(ByteView key, const Value& value) { Put(HashOf(key), value); }
  void Put(const Key128& hash, const Value& value) {
    Shard& shard = ShardOf(hash);
    MutexLock lock(shard.mutex);
    PutLocked(shard, hash, value);
  }

  void Clear() {
    for (Shard& shard : shards_) {
      MutexLock lock(shard.mutex);
      shard.young.Clear();
      shard.old.Clear();
      PublishYoung(shard);
    }
  }

  size_t entries() {
    return Sum([](Shard& shard) { return shard.young.size() + shard.old.size(); });
  }
  size_t size_bytes() {
    return Sum([](Shard& shard) { return shard.young.bytes() + shard.old.bytes(); });
  }
  uint64_t requests() {
    return Sum([](Shard& shard) { return shard.requests; });
  }
  uint64_t misses() {
    return Sum([](Shard& shard) { return shard.misses; });
  }

 private:
  // Enough that threads seldom meet; the fewer there are, the sooner a shard is big enough for large pages.
  static constexpr size_t kShardsPerCpu = 16, kMinShards = 32, kMaxShards = 512;

  struct alignas(64) Shard {
    Mutex mutex;
    FlatTable<Value> young VM_GUARDED_BY(mutex);
    FlatTable<Value> old VM_GUARDED_BY(mutex);
    uint64_t requests VM_GUARDED_BY(mutex) = 0;
    uint64_t misses VM_GUARDED_BY(mutex) = 0;
    // Where `young` is, for Prepare.
    std::atomic<uintptr_t> young_slots{0};
    std::atomic<size_t> young_capacity{0};
  };

  Key128 HashOf(ByteView key) const {
    const hash::Hash128 h = hash::XXH3_128(key, seed_);
    return {h.low, h.high | 1};
  }
  size_t ShardIndex(const Key128& key) const { return (key.high >> 32) & (shards_.size() - 1); }
  Shard& ShardOf(const Key128& key) { return shards_[ShardIndex(key)]; }
  static void PublishYoung(Shard& shard) VM_REQUIRES(shard.mutex) {
    shard.young_slots.store(reinterpret_cast<uintptr_t>(shard.young.slots()), std::memory_order_relaxed);
    shard.young_capacity.store(shard.young.capacity(), std::memory_order_relaxed);
  }

  template <class F>
  uint64_t Sum(F of_shard) VM_NO_THREAD_SAFETY_ANALYSIS {
    uint64_t n = 0;
    for (Shard& shard : shards_) {
      MutexLock lock(shard.mutex);
      n += of_shard(shard);
    }
    return n;
  }

  void PutLocked(Shard& shard, const Key128& key, const Value& value) VM_REQUIRES(shard.mutex) {
    if (shard.young.bytes_after_put() > half_bytes_) {
      if (Value* known = shard.young.Find(key)) {
        *known = value;
        return;
      }
      shard.old = std::move(shard.young);
      shard.young = FlatTable<Value>();
      if (shard.young.bytes_after_put() > half_bytes_) return;
    }
    shard.young.Put(key, value);
    PublishYoung(shard);
  }

  std::vector<Shard> shards_;  // A power of two.
  const size_t half_bytes_;
  uint64_t seed_;
};

}  // namespace vm::containers
