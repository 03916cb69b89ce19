#include "storage/engine/series_limiter.h"

#include <sys/mman.h>

#include "lib/base/check.h"
#include "lib/bytes/bytes.h"
#include "lib/hash/xxhash.h"

namespace vm::storage {
namespace {

constexpr uint64_t kBitsPerSeries = 16;
constexpr int kHashes = 4;

}  // namespace

SeriesLimiter::SeriesLimiter(uint64_t max_series, int64_t period_ms, int64_t now_ms)
    : max_series_(max_series), period_ms_(period_ms), period_end_ms_(now_ms + period_ms) {
  if (max_series_ == 0) return;
  bytes_ = (max_series_ * kBitsPerSeries + 63) / 64 * 8;
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  VM_CHECK_MSG(memory != MAP_FAILED, "cannot map the filter of a series limiter");
  words_ = static_cast<std::atomic<uint64_t>*>(memory);
}

SeriesLimiter::~SeriesLimiter() {
  if (words_ != nullptr) munmap(words_, bytes_);
}

void SeriesLimiter::StartPeriod(int64_t now_ms) {
  MutexLock lock(period_mutex_);
  if (now_ms < period_end_ms_.load(std::memory_order_relaxed)) return;
  // Reads as zeros from now on. Keys added at the same time may be forgotten: they count again.
  madvise(words_, bytes_, MADV_DONTNEED);
  count_.store(0, std::memory_order_relaxed);
  period_end_ms_.store(now_ms + period_ms_, std::memory_order_relaxed);
}

bool SeriesLimiter::HasOrAdd(uint64_t key) {
  const uint64_t bits = max_series_ * kBitsPerSeries;
  const bool is_full = count_.load(std::memory_order_relaxed) >= max_series_;
  bool is_new = false;
  for (int i = 0; i < kHashes; ++i) {
    uint8_t bytes[8];
    for (int b = 0; b < 8; ++b) bytes[b] = static_cast<uint8_t>((key + static_cast<uint64_t>(i)) >> (8 * b));
    const uint64_t bit = hash::XXH64(ByteView(bytes, 8)) % bits;
    const uint64_t mask = uint64_t{1} << (bit % 64);
    std::atomic<uint64_t>& word = words_[bit / 64];
    if ((word.load(std::memory_order_relaxed) & mask) != 0) continue;
    if (is_full) return false;
    is_new = (word.fetch_or(mask, std::memory_order_relaxed) & mask) == 0 || is_new;
  }
  if (is_new) count_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

}  // namespace vm::storage
