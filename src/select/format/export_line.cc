#include "select/format/export_line.h"

#include <cmath>

#include "select/format/json_text.h"

namespace vm::select {
namespace {

void AppendSpecialJsonFloat(std::string& dst, double value) {
  if (std::isnan(value)) dst += "null";
  else if (std::isinf(value)) dst += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  else AppendJsonFloat(dst, value);
}

}  // namespace

void AppendJsonExportLine(std::string& dst, const ExportBlock& block) {
  if (block.timestamps.empty()) return;
  dst += "{\"metric\":";
  AppendJsonMetric(dst, block.name);
  dst += ",\"values\":[";
  for (const double value : block.values) {
    if (dst.back() != '[') dst += ',';
    AppendSpecialJsonFloat(dst, value);
  }
  dst += "],\"timestamps\":[";
  for (const int64_t timestamp : block.timestamps) {
    if (dst.back() != '[') dst += ',';
    AppendInt(dst, timestamp);
  }
  dst += "]}\n";
}

void AppendPrometheusExportLines(std::string& dst, const ExportBlock& block) {
  std::string metric;
  AppendPrometheusMetric(metric, block.name);
  for (size_t i = 0; i < block.timestamps.size(); ++i) {
    dst += metric;
    dst += ' ';
    AppendJsonFloat(dst, block.values[i]);
    dst += ' ';
    AppendInt(dst, block.timestamps[i]);
    dst += '\n';
  }
}

void AppendPromApiItem(std::string& dst, const ExportBlock& block) {
  dst += "{\"metric\":";
  AppendJsonMetric(dst, block.name);
  dst += ",\"values\":[";
  for (size_t i = 0; i < block.timestamps.size(); ++i) {
    if (i > 0) dst += ',';
    dst += '[';
    AppendJsonTimestamp(dst, block.timestamps[i]);
    dst += ",\"";
    AppendJsonFloat(dst, block.values[i]);
    dst += "\"]";
  }
  dst += "]}";
}

void AppendPrometheusMetric(std::string& dst, const model::MetricName& name) {
  dst += name.metric_group;
  if (name.tags.empty()) return;
  char separator = '{';
  for (const auto& tag : name.tags) {
    dst += separator;
    dst += tag.key;
    dst += '=';
    AppendPrometheusQuoted(dst, tag.value);
    separator = ',';
  }
  dst += '}';
}

void AppendPrometheusQuoted(std::string& dst, std::string_view value) {
  dst += '"';
  for (const char c : value) {
    if (c == '\n') {
      dst += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') dst += '\\';
    dst += c;
  }
  dst += '"';
}

}  // namespace vm::select
