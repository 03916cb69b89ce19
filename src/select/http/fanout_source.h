#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/budget.h"
#include "lib/net/runtime.h"
#include "select/fanout/fanout.h"
#include "select/promql/series.h"

namespace vm::select {

/// The fanout as one request sees it: remembers whether an answer was partial, unpacks on the pool, charges the
/// budget until the request ends. One coroutine at a time.
class FanoutSource : public SeriesSource {
 public:
  /// `workers`: threads of `pool` that unpack one search. `budget` may be null.
  FanoutSource(Fanout& fanout, net::Pool& pool, size_t workers, bool deny_partial, std::shared_ptr<Budget> budget);

  bool is_partial() const noexcept { return is_partial_; }
  /// From here on missing nodes are errors.
  void DenyPartial() noexcept { deny_partial_ = true; }
  /// Bytes of samples that were unpacked.
  int64_t unpacked_bytes() const noexcept { return unpacked_bytes_; }

  boost::asio::awaitable<Result<std::vector<TimeSeries>>> FetchSeries(model::SearchQuery query, Deadline deadline) override;
  boost::asio::awaitable<Result<std::vector<model::MetricName>>> FetchMetricNames(model::SearchQuery query,
                                                                                  Deadline deadline) override;
  boost::asio::awaitable<Result<std::vector<std::string>>> FetchLabelNames(model::SearchQuery query, size_t limit,
                                                                           Deadline deadline) override;
  boost::asio::awaitable<Result<std::vector<std::string>>> FetchLabelValues(model::SearchQuery query, std::string label,
                                                                            size_t limit, Deadline deadline) override;
  boost::asio::awaitable<Result<PackedSeries>> FetchPacked(model::SearchQuery query, Deadline deadline);
  boost::asio::awaitable<Result<uint64_t>> FetchSeriesCount(model::Tenant tenant, Deadline deadline);
  boost::asio::awaitable<Result<std::vector<model::MetadataRow>>> FetchMetadata(std::optional<model::Tenant> tenant,
                                                                                uint32_t limit, std::string metric_name,
                                                                                Deadline deadline);

 private:
  template <class T>
  Result<T> Note(Result<Partial<T>> found);
  FanoutRequest RequestBy(Deadline deadline) const;
  Status ChargeSamples(const PackedSeries& packed);

  Fanout& fanout_;
  net::Pool& pool_;
  const size_t workers_;
  bool deny_partial_;
  const std::shared_ptr<Budget> budget_;
  std::unique_ptr<BudgetShare> share_;
  bool is_partial_ = false;
  int64_t unpacked_bytes_ = 0;
};

}  // namespace vm::select
