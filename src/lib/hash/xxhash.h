#pragma once

#include <cstdint>

#include "lib/bytes/bytes.h"

namespace vm::hash {

/// XXH64 with seed 0, as the formats and the node choice demand.
uint64_t XXH64(ByteView bytes) noexcept;

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
};
/// XXH3 with 128 bits, for private keys only: no file and no message holds it.
Hash128 XXH3_128(ByteView bytes, uint64_t seed) noexcept;

}  // namespace vm::hash
