#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
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
  /// The charge for the series that were made together with this one; see SeriesSource::Hold.
  std::shared_ptr<void> charge = nullptr;
};

/// Bytes that a name, and a series without its charge, take.
size_t MemoryOf(const model::MetricName& name);
size_t MemoryOf(const TimeSeries& series);

/// The series of a search, unpacked one by one where they are used.
class SeriesSet {
 public:
  /// `series` may be changed; what memory it still has afterwards is used for the next one.
  using Visit = std::function<Status(size_t worker, size_t index, TimeSeries& series)>;

  virtual ~SeriesSet() = default;
  /// Series that the storage found, also those without samples in the range.
  virtual size_t size() const = 0;
  /// How many calls of ForEach's `visit` may overlap.
  virtual size_t workers() const = 0;
  /// Call `visit` for all series with samples in the range. Calls with the same `worker`, below workers(), follow each
  /// other and their `index`, below size(), grows. To be called once. Errors: the first of a visit; kCorrupted,
  /// kLimitExceeded, kCancelled.
  virtual boost::asio::awaitable<Status> ForEach(Visit visit) = 0;
};

/// Series that are unpacked already.
std::unique_ptr<SeriesSet> MakeSeriesSet(std::vector<TimeSeries> series);

/// Where the evaluator gets its data from. The evaluator awaits it on the executor it runs on.
class SeriesSource {
 public:
  virtual ~SeriesSource() = default;
  /// Charge the memory of the query until the result is gone, which must be before the source. Errors: kLimitExceeded,
  /// naming the limit.
  virtual Result<std::shared_ptr<void>> Hold(uint64_t /*bytes*/) { return std::shared_ptr<void>(); }
  /// Whether an answer so far lacked what missing nodes hold.
  virtual bool is_partial() const noexcept { return false; }
  virtual boost::asio::awaitable<Result<std::unique_ptr<SeriesSet>>> Search(model::SearchQuery query, Deadline deadline) = 0;
  virtual boost::asio::awaitable<Result<std::vector<model::MetricName>>> FetchMetricNames(model::SearchQuery query, Deadline deadline) = 0;
  virtual boost::asio::awaitable<Result<std::vector<std::string>>> FetchLabelNames(model::SearchQuery query, size_t limit, Deadline deadline) = 0;
  virtual boost::asio::awaitable<Result<std::vector<std::string>>> FetchLabelValues(model::SearchQuery query, std::string label, size_t limit, Deadline deadline) = 0;
};

}  // namespace vm::select
