#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "lib/base/mutex.h"

namespace vm::mergeset {

/// Decoded pieces of the parts of many tables. Bounded; the piece that was not asked for longest goes first. A piece is kept
/// when it was asked for twice, so that one large scan does not push out what others need. Thread-safe.
/// Reference: VictoriaMetrics lib/blockcache.
class BlockCache {
 public:
  using Value = std::shared_ptr<const void>;

  struct Stats {
    uint64_t entries = 0, size_bytes = 0, max_bytes = 0, requests = 0, misses = 0;
  };

  explicit BlockCache(size_t max_bytes) : max_shard_bytes_(max_bytes / kShards) {}
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  /// Piece `offset` of a part, or null.
  Value Get(uint64_t part, uint64_t offset);
  /// Offer what Get did not have; `size` is what it takes in memory.
  void Put(uint64_t part, uint64_t offset, Value value, size_t size);
  /// Forget all pieces of a part.
  void Forget(uint64_t part);
  Stats stats() const;

 private:
  struct Key {
    uint64_t part = 0, offset = 0;
    bool operator==(const Key&) const = default;
  };
  struct HashKey {
    size_t operator()(const Key& key) const noexcept;
  };
  struct Entry {
    Key key;
    Value value;
    size_t size = 0;
  };
  struct Shard {
    mutable Mutex mutex;
    std::list<Entry> entries VM_GUARDED_BY(mutex);  // The one asked for last is in front.
    std::unordered_map<Key, std::list<Entry>::iterator, HashKey> index VM_GUARDED_BY(mutex);
    std::unordered_set<Key, HashKey> missed VM_GUARDED_BY(mutex);  // Asked for once, lately.
    size_t size VM_GUARDED_BY(mutex) = 0;
  };
  static constexpr size_t kShards = 16;

  Shard& ShardOf(const Key& key) { return shards_[HashKey{}(key) % kShards]; }

  const size_t max_shard_bytes_;
  std::array<Shard, kShards> shards_;
  std::atomic<uint64_t> requests_{0};
  std::atomic<uint64_t> misses_{0};
};

/// What the tables of one storage share.
struct Caches {
  Caches(size_t headers_bytes, size_t blocks_bytes) : headers(headers_bytes), blocks(blocks_bytes) {}

  /// A number for the keys of one part; never given twice.
  uint64_t NewPartId() noexcept { return next_part.fetch_add(1, std::memory_order_relaxed); }

  BlockCache headers;  // Block headers: frames of index.bin.
  BlockCache blocks;   // Items.
  std::atomic<uint64_t> next_part{1};
};

}  // namespace vm::mergeset
