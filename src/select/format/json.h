#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/rows.h"
#include "select/format/json_text.h"
#include "select/promql/series.h"

namespace vm::select {

/// What a response says beside its data.
struct ResponseInfo {
  bool is_partial = false;
  size_t series_fetched = 0;
  int64_t execution_ms = 0;
  std::string trace;  // `,"trace":{...}`, or empty.
};

/// Body of `/api/v1/query`: the first value of each series.
std::string VectorResponse(const std::vector<TimeSeries>& series, const ResponseInfo& info);
/// Body of `/api/v1/query_range`; NaN values are left out.
std::string MatrixResponse(const std::vector<TimeSeries>& series, const ResponseInfo& info);
std::string ErrorResponse(int status, std::string_view message);
std::string StringListResponse(const std::vector<std::string>& items, const ResponseInfo& info);
std::string SeriesListResponse(const std::vector<model::MetricName>& names, const ResponseInfo& info);
std::string SeriesCountResponse(uint64_t count, const ResponseInfo& info);
/// Body of `/api/v1/metadata`. Requires rows sorted by name, each name once.
std::string MetadataResponse(const std::vector<model::MetadataRow>& rows, const ResponseInfo& info);

}  // namespace vm::select
