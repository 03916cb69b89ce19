#pragma once

#include <memory>
#include <stop_token>

#include "lib/base/budget.h"
#include "lib/http/message.h"
#include "lib/metrics/metrics.h"
#include "lib/net/runtime.h"
#include "select/fanout/fanout.h"
#include "select/http/options.h"

namespace vm::select {

class RollupCache;

/// The HTTP side of vmselect: routes paths to endpoints, limits how many run, answers errors, counts. Thread-safe.
class Api {
 public:
  /// Evaluation runs on the threads of `runtime`, those of the connections and of `fanout`, so that a small query is
  /// answered without waking up another thread: there should be more of them than requests may run. Threads of `pool`
  /// help when there is much to unpack. `memory` is what all queries together may hold. All references outlive the Api.
  Api(net::Runtime& runtime, net::Pool& pool, Fanout& fanout, RollupCache& rollup_cache, ApiOptions options, metrics::Registry& registry,
      Budget& memory);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  /// Serve a known path and return true, or leave the response alone.
  http::asio::awaitable<bool> Handle(http::Request& request, http::Response& response);
  /// Break off what runs or waits, and what comes later.
  void Cancel();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace vm::select
