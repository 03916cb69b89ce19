#pragma once

#include <cstdint>
#include <string>

#include "lib/base/result.h"
#include "select/http/filters.h"
#include "select/http/options.h"

namespace vm::select {

/// What `query` and `query_range` are asked in common. Times and durations in milliseconds.
struct QueryArgs {
  std::string query;
  int64_t step = 300000;
  int64_t lookback = 0;  // 0: found by the evaluator.
  int64_t latency_offset = 0;
  int round_digits = 100;  // 100: as they are.
  bool no_cache = false;
  FilterGroups extra_filters;
};

struct InstantArgs : QueryArgs {
  int64_t time = 0;
};

struct RangeArgs : QueryArgs {
  int64_t start = 0;
  int64_t end = 0;
};

/// Errors: kInvalidInput, for the first wrong argument.
Result<InstantArgs> ParseInstantArgs(const ApiOptions& options, const http::Args& url_args, const http::Args& args, int64_t now_ms);
Result<RangeArgs> ParseRangeArgs(const ApiOptions& options, const http::Args& url_args, const http::Args& args, int64_t now_ms);

/// `max_lookback`, or its flags.
Result<int64_t> ParseLookback(const ApiOptions& options, const http::Args& args);

/// Move the range onto multiples of the step, which makes answers reusable; the number of points stays. Ranges of few
/// points stay as they are.
/// Reference: VictoriaMetrics app/vmselect/promql/eval.go, AdjustStartEnd.
void AlignRange(int64_t& start, int64_t& end, int64_t step);

}  // namespace vm::select
