#pragma once

#include <boost/asio/awaitable.hpp>

#include "select/http/answer.h"
#include "select/http/call.h"

namespace vm::select {

/// `/api/v1/status/active_queries` and `/api/v1/status/top_queries`, of one tenant or of all.
boost::asio::awaitable<Answer> HandleActiveQueries(Call& call);
boost::asio::awaitable<Answer> HandleTopQueries(Call& call);
/// `/api/v1/status/tsdb`: what the index of a day holds.
boost::asio::awaitable<Answer> HandleTsdbStatus(Call& call);
/// `/api/v1/status/metric_names_stats`: which names queries ask for.
boost::asio::awaitable<Answer> HandleUsageStats(Call& call);

/// `/<prefix>/<tenant>/` for a browser: what there is to look at.
boost::asio::awaitable<Answer> HandleTenantPage(Call& call);

}  // namespace vm::select
