#include "select/fanout/packed_series.h"

#include <fmt/format.h>

#include "lib/model/dedup.h"
#include "select/fanout/merge.h"

namespace vm::select {

PackedSeries::PackedSeries(Options options, std::vector<std::shared_ptr<const BlockCollector>> nodes)
    : options_(options), nodes_(std::move(nodes)) {
  size_t sources = 0, series = 0;
  for (const auto& node : nodes_) {
    sources += node->series_count();
    series = std::max(series, node->series_count());
  }
  sources_.reserve(sources);
  series_.reserve(series);
  for (uint32_t i = 0; i < nodes_.size(); ++i) AddNode(i);
  by_name_ = {};
}

void PackedSeries::AddSource(Series& series, uint32_t node, uint32_t index) {
  const auto source = static_cast<uint32_t>(sources_.size());
  sources_.push_back({node, index});
  if (series.first_source == kNone) series.first_source = source;
  else sources_[series.last_source].next = source;
  series.last_source = source;
  series.rows_count += nodes_[node]->rows_count(index);
}

void PackedSeries::AddNode(uint32_t node) {
  const BlockCollector& blocks = *nodes_[node];
  const bool is_first = series_.empty();
  const bool is_last = node + 1 == nodes_.size();
  for (uint32_t i = 0; i < blocks.series_count(); ++i) {
    const std::string_view name = blocks.name(i);
    if (!is_first) {
      if (const auto found = by_name_.find(name); found != by_name_.end()) {
        AddSource(series_[found->second], node, i);
        continue;
      }
    }
    // Names are unique within a node: the last one needs no entry.
    if (!is_last) by_name_.emplace(name, static_cast<uint32_t>(series_.size()));
    series_.push_back({name, kNone, kNone, 0});
    AddSource(series_.back(), node, i);
  }
}

Status PackedSeries::Unpack(size_t i, Scratch& scratch, std::vector<int64_t>& timestamps, std::vector<double>& values) const {
  timestamps.clear();
  values.clear();
  uint64_t samples_count = 0, unpacked_rows = 0;
  // Blocks that follow each other are appended. With the first that overlaps, all go through the merge.
  std::vector<SortedBlock> overlapping;
  VM_TRY(ForEachBlock(i, [&](const model::EncodedBlock& block) -> Status {
    const auto& header = block.header;
    if (header.max_timestamp < options_.range.min_timestamp || header.min_timestamp > options_.range.max_timestamp) return Ok();
    VM_TRY(model::DecodeBlock(block, scratch.decoded));
    unpacked_rows += header.rows_count;
    if (overlapping.empty() && (timestamps.empty() || header.min_timestamp >= timestamps.back())) {
      model::AppendSamplesInRange(scratch.decoded, options_.range, timestamps, values);
      return CheckSamplesCount(samples_count = timestamps.size());
    }
    if (overlapping.empty()) {
      samples_count = timestamps.size();
      overlapping.push_back({std::move(timestamps), std::move(values)});
      timestamps.clear();
      values.clear();
    }
    SortedBlock samples;
    model::AppendSamplesInRange(scratch.decoded, options_.range, samples.timestamps, samples.values);
    samples_count += samples.timestamps.size();
    if (!samples.timestamps.empty()) overlapping.push_back(std::move(samples));
    return CheckSamplesCount(samples_count);
  }));
  if (overlapping.empty()) model::DeduplicateSamples(timestamps, values, options_.dedup_interval_ms);
  else MergeSortBlocks(std::move(overlapping), options_.dedup_interval_ms, timestamps, values);
  if (options_.metrics != nullptr) {
    if (unpacked_rows > samples_count) options_.metrics->rows_skipped.Add(unpacked_rows - samples_count);
    if (samples_count > timestamps.size()) options_.metrics->deduplicated_samples.Add(samples_count - timestamps.size());
  }
  return Ok();
}

Status PackedSeries::CheckSamplesCount(uint64_t count) const {
  if (options_.max_samples_per_series == 0 || count <= options_.max_samples_per_series) return Ok();
  return Error(ErrorCode::kLimitExceeded,
               fmt::format("cannot process more than {} samples per series; either increase -search.maxSamplesPerSeries or "
                           "reduce time range for the query",
                           options_.max_samples_per_series));
}

}  // namespace vm::select
