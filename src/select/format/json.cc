#include "select/format/json.h"

#include <array>
#include <charconv>
#include <cmath>

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

void AppendStats(std::string& dst, size_t series_fetched, int64_t execution_ms) {
  dst += "]},\"stats\":{\"seriesFetched\": \"" + std::to_string(series_fetched) +
         "\",\"executionTimeMsec\":" + std::to_string(execution_ms) + "}}";
}

std::string ListHead(bool is_partial) {
  return std::string("{\"status\":\"success\",\"isPartial\":") + (is_partial ? "true" : "false") + ",\"data\":[";
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

void AppendJsonFloat(std::string& dst, double value) {
  if (std::isnan(value)) {
    dst += "NaN";
  } else if (std::isinf(value)) {
    dst += value > 0 ? "+Inf" : "-Inf";
  } else if (value == 0) {
    dst += '0';
  } else {
    std::array<char, 400> buf;
    const auto end = std::to_chars(buf.data(), buf.data() + buf.size(), value, std::chars_format::fixed).ptr;
    dst.append(buf.data(), end);
  }
}

void AppendJsonTimestamp(std::string& dst, int64_t timestamp_ms) {
  AppendJsonFloat(dst, static_cast<double>(timestamp_ms) / 1e3);
}

void AppendJsonString(std::string& dst, std::string_view value) {
  static constexpr char kHex[] = "0123456789abcdef";
  dst += '"';
  for (const char c : value) {
    switch (c) {
      case '"': dst += "\\\""; break;
      case '\\': dst += "\\\\"; break;
      case '\n': dst += "\\n"; break;
      case '\r': dst += "\\r"; break;
      case '\t': dst += "\\t"; break;
      case '\b': dst += "\\b"; break;
      case '\f': dst += "\\f"; break;
      case '<': dst += "\\u003c"; break;
      case '\'': dst += "\\u0027"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          dst += "\\u00";
          dst += kHex[(c >> 4) & 15];
          dst += kHex[c & 15];
        } else {
          dst += c;
        }
    }
  }
  dst += '"';
}

void AppendJsonMetric(std::string& dst, const model::MetricName& name) {
  dst += '{';
  if (!name.metric_group.empty()) {
    dst += "\"__name__\":";
    AppendJsonString(dst, name.metric_group);
  }
  for (const auto& tag : name.tags) {
    if (dst.back() != '{') dst += ',';
    AppendJsonString(dst, tag.key);
    dst += ':';
    AppendJsonString(dst, tag.value);
  }
  dst += '}';
}

std::string VectorResponse(const std::vector<TimeSeries>& series, bool is_partial, size_t fetched, int64_t ms) {
  std::string dst = QueryHead("vector", is_partial);
  for (const auto& s : series) {
    if (dst.back() != '[') dst += ',';
    dst += "{\"metric\":";
    AppendJsonMetric(dst, s.name);
    dst += ",\"value\":";
    AppendPoint(dst, s.timestamps[0], s.values[0]);
    dst += '}';
  }
  AppendStats(dst, fetched, ms);
  return dst;
}

std::string MatrixResponse(const std::vector<TimeSeries>& series, bool is_partial, size_t fetched, int64_t ms) {
  std::string dst = QueryHead("matrix", is_partial);
  for (const auto& s : series) {
    if (dst.back() != '[') dst += ',';
    AppendMatrixItem(dst, s);
  }
  AppendStats(dst, fetched, ms);
  return dst;
}

std::string RawMatrixResponse(const std::vector<TimeSeries>& series) {
  std::string dst = "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[";
  for (const auto& s : series) {
    if (dst.back() != '[') dst += ',';
    dst += "{\"metric\":";
    AppendJsonMetric(dst, s.name);
    dst += ",\"values\":[";
    for (size_t i = 0; i < s.values.size(); ++i) {
      if (i > 0) dst += ',';
      AppendPoint(dst, s.timestamps[i], s.values[i]);
    }
    dst += "]}";
  }
  return dst + "]}}";
}

void AppendExportLine(std::string& dst, const TimeSeries& s) {
  dst += "{\"metric\":";
  AppendJsonMetric(dst, s.name);
  dst += ",\"values\":[";
  for (size_t i = 0; i < s.values.size(); ++i) {
    if (i > 0) dst += ',';
    if (std::isnan(s.values[i])) dst += "null";
    else if (std::isinf(s.values[i])) dst += s.values[i] > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    else AppendJsonFloat(dst, s.values[i]);
  }
  dst += "],\"timestamps\":[";
  for (size_t i = 0; i < s.timestamps.size(); ++i) {
    if (i > 0) dst += ',';
    dst += std::to_string(s.timestamps[i]);
  }
  dst += "]}\n";
}

std::string ErrorResponse(int status, std::string_view message) {
  std::string dst = "{\"status\":\"error\",\"errorType\":\"" + std::to_string(status) + "\",\"error\":";
  AppendJsonString(dst, message);
  return dst + "}";
}

std::string StringListResponse(const std::vector<std::string>& items, bool is_partial) {
  std::string dst = ListHead(is_partial);
  for (const auto& item : items) {
    if (dst.back() != '[') dst += ',';
    AppendJsonString(dst, item);
  }
  return dst + "]}";
}

std::string SeriesListResponse(const std::vector<model::MetricName>& names, bool is_partial) {
  std::string dst = ListHead(is_partial);
  for (const auto& name : names) {
    if (dst.back() != '[') dst += ',';
    AppendJsonMetric(dst, name);
  }
  return dst + "]}";
}

}  // namespace vm::select
