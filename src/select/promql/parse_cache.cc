#include "select/promql/parse_cache.h"

#include <utility>

namespace vm::select {

ParseCache::Parsed ParseCache::Parse(const std::string& query) {
  if (auto found = Find(query)) return found;
  auto parsed = std::make_shared<const Result<metricsql::ExprPtr>>(ParseQuery(query, options_));
  MutexLock lock(mutex_);
  PutLocked(query, parsed);
  return parsed;
}

ParseCache::Parsed ParseCache::Find(const std::string& query) {
  MutexLock lock(mutex_);
  ++requests_;
  if (const auto found = current_.find(query); found != current_.end()) return found->second;
  if (const auto found = previous_.find(query); found != previous_.end()) {
    Parsed parsed = std::move(found->second);
    previous_.erase(found);
    PutLocked(query, parsed);
    return parsed;
  }
  ++misses_;
  return nullptr;
}

void ParseCache::PutLocked(const std::string& query, Parsed parsed) {
  if (query.size() > max_generation_bytes_) return;
  if (current_bytes_ + query.size() > max_generation_bytes_) {
    previous_ = std::exchange(current_, Generation());
    current_bytes_ = 0;
  }
  if (current_.insert_or_assign(query, std::move(parsed)).second) current_bytes_ += query.size();
}

uint64_t ParseCache::requests() const {
  MutexLock lock(mutex_);
  return requests_;
}
uint64_t ParseCache::misses() const {
  MutexLock lock(mutex_);
  return misses_;
}
size_t ParseCache::entries() const {
  MutexLock lock(mutex_);
  return current_.size() + previous_.size();
}

}  // namespace vm::select
