#include "select/http/fanout_source.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <set>
#include <span>
#include <utility>

#include "lib/base/still_busy.h"
#include "select/fanout/for_each_batch.h"
#include "select/fanout/merge_stats.h"
#include "select/http/search_args.h"
#include "select/http/tenant_filters.h"

namespace vm::select {

using boost::asio::awaitable;

namespace {

// A batch of work: enough to make its overhead small, little enough to share.
constexpr uint64_t kRowsPerBatch = 32 << 10;
constexpr uint64_t kSeriesPerBatch = 64;
// Less is done sooner than another thread has woken up. A series costs as much as this many rows.
constexpr uint64_t kRowsPerSeries = 128;
constexpr uint64_t kMinRowsToShare = 64 << 10;

Error TooLate(const Deadline& deadline) {
  if (deadline.Cancelled()) return Error(ErrorCode::kCancelled, "the request has been cancelled");
  return Error(ErrorCode::kLimitExceeded, "timeout exceeded during query execution");
}

/// What a group without filters of series asks for.
const FilterGroups& AllSeries() {
  static const FilterGroups all = {{{"", "", true, false}}};
  return all;
}

/// Unpacks what a search found, tenant by tenant.
class PackedSet : public SeriesSet {
 public:
  PackedSet(const FanoutSource& source, net::Pool& pool, size_t max_workers, Deadline deadline, std::vector<PackedSeries> tenants)
      : source_(source), pool_(pool), deadline_(std::move(deadline)), tenants_(std::move(tenants)) {
    uint64_t rows = 0;
    for (const auto& packed : tenants_) {
      size_ += packed.size();
      for (size_t i = 0; i < packed.size(); ++i) {
        rows += packed.rows_count(i);
        max_rows_ = std::max(max_rows_, packed.rows_count(i));
      }
    }
    const uint64_t cost = rows + kRowsPerSeries * size_;
    batch_size_ = size_ == 0 ? 1 : std::clamp<uint64_t>(kRowsPerBatch * size_ / std::max<uint64_t>(1, cost), 1, kSeriesPerBatch);
    const size_t workers = cost < kMinRowsToShare ? 1 : std::clamp<size_t>(size_ / batch_size_, 1, max_workers);
    scratches_.resize(workers);
  }

  size_t size() const override { return size_; }
  size_t workers() const override { return scratches_.size(); }

  awaitable<Status> ForEach(Visit visit) override {
    // Each worker holds the samples of one series.
    VM_CO_ASSIGN_OR_RETURN(const auto share, source_.TakeMemory(workers() * max_rows_ * kBytesPerSample));
    const QueryCount count{source_.read_metrics(), size_, rows_read_};
    size_t offset = 0;
    for (const auto& packed : tenants_) {
      auto work = [this, &packed, &visit, offset](size_t worker, size_t begin, size_t end) {
        return VisitBatch(packed, visit, offset, worker, begin, end);
      };
      VM_CO_TRY(co_await ForEachBatch(pool_, workers(), packed.size(), batch_size_, std::move(work)));
      offset += packed.size();
    }
    co_return Ok();
  }

 private:
  struct alignas(64) Scratch {
    PackedSeries::Scratch unpack;
    TimeSeries series;
  };

  /// Counts a query when it is over, well or not.
  struct QueryCount {
    ReadMetrics* const metrics;
    const size_t series;
    const std::atomic<uint64_t>& rows;
    ~QueryCount() {
      if (metrics == nullptr) return;
      metrics->rows_per_query.Update(static_cast<double>(rows.load()));
      metrics->series_per_query.Update(static_cast<double>(series));
    }
  };
  /// Counts the series of a batch.
  struct BatchCount {
    ReadMetrics* const metrics;
    std::atomic<uint64_t>& total;
    std::array<double, kSeriesPerBatch> rows{};
    size_t series = 0;
    void Add(size_t count) { rows[series++] = static_cast<double>(count); }
    ~BatchCount() {
      uint64_t sum = 0;
      for (size_t i = 0; i < series; ++i) sum += static_cast<uint64_t>(rows[i]);
      total.fetch_add(sum, std::memory_order_relaxed);
      if (metrics != nullptr) metrics->rows_per_series.UpdateAll(std::span(rows).first(series));
    }
  };

