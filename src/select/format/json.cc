#include "select/format/json.h"

#include <cmath>
#include <utility>

#include "lib/base/still_busy.h"

namespace vm::select {
namespace {

void AppendPoint(std::string& dst, int64_t timestamp, double value) {
  dst += '[';
  AppendJsonTimestamp(dst, timestamp);
  dst += ",\"";
  AppendJsonFloat(dst, value);
  dst += "\"]";
}

std::string QueryHead(std::string_view type, bool is_partial) {
  std::string dst = "{\"status\":\"success\",\"isPartial\":";
  dst += is_partial ? "true" : "false";
  dst += ",\"data\":{\"resultType\":\"";
  dst += type;
  dst += "\",\"result\":[";
  return dst;
}

void AppendStats(std::string& dst, const ResponseInfo& info) {
  dst += "]},\"stats\":{\"seriesFetched\": \"" + std::to_string(info.series_fetched) +
         "\",\"executionTimeMsec\":" + std::to_string(info.execution_ms) + "}" + info.trace + "}";
}

std::string ListHead(bool is_partial) {
  return std::string("{\"status\":\"success\",\"isPartial\":") + (is_partial ? "true" : "false") + ",\"data\":[";
}

std::string EndOfList(std::string dst, const ResponseInfo& info) {
  dst += ']';
  dst += info.trace;
  dst += '}';
  return dst;
}

void AppendMatrixItem(std::string& dst, const TimeSeries& s) {
  dst += "{\"metric\":";
  AppendJsonMetric(dst, s.name);
  dst += ",\"values\":[";
  bool first = true;
  for (size_t i = 0; i < s.values.size(); ++i) {
    if (std::isnan(s.values[i])) continue;
    if (!first) dst += ',';
    first = false;
    AppendPoint(dst, s.timestamps[i], s.values[i]);
  }
  dst += "]}";
}

}  // namespace

std::string VectorResponse(const std::vector<TimeSeries>& series, const ResponseInfo& info) {
  std::string dst = QueryHead("vector", info.is_partial);
  for (const auto& s : series) {
    if (dst.back() != '[') dst += ',';
    dst += "{\"metric\":";
    AppendJsonMetric(dst, s.name);
    dst += ",\"value\":";
    AppendPoint(dst, s.timestamps[0], s.values[0]);
    dst += '}';
    StillBusy();
  }
  AppendStats(dst, info);
  return dst;
}

std::string MatrixResponse(const std::vector<TimeSeries>& series, const ResponseInfo& info) {
  std::string dst = QueryHead("matrix", info.is_partial);
  for (const auto& s : series) {
    if (dst.back() != '[') dst += ',';
    AppendMatrixItem(dst, s);
    StillBusy();
  }
  AppendStats(dst, info);
  return dst;
}

std::string ErrorResponse(int status, std::string_view message) {
  std::string dst = "{\"status\":\"error\",\"errorType\":\"" + std::to_string(status) + "\",\"error\":";
  AppendJsonString(dst, message);
  return dst + "}";
}

std::string StringListResponse(const std::vector<std::string>& items, const ResponseInfo& info) {
  std::string dst = ListHead(info.is_partial);
  for (const auto& item : items) {
    if (dst.back() != '[') dst += ',';
    AppendJsonString(dst, item);
  }
  return EndOfList(std::move(dst), info);
}

std::string SeriesListResponse(const std::vector<model::MetricName>& names, const ResponseInfo& info) {
  std::string dst = ListHead(info.is_partial);
  for (const auto& name : names) {
    if (dst.back() != '[') dst += ',';
    AppendJsonMetric(dst, name);
    StillBusy();
  }
  return EndOfList(std::move(dst), info);
}

std::string SeriesCountResponse(uint64_t count, const ResponseInfo& info) {
  return ListHead(info.is_partial) + std::to_string(static_cast<int64_t>(count)) + "]}";
}

std::string MetadataResponse(const std::vector<model::MetadataRow>& rows, const ResponseInfo& info) {
  static constexpr std::string_view kTypes[] = {"unknown", "counter", "gauge", "histogram", "gauge histogram",
                                                "summary", "info", "stateset"};
  std::string dst = "{\"status\":\"success\",\"isPartial\":";
  dst += info.is_partial ? "true" : "false";
  dst += ",\"data\": {";
  for (const auto& row : rows) {
    if (dst.back() != '{') dst += ',';
    AppendJsonString(dst, row.name);
    dst += ": [{\"type\":";
    AppendJsonString(dst, kTypes[row.type < std::size(kTypes) ? row.type : 0]);
    if (!row.unit.empty()) {
      dst += ",\"unit\":";
      AppendJsonString(dst, row.unit);
    }
    dst += ",\"help\":";
    AppendJsonString(dst, row.help);
    dst += "}]";
  }
  return dst + "}" + info.trace + "}";
}

}  // namespace vm::select
