#include "select/http/fanout_source.h"

#include <algorithm>
#include <set>
#include <utility>

#include "select/fanout/for_each_batch.h"
#include "select/fanout/merge_stats.h"
#include "select/http/tenant_filters.h"

namespace vm::select {

using boost::asio::awaitable;

namespace {

// Series of a batch: enough to make a hop worth it, few enough to share the work.
constexpr size_t kSeriesPerBatch = 16;
constexpr int64_t kBytesPerSample = sizeof(int64_t) + sizeof(double);

Error TooLate(const Deadline& deadline) {
  if (deadline.Cancelled()) return Error(ErrorCode::kCancelled, "the request has been cancelled");
  return Error(ErrorCode::kLimitExceeded, "timeout exceeded during query execution");
}

/// What a group without filters of series asks for.
const FilterGroups& AllSeries() {
  static const FilterGroups all = {{{"", "", true, false}}};
  return all;
}

}  // namespace

FanoutSource::FanoutSource(Fanout& fanout, net::Pool& pool, TenantCache& tenants, SourceOptions options)
    : fanout_(fanout), pool_(pool), tenants_(tenants), options_(std::move(options)) {
  if (options_.budget != nullptr) share_ = std::make_unique<BudgetShare>(*options_.budget);
}

template <class T>
Result<T> FanoutSource::Note(Result<Partial<T>> found) {
  if (!found.ok()) return std::move(found).error();
  is_partial_ |= found.value().is_partial;
  return std::move(found.value().value);
}

FanoutRequest FanoutSource::RequestBy(Deadline deadline) const { return {std::move(deadline), options_.deny_partial, false, options_.budget}; }

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
  VM_ASSIGN_OR_RETURN(auto name, model::MetricName::Unmarshal(bytes));
  if (!options_.is_multitenant) return name;
  name.AddTag("vm_account_id", std::to_string(name.tenant.account_id));
  name.AddTag("vm_project_id", std::to_string(name.tenant.project_id));
  name.tenant = {};
  return name;
}

Status FanoutSource::ChargeSamples(const PackedSeries& packed) {
  int64_t bytes = 0;
  for (size_t i = 0; i < packed.size(); ++i) bytes += static_cast<int64_t>(packed.rows_count(i)) * kBytesPerSample;
  unpacked_bytes_ += bytes;
  return share_ == nullptr ? Ok() : share_->Take(bytes);
}

awaitable<Result<PackedSeries>> FanoutSource::FetchPacked(model::SearchQuery query, Deadline deadline) {
  FanoutRequest request = RequestBy(std::move(deadline));
  co_return Note(co_await fanout_.Search(std::move(query), std::move(request)));
}

Status FanoutSource::UnpackBatch(const PackedSeries& packed, size_t begin, size_t end, TimeSeries* series) const {
  PackedSeries::Scratch scratch;
  for (size_t i = begin; i < end; ++i) {
    TimeSeries& s = series[i];
    VM_TRY(packed.Unpack(i, scratch, s.timestamps, s.values));
    if (s.timestamps.empty()) continue;
    VM_ASSIGN_OR_RETURN(s.name, UnmarshalName(AsBytes(packed.name(i))));
  }
  return Ok();
}

awaitable<Status> FanoutSource::AppendSeries(model::SearchQuery query, Deadline deadline, std::vector<TimeSeries>& series) {
  VM_CO_ASSIGN_OR_RETURN(const auto packed, co_await FetchPacked(std::move(query), deadline));
  VM_CO_TRY(ChargeSamples(packed));
  const size_t start = series.size();
  series.resize(start + packed.size());
  auto unpack = [&](size_t begin, size_t end) -> Status {
    if (deadline.Expired() || deadline.Cancelled()) return TooLate(deadline);
    return UnpackBatch(packed, begin, end, series.data() + start);
  };
  VM_CO_TRY(co_await ForEachBatch(pool_, options_.workers, packed.size(), kSeriesPerBatch, unpack));
  const auto first = series.begin() + static_cast<std::ptrdiff_t>(start);
  series.erase(std::remove_if(first, series.end(), [](const TimeSeries& s) { return s.timestamps.empty(); }), series.end());
  co_return Ok();
}

awaitable<Result<std::vector<TimeSeries>>> FanoutSource::FetchSeries(model::SearchQuery query, Deadline deadline) {
  VM_CO_ASSIGN_OR_RETURN(auto queries, co_await PerTenant(std::move(query), deadline));
  std::vector<TimeSeries> series;
  for (auto& q : queries) VM_CO_TRY(co_await AppendSeries(std::move(q), deadline, series));
  co_return std::move(series);
}

awaitable<Result<std::vector<model::MetricName>>> FanoutSource::FetchMetricNames(model::SearchQuery query, Deadline deadline) {
  VM_CO_ASSIGN_OR_RETURN(auto queries, co_await PerTenant(std::move(query), deadline));
  std::vector<model::MetricName> names;
  for (auto& q : queries) {
    FanoutRequest request = RequestBy(deadline);
    VM_CO_ASSIGN_OR_RETURN(const auto found, Note(co_await fanout_.SearchMetricNames(std::move(q), std::move(request))));
    for (const auto& bytes : found) {
      VM_CO_ASSIGN_OR_RETURN(auto name, UnmarshalName(bytes));
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
    FanoutRequest request = RequestBy(deadline);
    VM_CO_ASSIGN_OR_RETURN(auto found, Note(co_await fanout_.LabelNames(std::move(q), static_cast<uint32_t>(limit), std::move(request))));
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
    FanoutRequest request = RequestBy(deadline);
    VM_CO_ASSIGN_OR_RETURN(auto found,
                           Note(co_await fanout_.LabelValues(label, std::move(q), static_cast<uint32_t>(limit), std::move(request))));
    values.insert(std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  }
  co_return std::vector<std::string>(values.begin(), values.end());
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
