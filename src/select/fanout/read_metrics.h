#pragma once

#include "lib/metrics/metrics.h"

namespace vm::select {

/// What queries read, under the reference's names. Thread-safe.
struct ReadMetrics {
  explicit ReadMetrics(metrics::Registry& registry)
      : rows_per_series(registry.GetHistogram("vm_rows_read_per_series")),
        rows_per_query(registry.GetHistogram("vm_rows_read_per_query")),
        series_per_query(registry.GetHistogram("vm_series_read_per_query")),
        rows_skipped(registry.GetCounter("vm_metric_rows_skipped_total{name=\"vmselect\"}")),
        deduplicated_samples(registry.GetCounter("vm_deduplicated_samples_total{type=\"select\"}")),
        packed_bytes(registry.GetSummary("vm_tmp_blocks_inmemory_file_size_bytes")) {}

  metrics::Histogram& rows_per_series;
  metrics::Histogram& rows_per_query;
  metrics::Histogram& series_per_query;
  metrics::Counter& rows_skipped;          // Unpacked, but outside of the range.
  metrics::Counter& deduplicated_samples;
  metrics::Summary& packed_bytes;          // Blocks of one node for one search, as they are kept in memory.
};

}  // namespace vm::select
