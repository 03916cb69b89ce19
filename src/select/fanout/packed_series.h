#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/model/block.h"
#include "lib/model/time_range.h"
#include "select/fanout/block_collector.h"
#include "select/fanout/read_metrics.h"

namespace vm::select {

/// The result of a search: series over all nodes, their blocks still packed. Const calls may overlap.
class PackedSeries {
 public:
  struct Options {
    model::TimeRange range;
    int64_t dedup_interval_ms = 0;
    uint64_t max_samples_per_series = 0;  // 0: none.
    ReadMetrics* metrics = nullptr;       // May be null; else outlives the series.
  };

  PackedSeries() = default;
  PackedSeries(Options options, std::vector<std::shared_ptr<const BlockCollector>> nodes);

  size_t size() const noexcept { return series_.size(); }
  /// Marshalled: model::MetricName::Unmarshal. Valid as long as this object.
  std::string_view name(size_t i) const { return series_[i].name; }
  /// Samples in the blocks of a series, also outside of the range and from replicas.
  uint64_t rows_count(size_t i) const { return series_[i].rows_count; }
  const model::TimeRange& range() const noexcept { return options_.range; }

  /// Buffers that Unpack uses again and again.
  struct Scratch {
    model::DecodedBlock decoded;
  };
  /// Decode a series: its samples in the range in time order, deduplicated; maybe none. Replaces what the vectors hold.
  /// Errors: kCorrupted, kLimitExceeded.
  Status Unpack(size_t i, Scratch& scratch, std::vector<int64_t>& timestamps, std::vector<double>& values) const;

  /// Visit the blocks of a series as they came: `visit(const model::EncodedBlock&)` returns a Status.
  template <class Visit>
  Status ForEachBlock(size_t i, const Visit& visit) const {
    for (uint32_t s = series_[i].first_source; s != kNone; s = sources_[s].next) {
      const Source& source = sources_[s];
      VM_TRY(nodes_[source.node]->ForEachBlock(source.series, [&](ByteView bytes) -> Status {
        VM_ASSIGN_OR_RETURN(const auto block, model::UnmarshalBlock(bytes));
        return visit(block);
      }));
    }
    return Ok();
  }

 private:
  static constexpr uint32_t kNone = 0xffffffff;
  struct Source {
    uint32_t node;
    uint32_t series;
    uint32_t next = kNone;
  };
  struct Series {
    std::string_view name;
    uint32_t first_source;
    uint32_t last_source;
    uint64_t rows_count;
  };

  void AddNode(uint32_t node);
  Status CheckSamplesCount(uint64_t count) const;
  void AddSource(Series& series, uint32_t node, uint32_t index);

  Options options_;
  std::vector<std::shared_ptr<const BlockCollector>> nodes_;
  std::vector<Series> series_;
  std::vector<Source> sources_;
  boost::unordered_flat_map<std::string_view, uint32_t> by_name_;  // Only while nodes are joined.
};

}  // namespace vm::select
