#include "storage/server/http_handler.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <stop_token>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "lib/log/log.h"
#include "lib/net/run_on.h"

namespace vm::storage {
namespace {

using net::asio::awaitable;

constexpr std::string_view kSnapshotPrefix = "/snapshot/";
constexpr const char* kActiveForceMerges = "vm_active_force_merges";

std::string JsonString(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<std::string> CreateSnapshot(Engine& engine, const std::stop_token& client_gone) {
  VM_ASSIGN_OR_RETURN(const std::string name, engine.CreateSnapshot());
  if (client_gone.stop_requested()) {
    VM_LOG_INFO("deleting already created snapshot at {} because the client canceled the request", name);
    VM_TRY(engine.DeleteSnapshot(name));
  }
  return "{\"status\":\"ok\",\"snapshot\":" + JsonString(name) + "}";
}

Result<std::string> ListSnapshots(Engine& engine) {
  VM_ASSIGN_OR_RETURN(const auto names, engine.ListSnapshots());
  std::string body = "{\"status\":\"ok\",\"snapshots\":[";
  for (size_t i = 0; i < names.size(); ++i) {
    body += "\n" + JsonString(names[i]) + (i + 1 < names.size() ? "," : "\n");
  }
  return body + "]}";
}

Result<std::string> DeleteSnapshot(Engine& engine, const std::string& name) {
  VM_TRY(engine.DeleteSnapshot(name));
  return std::string("{\"status\":\"ok\"}");
}

Result<std::string> DeleteAllSnapshots(Engine& engine) {
  VM_ASSIGN_OR_RETURN(const auto names, engine.ListSnapshots());
  for (const std::string& name : names) VM_TRY(engine.DeleteSnapshot(name));
  return std::string("{\"status\":\"ok\"}");
}

}  // namespace

HttpHandler::HttpHandler(Engine& engine, net::Pool& pool, net::Pool& merge_pool, metrics::Registry* registry)
    : engine_(engine), pool_(pool), merge_pool_(merge_pool), registry_(registry != nullptr ? *registry : own_registry_) {
  registry_.SetGaugeCallback(kActiveForceMerges, [this] {
    return static_cast<double>(active_force_merges_.load(std::memory_order_relaxed));
  });
  // Known from the start, so that rates see the first one.
  for (const char* path : {"/snapshot/create", "/snapshot/list", "/snapshot/delete", "/snapshot/delete_all"}) {
    Counter("vm_http_requests_total", path);
  }
  for (const char* path : {"/snapshot/delete", "/snapshot/delete_all"}) Counter("vm_http_request_errors_total", path);
}

HttpHandler::~HttpHandler() { registry_.RemoveGaugeCallback(kActiveForceMerges); }

metrics::Counter& HttpHandler::Counter(std::string_view name, std::string_view path) {
  return registry_.GetCounter(fmt::format("{}{{path=\"{}\"}}", name, path));
}

awaitable<void> HttpHandler::Answer(http::Response& response, std::string path,
                                    std::function<Result<std::string>()> work) {
  auto run = [&work]() noexcept { return work(); };
  auto body = co_await net::RunOn(pool_, run);
  response.SetHeader("Content-Type", "application/json");
  std::string text;
  if (body.ok()) {
    response.SetStatus(200);
    text = std::move(body).value();
  } else {
    VM_LOG_ERROR("{}", body.error().message());
    Counter("vm_http_request_errors_total", path).Inc();
    response.SetStatus(500);
    text = "{\"status\":\"error\",\"msg\":" + JsonString(body.error().message()) + "}";
  }
  // A client that has gone needs no answer.
  const auto written = co_await response.Write(text);
  static_cast<void>(written.ok());
}

awaitable<bool> HttpHandler::HandleSnapshot(std::string action, http::Request& request, http::Response& response) {
  std::function<Result<std::string>()> work;
  const std::string name(request.query.Get("snapshot"));
  if (action == "create") {
    work = [this, client_gone = request.ClientGone()] { return CreateSnapshot(engine_, client_gone); };
  } else if (action == "list") {
    work = [this] { return ListSnapshots(engine_); };
  } else if (action == "delete") {
    work = [this, name] { return DeleteSnapshot(engine_, name); };
  } else if (action == "delete_all") {
    work = [this] { return DeleteAllSnapshots(engine_); };
  } else {
    co_return false;
  }
  Counter("vm_http_requests_total", request.path).Inc();
  co_await Answer(response, request.path, std::move(work));
  co_return true;
}

void HttpHandler::StartForceMerge(std::string prefix) {
  active_force_merges_.fetch_add(1, std::memory_order_relaxed);
  merge_pool_.Post([this, prefix = std::move(prefix)] {
    VM_LOG_INFO("forced merge for partition_prefix=\"{}\" has been started", prefix);
    const auto start = std::chrono::steady_clock::now();
    Status status = engine_.ForceMerge(prefix);
    active_force_merges_.fetch_sub(1, std::memory_order_relaxed);
    if (!status.ok()) {
      VM_LOG_ERROR("error in forced merge for partition_prefix=\"{}\": {}", prefix, status.error().message());
      return;
    }
    VM_LOG_INFO("forced merge for partition_prefix=\"{}\" has been successfully finished in {:.3f} seconds", prefix,
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  });
}

awaitable<bool> HttpHandler::Handle(http::Request& request, http::Response& response) {
  const bool is_snapshot = request.path.starts_with(kSnapshotPrefix);
  if (!is_snapshot && !request.path.starts_with("/internal/")) co_return false;
  if (const auto form = co_await request.ReadForm(); !form.ok()) {
    co_await http::WriteError(response, 400, form.error().message());
    co_return true;
  }
  if (is_snapshot) co_return co_await HandleSnapshot(request.path.substr(kSnapshotPrefix.size()), request, response);
  if (request.path == "/internal/force_flush") {
    VM_LOG_INFO("flushing storage to make pending data available for reading");
    auto flush = [this]() noexcept {
      engine_.ForceFlush();
      return true;
    };
    co_await net::RunOn(pool_, flush);
    response.SetStatus(200);
    co_return true;
  }
  if (request.path == "/internal/force_merge") {
    StartForceMerge(std::string(request.query.Get("partition_prefix")));
    response.SetStatus(200);
    co_return true;
  }
  if (request.path == "/internal/log_new_series") {
    const std::string given(request.query.Get("seconds"));
    int64_t seconds = 60;
    const auto parsed = std::from_chars(given.data(), given.data() + given.size(), seconds);
    const bool is_bad = !given.empty() && (parsed.ec != std::errc() || parsed.ptr != given.data() + given.size());
    constexpr int64_t kMaxSeconds = 366 * 86400;
    seconds = std::clamp(seconds, -kMaxSeconds, kMaxSeconds);
    auto work = [this, seconds, given, is_bad]() -> Result<std::string> {
      if (is_bad) {
        return Error(ErrorCode::kInvalidInput,
                     fmt::format("cannot parse `seconds` arg \"{0}\": strconv.Atoi: parsing \"{0}\": invalid syntax",
                                 given));
      }
      VM_LOG_INFO(
          "enabling logging of new series for the next {}s. This may increase resource usage during this period.",
          seconds);
      const auto end = std::chrono::system_clock::now() + std::chrono::seconds(seconds);
      const time_t end_s = std::chrono::system_clock::to_time_t(end);
      engine_.LogNewSeriesUntil(int64_t{end_s} * 1000);
      return fmt::format("{{\"status\":\"success\",\"data\":{{\"logEndTime\":\"{:%Y-%m-%d %H:%M:%S} +0000 UTC\"}}}}",
                         fmt::gmtime(end_s));
    };
    co_await Answer(response, request.path, work);
    co_return true;
  }
  co_return false;
}

}  // namespace vm::storage
