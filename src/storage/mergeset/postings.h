#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/bytes/bytes.h"

namespace vm::mergeset {

class ItemRun;

/// Items that lead to one id: for each prefix and each tail the item prefix + tail + id, the id as eight bytes. Items
/// that differ by their ids alone may become one, with its ids in order.
struct Postings {
  std::span<const ByteView> prefixes;  // Of all that a table is given, none is the beginning of another.
  std::span<const ByteView> tails;
  uint64_t id = 0;
  std::span<const uint64_t> tail_hashes;  // PostingTable::HashOf each; empty: not computed yet.
};

/// Collects postings by their heads, so that a tag that a thousand series share is hashed a thousand times but sorted and
/// written once. Not thread-safe.
class PostingTable {
 public:
  /// What may be computed before Add, without the lock that guards it.
  static uint64_t HashOf(ByteView tail);
  void Add(const Postings& postings);
  bool empty() const noexcept { return rows_.empty(); }
  size_t bytes() const noexcept {
    return tails_.size() + heads_.size() * sizeof(Head) + slots_.size() * sizeof(uint64_t) +
           rows_.size() * sizeof(uint32_t) + series_.size() * sizeof(Series);
  }
  /// Everything as sorted runs, few of them; the table is empty then.
  std::vector<std::shared_ptr<const ItemRun>> TakeRuns();

 private:
  struct Head {
    uint32_t group;
    uint32_t tail_size;
    size_t tail_offset;
    uint32_t rows;
  };
  struct Series {
    uint64_t id;
    uint32_t rows;
  };
  using Prefixes = std::vector<ByteBuffer>;

  uint32_t GroupOf(std::span<const ByteView> prefixes);
  uint32_t HeadOf(uint32_t group, ByteView tail, uint64_t tail_hash);
  void GrowSlots();
  ByteView TailOf(const Head& head) const { return ByteView(tails_).subspan(head.tail_offset, head.tail_size); }
  /// The ids of all rows, head after head; heads then count distinct ids from `*begins` on.
  std::vector<uint64_t> CollectIds(std::vector<size_t>& begins);

  std::vector<Prefixes> groups_;
  std::unordered_map<std::string, uint32_t> group_numbers_;
  uint32_t last_group_ = 0;
  std::vector<Head> heads_;
  ByteBuffer tails_;
  std::vector<uint64_t> slots_;  // Open addressing: upper half of the hash, number of the head + 1.
  std::vector<uint32_t> rows_;   // Heads, series after series.
  std::vector<Series> series_;
};

}  // namespace vm::mergeset
