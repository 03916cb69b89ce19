#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/fs/file_system.h"
#include "lib/model/time_range.h"

namespace vm::select {

/// Packed results of what was asked, each for a range of time. Bounded by bytes: what was not used for longest goes first.
/// Thread-safe.
/// Reference: VictoriaMetrics app/vmselect/promql/rollup_result_cache.go.
class ResultCache {
 public:
  using Packed = std::shared_ptr<const ByteBuffer>;
  struct Stats {
    size_t entries = 0;
    size_t size_bytes = 0;
    size_t max_size_bytes = 0;
    uint64_t requests = 0;
    uint64_t misses = 0;
  };

  /// 0 keeps nothing.
  explicit ResultCache(size_t max_bytes) : max_bytes_(max_bytes) {}
  ResultCache(const ResultCache&) = delete;
  ResultCache& operator=(const ResultCache&) = delete;

  /// The result that holds the start of `range` and most of it; null without one.
  Packed Find(std::string_view key, model::TimeRange range) VM_EXCLUDES(mutex_);
  /// Whether one result holds all of `range`.
  bool Covers(std::string_view key, model::TimeRange range) const VM_EXCLUDES(mutex_);
  /// Keep one more result, beside at most ten others of the key. Drops it when it is beyond the size of the cache.
  void Put(std::string_view key, model::TimeRange range, ByteBuffer packed) VM_EXCLUDES(mutex_);
  /// Forget all results of a key.
  void Remove(std::string_view key) VM_EXCLUDES(mutex_);
  void Reset() VM_EXCLUDES(mutex_);
  Stats stats() const VM_EXCLUDES(mutex_);

  /// Write all to a file that replaces `path`. `fingerprint` says under which circumstances the results hold. Not while
  /// results are put. Errors: kIo.
  Status Save(fs::FileSystem& fs, const std::string& path, std::string_view fingerprint) const VM_EXCLUDES(mutex_);
  /// Add what Save wrote. Errors: kIo; kCorrupted, also for another fingerprint or version: the cache may hold a part then,
  /// which is good.
  Status Load(fs::FileSystem& fs, const std::string& path, std::string_view fingerprint) VM_EXCLUDES(mutex_);

 private:
  struct Entry {
    const std::string* key;  // Of the map.
    model::TimeRange range;
    Packed packed;
  };
  using Entries = std::list<Entry>;                     // Last used first.
  using EntriesOfKey = std::vector<Entries::iterator>;  // Oldest first, never empty.
  struct KeyHash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const noexcept { return std::hash<std::string_view>()(key); }
  };
  using Keys = std::unordered_map<std::string, EntriesOfKey, KeyHash, std::equal_to<>>;

  static size_t SizeOf(const Entry& entry);
  void DropLocked(Entries::iterator entry) VM_REQUIRES(mutex_);

  const size_t max_bytes_;
  mutable Mutex mutex_;
  Entries entries_ VM_GUARDED_BY(mutex_);
  Keys keys_ VM_GUARDED_BY(mutex_);
  size_t size_bytes_ VM_GUARDED_BY(mutex_) = 0;
  uint64_t requests_ VM_GUARDED_BY(mutex_) = 0;
  uint64_t misses_ VM_GUARDED_BY(mutex_) = 0;
};

}  // namespace vm::select
