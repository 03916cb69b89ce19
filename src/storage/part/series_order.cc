#include "storage/part/series_order.h"

#include <algorithm>
#include <utility>

namespace vm::storage {
namespace {

/// Fewer are not worth a new table; beyond, it grows by a quarter at least.
constexpr size_t kMinFresh = 16 * 1024;

}  // namespace

size_t SeriesRanks::PageOf(uint64_t number) const noexcept {
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
  std::vector<uint32_t> moved(known.pages_.size());  // Where the slots of a known page are now, less where they were.
  for (size_t page = 0; page < known.pages_.size(); ++page) {
    const size_t from = page * kPageSize, to = PageOf(known.pages_[page]) * kPageSize;
    std::copy_n(known.slots_.begin() + static_cast<ptrdiff_t>(from), kPageSize,
                slots_.begin() + static_cast<ptrdiff_t>(to));
    moved[page] = static_cast<uint32_t>(to - from);
  }
  const auto slot_number = [this](const model::Tsid& tsid) {
    return PageOf(static_cast<uint64_t>(tsid.metric_id) / kPageSize) * kPageSize +
           static_cast<uint64_t>(tsid.metric_id) % kPageSize;
  };
  // A slot that another series of the same id has stays its own.
  std::erase_if(added, [&](const model::Tsid& tsid) { return slots_[slot_number(tsid)].rank != kNone; });
  std::sort(added.begin(), added.end());
  slot_of_.reserve(known.size() + added.size());
  const auto add = [&](size_t slot) {
    slots_[slot].rank = static_cast<uint32_t>(slot_of_.size());
    slot_of_.push_back(static_cast<uint32_t>(slot));
  };
  uint32_t rank = 0;
  const auto add_known = [&] {
    const uint32_t number = known.slot_of_[rank++];
    add(number + moved[number / kPageSize]);
  };
  for (const model::Tsid& tsid : added) {
    while (rank < known.size() && known.At(rank) < tsid) add_known();
    const size_t slot = slot_number(tsid);
    slots_[slot] = {tsid.metric_group_id, tsid.account_id, tsid.project_id, tsid.job_id, tsid.instance_id};
    add(slot);
  }
  while (rank < known.size()) add_known();
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
