#pragma once

#include <boost/asio/awaitable.hpp>

#include "select/http/answer.h"
#include "select/http/call.h"

namespace vm::select {

/// `/delete/<tenant>/prometheus/api/v1/admin/tsdb/delete_series`, `/admin/tenants`,
/// `/internal/resetRollupResultCache`, `/admin/api/v1/admin/status/metric_names_stats/reset`.
boost::asio::awaitable<Answer> HandleDeleteSeries(Call& call);
/// Series have been deleted, or may have been: forget what is kept of results, here and at the other vmselects.
boost::asio::awaitable<void> ForgetResults(Call& call);
boost::asio::awaitable<Answer> HandleTenants(Call& call);
boost::asio::awaitable<Answer> HandleResetCache(Call& call);
boost::asio::awaitable<Answer> HandleResetUsageStats(Call& call);

}  // namespace vm::select
