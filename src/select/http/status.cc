#include "select/http/status.h"

#include "select/http/args.h"

namespace vm::select {

using boost::asio::awaitable;

awaitable<Answer> HandleActiveQueries(Call& call) {
  co_return JsonAnswer(call.active_queries.ToJson(call.tenant, call.now_ms + call.ElapsedMs()));
}

awaitable<Answer> HandleTopQueries(Call& call) {
  const auto top_n_text = call.args.Get("topN");
  const auto top_n = ParseIntArg("topN", top_n_text.empty() ? "20" : top_n_text);
  if (!top_n.ok()) co_return PrometheusError(400, "cannot parse `topN` arg \"" + std::string(top_n_text) + "\": invalid syntax");
  auto lifetime = ParseDurationArg("maxLifetime", call.args.Get("maxLifetime"), 600000);
  if (!lifetime.ok()) co_return PrometheusError(400, std::move(lifetime).error().WithContext("cannot parse `maxLifetime` arg").message());
  const auto n = static_cast<size_t>(std::max<int64_t>(0, top_n.value()));
  co_return JsonAnswer(call.query_stats.ToJson(call.tenant, n, lifetime.value(), call.now_ms + call.ElapsedMs()));
}

}  // namespace vm::select
