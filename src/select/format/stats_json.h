#pragma once

#include <string>

#include "lib/model/index_stats.h"
#include "select/format/json.h"

namespace vm::select {

/// Body of `/api/v1/status/tsdb`.
std::string TsdbStatusResponse(const model::TsdbStatus& status, const ResponseInfo& info);
/// Body of `/api/v1/status/metric_names_stats`.
std::string UsageStatsResponse(const model::MetricNamesUsageStats& stats, const ResponseInfo& info);

}  // namespace vm::select
