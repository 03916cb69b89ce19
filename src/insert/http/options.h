#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "insert/parse/graphite/graphite.h"
#include "insert/parse/otlp/otlp.h"
#include "insert/parse/zabbix/zabbix.h"
#include "insert/prepare/prepare.h"

namespace vm::insert {

struct InfluxOptions {
  std::string db_label = "db";                  // -influxDBLabel
  std::string separator = "_";                  // -influxMeasurementFieldSeparator
  bool skip_measurement = false;                // -influxSkipMeasurement
  bool skip_single_field = false;               // -influxSkipSingleField
  bool force_stream_mode = false;               // -influx.forceStreamMode
  size_t max_line_bytes = 256 << 10;            // -influx.maxLineSize
  size_t max_request_bytes = 64 << 20;          // -influx.maxRequestSize
  int64_t trim_timestamp_ms = 1;                // -influxTrimTimestamp
  std::vector<std::string> database_names;      // -influx.databaseNames
};

/// How all ways in work.
struct InsertOptions {
  PrepareOptions prepare;
  size_t max_insert_request_bytes = 32 << 20;  // -maxInsertRequestSize, packed and unpacked.
  size_t max_text_line_bytes = 256 << 10;
  size_t max_json_line_bytes = 10 << 20;       // -import.maxLineLen
  size_t max_opentsdb_request_bytes = 32 << 20;  // -opentsdbhttp.maxInsertRequestSize
  size_t max_datadog_request_bytes = 64 << 20;   // -datadog.maxInsertRequestSize
  bool sanitize_datadog_names = true;            // -datadog.sanitizeMetricName
  size_t max_newrelic_request_bytes = 64 << 20;  // -newrelic.maxInsertRequestSize
  size_t max_zabbix_line_bytes = 32 << 20;      // -zabbixconnector.maxLineLen
  size_t max_batch_bytes = 30 << 20;           // Rows of one request for one node before they are pushed.
  size_t max_turn_bytes = 8 << 20;             // Rows of one request for all nodes before they are pushed.
  size_t max_concurrent_inserts = 8;           // -maxConcurrentInserts
  std::chrono::milliseconds max_queue_duration{60'000};  // -insert.maxQueueDuration
  bool tenant_from_headers = true;             // -enableMultitenancyViaHeaders
  bool is_metadata_enabled = true;             // -enableMetadata
  int64_t csv_trim_ms = 1;                     // -csvTrimTimestamp
  int64_t graphite_trim_ms = 1000;             // -graphiteTrimTimestamp
  int64_t opentsdb_trim_ms = 1000;             // -opentsdbTrimTimestamp
  int64_t opentsdb_http_trim_ms = 1;           // -opentsdbhttpTrimTimestamp
  size_t max_otlp_request_bytes = 64 << 20;    // -opentelemetry.maxRequestSize
  OtlpOptions otlp;
  GraphiteOptions graphite;
  ZabbixOptions zabbix;
  InfluxOptions influx;
};

}  // namespace vm::insert
