#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "select/graphite/aggregate.h"
#include "select/graphite/tags.h"

namespace vm::select::graphite {

/// A series inside an evaluation. As many timestamps as values; NaN means no value.
struct Series {
  std::string name;
  Tags tags;
  std::vector<int64_t> timestamps;  // Unix milliseconds.
  std::vector<double> values;
  /// What names of combined series are made of: differs from `name` where that is for the eye only.
  std::string path;
  Aggregate consolidate = nullptr;  // Null: Average.
  double x_files_factor = 0;        // 0: that of the request.
  int64_t step = 0;                 // Milliseconds.
};
using SeriesList = std::vector<Series>;

/// How many steps the range has.
size_t PointsCount(int64_t start, int64_t end, int64_t step);
/// The steps of the range.
std::vector<int64_t> GridTimestamps(int64_t start, int64_t end, int64_t step);

/// Bring samples onto a grid: each point gets the aggregate of the samples in the step that it begins. A sample of the 2 s before
/// an empty step counts as one of it: it may have come early.
std::vector<double> SummarizeValues(std::span<const int64_t> timestamps, std::span<const double> values, Aggregate aggregate,
                                    int64_t start, int64_t end, int64_t step, double x_files_factor);

}  // namespace vm::select::graphite
