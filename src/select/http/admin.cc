#include "select/http/admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "lib/http/client.h"
#include "lib/log/log.h"
#include "lib/net/stream.h"
#include "select/format/json_text.h"
#include "select/http/args.h"
#include "select/http/search_args.h"
#include "select/promql/rollup_cache.h"

namespace vm::select {
namespace {

using boost::asio::awaitable;

constexpr uint16_t kSelectPort = 8481;
constexpr auto kResetTimeout = std::chrono::seconds(5);

Answer NoContent() { return {204, std::string(kTextType), {}, {}, false}; }

/// Tell the other vmselects to forget what they keep. Failures are logged only.
awaitable<void> PropagateReset(const ApiOptions& options) {
  if (options.select_nodes.empty()) {
    VM_LOG_WARN("missing -selectNode flag, cache reset request wont be propagated to the other vmselect nodes");
    co_return;
  }
  for (const auto& node : options.select_nodes) {
    auto addr = net::NormalizeAddr(node, kSelectPort);
    if (!addr.ok()) {
      VM_LOG_ERROR("cannot use -selectNode={}: {}", node, addr.error().message());
      continue;
    }
    std::string url = fmt::format("http://{}/internal/resetRollupResultCache", addr.value());
    http::Headers headers;
    headers.Set("Content-Type", "application/x-www-form-urlencoded");
    auto reply = co_await http::Fetch("POST", url, std::move(headers), "", kResetTimeout);
    if (!reply.ok()) VM_LOG_ERROR("error when accessing \"{}\": {}", url, reply.error().message());
    else if (reply.value().status != 200) VM_LOG_ERROR("unexpected status code {} when propagate cache reset request to \"{}\"", reply.value().status, url);
  }
}

awaitable<void> Propagate(Call& call) {
  // A strand of its own: the client of lib/http wants one.
  co_await boost::asio::co_spawn(call.body.strand(), PropagateReset(call.options), boost::asio::use_awaitable);
}

}  // namespace

awaitable<void> ForgetResults(Call& call) {
  call.rollup_cache.Reset();
  co_await Propagate(call);
}

awaitable<Answer> HandleDeleteSeries(Call& call) {
  auto args = ParseSearchArgs(call.options, call.url_args, call.args, call.now_ms, SearchKind::kSeries, true);
  if (!args.ok()) co_return PlainError(args.error());
  if (!args.value().is_default_range) {
    co_return PlainError(400, "delete API does not support specific time ranges using start and end args, the series can only be deleted completely");
  }
  model::SearchQuery query;
  query.tenant = call.tenant.value_or(model::Tenant());
  query.time_range = args.value().range;
  query.tag_filter_groups = std::move(args.value().filters);
  query.max_metrics = call.options.max_delete_series;
  const auto deleted = co_await call.source.DeleteSeries(std::move(query), call.DeadlineOf(call.options.max_delete_duration_ms));
  // After an error some nodes may have deleted what they have.
  if (!deleted.ok() || deleted.value() > 0) co_await ForgetResults(call);
  if (!deleted.ok()) co_return PlainError(Error(deleted.error()).WithContext("cannot delete time series"));
  std::string selectors;
  for (const auto key : {"match[]", "match"}) {
    for (const auto text : call.args.GetAll(key)) selectors.append(selectors.empty() ? "" : ",").append(text);
  }
  VM_LOG_INFO("/api/v1/admin/tsdb/delete_series has been called for \"{}\". Deleted {} series.", selectors, deleted.value());
  co_return NoContent();
}

awaitable<Answer> HandleTenants(Call& call) {
  const auto start = ParseTimeArg("start", call.args.Get("start"), 0, call.now_ms);
  if (!start.ok()) co_return PlainError(400, "error getting tenants: " + start.error().message());
  const auto end = ParseTimeArg("end", call.args.Get("end"), call.now_ms, call.now_ms);
  if (!end.ok()) co_return PlainError(400, "error getting tenants: " + end.error().message());
  const model::TimeRange range{start.value(), end.value()};
  const auto tenants = co_await call.source.FetchTenants(range, call.DeadlineOf(call.options.max_status_duration_ms));
  if (!tenants.ok()) co_return PlainError(Error(tenants.error()).WithContext("error getting tenants"));
  std::vector<std::string> texts;
  for (const auto& t : tenants.value()) texts.push_back(fmt::format("{}:{}", t.account_id, t.project_id));
  std::sort(texts.begin(), texts.end());
  std::string body = "{\"status\":\"success\",\"data\":[";
  for (const auto& text : texts) {
    if (body.back() != '[') body += ',';
    AppendJsonString(body, text);
  }
  body += ']';
  call.trace.Finish("");
  call.trace.AppendJson(body);
  co_return JsonAnswer(body + "}");
}

awaitable<Answer> HandleResetCache(Call& call) {
  call.rollup_cache.Reset();
  if (ParseBoolArg(call.args.Get("propagate"))) co_await Propagate(call);
  co_return Answer{200, std::string(kTextType), {}, {}, false};
}

awaitable<Answer> HandleResetUsageStats(Call& call) {
  auto done = co_await call.source.ResetUsageStats(call.DeadlineOf(call.options.max_status_duration_ms));
  if (!done.ok()) co_return PlainError(std::move(done).error().WithContext("error reseting metric names stats"));
  co_return NoContent();
}

}  // namespace vm::select
