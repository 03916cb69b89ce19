#include "select/graphite/series.h"

namespace vm::select::graphite {

size_t PointsCount(int64_t start, int64_t end, int64_t step) {
  return step <= 0 || end <= start ? 0 : static_cast<size_t>((end - start) / step);
}

std::vector<int64_t> GridTimestamps(int64_t start, int64_t end, int64_t step) {
  std::vector<int64_t> timestamps(PointsCount(start, end, step));
  for (size_t i = 0; i < timestamps.size(); ++i) timestamps[i] = start + static_cast<int64_t>(i) * step;
  return timestamps;
}

std::vector<double> SummarizeValues(std::span<const int64_t> timestamps, std::span<const double> values, Aggregate aggregate,
                                    int64_t start, int64_t end, int64_t step, double x_files_factor) {
  constexpr int64_t kJitterMs = 2000;
  std::vector<double> result(PointsCount(start, end, step));
  size_t first = 0;
  for (size_t point = 0; point < result.size(); ++point) {
    const int64_t from = start + static_cast<int64_t>(point) * step;
    size_t last = first;
    while (last < timestamps.size() && timestamps[last] < from + step) ++last;
    if (first == last && first > 0 && from - timestamps[first - 1] <= kJitterMs) --first;
    result[point] = ApplyAggregate(aggregate, x_files_factor, values.subspan(first, last - first));
    first = last;
  }
  return result;
}

}  // namespace vm::select::graphite
