#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/deadline.h"
#include "lib/base/result.h"
#include "lib/model/metric_name.h"
#include "lib/model/search_query.h"

namespace vm::select {

/// Samples of one series, or values on the grid of a query. NaN on a grid means no value.
struct TimeSeries {
  model::MetricName name;
  std::vector<int64_t> timestamps;
  std::vector<double> values;
};

/// Where the evaluator gets its data from. Blocking; called on pool threads.
class SeriesSource {
 public:
  virtual ~SeriesSource() = default;
  /// Merged samples of the matching series; series without samples in the range are left out.
  virtual Result<std::vector<TimeSeries>> FetchSeries(const model::SearchQuery& query, const Deadline& deadline) = 0;
  virtual Result<std::vector<model::MetricName>> FetchMetricNames(const model::SearchQuery& query, const Deadline& deadline) = 0;
  virtual Result<std::vector<std::string>> FetchLabelNames(const model::SearchQuery& query, size_t limit, const Deadline& deadline) = 0;
  virtual Result<std::vector<std::string>> FetchLabelValues(const model::SearchQuery& query, std::string_view label, size_t limit, const Deadline& deadline) = 0;
};

}  // namespace vm::select
