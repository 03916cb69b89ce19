#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>

#include "lib/base/mutex.h"
#include "lib/bytes/bytes.h"
#include "lib/containers/flat_table.h"
#include "lib/hash/xxhash.h"
#include "lib/model/tsid.h"

namespace vm::indexdb {

/// TSIDs of names whose records are not on disk yet, by the key of the record. With it a look-up of a name reads parts
/// only, and new records need not be sorted for it. Entries go when the set of items that holds their records has
/// become a part. Thread-safe.
class RecentNames {
 public:
  /// `epoch`: mergeset::Table::epoch() after the records were added.
  void Put(ByteView key, const model::Tsid& tsid, uint64_t epoch) {
    const containers::Key128 hash = HashOf(key);
    Shard& shard = ShardOf(hash);
    MutexLock lock(shard.mutex);
    // Another thread may have been faster with a later epoch; then this entry stays longer than it has to.
    if (shard.sets.empty() || shard.sets.back().epoch < epoch) shard.sets.push_back({epoch, {}});
    shard.sets.back().tsids.Put(hash, tsid);
  }

  /// `written_epoch`: mergeset::Table::written_epoch(), read before the parts are searched.
  std::optional<model::Tsid> Find(ByteView key, uint64_t written_epoch) {
    const containers::Key128 hash = HashOf(key);
    Shard& shard = ShardOf(hash);
    MutexLock lock(shard.mutex);
    while (!shard.sets.empty() && shard.sets.front().epoch <= written_epoch) shard.sets.pop_front();
    for (auto set = shard.sets.rbegin(); set != shard.sets.rend(); ++set) {
      if (const model::Tsid* tsid = set->tsids.Find(hash)) return *tsid;
    }
    return std::nullopt;
  }

 private:
  static constexpr size_t kShards = 16;
  struct Set {
    uint64_t epoch;
    containers::FlatTable<model::Tsid> tsids;
  };
  struct alignas(64) Shard {
    Mutex mutex;
    std::deque<Set> sets VM_GUARDED_BY(mutex);  // Epochs rise.
  };

  static containers::Key128 HashOf(ByteView key) {
    const hash::Hash128 h = hash::XXH3_128(key, 0);
    return {h.low, h.high | 1};
  }
  Shard& ShardOf(const containers::Key128& hash) { return shards_[(hash.high >> 32) % kShards]; }

  std::array<Shard, kShards> shards_;
};

}  // namespace vm::indexdb
