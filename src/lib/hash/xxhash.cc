#include "lib/hash/xxhash.h"

#include <xxhash.h>

namespace vm::hash {

uint64_t XXH64(ByteView bytes) noexcept { return ::XXH64(bytes.data(), bytes.size(), 0); }

}  // namespace vm::hash
