#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "lib/base/mutex.h"
#include "lib/containers/flat_table.h"

namespace vm::containers {

/// A set of (scope, id) pairs that is known to be true, bounded: when a shard is full it forgets its older half.
/// A pair that is not in it may still be true. Scopes are below 2^63. Thread-safe.
class GenerationSet {
 public:
  explicit GenerationSet(size_t max_entries) : half_entries_(max_entries / (2 * kShards) + 1) {}

  bool Has(uint64_t scope, uint64_t id) {
    Shard& shard = ShardOf(id);
    const Key128 key = KeyOf(scope, id);
    MutexLock lock(shard.mutex);
    return shard.young.Find(key) != nullptr || shard.old.Find(key) != nullptr;
  }

  void Add(uint64_t scope, uint64_t id) {
    Shard& shard = ShardOf(id);
    MutexLock lock(shard.mutex);
    if (shard.young.size() >= half_entries_) {
      shard.old = std::move(shard.young);
      shard.young = FlatTable<Nothing>();
    }
    shard.young.Put(KeyOf(scope, id), {});
  }

  /// Call `visit(id)` for each pair of this scope.
  template <class F>
  void ForEach(uint64_t scope, F visit) VM_NO_THREAD_SAFETY_ANALYSIS {
    const auto visit_key = [&](const Key128& key, const Nothing&) {
      if (key.high == scope + 1) visit(key.low);
    };
    for (Shard& shard : shards_) {
      MutexLock lock(shard.mutex);
      shard.old.ForEach(visit_key);
      shard.young.ForEach(visit_key);
    }
  }

  void Clear() {
    for (Shard& shard : shards_) {
      MutexLock lock(shard.mutex);
      shard.young.Clear();
      shard.old.Clear();
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
      n += shard.young.bytes() + shard.old.bytes();
    }
    return n;
  }

 private:
  static constexpr size_t kShards = 64;
  struct Nothing {};

  struct alignas(64) Shard {
    Mutex mutex;
    FlatTable<Nothing> young VM_GUARDED_BY(mutex);
    FlatTable<Nothing> old VM_GUARDED_BY(mutex);
  };

  static Key128 KeyOf(uint64_t scope, uint64_t id) { return {id, scope + 1}; }
  /// Metric ids are consecutive: their low bits spread them.
  Shard& ShardOf(uint64_t id) { return shards_[id % kShards]; }

  const size_t half_entries_;
  std::array<Shard, kShards> shards_;
};

}  // namespace vm::containers
