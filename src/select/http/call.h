#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "lib/base/budget.h"
#include "lib/base/deadline.h"
#include "lib/http/message.h"
#include "lib/metrics/metrics.h"
#include "lib/model/tenant.h"
#include "select/format/json.h"
#include "select/http/active_queries.h"
#include "select/http/body_writer.h"
#include "select/http/fanout_source.h"
#include "select/http/options.h"
#include "select/http/top_queries.h"
#include "select/http/trace.h"
#include "select/promql/parse_cache.h"

namespace vm::select {

class RegexCache;
class RollupCache;

/// One request as its endpoint sees it. Lives as long as the request; used by one coroutine at a time.
struct Call {
  const ApiOptions& options;
  ActiveQueries& active_queries;
  TopQueries& top_queries;
  ParseCache& parsed_queries;
  RegexCache& regexes;
  RollupCache& rollup_cache;
  metrics::Histogram& rows_scanned;
  const http::Args& args;      // Of the form, then of the URL.
  const http::Args& url_args;
  const http::Headers& headers;
  std::string path;
  std::string remote_addr;
  std::optional<model::Tenant> tenant;  // Nothing: multi-tenant, or an endpoint without tenant.
  std::string path_arg;                 // The label name of `label/<name>/values`.
  FanoutSource& source;
  Budget& memory;  // Of all queries.
  BodyWriter& body;
  Trace& trace;
  int64_t now_ms;  // Unix time of the request.
  Deadline::Clock::time_point started;
  std::stop_token stop;

  /// `max_ms` or the shorter `timeout` argument after the start of the request. A bad `timeout` is ignored.
  Deadline DeadlineOf(int64_t max_ms) const;
  int64_t ElapsedMs() const;
  /// The frame of an answer; ends the trace with `message`.
  ResponseInfo Info(const std::string& message);
};

}  // namespace vm::select
