#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vm::containers {

/// Says of a 64-bit hash that it is surely not in a set, or that it may be: a few wrong "may be" in a thousand. Takes
/// 16 bits a key; a question touches one cache line. Immutable, thus thread-safe.
/// (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters.)
class KeyFilter {
 public:
  explicit KeyFilter(std::span<const uint64_t> hashes) : blocks_(BlocksFor(hashes.size())) {
    for (const uint64_t hash : hashes) {
      Block& block = blocks_[BlockOf(hash)];
      uint64_t bits = hash * kSpread;
      for (int i = 0; i < kProbes; ++i, bits >>= 9) block.words[(bits >> 6) & 7] |= uint64_t{1} << (bits & 63);
    }
  }

  bool MayHave(uint64_t hash) const noexcept {
    const Block& block = blocks_[BlockOf(hash)];
    uint64_t bits = hash * kSpread;
    for (int i = 0; i < kProbes; ++i, bits >>= 9) {
      if ((block.words[(bits >> 6) & 7] >> (bits & 63) & 1) == 0) return false;
    }
    return true;
  }

  size_t bytes() const noexcept { return blocks_.size() * sizeof(Block); }
  /// What a filter of so many keys takes.
  static size_t BytesFor(size_t keys) noexcept { return BlocksFor(keys) * sizeof(Block); }

 private:
  struct alignas(64) Block {
    uint64_t words[8] = {};
  };
  static constexpr int kProbes = 7;
  static constexpr size_t kBitsPerKey = 16;
  static constexpr uint64_t kSpread = 0x9e3779b97f4a7c15;

  static size_t BlocksFor(size_t keys) noexcept { return keys * kBitsPerKey / 512 + 1; }
  size_t BlockOf(uint64_t hash) const noexcept {
    return static_cast<size_t>((hash >> 32) * blocks_.size() >> 32);
  }

  std::vector<Block> blocks_;
};

}  // namespace vm::containers
