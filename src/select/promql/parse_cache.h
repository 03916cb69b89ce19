#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "lib/base/mutex.h"
#include "select/promql/query.h"

namespace vm::select {

/// Parsed queries by their text, also those that do not parse: dashboards and rules ask the same again and again.
/// Bounded by the bytes of the texts; what was not asked for longest goes first, half of it at a time. Thread-safe.
/// Reference: VictoriaMetrics app/vmselect/promql/parse_cache.go.
class ParseCache {
 public:
  using Parsed = std::shared_ptr<const Result<metricsql::ExprPtr>>;
  /// A parsed query takes some 30 times the memory of its text.
  static constexpr size_t kMaxTextBytes = 1 << 20;

  explicit ParseCache(QueryOptions options, size_t max_text_bytes = kMaxTextBytes)
      : options_(options), max_generation_bytes_(max_text_bytes / 2) {}

  /// ParseQuery, or what it gave before. Never null.
  Parsed Parse(const std::string& query) VM_EXCLUDES(mutex_);

  uint64_t requests() const VM_EXCLUDES(mutex_);
  uint64_t misses() const VM_EXCLUDES(mutex_);
  size_t entries() const VM_EXCLUDES(mutex_);

 private:
  Parsed Find(const std::string& query) VM_EXCLUDES(mutex_);
  void PutLocked(const std::string& query, Parsed parsed) VM_REQUIRES(mutex_);

  using Generation = boost::unordered_flat_map<std::string, Parsed>;
  const QueryOptions options_;
  const size_t max_generation_bytes_;
  mutable Mutex mutex_;
  Generation current_ VM_GUARDED_BY(mutex_);
  Generation previous_ VM_GUARDED_BY(mutex_);  // Asked for before `current_` was begun.
  size_t current_bytes_ VM_GUARDED_BY(mutex_) = 0;
  uint64_t requests_ VM_GUARDED_BY(mutex_) = 0;
  uint64_t misses_ VM_GUARDED_BY(mutex_) = 0;
};

}  // namespace vm::select
