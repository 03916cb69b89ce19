#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "lib/http/message.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"
#include "storage/engine/engine.h"

namespace vm::storage {

/// /internal/force_merge, /internal/force_flush, /internal/log_new_series and /snapshot/{create,list,delete,delete_all}.
/// Who may use them is checked before. Thread-safe. Reference: VictoriaMetrics app/vmstorage/main.go.
class HttpHandler {
 public:
  /// Work runs on `pool`. `registry` may be null. All must outlive the handler.
  /// `merge_pool` runs forced merges, which may take hours, one after the other.
  HttpHandler(Engine& engine, net::Pool& pool, net::Pool& merge_pool, metrics::Registry* registry);
  ~HttpHandler();
  HttpHandler(const HttpHandler&) = delete;
  HttpHandler& operator=(const HttpHandler&) = delete;

  /// False for paths that are not served here.
  net::asio::awaitable<bool> Handle(http::Request& request, http::Response& response);

 private:
  net::asio::awaitable<bool> HandleSnapshot(std::string action, http::Request& request, http::Response& response);
  /// Run `work` on the pool; answer with what it returns, or with the error as JSON.
  net::asio::awaitable<void> Answer(http::Response& response, std::string path,
                                    std::function<Result<std::string>()> work);
  void StartForceMerge(std::string prefix);
  metrics::Counter& Counter(std::string_view name, std::string_view path);

  Engine& engine_;
  net::Pool& pool_;
  net::Pool& merge_pool_;
  metrics::Registry own_registry_;  // When none was given.
  metrics::Registry& registry_;
  std::atomic<int64_t> active_force_merges_{0};
};

}  // namespace vm::storage
