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

/// Bytes that one merge may write when `free_bytes` are left on the disk: a share of them, and nothing below
/// `min_free_bytes`.
inline uint64_t MaxMergeOutput(uint64_t free_bytes, uint64_t min_free_bytes, uint64_t writers) {
  return free_bytes < min_free_bytes ? 0 : free_bytes / writers;
}

}  // namespace vm::storage
