#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/model/rows.h"

namespace vm::storage {

/// Metric metadata in memory: type, help and unit by tenant and name, forgotten an hour after the last write.
/// At most `max_entries` are held; the least recently written go first. Thread-safe.
class MetadataStore {
 public:
  explicit MetadataStore(size_t max_entries = 200'000) : max_entries_(max_entries) {}

  void Add(std::span<const model::MetadataRow> rows, int64_t now_ms);
  /// Ordered by time of the last write, then name, then tenant. `tenant` nullptr: all; `limit` 0: no limit.
  std::vector<model::MetadataRow> Search(const model::Tenant* tenant, size_t limit,
                                         std::string_view metric_name, int64_t now_ms);
  size_t entries() const VM_EXCLUDES(mutex_);
  uint64_t size_bytes() const VM_EXCLUDES(mutex_);

 private:
  struct Entry {
    model::MetadataRow row;
    int64_t written_ms = 0;
  };
  using Key = std::pair<std::string, model::Tenant>;

  void ExpireLocked(int64_t now_ms) VM_REQUIRES(mutex_);

  const size_t max_entries_;
  mutable Mutex mutex_;
  std::map<Key, Entry> entries_ VM_GUARDED_BY(mutex_);
  int64_t last_expiry_ms_ VM_GUARDED_BY(mutex_) = 0;
};

}  // namespace vm::storage
