#pragma once

#include <cstdint>

#include "lib/bytes/bytes.h"

namespace vm::hash {

/// XXH64 with seed 0, as the formats and the node choice demand.
uint64_t XXH64(ByteView bytes) noexcept;

}  // namespace vm::hash
