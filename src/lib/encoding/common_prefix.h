#pragma once

#include <bit>
#include <cstring>

#include "lib/bytes/bytes.h"

namespace vm::encoding {

/// How many bytes `a` and `b` have in common from the start, given that the first `from` are equal. Eight at a time:
/// items of an index share dozens.
inline size_t CommonPrefixSize(ByteView a, ByteView b, size_t from = 0) noexcept {
  const size_t n = a.size() < b.size() ? a.size() : b.size();
  size_t i = from;
  for (; i + 8 <= n; i += 8) {
    uint64_t x = 0, y = 0;
    std::memcpy(&x, a.data() + i, 8);
    std::memcpy(&y, b.data() + i, 8);
    if (const uint64_t differ = x ^ y; differ != 0) {
      const int bits = std::endian::native == std::endian::little ? std::countr_zero(differ) : std::countl_zero(differ);
      return i + static_cast<size_t>(bits) / 8;
    }
  }
  while (i < n && a[i] == b[i]) ++i;
  return i;
}

}  // namespace vm::encoding
