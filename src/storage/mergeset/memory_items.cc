#include "storage/mergeset/memory_items.h"

#include <algorithm>

#include "storage/mergeset/item_merger.h"
#include "storage/mergeset/sort_items.h"

namespace vm::mergeset {
namespace {

/// Added items are sorted in pieces of that size: small enough for a core's own cache.
constexpr size_t kPieceBytes = size_t{1} << 20;
/// Postings are collected longer: more of them share their head then.
constexpr size_t kPostingBytes = size_t{8} << 20;
/// With more runs than that the smaller half is joined.
constexpr size_t kMaxRuns = 80;

/// Walks over one run.
class RunCursor {
 public:
  explicit RunCursor(const ItemRun& run) : run_(run) {}

  bool valid() const noexcept { return at_ < run_.size(); }
  ByteView item() const noexcept { return run_.Item(at_); }
  Status Next(size_t& common) noexcept {
    const ByteView last = item();
    ++at_;
    common = valid() ? encoding::CommonPrefixSize(last, item()) : 0;
    return Ok();
  }

 private:
  const ItemRun& run_;
  size_t at_ = 0;
};

}  // namespace

size_t ItemRun::LowerBound(ByteView key) const noexcept {
  size_t low = 0;
  size_t high = size();
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (Less(Item(middle), key)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void ItemRun::Add(ByteView head, ByteView tail, std::span<const uint64_t> ids) {
  const size_t at = data_.size();
  data_.resize(at + head.size() + tail.size() + ids.size() * sizeof(uint64_t));
  uint8_t* to = std::copy(head.begin(), head.end(), data_.data() + at);
  to = std::copy(tail.begin(), tail.end(), to);
  for (const uint64_t id : ids) to = StoreBigEndian(to, id);
  ends_.push_back(static_cast<uint32_t>(data_.size()));
}

ItemRun ItemRun::Sorted() const {
  std::vector<SortEntry> entries;
  entries.reserve(size());
  for (size_t i = 0; i < size(); ++i) entries.emplace_back(Item(i));
  SortItems(entries);
  ItemRun sorted;
  sorted.Reserve(data_.size(), size());
  ByteView previous;
  for (const SortEntry& entry : entries) {
    if (!sorted.empty() && Equal(entry.item(), previous)) continue;
    sorted.Add(entry.item());
    previous = entry.item();
  }
  return sorted;
}

Status MergeRuns(const ItemRuns& runs, const std::function<Status(ByteView)>& visit) {
  std::vector<RunCursor> cursors;
  for (const auto& run : runs) cursors.emplace_back(*run);
  for (ItemMerger merger(cursors); merger.valid();) {
    VM_TRY(visit(merger.item()));
    VM_TRY(merger.Next());
  }
  return Ok();
}

bool MemoryItems::Add(std::span<const ByteView> items, const Postings& postings) {
  MutexLock lock(mutex_);
  for (const ByteView item : items) pending_.Add(item);
  postings_.Add(postings);
  count_.fetch_add(items.size() + postings.prefixes.size() * postings.tails.size(), std::memory_order_relaxed);
  UpdateBytes();
  return pending_.bytes() >= kPieceBytes || postings_.bytes() >= kPostingBytes;
}

void MemoryItems::SortFull() {
  Piece piece;
  {
    MutexLock lock(mutex_);
    const bool items = pending_.bytes() >= kPieceBytes;
    const bool postings = postings_.bytes() >= kPostingBytes;
    if (!items && !postings) return;  // Another thread was faster.
    piece = TakeLocked(items, postings);
  }
  Sort(std::move(piece));
}

ItemRuns MemoryItems::Runs() {
  uint64_t later = 0;
  Piece piece;
  {
    MutexLock lock(mutex_);
    if (pending_.empty() && postings_.empty() && pieces_.empty()) return runs_;
    piece = TakeLocked(true, true);
    later = next_piece_;
  }
  Sort(std::move(piece));
  MutexLock lock(mutex_);
  while (!pieces_.empty() && *pieces_.begin() < later) sorted_.Wait(mutex_);
  return runs_;
}

MemoryItems::Piece MemoryItems::TakeLocked(bool items, bool postings) {
  Piece piece;
  if (items) piece.items = std::exchange(pending_, {});
  if (postings) piece.postings = std::exchange(postings_, {});
  piece.bytes = piece.items.bytes() + piece.postings.bytes();
  piece.number = next_piece_++;
  pieces_.insert(piece.number);
  pieces_bytes_ += piece.bytes;
  return piece;
}

void MemoryItems::Sort(Piece piece) {
  ItemRuns runs = piece.postings.TakeRuns();
  if (!piece.items.empty()) runs.push_back(std::make_shared<const ItemRun>(piece.items.Sorted()));
  piece.items = ItemRun();
  MutexLock lock(mutex_);
  for (auto& run : runs) AddRun(std::move(run));
  pieces_.erase(piece.number);
  pieces_bytes_ -= piece.bytes;
  UpdateBytes();
  sorted_.NotifyAll();
}

void MemoryItems::UpdateBytes() {
  bytes_.store(runs_bytes_ + pieces_bytes_ + pending_.bytes() + postings_.bytes(), std::memory_order_relaxed);
}

void MemoryItems::AddRun(std::shared_ptr<const ItemRun> run) {
  runs_bytes_ += run->bytes();
  runs_.push_back(std::move(run));
  if (runs_.size() <= kMaxRuns) return;
  // Only frequent looks at few new items make so many.
  std::sort(runs_.begin(), runs_.end(), [](const auto& a, const auto& b) { return a->bytes() > b->bytes(); });
  const ItemRuns small(runs_.begin() + kMaxRuns / 2, runs_.end());
  auto joined = std::make_shared<ItemRun>();
  const Status merged = MergeRuns(small, [&](ByteView item) {
    joined->Add(item);
    return Ok();
  });
  VM_CHECK(merged.ok());  // Adding does not fail.
  runs_.resize(kMaxRuns / 2);
  runs_.push_back(std::move(joined));
  runs_bytes_ = 0;
  for (const auto& kept : runs_) runs_bytes_ += kept->bytes();
}

}  // namespace vm::mergeset
