#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "select/promql/eval.h"

/// Rollups over long windows at one time, computed from what they were a little earlier: only the two ends of the window are
/// read.
namespace vm::select {

/// How the value of a window comes from that of an earlier one and from the pieces at both ends that make the difference.
enum class InstantRule : uint8_t {
  kNone,  // Not at all.
  kSum,   // Add what is new, take off what is old.
  kMin,   // What is new may be lower. If the lowest was in what is old, there is no way.
  kMax,
};

/// The rule of a rollup function (lower case), alone or folded into `aggr` (lower case, or empty).
InstantRule InstantRuleOf(std::string_view function, std::string_view aggr);

/// The rollup at `timestamp` over `window`, from the storage.
using EvalAt = std::function<boost::asio::awaitable<Result<std::vector<TimeSeries>>>(int64_t timestamp, int64_t window)>;

/// The rollup at the time of `context` by the rule. Requires a cache in `context`; `key` is the InstantKey. References and
/// `eval_at` outlive the coroutine.
/// Reference: VictoriaMetrics app/vmselect/promql/eval.go, evalInstantRollup.
boost::asio::awaitable<Result<std::vector<TimeSeries>>> EvalInstant(const EvalContext& context, InstantRule rule, const std::string& key,
                                                                    int64_t window, const EvalAt& eval_at);

/// Another expression for a rollup over a long window whose parts have rules: `avg_over_time` as a quotient of sum and count,
/// `rate` and `sum(rate)` as an increase by second. Offsets are left out, as the context has them already. Null: there is none.
metricsql::ExprPtr RewriteInstant(const metricsql::Expr& whole, int64_t step);

}  // namespace vm::select
