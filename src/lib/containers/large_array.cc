#include "lib/containers/large_array.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace vm::containers {
namespace {

constexpr size_t kLargePage = size_t{2} << 20;
/// A large page is worth it when that much of it is used.
constexpr size_t kMinUsed = kLargePage / 4 * 3;

}  // namespace

void* AllocateLarge(size_t bytes, size_t* mapped) {
  *mapped = 0;
  if (bytes < kMinUsed) {
    void* const memory = std::calloc(1, bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  const size_t pages = (bytes + kLargePage - kMinUsed) / kLargePage;  // Large ones; the rest is small.
  const size_t size = std::max(bytes, pages * kLargePage);
  const size_t reserved = size + kLargePage;
  void* const found = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (found == MAP_FAILED) throw std::bad_alloc();
  // Where large pages may begin; what lies before and after is given back.
  const auto at = reinterpret_cast<uintptr_t>(found);
  const uintptr_t begin = (at + kLargePage - 1) / kLargePage * kLargePage;
  const uintptr_t end = (begin + size + 4095) / 4096 * 4096;
  if (begin > at) munmap(found, begin - at);
  if (at + reserved > end) munmap(reinterpret_cast<void*>(end), at + reserved - end);
  void* const memory = reinterpret_cast<void*>(begin);
  // Only advice: without large pages everything works as well.
  madvise(memory, pages * kLargePage, MADV_HUGEPAGE);
  *mapped = end - begin;
  return memory;
}

void ReleaseLarge(void* memory, size_t mapped) noexcept {
  if (memory == nullptr) return;
  if (mapped == 0) {
    std::free(memory);
  } else {
    munmap(memory, mapped);
  }
}

}  // namespace vm::containers
