#pragma once

#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "lib/base/budget.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/rpc/item_sink.h"

namespace vm::select {

/// What all nodes of one search together may send. Thread-safe.
struct SearchLimits {
  uint64_t max_samples = 0;        // -search.maxSamplesPerQuery; 0: none.
  std::shared_ptr<Budget> budget;  // May be null.
  std::atomic<uint64_t> samples_count{0};
  std::atomic<uint64_t> blocks_count{0};
};

/// Keeps the blocks of one node as they arrive, still packed, grouped by series. Each byte is copied once, into chunks
/// that never move; the budget is charged before they grow. Strand-confined while blocks arrive, then read-only.
class BlockCollector : public rpc::ItemSink {
 public:
  explicit BlockCollector(std::shared_ptr<SearchLimits> limits);
  BlockCollector(const BlockCollector&) = delete;
  BlockCollector& operator=(const BlockCollector&) = delete;

  /// Keep a marshalled MetricBlock. Errors: kCorrupted; kLimitExceeded, naming the limit.
  Status Add(ByteView metric_block) override;

  /// Memory of the blocks and the names.
  size_t packed_bytes() const noexcept { return packed_bytes_; }
  size_t series_count() const noexcept { return series_.size(); }
  /// Marshalled name; valid as long as the collector.
  std::string_view name(size_t series) const { return series_[series].name; }
  uint64_t rows_count(size_t series) const { return series_[series].rows_count; }
  /// The marshalled blocks of a series, in order of arrival.
  template <class Visit>
  Status ForEachBlock(size_t series, const Visit& visit) const {
    for (uint32_t i = series_[series].first_block; i != kNone; i = blocks_[i].next) VM_TRY(visit(blocks_[i].bytes));
    return Ok();
  }

 private:
  static constexpr uint32_t kNone = 0xffffffff;
  struct Series {
    std::string_view name;
    uint32_t first_block = kNone;
    uint32_t last_block = kNone;
    uint64_t rows_count = 0;
  };
  struct Block {
    ByteView bytes;
    uint32_t next = kNone;
  };

  Result<ByteView> Keep(ByteView bytes);
  Result<Series*> FindOrAddSeries(std::string_view name);
  Status CountRows(uint64_t rows);
  Status Charge(size_t bytes);

  const std::shared_ptr<SearchLimits> limits_;
  std::unique_ptr<BudgetShare> share_;
  std::vector<std::unique_ptr<uint8_t[]>> chunks_;
  size_t chunk_size_ = 0;
  size_t chunk_used_ = 0;
  size_t packed_bytes_ = 0;
  std::vector<Series> series_;
  std::vector<Block> blocks_;
  /// Hashes that lie next to their number: growing does not touch the names again.
  struct SameHash {
    size_t operator()(uint64_t hash) const noexcept { return hash; }
  };
  boost::unordered_flat_map<uint64_t, uint32_t, SameHash> by_name_hash_;
  int64_t charged_ = 0;
  int64_t budget_left_ = 0;  // Charged and not yet used.
  uint32_t current_ = kNone;  // The series of the block before: mostly the next one's, too.
};

}  // namespace vm::select
