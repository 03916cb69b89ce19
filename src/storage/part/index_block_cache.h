#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/model/block_header.h"

namespace vm::storage {

/// Decoded frames of index.bin of all parts, for queries that look for series again and again. Bounded; the frame that
/// was not asked for longest goes first. A frame is kept when it was asked for twice, so that one large query does not
/// push out what dashboards need. Thread-safe.
/// Reference: VictoriaMetrics lib/blockcache.
class IndexBlockCache {
 public:
  using Headers = std::shared_ptr<const std::vector<model::BlockHeader>>;

  struct Stats {
    uint64_t entries = 0, size_bytes = 0, max_bytes = 0, requests = 0, misses = 0;
  };

  explicit IndexBlockCache(size_t max_bytes);
  IndexBlockCache(const IndexBlockCache&) = delete;
  IndexBlockCache& operator=(const IndexBlockCache&) = delete;

  /// A number for the keys of one part; never given twice.
  uint64_t NewPartId() noexcept { return next_part_.fetch_add(1, std::memory_order_relaxed); }
  /// Frame number `row` of a part, or null.
  Headers Get(uint64_t part, size_t row);
  /// Offer what Get did not have.
  void Put(uint64_t part, size_t row, Headers headers);
  /// Forget all frames of a part with so many rows.
  void Forget(uint64_t part, size_t rows);
  Stats stats() const;

 private:
  struct Key {
    uint64_t part = 0;
    uint64_t row = 0;
    bool operator==(const Key&) const = default;
  };
  struct HashKey {
    size_t operator()(const Key& key) const noexcept;
  };
  struct Entry {
    Key key;
    Headers headers;
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
  std::atomic<uint64_t> next_part_{1};
  std::atomic<uint64_t> requests_{0};
  std::atomic<uint64_t> misses_{0};
};

}  // namespace vm::storage
