#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/encoding/common_prefix.h"

namespace vm::mergeset {

/// Walks over the items of many sorted sources in order, each item once. A tree of losers that knows how much each item
/// has in common with the one that was given out last: most matches are decided by these two numbers, and no byte is
/// compared twice (Bingmann, Sanders: LCP loser tree). Not thread-safe.
///
/// Source: bool valid(), ByteView item(), Status Next(size_t& common), which tells what the new item has in common with
/// the one before. Sources stay where they are; items need to stay until Next of their source alone.
template <class Source>
class ItemMerger {
 public:
  /// `sources` outlive the merger.
  explicit ItemMerger(std::vector<Source>& sources) : sources_(sources) {
    while (leaves_ < sources.size()) leaves_ *= 2;
    tree_.resize(leaves_);
    tree_[0] = Build(1);
  }

  bool valid() const noexcept { return IsLive(tree_[0].source); }
  ByteView item() const { return sources_[tree_[0].source].item(); }
  /// Bytes that the item has in common with the one before.
  size_t common() const noexcept { return tree_[0].common; }
  /// Go to the next item. Requires valid().
  Status Next() {
    const size_t size = item().size();
    do {
      VM_TRY(Advance());
    } while (valid() && tree_[0].common == size && item().size() == size);
    return Ok();
  }

 private:
  struct Entry {
    uint32_t source = 0;
    size_t common = 0;  // With the last item that passed here.
  };

  bool IsLive(uint32_t source) const noexcept { return source < sources_.size() && sources_[source].valid(); }

  Entry Build(size_t node) {
    if (node >= leaves_) return {.source = static_cast<uint32_t>(node - leaves_)};
    Entry winner = Build(2 * node);
    tree_[node] = Build(2 * node + 1);
    Play(winner, tree_[node]);
    return winner;
  }
  Status Advance() {
    Entry winner = tree_[0];
    VM_TRY(sources_[winner.source].Next(winner.common));
    for (size_t node = (leaves_ + winner.source) / 2; node > 0; node /= 2) Play(winner, tree_[node]);
    tree_[0] = winner;
    return Ok();
  }
  /// Afterwards `winner` has the smaller item and `loser` knows what it has in common with it.
  void Play(Entry& winner, Entry& loser) const {
    if (!IsLive(loser.source)) return;
    if (!IsLive(winner.source)) return std::swap(winner, loser);
    // Both are not below the last item: who has more in common with it is smaller.
    if (winner.common != loser.common) {
      if (winner.common < loser.common) std::swap(winner, loser);
      return;
    }
    const ByteView a = sources_[winner.source].item(), b = sources_[loser.source].item();
    const size_t common = encoding::CommonPrefixSize(a, b, winner.common);
    const bool stays = common == a.size() || (common < b.size() && a[common] < b[common]);
    if (!stays) std::swap(winner, loser);
    loser.common = common;
  }

  std::vector<Source>& sources_;
  size_t leaves_ = 1;
  std::vector<Entry> tree_;  // The winner of all, then the losers.
};

}  // namespace vm::mergeset
