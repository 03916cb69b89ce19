#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "lib/base/mutex.h"
#include "lib/model/tenant.h"

namespace vm::select {

/// A query that is being evaluated.
struct ActiveQuery {
  std::optional<model::Tenant> tenant;  // Nothing: multi-tenant.
  std::string query;
  std::string remote_addr;
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  int64_t step_ms = 0;
  int64_t started_ms = 0;
};

/// What `/api/v1/status/active_queries` shows. Thread-safe.
class ActiveQueries {
 public:
  ActiveQueries();

  /// Returns the id for Remove.
  uint64_t Add(ActiveQuery query) VM_EXCLUDES(mutex_);
  void Remove(uint64_t id) VM_EXCLUDES(mutex_);
  /// Oldest first; with `tenant` only those of one tenant.
  std::string ToJson(std::optional<model::Tenant> tenant, int64_t now_ms) const VM_EXCLUDES(mutex_);

 private:
  std::atomic<uint64_t> next_id_;
  mutable Mutex mutex_;
  std::map<uint64_t, ActiveQuery> queries_ VM_GUARDED_BY(mutex_);
};

/// A query is active as long as this lives.
class ActiveQueryGuard {
 public:
  ActiveQueryGuard(ActiveQueries& queries, ActiveQuery query) : queries_(queries), id_(queries.Add(std::move(query))) {}
  ~ActiveQueryGuard() { queries_.Remove(id_); }
  ActiveQueryGuard(const ActiveQueryGuard&) = delete;
  ActiveQueryGuard& operator=(const ActiveQueryGuard&) = delete;

 private:
  ActiveQueries& queries_;
  const uint64_t id_;
};

}  // namespace vm::select
