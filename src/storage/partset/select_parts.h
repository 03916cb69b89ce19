#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vm::storage {

/// Parts merged in one go at most.
inline constexpr size_t kMaxPartsToMerge = 15;

struct PartSize {
  uint64_t size_bytes = 0;
  int64_t min_timestamp = 0;  // Later ones go first among equal sizes.
};

/// Indexes of the parts that are worth merging into one of at most `max_output_bytes`: at least two of similar size, so
/// that a byte is not rewritten often. Empty when nothing is worth it.
/// Reference: VictoriaMetrics lib/storage/partition.go, appendPartsToMerge.
std::vector<size_t> SelectPartsToMerge(std::span<const PartSize> parts, uint64_t max_output_bytes);

}  // namespace vm::storage
