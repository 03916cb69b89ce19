#pragma once

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
    MutexLock lock(mutex_);
    if (sets_.empty() || sets_.back().epoch < epoch) sets_.push_back({epoch, {}});
    sets_.back().tsids.Put(hash, tsid);
  }

  /// `written_epoch`: mergeset::Table::written_epoch(), read before the parts are searched.
  std::optional<model::Tsid> Find(ByteView key, uint64_t written_epoch) {
    const containers::Key128 hash = HashOf(key);
    MutexLock lock(mutex_);
    while (!sets_.empty() && sets_.front().epoch <= written_epoch) sets_.pop_front();
    for (auto set = sets_.rbegin(); set != sets_.rend(); ++set) {
      if (const model::Tsid* tsid = set->tsids.Find(hash)) return *tsid;
    }
    return std::nullopt;
  }

 private:
  struct Set {
    uint64_t epoch;
    containers::FlatTable<model::Tsid> tsids;
  };

  static containers::Key128 HashOf(ByteView key) {
    const hash::Hash128 h = hash::XXH3_128(key, 0);
    return {h.low, h.high | 1};
  }

  Mutex mutex_;
  std::deque<Set> sets_ VM_GUARDED_BY(mutex_);  // Epochs rise.
};

}  // namespace vm::indexdb
