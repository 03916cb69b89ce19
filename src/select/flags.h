#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/flags/flags.h"

namespace vm::select {

/// Flags of vmselect beyond those of every daemon. Valid after parsing.
struct Flags {
  explicit Flags(flags::FlagSet& set);

  const std::vector<std::string>* storage_node;
  const int64_t* replication_factor;
  const std::chrono::nanoseconds* dedup_interval;
  const std::chrono::nanoseconds* latency_offset;
  const std::chrono::nanoseconds* max_query_duration;
  const std::chrono::nanoseconds* max_export_duration;
  const std::chrono::nanoseconds* max_lookback;
  const std::chrono::nanoseconds* max_staleness_interval;
  const int64_t* max_points;
  const int64_t* max_unique_series;
  const int64_t* max_query_len;
  const bool* deny_partial;
};

}  // namespace vm::select
