#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/deadline.h"
#include "lib/base/result.h"
#include "lib/model/metric_name.h"
#include "lib/model/search_query.h"

namespace vm::select {

/// Samples of one series, or values on the grid of a query. NaN on a grid means no value. Inside an evaluation values on a
/// grid have no timestamps.
struct TimeSeries {
  model::MetricName name;
  std::vector<int64_t> timestamps;
  std::vector<double> values;
};

/// Where the evaluator gets its data from. The evaluator awaits it on the executor it runs on.
class SeriesSource {
 public:
  virtual ~SeriesSource() = default;
  /// Merged samples of the matching series; series without samples in the range are left out.
  virtual boost::asio::awaitable<Result<std::vector<TimeSeries>>> FetchSeries(model::SearchQuery query, Deadline deadline) = 0;
  virtual boost::asio::awaitable<Result<std::vector<model::MetricName>>> FetchMetricNames(model::SearchQuery query, Deadline deadline) = 0;
  virtual boost::asio::awaitable<Result<std::vector<std::string>>> FetchLabelNames(model::SearchQuery query, size_t limit, Deadline deadline) = 0;
  virtual boost::asio::awaitable<Result<std::vector<std::string>>> FetchLabelValues(model::SearchQuery query, std::string label, size_t limit, Deadline deadline) = 0;
};

}  // namespace vm::select
