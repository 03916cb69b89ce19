#include "select/fanout/block_collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "lib/encoding/int.h"
#include "lib/hash/xxhash.h"
#include "lib/model/block_header.h"

namespace vm::select {
namespace {

constexpr size_t kMinChunkSize = 4 << 10;
constexpr size_t kMaxChunkSize = 1 << 20;
constexpr int64_t kMinCharge = 4 << 10;
constexpr int64_t kMaxCharge = 256 << 10;

}  // namespace

BlockCollector::BlockCollector(std::shared_ptr<SearchLimits> limits) : limits_(std::move(limits)) {
  if (limits_->budget != nullptr) share_ = std::make_unique<BudgetShare>(*limits_->budget);
}

Status BlockCollector::Charge(size_t bytes) {
  if (share_ == nullptr) return Ok();
  // By the piece: blocks are small and the budget is shared.
  if (budget_left_ < static_cast<int64_t>(bytes)) {
    const int64_t piece = std::max(static_cast<int64_t>(bytes), std::clamp<int64_t>(charged_ / 4, kMinCharge, kMaxCharge));
    VM_TRY(share_->Take(piece));
    charged_ += piece;
    budget_left_ += piece;
  }
  budget_left_ -= static_cast<int64_t>(bytes);
  return Ok();
}

Result<ByteView> BlockCollector::Keep(ByteView bytes) {
  if (bytes.empty()) return ByteView();  // A name that a node leaves out; there may be no chunk yet.
  if (chunk_size_ - chunk_used_ < bytes.size()) {
    const size_t size = std::max(bytes.size(), std::clamp(chunk_size_ * 2, kMinChunkSize, kMaxChunkSize));
    VM_TRY(Charge(size));
    chunks_.push_back(std::make_unique_for_overwrite<uint8_t[]>(size));
    chunk_size_ = size;
    packed_bytes_ += size;
    chunk_used_ = 0;
  }
  uint8_t* const at = chunks_.back().get() + chunk_used_;
  std::memcpy(at, bytes.data(), bytes.size());
  chunk_used_ += bytes.size();
  return ByteView(at, bytes.size());
}

Result<BlockCollector::Series*> BlockCollector::FindOrAddSeries(std::string_view name) {
  if (current_ != kNone && series_[current_].name == name) return &series_[current_];
  // Two names with one hash are as good as impossible; the second one takes the next free hash.
  uint64_t hash = hash::XXH3_128(AsBytes(name), reinterpret_cast<uintptr_t>(this)).low;
  auto found = by_name_hash_.find(hash);
  while (found != by_name_hash_.end() && series_[found->second].name != name) found = by_name_hash_.find(++hash);
  if (found != by_name_hash_.end()) {
    current_ = found->second;
    return &series_[current_];
  }
  VM_TRY(Charge(sizeof(Series) + 2 * sizeof(*by_name_hash_.begin())));
  VM_ASSIGN_OR_RETURN(const ByteView kept, Keep(AsBytes(name)));
  current_ = static_cast<uint32_t>(series_.size());
  series_.push_back({AsText(kept)});
  by_name_hash_.emplace(hash, current_);
  return &series_.back();
}

Status BlockCollector::CountRows(uint64_t rows) {
  limits_->blocks_count.fetch_add(1, std::memory_order_relaxed);
  const uint64_t count = limits_->samples_count.fetch_add(rows, std::memory_order_relaxed) + rows;
  if (limits_->max_samples == 0 || count <= limits_->max_samples) return Ok();
  return Error(ErrorCode::kLimitExceeded,
               fmt::format("cannot select more than -search.maxSamplesPerQuery={} samples; possible solutions: increase the "
                           "-search.maxSamplesPerQuery; reduce time range for the query; use more specific label filters in "
                           "order to select fewer series",
                           limits_->max_samples));
}

Status BlockCollector::Add(ByteView metric_block) {
  VM_ASSIGN_OR_RETURN(const ByteView name, encoding::TakeBytes(metric_block));
  ByteView rest = metric_block;
  VM_ASSIGN_OR_RETURN(const auto header, model::UnmarshalBlockHeader(rest));
  VM_TRY(CountRows(header.rows_count));
  VM_ASSIGN_OR_RETURN(Series* const series, FindOrAddSeries(AsText(name)));
  VM_TRY(Charge(sizeof(Block)));
  VM_ASSIGN_OR_RETURN(const ByteView kept, Keep(metric_block));
  const auto index = static_cast<uint32_t>(blocks_.size());
  blocks_.push_back({kept});
  if (series->last_block == kNone) series->first_block = index;
  else blocks_[series->last_block].next = index;
  series->last_block = index;
  series->rows_count += header.rows_count;
  return Ok();
}

}  // namespace vm::select
