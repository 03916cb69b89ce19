#include "storage/mergeset/postings.h"

#include <algorithm>

#include "lib/hash/xxhash.h"
#include "storage/mergeset/memory_items.h"
#include "storage/mergeset/sort_items.h"

namespace vm::mergeset {
namespace {

/// Ids of one item at most, as the original joins them.
constexpr size_t kMaxIdsPerItem = 64;
constexpr size_t kMinSlots = 1024;
constexpr uint64_t kSpread = 0x9e3779b97f4a7c15;

}  // namespace

uint32_t PostingTable::GroupOf(std::span<const ByteView> prefixes) {
  if (!groups_.empty() &&
      std::equal(prefixes.begin(), prefixes.end(), groups_[last_group_].begin(), groups_[last_group_].end(), Equal)) {
    return last_group_;
  }
  std::string key;
  for (const ByteView prefix : prefixes) {
    key += std::to_string(prefix.size()) + ":";
    key += AsText(prefix);
  }
  const auto [it, added] = group_numbers_.try_emplace(std::move(key), static_cast<uint32_t>(groups_.size()));
  if (added) {
    Prefixes& group = groups_.emplace_back();
    for (const ByteView prefix : prefixes) group.emplace_back(prefix.begin(), prefix.end());
  }
  last_group_ = it->second;
  return last_group_;
}

void PostingTable::GrowSlots() {
  std::vector<uint64_t> old = std::exchange(slots_, std::vector<uint64_t>(std::max(kMinSlots, 2 * slots_.size())));
  for (const uint64_t slot : old) {
    if (slot == 0) continue;
    size_t at = (slot >> 32) & (slots_.size() - 1);
    while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

uint64_t PostingTable::HashOf(ByteView tail) { return hash::XXH64(tail); }

uint32_t PostingTable::HeadOf(uint32_t group, ByteView tail, uint64_t tail_hash) {
  if (2 * (heads_.size() + 1) > slots_.size()) GrowSlots();
  const uint64_t hash = (tail_hash ^ group * kSpread) >> 32;
  for (size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
    uint64_t& slot = slots_[at];
    if (slot == 0) {
      const auto number = static_cast<uint32_t>(heads_.size());
      slot = hash << 32 | (number + 1);
      heads_.push_back({group, static_cast<uint32_t>(tail.size()), tails_.size(), 0});
      Append(tails_, tail);
      return number;
    }
    if (slot >> 32 != hash) continue;
    const auto number = static_cast<uint32_t>(slot) - 1;
    if (heads_[number].group == group && Equal(TailOf(heads_[number]), tail)) return number;
  }
}

void PostingTable::Add(const Postings& postings) {
  if (postings.prefixes.empty() || postings.tails.empty()) return;
  const uint32_t group = GroupOf(postings.prefixes);
  for (size_t i = 0; i < postings.tails.size(); ++i) {
    const ByteView tail = postings.tails[i];
    const uint32_t head =
        HeadOf(group, tail, postings.tail_hashes.empty() ? HashOf(tail) : postings.tail_hashes[i]);
    ++heads_[head].rows;
    rows_.push_back(head);
  }
  series_.push_back({postings.id, static_cast<uint32_t>(postings.tails.size())});
}

std::vector<uint64_t> PostingTable::CollectIds(std::vector<size_t>& begins) {
  begins.resize(heads_.size());
  size_t at = 0;
  for (size_t i = 0; i < heads_.size(); ++i) {
    begins[i] = at;
    at += heads_[i].rows;
  }
  std::vector<uint64_t> ids(rows_.size());
  std::vector<size_t> ends = begins;
  size_t row = 0;
  for (const Series& series : series_) {
    for (uint32_t i = 0; i < series.rows; ++i) ids[ends[rows_[row++]]++] = series.id;
  }
  for (size_t i = 0; i < heads_.size(); ++i) {
    const auto first = ids.begin() + static_cast<ptrdiff_t>(begins[i]);
    const auto last = ids.begin() + static_cast<ptrdiff_t>(ends[i]);
    if (!std::is_sorted(first, last)) std::sort(first, last);
    heads_[i].rows = static_cast<uint32_t>(std::unique(first, last) - first);
  }
  return ids;
}

std::vector<std::shared_ptr<const ItemRun>> PostingTable::TakeRuns() {
  if (empty()) return {};
  std::vector<size_t> begins;
  const std::vector<uint64_t> ids = CollectIds(begins);
  std::vector<std::vector<SortEntry>> sorted(groups_.size());
  for (uint32_t i = 0; i < heads_.size(); ++i) sorted[heads_[i].group].emplace_back(TailOf(heads_[i]), i);
  for (auto& entries : sorted) SortItems(entries);

  // A prefix of several groups goes to as many runs.
  std::map<ByteBuffer, std::vector<uint32_t>> groups_of;
  size_t runs = 0;
  for (uint32_t group = 0; group < groups_.size(); ++group) {
    for (const ByteBuffer& prefix : groups_[group]) {
      std::vector<uint32_t>& groups = groups_of[prefix];
      groups.push_back(group);
      runs = std::max(runs, groups.size());
    }
  }
  std::vector<std::shared_ptr<const ItemRun>> result;
  for (size_t i = 0; i < runs; ++i) {
    auto run = std::make_shared<ItemRun>();
    for (const auto& [prefix, groups] : groups_of) {
      if (i >= groups.size()) continue;
      for (const SortEntry& entry : sorted[groups[i]]) {
        const size_t room = (kMaxItemSize - prefix.size() - entry.size) / sizeof(uint64_t);
        const size_t most = std::min(kMaxIdsPerItem, room);
        std::span<const uint64_t> left(ids.data() + begins[entry.number], heads_[entry.number].rows);
        while (!left.empty()) {
          const size_t count = std::min(most, left.size());
          run->Add(prefix, entry.item(), left.first(count));
          left = left.subspan(count);
        }
      }
    }
    result.push_back(std::move(run));
  }
  *this = PostingTable();
  return result;
}

}  // namespace vm::mergeset
