#pragma once

#include <vector>

#include "lib/model/index_stats.h"

namespace vm::select {

/// Join what nodes say about their indexes: series are counted together, label values by the node that has most of
/// them, since nodes share them. Each list keeps its `top_n` greatest.
/// Reference: VictoriaMetrics app/vmselect/netstorage/netstorage.go, mergeTSDBStatuses.
model::TsdbStatus MergeTsdbStatus(std::vector<model::TsdbStatus> statuses, size_t top_n);

/// Join usage statistics: requests are added up, the latest time wins. Records with fewer requests come first.
model::MetricNamesUsageStats MergeUsageStats(std::vector<model::MetricNamesUsageStats> stats);

}  // namespace vm::select
