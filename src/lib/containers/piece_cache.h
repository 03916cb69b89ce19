#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <memory>
#include <unordered_set>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>

#include "lib/base/mutex.h"

namespace vm::containers {

struct PieceCacheStats {
  uint64_t entries = 0, size_bytes = 0, max_bytes = 0, requests = 0, misses = 0;
};

/// Decoded pieces of immutable files, by the number of the file and the place of the piece in it. Limited in bytes; the
/// piece that was not asked for longest goes first. A piece is kept when it was asked for twice, so that one large scan
/// does not push out what others need. Thread-safe: one of 16 shards is locked for the time of one operation.
/// Reference: VictoriaMetrics lib/blockcache.
template <class Value>
class PieceCache {
 public:
  using Piece = std::shared_ptr<const Value>;

  explicit PieceCache(size_t max_bytes) : max_shard_bytes_(max_bytes / kShards) {}
  PieceCache(const PieceCache&) = delete;
  PieceCache& operator=(const PieceCache&) = delete;

  /// A number for a file; never given twice.
  uint64_t NewFile() noexcept { return next_file_.fetch_add(1, std::memory_order_relaxed); }

  /// The piece, or null.
  Piece Get(uint64_t file, uint64_t place) {
    const Key key{file, place};
    requests_.fetch_add(1, std::memory_order_relaxed);
    Shard& shard = ShardOf(key);
    MutexLock lock(shard.mutex);
    const auto it = shard.index.find(key);
    if (it == shard.index.end()) {
      misses_.fetch_add(1, std::memory_order_relaxed);
      return nullptr;
    }
    shard.entries.splice(shard.entries.begin(), shard.entries, it->second);
    return it->second->piece;
  }

  /// Offer what Get did not have; `size` is what it takes in memory.
  void Put(uint64_t file, uint64_t place, Piece piece, size_t size) {
    const Key key{file, place};
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
    shard.entries.push_front({key, std::move(piece), size});
    shard.index.emplace(key, shard.entries.begin());
    ++shard.of_file[file];
    shard.size += size;
    while (shard.size > max_shard_bytes_) Drop(shard, std::prev(shard.entries.end()), dropped);
  }

  /// Forget all pieces of a file.
  void Forget(uint64_t file) {
    for (Shard& shard : shards_) {
      std::list<Entry> dropped;
      MutexLock lock(shard.mutex);
      if (!shard.of_file.contains(file)) continue;
      for (auto it = shard.entries.begin(); it != shard.entries.end();) {
        const auto next = std::next(it);
        if (it->key.file == file) Drop(shard, it, dropped);
        it = next;
      }
    }
  }

  PieceCacheStats stats() const {
    PieceCacheStats stats;
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

 private:
  struct Key {
    uint64_t file = 0, place = 0;
    bool operator==(const Key&) const = default;
  };
  struct HashKey {
    using is_avalanching = void;
    size_t operator()(const Key& key) const noexcept {
      // Files are small numbers and places may have zeros at their ends: spread them.
      uint64_t h = (key.file * 0x9e3779b97f4a7c15) ^ (key.place + 0x7f4a7c15);
      h *= 0xbf58476d1ce4e5b9;
      h ^= h >> 31;
      h *= 0x94d049bb133111eb;
      return static_cast<size_t>(h ^ (h >> 29));
    }
  };
  struct Entry {
    Key key;
    Piece piece;
    size_t size = 0;
  };
  using Entries = std::list<Entry>;
  struct Shard {
    mutable Mutex mutex;
    Entries entries VM_GUARDED_BY(mutex);  // The one asked for last is in front.
    boost::unordered_flat_map<Key, typename Entries::iterator, HashKey> index VM_GUARDED_BY(mutex);
    boost::unordered_flat_map<uint64_t, size_t> of_file VM_GUARDED_BY(mutex);  // Entries; files without have none.
    std::unordered_set<Key, HashKey> missed VM_GUARDED_BY(mutex);  // Asked for once, lately.
    size_t size VM_GUARDED_BY(mutex) = 0;
  };
  static constexpr size_t kShards = 16;
  // Keys that were asked for once, in a shard: some 256 KiB.
  static constexpr size_t kMaxMissed = 4096;
  // An entry beside its piece: list node and map slots.
  static constexpr size_t kEntryOverhead = 160;

  // The low bits choose a slot within the shard.
  Shard& ShardOf(const Key& key) { return shards_[(HashKey{}(key) >> 40) % kShards]; }

  static void Drop(Shard& shard, typename Entries::iterator entry, Entries& dropped) VM_REQUIRES(shard.mutex) {
    shard.size -= entry->size;
    shard.index.erase(entry->key);
    const auto count = shard.of_file.find(entry->key.file);
    if (--count->second == 0) shard.of_file.erase(count);
    dropped.splice(dropped.begin(), shard.entries, entry);
  }

  const size_t max_shard_bytes_;
  std::array<Shard, kShards> shards_;
  std::atomic<uint64_t> next_file_{1};
  std::atomic<uint64_t> requests_{0};
  std::atomic<uint64_t> misses_{0};
};

}  // namespace vm::containers
