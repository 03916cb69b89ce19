#include "insert/http/endpoints.h"

namespace vm::insert {
namespace {

constexpr InsertProtocol kProtocols[] = {
    {.kind = BodyKind::kRemoteWrite, .type = "promremotewrite", .has_whole_bodies = true, .has_metadata = true},
    {.kind = BodyKind::kText, .type = "prometheus", .has_lines = true, .has_metadata = true},
    {.kind = BodyKind::kJsonLines, .type = "vmimport", .has_lines = true},
    {.kind = BodyKind::kCsv, .type = "csvimport", .has_lines = true},
    {.kind = BodyKind::kNative, .type = "native"},
    {.kind = BodyKind::kInflux, .type = "influx", .has_lines = true},
    {.kind = BodyKind::kDatadogV1, .type = "datadogv1", .has_whole_bodies = true},
    {.kind = BodyKind::kDatadogV2, .type = "datadogv2", .has_whole_bodies = true},
    {.kind = BodyKind::kDatadogSketches, .type = "datadogsketches", .has_whole_bodies = true},
    {.kind = BodyKind::kNewrelic, .type = "newrelic", .has_whole_bodies = true},
    {.kind = BodyKind::kZabbix, .type = "zabbixconnector", .has_lines = true},
    {.kind = BodyKind::kOtlp, .type = "opentelemetry", .has_metadata = true},
    {.kind = BodyKind::kGraphite, .type = "graphite", .has_lines = true},
    {.kind = BodyKind::kOpentsdb, .type = "opentsdb", .has_lines = true},
    {.kind = BodyKind::kOpentsdbHttp, .type = "opentsdbhttp", .has_lines = true, .has_whole_bodies = true},
    {.kind = BodyKind::kClusterNative, .type = "clusternative"},
};

constexpr std::string_view kOk = "{\"status\":\"ok\"}";

// Reference: app/vminsert/main.go.
constexpr InsertEndpoint kEndpoints[] = {
    {"prometheus/api/v1/write", BodyKind::kRemoteWrite, 204, "", "prometheus/", "promremotewrite"},
    {"prometheus/api/v1/push", BodyKind::kRemoteWrite, 204, "", "prometheus/", "promremotewrite"},
    {"prometheus", BodyKind::kRemoteWrite, 204, "", "prometheus/", "promremotewrite"},
    {"prometheus/", BodyKind::kRemoteWrite, 204, "", "prometheus/", "promremotewrite"},
    {"prometheus/api/v1/import/prometheus", BodyKind::kText, 204, "", "prometheus/api/v1/import/prometheus",
     "prometheusimport"},
    {"prometheus/api/v1/import", BodyKind::kJsonLines, 204, "", "prometheus/api/v1/import", "vmimport"},
    {"prometheus/api/v1/import/csv", BodyKind::kCsv, 204, "", "prometheus/api/v1/import/csv", "csvimport"},
    {"prometheus/api/v1/import/native", BodyKind::kNative, 204, "", "prometheus/api/v1/import/native", "nativeimport"},
    {"influx/write", BodyKind::kInflux, 204, "", "influx/write", "influx", true},
    {"influx/api/v2/write", BodyKind::kInflux, 204, "", "influx/write", "influx", true},
    {"datadog/api/v1/series", BodyKind::kDatadogV1, 202, kOk, "datadog/api/v1/series", "datadog"},
    {"datadog/api/v2/series", BodyKind::kDatadogV2, 202, kOk, "datadog/api/v2/series", "datadog"},
    {"datadog/api/beta/sketches", BodyKind::kDatadogSketches, 202, "", "datadog/api/beta/sketches", "datadog"},
    {"opentelemetry/v1/metrics", BodyKind::kOtlp, 200, "", "opentelemetry/v1/metrics", "opentelemetry"},
    {"opentelemetry/api/v1/push", BodyKind::kOtlp, 200, "", "opentelemetry/v1/metrics", "opentelemetry"},
    {"newrelic/infra/v2/metrics/events/bulk", BodyKind::kNewrelic, 202, kOk, "newrelic/infra/v2/metrics/events/bulk",
     "newrelic"},
    {"zabbixconnector/api/v1/history", BodyKind::kZabbix, 200, "", "zabbixconnector/api/v1/history", "zabbixconnector"},
    {"datadog/api/v1/validate", BodyKind::kNone, 200, "{\"valid\":true}", "datadog/api/v1/validate", "datadog"},
    {"datadog/api/v1/check_run", BodyKind::kNone, 202, kOk, "datadog/api/v1/check_run", "datadog"},
    {"datadog/intake", BodyKind::kNone, 200, "{}", "datadog/intake", "datadog"},
    {"datadog/api/v1/metadata", BodyKind::kNone, 200, "{}", "datadog/api/v1/metadata", "datadog"},
    {"influx/query", BodyKind::kNone, 200, "", "influx/query", "influx", true},
    {"influx/health", BodyKind::kNone, 200,
     "{\"name\":\"influxdb\", \"message\":\"ready for queries and writes\", \"status\":\"pass\", \"checks\":[]}",
     "influx/health", "influx"},
    {"newrelic", BodyKind::kNone, 202, kOk, "newrelic", "newrelic"},
    {"newrelic/inventory/deltas", BodyKind::kNone, 202,
     "{\"payload\":{\"version\": 1, \"state\": {}, \"reset\": \"false\"}}", "newrelic/inventory/deltas", "newrelic"},
};

}  // namespace

std::string QuoteJson(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return quoted + '"';
}

std::span<const InsertProtocol> InsertProtocols() { return kProtocols; }
std::span<const InsertEndpoint> InsertEndpoints() { return kEndpoints; }

std::string InfluxDatabaseNames(const std::vector<std::string>& names) {
  std::string out = "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"databases\",\"columns\":[\"name\"],\"values\":[";
  const std::vector<std::string> all = names.empty() ? std::vector<std::string>{"_internal"} : names;
  for (size_t i = 0; i < all.size(); ++i) {
    out += i == 0 ? "[" : ",[";
    out += QuoteJson(all[i]);
    out += ']';
  }
  return out + "]}]}]}";
}

}  // namespace vm::insert
