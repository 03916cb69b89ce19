#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "lib/base/mutex.h"

namespace vm::select {

/// What was made of texts. Bounded by the bytes and the number of the texts; what was not asked for longest goes first, half of
/// it at a time. Thread-safe.
template <class T>
class TextCache {
 public:
  using Value = std::shared_ptr<const T>;

  TextCache(size_t max_text_bytes, size_t max_entries) : max_generation_bytes_(max_text_bytes / 2), max_generation_entries_(max_entries / 2) {}

  /// Null when it is not there.
  Value Find(const std::string& text) VM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    ++requests_;
    if (const auto found = current_.find(text); found != current_.end()) return found->second;
    if (const auto found = previous_.find(text); found != previous_.end()) {
      Value value = std::move(found->second);
      previous_.erase(found);
      PutLocked(text, value);
      return value;
    }
    ++misses_;
    return nullptr;
  }
  void Put(const std::string& text, Value value) VM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    PutLocked(text, std::move(value));
  }

  uint64_t requests() const VM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return requests_;
  }
  uint64_t misses() const VM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return misses_;
  }
  size_t entries() const VM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return current_.size() + previous_.size();
  }
  size_t text_bytes() const VM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    size_t bytes = current_bytes_;
    for (const auto& [text, value] : previous_) bytes += text.size();
    return bytes;
  }
  size_t max_text_bytes() const noexcept { return 2 * max_generation_bytes_; }

 private:
  void PutLocked(const std::string& text, Value value) VM_REQUIRES(mutex_) {
    if (text.size() > max_generation_bytes_) return;
    if (current_bytes_ + text.size() > max_generation_bytes_ || current_.size() >= max_generation_entries_) {
      previous_ = std::exchange(current_, Generation());
      current_bytes_ = 0;
    }
    if (current_.insert_or_assign(text, std::move(value)).second) current_bytes_ += text.size();
  }

  using Generation = boost::unordered_flat_map<std::string, Value>;
  const size_t max_generation_bytes_;
  const size_t max_generation_entries_;
  mutable Mutex mutex_;
  Generation current_ VM_GUARDED_BY(mutex_);
  Generation previous_ VM_GUARDED_BY(mutex_);  // Asked for before `current_` was begun.
  size_t current_bytes_ VM_GUARDED_BY(mutex_) = 0;
  uint64_t requests_ VM_GUARDED_BY(mutex_) = 0;
  uint64_t misses_ VM_GUARDED_BY(mutex_) = 0;
};

}  // namespace vm::select