  Status VisitBatch(const PackedSeries& packed, const Visit& visit, size_t offset, size_t worker, size_t begin, size_t end) {
    BatchCount count{source_.read_metrics(), rows_read_};
    if (deadline_.Expired() || deadline_.Cancelled()) return TooLate(deadline_);
    Scratch& scratch = scratches_[worker];
    TimeSeries& s = scratch.series;
    for (size_t i = begin; i < end; ++i) {
      StillBusy();
      if (Status unpacked = packed.Unpack(i, scratch.unpack, s.timestamps, s.values); !unpacked.ok()) {
        return std::move(unpacked).error().WithContext(kUnpackContext);
      }
      count.Add(s.timestamps.size());
      if (s.timestamps.empty()) continue;
      VM_TRY(source_.UnmarshalNameTo(AsBytes(packed.name(i)), s.name));
      VM_TRY(visit(worker, offset + i, s));
    }
    return Ok();
  }

  const FanoutSource& source_;
  net::Pool& pool_;
  const Deadline deadline_;
  const std::vector<PackedSeries> tenants_;
  size_t size_ = 0;
  uint64_t max_rows_ = 0;
  size_t batch_size_ = 1;
  std::atomic<uint64_t> rows_read_{0};
  std::vector<Scratch> scratches_;
};

}  // namespace

FanoutSource::FanoutSource(Fanout& fanout, net::Pool& pool, TenantCache& tenants, SourceOptions options)
    : fanout_(fanout),
      pool_(pool),
      tenants_(tenants),
      options_(std::move(options)),
      held_(options_.budget == nullptr ? nullptr : std::make_shared<HeldMemory>(options_.budget)) {}

template <class T>
Result<T> FanoutSource::Note(Result<Partial<T>> found) {
  if (!found.ok()) return std::move(found).error();
  is_partial_ |= found.value().is_partial;
  return std::move(found.value().value);
}

FanoutRequest FanoutSource::RequestBy(Deadline deadline) const {
  const bool is_traced = options_.trace != nullptr && options_.trace->enabled();
  return {std::move(deadline), options_.deny_partial, false, options_.budget, held_, is_traced ? std::make_shared<CallTrace>() : nullptr};
}

void FanoutSource::NoteTrace(const char* what, const model::SearchQuery& query, const FanoutRequest& request, Deadline::Clock::time_point from) {
  if (request.trace == nullptr) return;
  const std::chrono::duration<double, std::milli> took = Deadline::Clock::now() - from;
  options_.trace->AddDone(std::string(what) + ": " + SearchQueryText(query, options_.is_multitenant), took.count(), NodeStepsJson(*request.trace));
}

awaitable<Result<std::vector<model::Tenant>>> FanoutSource::KnownTenants(model::TimeRange range, Deadline deadline) {
  range.min_timestamp = std::max<int64_t>(0, range.min_timestamp);
  if (auto known = tenants_.Get(range, TenantCache::Clock::now())) co_return std::move(*known);
  VM_CO_ASSIGN_OR_RETURN(auto tenants, co_await FetchTenants(range, std::move(deadline)));
  tenants_.Put(range, tenants, TenantCache::Clock::now());
  co_return std::move(tenants);
}

awaitable<Result<std::vector<model::SearchQuery>>> FanoutSource::PerTenant(model::SearchQuery query, Deadline deadline) {
  std::vector<model::SearchQuery> queries;
  if (!options_.is_multitenant) {
    queries.push_back(std::move(query));
    co_return std::move(queries);
  }
  VM_CO_ASSIGN_OR_RETURN(const auto known, co_await KnownTenants(query.time_range, std::move(deadline)));
  const bool has_filters = !query.tag_filter_groups.empty();
  SplitFilters split = SplitTenantFilters(query.tag_filter_groups);
  query.tag_filter_groups = std::move(split.series);
  // Tenants alone mean all of their series.
  if (has_filters && query.tag_filter_groups.empty()) query.tag_filter_groups = AllSeries();
  VM_CO_ASSIGN_OR_RETURN(const auto meant, MatchTenants(known, split.tenants));
  for (const auto& tenant : meant) {
    queries.push_back(query);
    queries.back().tenant = tenant;
  }
  co_return std::move(queries);
}

Result<model::MetricName> FanoutSource::UnmarshalName(ByteView bytes) const {
  model::MetricName name;
  VM_TRY(UnmarshalNameTo(bytes, name));
  return name;
}

Status FanoutSource::UnmarshalNameTo(ByteView bytes, model::MetricName& dst) const {
  VM_TRY(model::MetricName::UnmarshalTo(bytes, dst));
  if (!options_.is_multitenant) return Ok();
  dst.AddTag("vm_account_id", std::to_string(dst.tenant.account_id));
  dst.AddTag("vm_project_id", std::to_string(dst.tenant.project_id));
  dst.tenant = {};
  return Ok();
}

awaitable<Result<PackedSeries>> FanoutSource::FetchPacked(model::SearchQuery query, Deadline deadline) {
  const FanoutRequest request = RequestBy(std::move(deadline));
  const auto from = Deadline::Clock::now();
  auto found = co_await fanout_.Search(query, request);
  NoteTrace("fetch matching series", query, request, from);
  co_return Note(std::move(found));
}

awaitable<Status> FanoutSource::StreamBlocks(model::SearchQuery query, Deadline deadline, BlockConsumer& consumer) {
  FanoutRequest request = RequestBy(std::move(deadline));
  VM_CO_ASSIGN_OR_RETURN(const bool is_partial, co_await fanout_.StreamBlocks(std::move(query), std::move(request), consumer));
  is_partial_ |= is_partial;
  co_return Ok();
}

Result<std::unique_ptr<BudgetShare>> FanoutSource::TakeMemory(uint64_t bytes) const {
  if (options_.budget == nullptr) return std::unique_ptr<BudgetShare>();
  auto share = std::make_unique<BudgetShare>(*options_.budget);
  VM_TRY(share->Take(static_cast<int64_t>(bytes)));
  return share;
}

Result<std::shared_ptr<void>> FanoutSource::Hold(uint64_t bytes) {
  VM_ASSIGN_OR_RETURN(auto share, TakeMemory(bytes));
  return std::shared_ptr<void>(std::move(share));
}

awaitable<Result<std::unique_ptr<SeriesSet>>> FanoutSource::Search(model::SearchQuery query, Deadline deadline) {
  VM_CO_ASSIGN_OR_RETURN(auto queries, co_await PerTenant(std::move(query), deadline));
  std::vector<PackedSeries> tenants;
  for (auto& q : queries) {
    VM_CO_ASSIGN_OR_RETURN(auto packed, co_await FetchPacked(std::move(q), deadline));
    tenants.push_back(std::move(packed));
  }
  std::unique_ptr<SeriesSet> set =
      std::make_unique<PackedSet>(*this, pool_, options_.workers, std::move(deadline), std::move(tenants));
  co_return std::move(set);
}

awaitable<Result<std::vector<model::MetricName>>> FanoutSource::FetchMetricNames(model::SearchQuery query, Deadline deadline) {
  VM_CO_ASSIGN_OR_RETURN(auto queries, co_await PerTenant(std::move(query), deadline));
  std::vector<model::MetricName> names;
  for (auto& q : queries) {
    const FanoutRequest request = RequestBy(deadline);
    const auto from = Deadline::Clock::now();
    auto answer = co_await fanout_.SearchMetricNames(q, request);
    NoteTrace("fetch metric names", q, request, from);
    VM_CO_ASSIGN_OR_RETURN(const auto found, Note(std::move(answer)));
    for (const auto& bytes : found) {
      StillBusy();
      VM_CO_ASSIGN_OR_RETURN(auto name, UnmarshalName(bytes));
      if (held_ != nullptr) VM_CO_TRY(held_->Take(static_cast<int64_t>(MemoryOf(name))));
      names.push_back(std::move(name));
    }
  }
  co_return std::move(names);
}

awaitable<Result<std::vector<std::string>>> FanoutSource::FetchLabelNames(model::SearchQuery query, size_t limit, Deadline deadline) {
  VM_CO_ASSIGN_OR_RETURN(auto queries, co_await PerTenant(std::move(query), deadline));
  std::set<std::string> names;
  if (options_.is_multitenant) names = {"vm_account_id", "vm_project_id"};
  for (auto& q : queries) {
    const FanoutRequest request = RequestBy(deadline);
    const auto from = Deadline::Clock::now();
    auto answer = co_await fanout_.LabelNames(q, static_cast<uint32_t>(limit), request);
    NoteTrace("get labels", q, request, from);
    VM_CO_ASSIGN_OR_RETURN(auto found, Note(std::move(answer)));
    names.insert(std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  }
  co_return std::vector<std::string>(names.begin(), names.end());
}

awaitable<Result<std::vector<std::string>>> FanoutSource::FetchLabelValues(model::SearchQuery query, std::string label,
                                                                           size_t limit, Deadline deadline) {
  VM_CO_ASSIGN_OR_RETURN(auto queries, co_await PerTenant(std::move(query), deadline));
  std::set<std::string> values;
  const bool is_tenancy_label = options_.is_multitenant && IsTenancyLabel(label);
  for (auto& q : queries) {
    if (is_tenancy_label) {
      values.insert(std::to_string(label == "vm_account_id" ? q.tenant.account_id : q.tenant.project_id));
      continue;
    }
    const FanoutRequest request = RequestBy(deadline);
    const auto from = Deadline::Clock::now();
    auto answer = co_await fanout_.LabelValues(label, q, static_cast<uint32_t>(limit), request);
    NoteTrace(("get values for label " + label).c_str(), q, request, from);
    VM_CO_ASSIGN_OR_RETURN(auto found, Note(std::move(answer)));
    values.insert(std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  }
  co_return std::vector<std::string>(values.begin(), values.end());
}

awaitable<Result<std::vector<std::string>>> FanoutSource::FetchTagValueSuffixes(rpc::TagValueSuffixesRequest args,
                                                                                Deadline deadline) {
  FanoutRequest request = RequestBy(std::move(deadline));
  co_return Note(co_await fanout_.TagValueSuffixes(std::move(args), std::move(request)));
}

awaitable<Result<uint64_t>> FanoutSource::FetchSeriesCount(model::Tenant tenant, Deadline deadline) {
  FanoutRequest request = RequestBy(std::move(deadline));
  co_return Note(co_await fanout_.SeriesCount(tenant, std::move(request)));
}

awaitable<Result<std::vector<model::MetadataRow>>> FanoutSource::FetchMetadata(std::optional<model::Tenant> tenant,
                                                                               uint32_t limit, std::string metric_name,
                                                                               Deadline deadline) {
  FanoutRequest request = RequestBy(std::move(deadline));
  co_return Note(co_await fanout_.SearchMetadata(tenant, limit, std::move(metric_name), std::move(request)));
}

awaitable<Result<model::TsdbStatus>> FanoutSource::FetchTsdbStatus(rpc::TsdbStatusRequest args, Deadline deadline) {
  VM_CO_ASSIGN_OR_RETURN(auto queries, co_await PerTenant(std::move(args.query), deadline));
  std::vector<model::TsdbStatus> statuses;
  for (auto& q : queries) {
    rpc::TsdbStatusRequest one = args;
    one.query = std::move(q);
    FanoutRequest request = RequestBy(deadline);
    VM_CO_ASSIGN_OR_RETURN(auto status, Note(co_await fanout_.TsdbStatus(std::move(one), std::move(request))));
    statuses.push_back(std::move(status));
  }
  co_return MergeTsdbStatus(std::move(statuses), args.top_n);
}

awaitable<Result<std::vector<model::Tenant>>> FanoutSource::FetchTenants(model::TimeRange range, Deadline deadline) {
  FanoutRequest request = RequestBy(std::move(deadline));
  co_return co_await fanout_.Tenants(range, std::move(request));
}

awaitable<Result<model::MetricNamesUsageStats>> FanoutSource::FetchUsageStats(rpc::MetricNamesUsageStatsRequest args, Deadline deadline) {
  FanoutRequest request = RequestBy(std::move(deadline));
  co_return co_await fanout_.UsageStats(std::move(args), std::move(request));
}

awaitable<Status> FanoutSource::ResetUsageStats(Deadline deadline) {
  FanoutRequest request = RequestBy(std::move(deadline));
  co_return co_await fanout_.ResetUsageStats(std::move(request));
}

awaitable<Result<uint64_t>> FanoutSource::DeleteSeries(model::SearchQuery query, Deadline deadline) {
  VM_CO_ASSIGN_OR_RETURN(auto queries, co_await PerTenant(std::move(query), deadline));
  uint64_t count = 0;
  for (auto& q : queries) {
    FanoutRequest request = RequestBy(deadline);
    VM_CO_ASSIGN_OR_RETURN(const uint64_t deleted, co_await fanout_.DeleteSeries(std::move(q), std::move(request)));
    count += deleted;
  }
  co_return count;
}

}  // namespace vm::select
