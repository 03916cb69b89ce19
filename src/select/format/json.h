#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "select/promql/series.h"

namespace vm::select {

/// Shortest fixed notation, `NaN`, `+Inf`, `-Inf`.
void AppendJsonFloat(std::string& dst, double value);
void AppendJsonString(std::string& dst, std::string_view value);
/// `{"__name__":"foo","a":"b"}`
void AppendJsonMetric(std::string& dst, const model::MetricName& name);
/// Milliseconds as seconds.
void AppendJsonTimestamp(std::string& dst, int64_t timestamp_ms);

/// Body of `/api/v1/query`: the first value of each series.
std::string VectorResponse(const std::vector<TimeSeries>& series, bool is_partial, size_t series_fetched, int64_t execution_ms);
/// Body of `/api/v1/query_range`; NaN values are left out.
std::string MatrixResponse(const std::vector<TimeSeries>& series, bool is_partial, size_t series_fetched, int64_t execution_ms);
/// Body of a query for raw samples.
std::string RawMatrixResponse(const std::vector<TimeSeries>& series);
/// One line of `/api/v1/export`.
void AppendExportLine(std::string& dst, const TimeSeries& series);
std::string ErrorResponse(int status, std::string_view message);
std::string StringListResponse(const std::vector<std::string>& items, bool is_partial);
std::string SeriesListResponse(const std::vector<model::MetricName>& names, bool is_partial);

}  // namespace vm::select
