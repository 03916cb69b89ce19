#include "storage/mergeset/sort_items.h"

#include <algorithm>
#include <cstring>

namespace vm::mergeset {
namespace {

uint64_t WordAt(const SortEntry& entry, size_t depth) noexcept {
  const size_t left = entry.size > depth ? entry.size - depth : 0;
  uint64_t word = 0;
  if (left >= 8) {
    std::memcpy(&word, entry.data + depth, 8);
    return __builtin_bswap64(word);
  }
  for (size_t i = 0; i < left; ++i) word |= static_cast<uint64_t>(entry.data[depth + i]) << (56 - 8 * i);
  return word;
}

/// Whether a < b, given that they agree before `depth`.
bool LessFrom(const SortEntry& a, const SortEntry& b, size_t depth) noexcept {
  if (a.word != b.word) return a.word < b.word;
  const size_t skip = depth + 8;
  const size_t rest_a = a.size > skip ? a.size - skip : 0;
  const size_t rest_b = b.size > skip ? b.size - skip : 0;
  const size_t common = std::min(rest_a, rest_b);
  const int order = common == 0 ? 0 : std::memcmp(a.data + skip, b.data + skip, common);
  return order != 0 ? order < 0 : a.size < b.size;
}

void InsertionSort(std::span<SortEntry> entries, size_t depth) {
  for (size_t i = 1; i < entries.size(); ++i) {
    const SortEntry entry = entries[i];
    size_t at = i;
    for (; at > 0 && LessFrom(entry, entries[at - 1], depth); --at) entries[at] = entries[at - 1];
    entries[at] = entry;
  }
}

/// Multikey quicksort on words of eight bytes (Bentley, Sedgewick: Fast Algorithms for Sorting and Searching Strings):
/// index items share long prefixes, which are looked at once and not in each comparison. Requires entries that agree
/// before `depth` and hold their word at `depth`. Recursion goes into the smaller parts: log2(n) deep.
void SortFrom(std::span<SortEntry> entries, size_t depth, uint64_t& seed) {
  while (entries.size() > 16) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    const auto word_at = [&](uint64_t at) { return entries[at % entries.size()].word; };
    const uint64_t a = word_at(seed >> 33), b = word_at(seed >> 13), c = word_at(seed >> 3);
    const uint64_t pivot = std::max(std::min(a, b), std::min(std::max(a, b), c));
    size_t low = 0, i = 0, high = entries.size();
    while (i < high) {
      if (entries[i].word < pivot) {
        std::swap(entries[low++], entries[i++]);
      } else if (entries[i].word > pivot) {
        std::swap(entries[i], entries[--high]);
      } else {
        ++i;
      }
    }
    std::span<SortEntry> less = entries.first(low);
    std::span<SortEntry> greater = entries.subspan(high);
    std::span<SortEntry> equal = entries.subspan(low, high - low);
    // Items that end within the word come first, shorter before longer.
    const auto ended = std::partition(equal.begin(), equal.end(),
                                      [&](const SortEntry& e) { return e.size <= depth + 8; });
    std::sort(equal.begin(), ended, [](const SortEntry& x, const SortEntry& y) { return x.size < y.size; });
    equal = equal.subspan(static_cast<size_t>(ended - equal.begin()));
    for (SortEntry& entry : equal) entry.word = WordAt(entry, depth + 8);

    const size_t most = std::max({less.size(), equal.size(), greater.size()});
    bool is_kept = false;  // One of the largest is sorted by this loop.
    std::span<SortEntry> next;
    size_t next_depth = depth;
    const auto sort = [&](std::span<SortEntry> part, size_t part_depth) {
      if (!is_kept && part.size() == most) {
        is_kept = true;
        next = part;
        next_depth = part_depth;
      } else {
        SortFrom(part, part_depth, seed);
      }
    };
    sort(less, depth);
    sort(equal, depth + 8);
    sort(greater, depth);
    entries = next;
    depth = next_depth;
  }
  InsertionSort(entries, depth);
}

}  // namespace

SortEntry::SortEntry(ByteView item, uint32_t entry_number)
    : word(0), data(item.data()), size(static_cast<uint32_t>(item.size())), number(entry_number) {
  word = WordAt(*this, 0);
}

void SortItems(std::span<SortEntry> entries) {
  uint64_t seed = entries.size();
  SortFrom(entries, 0, seed);
}

}  // namespace vm::mergeset
