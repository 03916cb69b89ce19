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

/// An aggregate that takes series one after the other and keeps one per group. One thread. Several of them may share the
/// series: each takes some, then they are merged.
class IncrementalAggr {
 public:
  /// `expr` outlives it. Requires FindIncrementalAggr(expr.name).
  explicit IncrementalAggr(const metricsql::AggrFuncExpr& expr);

  /// `index` is the place of `series` among all: it decides on the order of groups and on which ones a limit leaves.
  void Add(size_t index, const TimeSeries& series);
  /// Take the groups of `other`, which has the same expression.
  void Merge(IncrementalAggr&& other);
  /// The groups in the order of their first series; timestamps are left empty.
  std::vector<TimeSeries> Finish();

 private:
  struct Group {
    size_t first_index = 0;
    TimeSeries series;
    std::vector<double> counts;
  };

  void Fold(Group& group, const std::vector<double>& values) const;
  void MergeGroup(Group& to, Group&& from) const;
  void FinishGroup(Group& group) const;

  const metricsql::AggrFuncExpr& expr_;
  const IncrementalAggrKind kind_;
  std::unordered_map<std::string, size_t> index_;
  std::vector<Group> groups_;
  std::string key_;
  std::vector<const model::Tag*> tags_;
};

}  // namespace vm::select
