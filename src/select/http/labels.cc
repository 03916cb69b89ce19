#include "select/http/labels.h"

#include <fmt/format.h>

#include <algorithm>

#include "select/http/args.h"
#include "select/http/search_args.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;

/// What the label endpoints are asked.
struct LabelRequest {
  model::SearchQuery query;
  int64_t limit = 0;  // 0 or less: none.
  Deadline deadline;

  uint32_t node_limit() const { return limit > 0 ? static_cast<uint32_t>(std::min<int64_t>(limit, INT32_MAX)) : 0; }
};

Result<LabelRequest> ParseLabelRequest(const Call& call, uint32_t max_series, bool needs_match) {
  VM_ASSIGN_OR_RETURN(auto args, ParseSearchArgs(call.options, call.url_args, call.args, call.now_ms, SearchKind::kLabels, needs_match));
  LabelRequest request;
  request.query.tenant = call.tenant.value_or(model::Tenant());
  request.query.time_range = args.range;
  request.query.tag_filter_groups = std::move(args.filters);
  request.query.max_metrics = max_series;
  VM_ASSIGN_OR_RETURN(request.limit, ParseIntArg("limit", call.args.Get("limit")));
  request.deadline = call.DeadlineOf(call.options.max_labels_duration_ms);
  return request;
}

template <class T>
void Cut(std::vector<T>& items, int64_t limit) {
  if (limit > 0 && items.size() > static_cast<size_t>(limit)) items.resize(static_cast<size_t>(limit));
}

Answer ListAnswer(Call& call, std::vector<std::string> items, int64_t limit) {
  if (!std::is_sorted(items.begin(), items.end())) std::sort(items.begin(), items.end());
  Cut(items, limit);
  call.trace.Add(fmt::format("generate response for {} items", items.size()));
  return JsonAnswer(StringListResponse(items, call.Info("")));
}

bool MarshalledBefore(const model::MetricName& a, const model::MetricName& b) {
  return std::tie(a.metric_group, a.tags) < std::tie(b.metric_group, b.tags);
}

}  // namespace

awaitable<Answer> HandleLabels(Call& call) {
  auto request = ParseLabelRequest(call, call.options.max_labels_series, false);
  if (!request.ok()) co_return PrometheusError(400, request.error().message());
  const LabelRequest& r = request.value();
  auto names = co_await call.source.FetchLabelNames(r.query, r.node_limit(), r.deadline);
  if (!names.ok()) co_return PrometheusError(std::move(names).error().WithContext("cannot obtain labels"));
  co_return ListAnswer(call, std::move(names).value(), r.limit);
}

awaitable<Answer> HandleLabelValues(Call& call) {
  auto request = ParseLabelRequest(call, call.options.max_labels_series, false);
  if (!request.ok()) co_return PrometheusError(400, request.error().message());
  const LabelRequest& r = request.value();
  const auto checked = CheckedForNodes("label name", UnescapeLabelName(call.path_arg), rpc::kMaxLabelNameArgSize);
  if (!checked.ok()) co_return PrometheusError(400, checked.error().message());
  const std::string& label = checked.value();
  auto values = co_await call.source.FetchLabelValues(r.query, label, r.node_limit(), r.deadline);
  if (!values.ok()) co_return PrometheusError(std::move(values).error().WithContext(fmt::format("cannot obtain values for label \"{}\"", label)));
  co_return ListAnswer(call, std::move(values).value(), r.limit);
}

awaitable<Answer> HandleSeries(Call& call) {
  auto request = ParseLabelRequest(call, call.options.max_series, true);
  if (!request.ok()) co_return PrometheusError(400, request.error().message());
  const LabelRequest& r = request.value();
  auto names = co_await call.source.FetchMetricNames(r.query, r.deadline);
  if (!names.ok()) co_return PrometheusError(std::move(names).error().WithContext("cannot fetch time series for " + QuotedSearchQuery(r.query, !call.tenant)));
  // As marshalled they are mostly in this order.
  auto& list = names.value();
  if (!std::is_sorted(list.begin(), list.end(), MarshalledBefore)) std::sort(list.begin(), list.end(), MarshalledBefore);
  Cut(names.value(), r.limit);
  call.trace.Add(fmt::format("generate response: series={}", names.value().size()));
  const auto info = call.Info(fmt::format("start={}, end={}", r.query.time_range.min_timestamp, r.query.time_range.max_timestamp));
  co_return JsonAnswer(SeriesListResponse(names.value(), info));
}

awaitable<Answer> HandleSeriesCount(Call& call) {
  if (!call.tenant) co_return PrometheusError(422, "multi-tenant request to /api/v1/series/count is not supported");
  const auto count = co_await call.source.FetchSeriesCount(*call.tenant, call.DeadlineOf(call.options.max_status_duration_ms));
  if (!count.ok()) co_return PrometheusError(Error(count.error()).WithContext("cannot obtain series count"));
  co_return JsonAnswer(SeriesCountResponse(count.value(), call.Info("")));
}

awaitable<Answer> HandleMetadata(Call& call) {
  auto args = ParseSearchArgs(call.options, call.url_args, call.args, call.now_ms, SearchKind::kLabels, false);
  if (!args.ok()) co_return PrometheusError(422, args.error().message());
  const auto limit = ParseIntArg("limit", call.args.Get("limit"));
  if (!limit.ok()) co_return PrometheusError(400, limit.error().message());
  auto metric = CheckedForNodes("`metric` arg", call.args.Get("metric"), rpc::kMaxMetricNameArgSize);
  if (!metric.ok()) co_return PrometheusError(400, metric.error().message());
  const auto node_limit = static_cast<uint32_t>(std::clamp<int64_t>(limit.value(), 0, INT32_MAX));
  const Deadline deadline = call.DeadlineOf(call.options.max_labels_duration_ms);
  auto rows = co_await call.source.FetchMetadata(call.tenant, node_limit, std::move(metric).value(), deadline);
  if (!rows.ok()) co_return PrometheusError(std::move(rows).error().WithContext("cannot get metadata"));
  auto& list = rows.value();
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  list.erase(std::unique(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.name == b.name; }), list.end());
  Cut(list, limit.value());
  co_return JsonAnswer(MetadataResponse(list, call.Info("")));
}

}  // namespace vm::select
