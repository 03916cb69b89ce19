#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace vm::storage {

/// Whether parts that are worth merging wait because the disk has no room for the result. Thread-safe.
class LackOfSpace {
 public:
  /// Told with each look for parts to merge; logs the first time, at most once a minute.
  void Set(bool lacks, const std::string& path, size_t parts, uint64_t free_bytes);
  bool Get() const noexcept { return lacks_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> lacks_{false};
  std::atomic<int64_t> logged_ms_{INT64_MIN};
};

}  // namespace vm::storage
