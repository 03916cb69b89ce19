#pragma once

#include <array>
#include <cstdint>
#include <unordered_set>
#include <utility>

#include "lib/base/mutex.h"

namespace vm::containers {

/// A set of (scope, id) pairs that is known to be true, bounded: when a shard is full it forgets its older half.
/// A pair that is not in it may still be true. Thread-safe.
class GenerationSet {
 public:
  explicit GenerationSet(size_t max_entries) : half_entries_(max_entries / (2 * kShards) + 1) {}

  bool Has(uint64_t scope, uint64_t id) {
    Shard& shard = shards_[ShardOf(id)];
    MutexLock lock(shard.mutex);
    const Pair pair{scope, id};
    return shard.young.contains(pair) || shard.old.contains(pair);
  }

  void Add(uint64_t scope, uint64_t id) {
    Shard& shard = shards_[ShardOf(id)];
    MutexLock lock(shard.mutex);
    if (shard.young.size() >= half_entries_) {
      shard.old = std::move(shard.young);
      shard.young = {};
    }
    shard.young.insert(Pair{scope, id});
  }

  void Clear() {
    for (Shard& shard : shards_) {
      MutexLock lock(shard.mutex);
      shard.young.clear();
      shard.old.clear();
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

 private:
  static constexpr size_t kShards = 64;
  using Pair = std::pair<uint64_t, uint64_t>;

  /// Metric ids are consecutive: their low bits spread them.
  static size_t ShardOf(uint64_t id) { return id % kShards; }

  struct Hash {
    size_t operator()(const Pair& pair) const {
      return (pair.second ^ (pair.first << 40)) * 0x9E3779B97F4A7C15u >> 7;
    }
  };
  struct Shard {
    Mutex mutex;
    std::unordered_set<Pair, Hash> young VM_GUARDED_BY(mutex);
    std::unordered_set<Pair, Hash> old VM_GUARDED_BY(mutex);
  };

  const size_t half_entries_;
  std::array<Shard, kShards> shards_;
};

}  // namespace vm::containers
