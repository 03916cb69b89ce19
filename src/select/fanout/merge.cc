#include "select/fanout/merge.h"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "lib/base/check.h"
#include "lib/model/dedup.h"

namespace vm::select {
namespace {

struct Cursor {
  SortedBlock block;
  size_t next = 0;

  int64_t timestamp() const { return block.timestamps[next]; }
  bool done() const { return next == block.timestamps.size(); }
};

bool Later(const Cursor* a, const Cursor* b) { return a->timestamp() > b->timestamp(); }

// How many samples at both cursors are the same, bit by bit.
size_t EqualSamples(const Cursor& a, const Cursor& b) {
  const size_t limit =
      std::min(a.block.timestamps.size() - a.next, b.block.timestamps.size() - b.next);
  size_t n = 0;
  while (n < limit && a.block.timestamps[a.next + n] == b.block.timestamps[b.next + n] &&
         std::bit_cast<uint64_t>(a.block.values[a.next + n]) ==
             std::bit_cast<uint64_t>(b.block.values[b.next + n])) {
    ++n;
  }
  return n;
}

void CopyUpTo(Cursor& a, size_t end, std::vector<int64_t>& timestamps, std::vector<double>& values) {
  const auto from = static_cast<std::ptrdiff_t>(a.next);
  const auto to = static_cast<std::ptrdiff_t>(end);
  timestamps.insert(timestamps.end(), a.block.timestamps.begin() + from,
                    a.block.timestamps.begin() + to);
  values.insert(values.end(), a.block.values.begin() + from, a.block.values.begin() + to);
  a.next = end;
}

}  // namespace

void MergeSortBlocks(std::vector<SortedBlock> blocks, int64_t dedup_interval_ms,
                     std::vector<int64_t>& timestamps, std::vector<double>& values) {
  size_t samples_count = 0;
  for (const auto& block : blocks) samples_count += block.timestamps.size();
  timestamps.reserve(timestamps.size() + samples_count);
  values.reserve(values.size() + samples_count);
  std::vector<Cursor> cursors;
  cursors.reserve(blocks.size());
  for (auto& block : blocks) {
    VM_CHECK(!block.timestamps.empty() && block.timestamps.size() == block.values.size());
    cursors.push_back({std::move(block), 0});
  }
  std::vector<Cursor*> heap;
  for (auto& cursor : cursors) heap.push_back(&cursor);
  std::make_heap(heap.begin(), heap.end(), Later);
  while (heap.size() > 1) {
    std::pop_heap(heap.begin(), heap.end(), Later);
    Cursor& a = *heap.back();
    const Cursor& b = *heap.front();
    const size_t equal = dedup_interval_ms > 0 ? EqualSamples(a, b) : 0;
    if (equal > 0) {
      a.next += equal;
    } else {
      const auto begin = a.block.timestamps.begin();
      const auto end = std::upper_bound(begin + static_cast<std::ptrdiff_t>(a.next),
                                        a.block.timestamps.end(), b.timestamp());
      CopyUpTo(a, static_cast<size_t>(end - begin), timestamps, values);
    }
    if (a.done()) {
      heap.pop_back();
    } else {
      std::push_heap(heap.begin(), heap.end(), Later);
    }
  }
  if (!heap.empty()) {
    CopyUpTo(*heap.front(), heap.front()->block.timestamps.size(), timestamps, values);
  }
  model::DeduplicateSamples(timestamps, values, dedup_interval_ms);
}

}  // namespace vm::select
