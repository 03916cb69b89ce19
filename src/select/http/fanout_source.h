#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/budget.h"
#include "lib/net/runtime.h"
#include "select/fanout/fanout.h"
#include "select/http/tenant_cache.h"
#include "select/http/trace.h"
#include "select/promql/series.h"

namespace vm::select {

inline constexpr uint64_t kBytesPerSample = sizeof(int64_t) + sizeof(double);

/// In front of errors of PackedSeries::Unpack.
inline constexpr std::string_view kUnpackContext = "error during time series unpacking";

/// How a FanoutSource works for its request.
struct SourceOptions {
  size_t workers = 1;              // Threads of the pool that unpack one search.
  bool deny_partial = false;
  /// The tenants of a search come from its filters on `vm_account_id` and `vm_project_id`, and go into labels of
  /// these names; the tenant of the query does not matter.
  bool is_multitenant = false;
  std::shared_ptr<Budget> budget;  // May be null.
  Trace* trace = nullptr;          // Null: none. Outlives the source.
};

/// The fanout as one request sees it: remembers whether an answer was partial, unpacks on the pool and charges the
/// budget meanwhile, reads many tenants as one. One coroutine at a time. Outlives the sets it makes.
class FanoutSource : public SeriesSource {
 public:
  /// All references outlive the source.
  FanoutSource(Fanout& fanout, net::Pool& pool, TenantCache& tenants, SourceOptions options);

  bool is_partial() const noexcept override { return is_partial_; }
  /// From here on missing nodes are errors.
  void DenyPartial() noexcept { options_.deny_partial = true; }

  Result<std::shared_ptr<void>> Hold(uint64_t bytes) override;
  boost::asio::awaitable<Result<std::unique_ptr<SeriesSet>>> Search(model::SearchQuery query, Deadline deadline) override;
  boost::asio::awaitable<Result<std::vector<model::MetricName>>> FetchMetricNames(model::SearchQuery query,
                                                                                  Deadline deadline) override;
  boost::asio::awaitable<Result<std::vector<std::string>>> FetchLabelNames(model::SearchQuery query, size_t limit,
                                                                           Deadline deadline) override;
  boost::asio::awaitable<Result<std::vector<std::string>>> FetchLabelValues(model::SearchQuery query, std::string label,
                                                                            size_t limit, Deadline deadline) override;

  /// The query of each tenant that is meant; `query` itself when there is one.
  boost::asio::awaitable<Result<std::vector<model::SearchQuery>>> PerTenant(model::SearchQuery query, Deadline deadline);
  /// Series of one tenant, packed. Their names still hold the tenant: see UnmarshalName.
  boost::asio::awaitable<Result<PackedSeries>> FetchPacked(model::SearchQuery query, Deadline deadline);
  /// Blocks of one tenant as they come. Errors: also those of the consumer.
  boost::asio::awaitable<Status> StreamBlocks(model::SearchQuery query, Deadline deadline, BlockConsumer& consumer);
  /// Charge the budget of the request until the share goes away; null without budget. Errors: kLimitExceeded.
  Result<std::unique_ptr<BudgetShare>> TakeMemory(uint64_t bytes) const;
  /// Null when nothing is counted.
  ReadMetrics* read_metrics() const noexcept { return fanout_.read_metrics(); }
  /// The name as users see it. Errors: kCorrupted.
  Result<model::MetricName> UnmarshalName(ByteView bytes) const;
  /// The same into `dst`, whose memory is used again.
  Status UnmarshalNameTo(ByteView bytes, model::MetricName& dst) const;

  boost::asio::awaitable<Result<std::vector<std::string>>> FetchTagValueSuffixes(rpc::TagValueSuffixesRequest args,
                                                                                 Deadline deadline);
  boost::asio::awaitable<Result<uint64_t>> FetchSeriesCount(model::Tenant tenant, Deadline deadline);
  boost::asio::awaitable<Result<std::vector<model::MetadataRow>>> FetchMetadata(std::optional<model::Tenant> tenant,
                                                                                uint32_t limit, std::string metric_name,
                                                                                Deadline deadline);
  boost::asio::awaitable<Result<model::TsdbStatus>> FetchTsdbStatus(rpc::TsdbStatusRequest args, Deadline deadline);
  boost::asio::awaitable<Result<std::vector<model::Tenant>>> FetchTenants(model::TimeRange range, Deadline deadline);
  boost::asio::awaitable<Result<model::MetricNamesUsageStats>> FetchUsageStats(rpc::MetricNamesUsageStatsRequest args, Deadline deadline);
  boost::asio::awaitable<Status> ResetUsageStats(Deadline deadline);
  /// How many series were deleted.
  boost::asio::awaitable<Result<uint64_t>> DeleteSeries(model::SearchQuery query, Deadline deadline);

 private:
  template <class T>
  Result<T> Note(Result<Partial<T>> found);
  FanoutRequest RequestBy(Deadline deadline) const;
  /// The step of a call, once it has returned.
  void NoteTrace(const char* what, const model::SearchQuery& query, const FanoutRequest& request, Deadline::Clock::time_point from);
  boost::asio::awaitable<Result<std::vector<model::Tenant>>> KnownTenants(model::TimeRange range, Deadline deadline);

  Fanout& fanout_;
  net::Pool& pool_;
  TenantCache& tenants_;
  SourceOptions options_;
  const std::shared_ptr<HeldMemory> held_;  // Null without budget.
  bool is_partial_ = false;
};

}  // namespace vm::select
