#include "storage/part/series_order.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace vm::storage {
namespace {

/// Fewer are not worth a new table; beyond, it grows by a quarter at least.
constexpr size_t kMinFresh = 16 * 1024;

}  // namespace

size_t SeriesRanks::PageOf(uint64_t number) const noexcept {
  // Mostly there are no gaps.
  const uint64_t guess = pages_.empty() ? 0 : number - pages_.front();
  if (guess < pages_.size() && pages_[guess] == number) return guess;
  const auto at = std::lower_bound(pages_.begin(), pages_.end(), number);
  return at != pages_.end() && *at == number ? static_cast<size_t>(at - pages_.begin()) : pages_.size();
}

SeriesRanks::SeriesRanks(const SeriesRanks& known, std::vector<model::Tsid> added) {
  const auto page_of = [](const model::Tsid& tsid) { return static_cast<uint64_t>(tsid.metric_id) / kPageSize; };
  std::sort(added.begin(), added.end(), [](const auto& a, const auto& b) { return a.metric_id < b.metric_id; });
  // Two series of one id cannot both have a slot.
  const auto same_id = [](const auto& a, const auto& b) { return a.metric_id == b.metric_id; };
  added.erase(std::unique(added.begin(), added.end(), same_id), added.end());
  std::vector<uint64_t> pages;
  size_t kept = 0;
  for (size_t from = 0, to = 0; from < added.size(); from = to) {
    const uint64_t page = page_of(added[from]);
    while (to < added.size() && page_of(added[to]) == page) ++to;
    const bool is_known = known.PageOf(page) < known.pages_.size();
    if (!is_known && to - from < kMinPageSeries) continue;
    if (!is_known) pages.push_back(page);
    for (size_t i = from; i < to; ++i) added[kept++] = added[i];
  }
  added.resize(kept);
  std::merge(pages.begin(), pages.end(), known.pages_.begin(), known.pages_.end(), std::back_inserter(pages_));

  slots_.resize(pages_.size() * kPageSize);
  auto slot_of = [this, page = size_t{0}](const model::Tsid& tsid) mutable -> Slot& {
    const auto id = static_cast<uint64_t>(tsid.metric_id);
    if (pages_[page] != id / kPageSize) page = PageOf(id / kPageSize);
    return slots_[page * kPageSize + id % kPageSize];
  };
  // An id that another series has stays its own.
  if (known.size() > 0) {
    std::erase_if(added, [&](const model::Tsid& tsid) {
      const size_t page = known.PageOf(page_of(tsid));
      return page < known.pages_.size() &&
             known.slots_[page * kPageSize + static_cast<uint64_t>(tsid.metric_id) % kPageSize].rank != kNone;
    });
  }
  std::sort(added.begin(), added.end());
  tsids_.reserve(known.size() + added.size());
  std::merge(known.tsids_.begin(), known.tsids_.end(), added.begin(), added.end(), std::back_inserter(tsids_));
  for (uint32_t rank = 0; rank < tsids_.size(); ++rank) slot_of(tsids_[rank]) = {rank, CheckOf(tsids_[rank])};
}

void SeriesOrder::Learn(std::span<const model::Tsid> tsids) {
  std::vector<model::Tsid> fresh;
  std::shared_ptr<const SeriesRanks> ranks;
  {
    MutexLock lock(mutex_);
    fresh_.insert(fresh_.end(), tsids.begin(), tsids.end());
    if (is_learning_ || fresh_.size() < std::max(kMinFresh, ranks_->size() / 4)) return;
    is_learning_ = true;
    fresh.swap(fresh_);
    ranks = ranks_;
  }
  if (ranks->bytes() > max_bytes_) ranks = std::make_shared<const SeriesRanks>();
  // Another thread may have learnt some of them meanwhile.
  size_t page = 0;
  std::erase_if(fresh, [&](const model::Tsid& tsid) { return ranks->Find(tsid, page) != SeriesRanks::kNone; });
  if (fresh.empty()) {
    MutexLock lock(mutex_);
    is_learning_ = false;
    return;
  }
  auto extended = std::make_shared<const SeriesRanks>(*ranks, std::move(fresh));
  MutexLock lock(mutex_);
  ranks_ = std::move(extended);
  is_learning_ = false;
}

void SeriesOrder::Forget() {
  auto none = std::make_shared<const SeriesRanks>();
  std::vector<model::Tsid> fresh;
  MutexLock lock(mutex_);
  if (is_learning_) return;
  ranks_.swap(none);
  fresh_.swap(fresh);
}

}  // namespace vm::storage
