#pragma once

#include <cstdint>
#include <string>

#include "lib/metrics/metrics.h"
#include "storage/engine/engine.h"

namespace vm::storage {

/// What metrics say that the engine does not know by itself.
struct EngineMetricsOptions {
  std::string path;                             // -storageDataPath as it was given.
  uint64_t min_free_disk_space_bytes = 0;
  uint64_t max_unique_timeseries = 0;           // Of one query, when it asks for no limit.
  bool track_metric_names_stats = true;
};

/// Publish what the engine counts, under the reference's names. The callbacks call into the engine as long as `registry`
/// is written out. Reference: VictoriaMetrics app/vmstorage/main.go.
void RegisterEngineMetrics(metrics::Registry& registry, Engine& engine, const EngineMetricsOptions& options);

}  // namespace vm::storage
