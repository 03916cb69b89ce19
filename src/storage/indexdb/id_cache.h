#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/mutex.h"

// Internals of indexdb.
namespace vm::indexdb {

/// Figures of a cache since it was opened.
struct CacheFigures {
  uint64_t entries = 0, size_bytes = 0, max_bytes = 0, requests = 0, misses = 0, resets = 0;
};

/// The metric ids that filters selected, and up to which generation of series. The least recently used go first when
/// `max_bytes` are used. Thread-safe.
class IdCache {
 public:
  using Ids = std::shared_ptr<const std::vector<uint64_t>>;

  explicit IdCache(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  struct Found {
    Ids ids;  // Null: nothing is known.
    uint64_t generation = 0;
  };
  Found Get(const std::string& key) VM_EXCLUDES(mutex_);
  /// What Get found turned out to be too old.
  void CountMiss() VM_EXCLUDES(mutex_);
  void Put(const std::string& key, uint64_t generation, Ids ids) VM_EXCLUDES(mutex_);
  void Clear() VM_EXCLUDES(mutex_);
  CacheFigures figures() const VM_EXCLUDES(mutex_);

 private:
  struct Entry {
    std::string key;
    uint64_t generation;
    Ids ids;
  };
  static uint64_t SizeOf(const Entry& entry) { return 2 * entry.key.size() + entry.ids->size() * 8 + 160; }
  void EraseLocked(std::list<Entry>::iterator it) VM_REQUIRES(mutex_);

  const uint64_t max_bytes_;
  mutable Mutex mutex_;
  std::list<Entry> entries_ VM_GUARDED_BY(mutex_);  // Newest first.
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_ VM_GUARDED_BY(mutex_);
  CacheFigures figures_ VM_GUARDED_BY(mutex_);
};

}  // namespace vm::indexdb
