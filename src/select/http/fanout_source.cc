#include "select/http/fanout_source.h"

#include <algorithm>
#include <utility>

#include "select/fanout/for_each_batch.h"

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

Status UnpackInto(const PackedSeries& packed, size_t begin, size_t end, std::vector<TimeSeries>& series) {
  PackedSeries::Scratch scratch;
  for (size_t i = begin; i < end; ++i) {
    TimeSeries& s = series[i];
    VM_TRY(packed.Unpack(i, scratch, s.timestamps, s.values));
    if (s.timestamps.empty()) continue;
    VM_ASSIGN_OR_RETURN(s.name, model::MetricName::Unmarshal(AsBytes(packed.name(i))));
  }
  return Ok();
}

}  // namespace

FanoutSource::FanoutSource(Fanout& fanout, net::Pool& pool, size_t workers, bool deny_partial, std::shared_ptr<Budget> budget)
    : fanout_(fanout), pool_(pool), workers_(workers), deny_partial_(deny_partial), budget_(std::move(budget)) {
  if (budget_ != nullptr) share_ = std::make_unique<BudgetShare>(*budget_);
}

template <class T>
Result<T> FanoutSource::Note(Result<Partial<T>> found) {
  if (!found.ok()) return std::move(found).error();
  is_partial_ |= found.value().is_partial;
  return std::move(found.value().value);
}

FanoutRequest FanoutSource::RequestBy(Deadline deadline) const { return {std::move(deadline), deny_partial_, false, budget_}; }

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

awaitable<Result<std::vector<TimeSeries>>> FanoutSource::FetchSeries(model::SearchQuery query, Deadline deadline) {
  VM_CO_ASSIGN_OR_RETURN(const auto packed, co_await FetchPacked(std::move(query), deadline));
  VM_CO_TRY(ChargeSamples(packed));
  std::vector<TimeSeries> series(packed.size());
  auto unpack = [&](size_t begin, size_t end) -> Status {
    if (deadline.Expired() || deadline.Cancelled()) return TooLate(deadline);
    return UnpackInto(packed, begin, end, series);
  };
  VM_CO_TRY(co_await ForEachBatch(pool_, workers_, packed.size(), kSeriesPerBatch, unpack));
  std::erase_if(series, [](const TimeSeries& s) { return s.timestamps.empty(); });
  co_return std::move(series);
}

awaitable<Result<std::vector<model::MetricName>>> FanoutSource::FetchMetricNames(model::SearchQuery query, Deadline deadline) {
  FanoutRequest request = RequestBy(std::move(deadline));
  VM_CO_ASSIGN_OR_RETURN(const auto found, Note(co_await fanout_.SearchMetricNames(std::move(query), std::move(request))));
  std::vector<model::MetricName> names;
  names.reserve(found.size());
  for (const auto& bytes : found) {
    VM_CO_ASSIGN_OR_RETURN(auto name, model::MetricName::Unmarshal(bytes));
    names.push_back(std::move(name));
  }
  co_return std::move(names);
}

awaitable<Result<std::vector<std::string>>> FanoutSource::FetchLabelNames(model::SearchQuery query, size_t limit, Deadline deadline) {
  FanoutRequest request = RequestBy(std::move(deadline));
  co_return Note(co_await fanout_.LabelNames(std::move(query), static_cast<uint32_t>(limit), std::move(request)));
}

awaitable<Result<std::vector<std::string>>> FanoutSource::FetchLabelValues(model::SearchQuery query, std::string label,
                                                                           size_t limit, Deadline deadline) {
  FanoutRequest request = RequestBy(std::move(deadline));
  co_return Note(co_await fanout_.LabelValues(std::move(label), std::move(query), static_cast<uint32_t>(limit), std::move(request)));
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

}  // namespace vm::select
