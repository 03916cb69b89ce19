#include "select/http/active_queries.h"

#include <fmt/format.h>

#include <chrono>

#include "select/format/json_text.h"

namespace vm::select {
namespace {

std::string Quoted(std::string_view text) {
  std::string quoted;
  AppendJsonString(quoted, text);
  return quoted;
}

std::string ItemJson(uint64_t id, const ActiveQuery& q, int64_t now_ms) {
  const model::Tenant tenant = q.tenant.value_or(model::Tenant());
  return fmt::format(
      "{{\"duration\":\"{:.3f}s\",\"id\":\"{:016X}\",\"remote_addr\":{},\"account_id\":\"{}\",\"project_id\":\"{}\",\"query\":{},"
      "\"start\":{},\"end\":{},\"step\":{},\"is_multitenant\":{}}}",
      static_cast<double>(now_ms - q.started_ms) / 1000, id, Quoted(q.remote_addr), tenant.account_id, tenant.project_id,
      Quoted(q.query), q.start_ms, q.end_ms, q.step_ms, !q.tenant.has_value());
}

}  // namespace

ActiveQueries::ActiveQueries()
    : next_id_(static_cast<uint64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count())) {}

uint64_t ActiveQueries::Add(ActiveQuery query) {
  const uint64_t id = ++next_id_;
  MutexLock lock(mutex_);
  queries_.emplace(id, std::move(query));
  return id;
}

void ActiveQueries::Remove(uint64_t id) {
  MutexLock lock(mutex_);
  queries_.erase(id);
}

std::string ActiveQueries::ToJson(std::optional<model::Tenant> tenant, int64_t now_ms) const {
  std::string json = "{\"status\":\"ok\",\"data\":[";
  MutexLock lock(mutex_);
  for (const auto& [id, query] : queries_) {
    // Multi-tenant queries are listed under 0:0, as the reference does.
    if (tenant && query.tenant.value_or(model::Tenant()) != *tenant) continue;
    if (json.back() != '[') json += ',';
    json += ItemJson(id, query, now_ms);
  }
  return json + "]}";
}

}  // namespace vm::select
