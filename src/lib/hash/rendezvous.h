#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vm::hash {

/// xorshift-multiply mix of 64 bits. Fixed by the reference: node choice and prefill depend on it.
constexpr uint64_t Mix(uint64_t x) noexcept {
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  return x * 2685821657736338717u;
}

/// Seed of the node choice in a vminsert that itself accepts rows from another vminsert.
inline constexpr uint64_t kClusterNativeSeed = 0xabcdef0123456789u;

/// Rendezvous choice of a storage node. Immutable, thread-safe.
/// Reference: VictoriaMetrics lib/consistenthash.
class Rendezvous {
 public:
  /// `nodes` are the addresses exactly as configured: their text decides the placement.
  Rendezvous(std::span<const std::string> nodes, uint64_t seed);

  /// Index of the node for the hash `h`, leaving out the indexes in `excluded` (unless that leaves none).
  size_t Pick(uint64_t h, std::span<const size_t> excluded = {}) const noexcept;

  size_t nodes_count() const noexcept { return node_hashes_.size(); }

 private:
  std::vector<uint64_t> node_hashes_;
  uint64_t seed_;
};

}  // namespace vm::hash
