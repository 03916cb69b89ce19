#pragma once

#include <cstdint>
#include <span>

#include "lib/bytes/bytes.h"

namespace vm::mergeset {

/// A byte string to be sorted, and what the caller knows it by.
struct SortEntry {
  explicit SortEntry(ByteView item, uint32_t entry_number = 0);

  uint64_t word;  // Bytes depth..depth+8 of the item, zeros where it has ended; `depth` is where sorting stands.
  const uint8_t* data;
  uint32_t size;
  uint32_t number;

  ByteView item() const noexcept { return {data, size}; }
};

/// Sort by the bytes of the items. Not stable.
void SortItems(std::span<SortEntry> entries);

}  // namespace vm::mergeset
