#include "select/format/export_line.h"

#include <algorithm>
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

bool JsonExportLine::AppendPiece(std::string& dst) {
  const size_t rows = block_.timestamps.size();
  if (rows == 0) return false;
  if (next_ == 0) {
    dst += "{\"metric\":";
    AppendJsonMetric(dst, block_.name);
    dst += ",\"values\":[";
  }
  const size_t end = std::min(next_ + kSamplesPerPiece, 2 * rows);
  for (; next_ < std::min(end, rows); ++next_) {
    if (next_ > 0) dst += ',';
    AppendSpecialJsonFloat(dst, block_.values[next_]);
  }
  for (; next_ < end; ++next_) {
    dst += next_ == rows ? "],\"timestamps\":[" : ",";
    AppendInt(dst, block_.timestamps[next_ - rows]);
  }
  if (next_ < 2 * rows) return true;
  dst += "]}\n";
  return false;
}

void AppendJsonExportLine(std::string& dst, const ExportBlock& block) {
  JsonExportLine line(block);
  while (line.AppendPiece(dst)) {
  }
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

bool PromApiItem::AppendPiece(std::string& dst) {
  if (next_ == 0) {
    dst += "{\"metric\":";
    AppendJsonMetric(dst, block_.name);
    dst += ",\"values\":[";
  }
  for (const size_t end = std::min(next_ + kSamplesPerPiece, block_.timestamps.size()); next_ < end; ++next_) {
    if (next_ > 0) dst += ',';
    dst += '[';
    AppendJsonTimestamp(dst, block_.timestamps[next_]);
    dst += ",\"";
    AppendJsonFloat(dst, block_.values[next_]);
    dst += "\"]";
  }
  if (next_ < block_.timestamps.size()) return true;
  dst += "]}";
  return false;
}

void AppendPromApiItem(std::string& dst, const ExportBlock& block) {
  PromApiItem item(block);
  while (item.AppendPiece(dst)) {
  }
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
