#include "storage/partset/lack_of_space.h"

#include <chrono>

#include "lib/log/log.h"

namespace vm::storage {
namespace {

constexpr int64_t kLogIntervalMs = 60'000;

}  // namespace

void LackOfSpace::Set(bool lacks, const std::string& path, size_t parts, uint64_t free_bytes) {
  if (lacks_.exchange(lacks, std::memory_order_relaxed) == lacks || !lacks) return;
  const int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::steady_clock::now().time_since_epoch())
                          .count();
  int64_t last = logged_ms_.load(std::memory_order_relaxed);
  if (last != INT64_MIN && now - last < kLogIntervalMs) return;
  if (!logged_ms_.compare_exchange_strong(last, now, std::memory_order_relaxed)) return;
  VM_LOG_WARN("cannot merge the {} parts of \"{}\" with {} bytes of free disk space; searches become slower until there "
              "is more",
              parts, path, free_bytes);
}

}  // namespace vm::storage
