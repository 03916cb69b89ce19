#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/metricsql/ast.h"
#include "select/promql/series.h"

namespace vm::select {

enum class IncrementalAggrKind : uint8_t { kSum, kMin, kMax, kAvg, kCount, kSum2, kGeomean, kAny, kGroup };
std::optional<IncrementalAggrKind> FindIncrementalAggr(std::string_view lower_case_name);

/// An aggregate that takes series one after the other and keeps one per group. One thread.
class IncrementalAggr {
 public:
  /// `expr` outlives it. Requires FindIncrementalAggr(expr.name).
  explicit IncrementalAggr(const metricsql::AggrFuncExpr& expr);

  /// `series` may be changed; its values stay as they are, so that their memory can be used again.
  void Add(TimeSeries& series);
  /// The groups in the order they came up; timestamps are left empty.
  std::vector<TimeSeries> Finish();

 private:
  struct Group {
    TimeSeries series;
    std::vector<double> counts;
  };

  const metricsql::AggrFuncExpr& expr_;
  const IncrementalAggrKind kind_;
  std::unordered_map<std::string, size_t> index_;
  std::vector<Group> groups_;
  std::string key_;
};

}  // namespace vm::select
