#include "lib/hash/rendezvous.h"

#include <algorithm>

#include "lib/hash/xxhash.h"

namespace vm::hash {

Rendezvous::Rendezvous(std::span<const std::string> nodes, uint64_t seed) : seed_(seed) {
  node_hashes_.reserve(nodes.size());
  for (const std::string& node : nodes) node_hashes_.push_back(XXH64(AsBytes(node)));
}

size_t Rendezvous::Pick(uint64_t h, std::span<const size_t> excluded) const noexcept {
  const auto is_excluded = [&](size_t i) {
    return std::find(excluded.begin(), excluded.end(), i) != excluded.end();
  };
  bool all_excluded = true;
  for (size_t i = 0; i < node_hashes_.size() && all_excluded; ++i) all_excluded = is_excluded(i);
  h ^= seed_;
  uint64_t best = 0;
  size_t index = 0;
  for (size_t i = 0; i < node_hashes_.size(); ++i) {
    if (!all_excluded && is_excluded(i)) continue;
    if (const uint64_t m = Mix(node_hashes_[i] ^ h); m > best) {
      best = m;
      index = i;
    }
  }
  return index;
}

}  // namespace vm::hash
