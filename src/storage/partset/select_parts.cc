#include "storage/partset/select_parts.h"

#include <algorithm>

namespace vm::storage {
namespace {

// A merge must at least halve the number of times that a byte is rewritten, roughly.
constexpr double kMinMultiplier = 1.7;

}  // namespace

std::vector<size_t> SelectPartsToMerge(std::span<const PartSize> parts, uint64_t max_output_bytes) {
  const auto max_input = static_cast<uint64_t>(static_cast<double>(max_output_bytes) / kMinMultiplier);
  std::vector<size_t> order;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].size_bytes <= max_input) order.push_back(i);
  }
  if (order.size() < 2) return {};
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (parts[a].size_bytes != parts[b].size_bytes) return parts[a].size_bytes < parts[b].size_bytes;
    return parts[a].min_timestamp > parts[b].min_timestamp;
  });
  const size_t most = std::min(kMaxPartsToMerge, order.size());
  const size_t least = std::max<size_t>((most + 1) / 2, 2);
  double best = 0;
  size_t best_from = 0, best_count = 0;
  for (size_t count = least; count <= most; ++count) {
    for (size_t from = 0; from + count <= order.size(); ++from) {
      const uint64_t smallest = parts[order[from]].size_bytes;
      const uint64_t largest = parts[order[from + count - 1]].size_bytes;
      if (smallest * count < largest) continue;
      uint64_t sum = 0;
      for (size_t i = from; i < from + count; ++i) sum += parts[order[i]].size_bytes;
      if (sum > max_output_bytes) break;
      const double multiplier = static_cast<double>(sum) / static_cast<double>(std::max<uint64_t>(largest, 1));
      if (multiplier < best) continue;
      best = multiplier;
      best_from = from;
      best_count = count;
    }
  }
  if (best < std::max(static_cast<double>(kMaxPartsToMerge) / 2, kMinMultiplier)) return {};
  return {order.begin() + static_cast<ptrdiff_t>(best_from),
          order.begin() + static_cast<ptrdiff_t>(best_from + best_count)};
}

}  // namespace vm::storage
