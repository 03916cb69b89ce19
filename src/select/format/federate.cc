#include "select/format/federate.h"

#include <cmath>

#include "select/format/json_text.h"

namespace vm::select {
namespace {

bool IsWord(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

// Each character that is not allowed, of however many bytes, becomes one underscore.
void AppendSanitized(std::string& dst, std::string_view name, bool allow_colon) {
  for (size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    const bool continues = i > 0 && (c & 0xc0) == 0x80;
    if (continues) continue;
    dst += IsWord(name[i]) || (allow_colon && c == ':') ? name[i] : '_';
  }
}

void AppendUnderscoreMetric(std::string& dst, const model::MetricName& name) {
  AppendSanitized(dst, name.metric_group, true);
  char separator = '{';
  for (const auto& tag : name.tags) {
    dst += separator;
    AppendSanitized(dst, tag.key, false);
    dst += '=';
    AppendPrometheusQuoted(dst, tag.value);
    separator = ',';
  }
  if (!name.tags.empty()) dst += '}';
}

void AppendUtf8Metric(std::string& dst, const model::MetricName& name) {
  dst += '{';
  AppendPrometheusQuoted(dst, name.metric_group);
  for (const auto& tag : name.tags) {
    dst += ',';
    AppendPrometheusQuoted(dst, tag.key);
    dst += '=';
    AppendPrometheusQuoted(dst, tag.value);
  }
  dst += '}';
}

}  // namespace

FederateNames FederateNamesFor(std::string_view accept, std::string_view user_agent) {
  if (accept.find("allow-utf-8") != accept.npos) return FederateNames::kUtf8;
  return user_agent.starts_with("Prometheus") ? FederateNames::kUnderscores : FederateNames::kRaw;
}

void AppendFederateLine(std::string& dst, const ExportBlock& block, FederateNames names) {
  if (block.values.empty() || std::isnan(block.values.back())) return;
  switch (names) {
    case FederateNames::kRaw: AppendPrometheusMetric(dst, block.name); break;
    case FederateNames::kUnderscores: AppendUnderscoreMetric(dst, block.name); break;
    case FederateNames::kUtf8: AppendUtf8Metric(dst, block.name); break;
  }
  dst += ' ';
  AppendJsonFloat(dst, block.values.back());
  dst += ' ';
  AppendInt(dst, block.timestamps.back());
  dst += '\n';
}

}  // namespace vm::select
