#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/model/rows.h"

namespace vm::storage {

/// Metric metadata in memory: type, help and unit by tenant and name, forgotten an hour after the last write. When more
/// than `max_bytes` are used the least recently written go first. Thread-safe.
/// Reference: VictoriaMetrics lib/storage/metricsmetadata.
class MetadataStore {
 public:
  explicit MetadataStore(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  void Add(std::span<const model::MetadataRow> rows, int64_t now_ms) VM_EXCLUDES(mutex_);
  /// Ordered by time of the last write, then name, then tenant. `tenant` nullptr: all; `limit` 0: no limit.
  std::vector<model::MetadataRow> Search(const model::Tenant* tenant, size_t limit, std::string_view metric_name,
                                         int64_t now_ms) VM_EXCLUDES(mutex_);
  size_t entries() const VM_EXCLUDES(mutex_);
  uint64_t size_bytes() const VM_EXCLUDES(mutex_);
  uint64_t max_bytes() const noexcept { return max_bytes_; }

 private:
  struct Entry {
    model::MetadataRow row;
    int64_t written_ms = 0;
  };
  using Entries = std::list<Entry>;
  using Key = std::pair<std::string, model::Tenant>;

  static uint64_t SizeOf(const model::MetadataRow& row);
  void DropOldestLocked() VM_REQUIRES(mutex_);

  const uint64_t max_bytes_;
  mutable Mutex mutex_;
  Entries entries_ VM_GUARDED_BY(mutex_);  // Least recently written first.
  std::map<Key, Entries::iterator> by_key_ VM_GUARDED_BY(mutex_);
  uint64_t bytes_ VM_GUARDED_BY(mutex_) = 0;
};

}  // namespace vm::storage
