#include "lib/hash/xxhash.h"

#include <xxhash.h>

namespace vm::hash {

uint64_t XXH64(ByteView bytes) noexcept { return ::XXH64(bytes.data(), bytes.size(), 0); }

Hash128 XXH3_128(ByteView bytes, uint64_t seed) noexcept {
  const XXH128_hash_t h = XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed);
  return {h.low64, h.high64};
}

}  // namespace vm::hash
