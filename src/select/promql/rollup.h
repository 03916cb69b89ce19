#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "select/promql/series.h"

namespace vm::select {

struct RollupConfig {
  std::string_view func;  // Lower case.
  int64_t start = 0;
  int64_t end = 0;
  int64_t step = 0;
  int64_t window = 0;  // 0: none given.
  int64_t lookback_delta = 0;
};

bool IsSupportedRollup(std::string_view func);
bool RollupKeepsName(std::string_view func);
bool RollupNeedsSilence(std::string_view func);

/// Values of `series` on the grid start, start+step, ... end. Changes the samples in place for counters.
/// Requires IsSupportedRollup(config.func).
std::vector<double> EvalRollup(const RollupConfig& config, TimeSeries& series);

}  // namespace vm::select
