#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "insert/http/handler.h"
#include "insert/ship/shipper.h"
#include "lib/flags/flags.h"
#include "lib/rpc/insert_conn.h"

namespace vm::insert {

/// The flags of vminsert. Define before parsing; the functions read the parsed values.
class InsertFlags {
 public:
  explicit InsertFlags(flags::FlagSet& set);

  /// -storageNode, sorted. Ends the process when one is missing, empty, repeated or malformed, and when
  /// a limit is out of range.
  std::vector<std::string> StorageNodes() const;

  InsertOptions Inserting(size_t nodes_count, int64_t allowed_memory_bytes) const;
  ShipOptions Shipping(size_t nodes_count, int64_t allowed_memory_bytes) const;
  rpc::InsertConnOptions Connections() const;
  /// Addresses of listeners; empty: off.
  const std::string& graphite_addr() const { return *graphite_addr_; }
  const std::string& influx_addr() const { return *influx_addr_; }
  const std::string& opentsdb_addr() const { return *opentsdb_addr_; }
  const std::string& opentsdb_http_addr() const { return *opentsdb_http_addr_; }
  bool graphite_uses_proxy() const { return *graphite_uses_proxy_; }
  bool influx_uses_proxy() const { return *influx_uses_proxy_; }
  bool opentsdb_uses_proxy() const { return *opentsdb_uses_proxy_; }
  bool opentsdb_http_uses_proxy() const { return *opentsdb_http_uses_proxy_; }
  const std::string& cluster_native_addr() const { return *cluster_native_addr_; }
  std::chrono::milliseconds cluster_native_shutdown_duration() const;
  std::chrono::milliseconds handshake_timeout() const;
  /// Empty: no relabeling.
  const std::string& relabel_config() const { return *relabel_config_; }
  std::chrono::milliseconds relabel_check_interval() const;
  bool is_metadata_enabled() const { return *enable_metadata_; }

 private:
  const std::vector<std::string>* storage_nodes_;
  const int64_t* replication_factor_;
  const bool* disable_rerouting_;
  const bool* disable_rerouting_on_unavailable_;
  const bool* drop_samples_on_overload_;
  const int64_t* max_labels_;
  const int64_t* max_label_name_len_;
  const int64_t* max_label_value_len_;
  const bool* sort_labels_;
  const bool* prometheus_naming_;
  const std::string* relabel_config_;
  const std::chrono::nanoseconds* relabel_check_interval_;
  const int64_t* max_insert_request_size_;
  const bool* enable_metadata_;
  const bool* tenant_from_headers_;
  const int64_t* max_concurrent_inserts_;
  const std::chrono::nanoseconds* max_queue_duration_;
  const int64_t* import_max_line_len_;
  const int64_t* opentsdb_http_max_request_size_;
  const int64_t* datadog_max_request_size_;
  const bool* datadog_sanitize_;
  const int64_t* newrelic_max_request_size_;
  const int64_t* zabbix_max_line_len_;
  const std::string* zabbix_groups_value_;
  const std::string* zabbix_empty_tags_value_;
  const std::string* zabbix_duplicate_tags_separator_;
  const int64_t* otlp_max_request_size_;
  const bool* otlp_promote_scope_;
  const bool* otlp_promote_all_;
  const std::vector<std::string>* otlp_promote_;
  const std::vector<std::string>* otlp_ignore_;
  const bool* otlp_prometheus_naming_;
  const bool* otlp_prometheus_metric_names_;
  const bool* otlp_prefix_underscores_;
  const std::chrono::nanoseconds* csv_trim_;
  const std::chrono::nanoseconds* graphite_trim_;
  const std::chrono::nanoseconds* opentsdb_trim_;
  const std::chrono::nanoseconds* opentsdb_http_trim_;
  const bool* graphite_sanitize_;
  const std::vector<std::string>* influx_database_names_;
  const std::string* influx_db_label_;
  const std::string* influx_separator_;
  const bool* influx_skip_measurement_;
  const bool* influx_skip_single_field_;
  const bool* influx_force_stream_mode_;
  const int64_t* influx_max_line_size_;
  const int64_t* influx_max_request_size_;
  const std::chrono::nanoseconds* influx_trim_;
  const std::string* graphite_addr_;
  const std::string* influx_addr_;
  const std::string* opentsdb_addr_;
  const std::string* opentsdb_http_addr_;
  const bool* graphite_uses_proxy_;
  const bool* influx_uses_proxy_;
  const bool* opentsdb_uses_proxy_;
  const bool* opentsdb_http_uses_proxy_;
  const std::string* cluster_native_addr_;
  const std::chrono::nanoseconds* cluster_native_shutdown_duration_;
  const bool* disable_rpc_compression_;
  const std::chrono::nanoseconds* handshake_timeout_;
  const std::chrono::nanoseconds* dial_timeout_;
  const std::chrono::nanoseconds* user_timeout_;
};

}  // namespace vm::insert
