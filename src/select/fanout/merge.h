#pragma once

#include <cstdint>
#include <vector>

namespace vm::select {

/// Samples of one block, in time order.
struct SortedBlock {
  std::vector<int64_t> timestamps;
  std::vector<double> values;
};

/// Merge blocks of one series by time, appending to `timestamps` and `values`, then deduplicate. With
/// `dedup_interval_ms` > 0 runs of identical samples in two blocks are taken once. Blocks must not be empty.
/// Reference: VictoriaMetrics app/vmselect/netstorage/netstorage.go, mergeSortBlocks.
void MergeSortBlocks(std::vector<SortedBlock> blocks, int64_t dedup_interval_ms,
                     std::vector<int64_t>& timestamps, std::vector<double>& values);

}  // namespace vm::select
