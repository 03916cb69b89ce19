#include "insert/flags.h"

#include <algorithm>

#include "lib/log/log.h"
#include "lib/net/stream.h"
#include "lib/sys/sys.h"

namespace vm::insert {
namespace {

constexpr int64_t kMinBufferBytes = 1 << 20;
constexpr int64_t kMaxBufferBytes = 30 << 20;
/// Of the rows of one request that are made before they are pushed: so many that turns cost nothing.
constexpr int64_t kMaxTurnBytes = 8 << 20;

std::chrono::milliseconds InMilliseconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration);
}

}  // namespace

InsertFlags::InsertFlags(flags::FlagSet& set) {
  using std::chrono::minutes;
  using std::chrono::seconds;
  storage_nodes_ = set.Array("storageNode", "Comma-separated addresses of vmstorage nodes; usage: -storageNode=vmstorage-host1,...,vmstorage-hostN");
  replication_factor_ = set.Int("replicationFactor", 1, "Replication factor for the ingested data, i.e. how many copies to make among distinct -storageNode instances");
  disable_rerouting_ = set.Bool("disableRerouting", false, "Whether to disable re-routing when some of vmstorage nodes accept incoming data at slower speed compared to other storage nodes");
  disable_rerouting_on_unavailable_ = set.Bool("disableReroutingOnUnavailable", false, "Whether to disable re-routing when some of vmstorage nodes are unavailable");
  drop_samples_on_overload_ = set.Bool("dropSamplesOnOverload", false, "Whether to drop incoming samples if the destination vmstorage node is overloaded and/or unavailable");
  max_labels_ = set.Int("maxLabelsPerTimeseries", 40, "The maximum number of labels per time series to be accepted. Series with superfluous labels are ignored");
  max_label_name_len_ = set.Int("maxLabelNameLen", 256, "The maximum length of label names in the accepted time series. Series with longer label names are ignored");
  max_label_value_len_ = set.Int("maxLabelValueLen", 4096, "The maximum length of label values in the accepted time series. Series with longer label values are ignored");
  sort_labels_ = set.Bool("sortLabels", false, "Whether to sort labels for incoming samples before writing them to storage");
  prometheus_naming_ = set.Bool("usePromCompatibleNaming", false, "Whether to replace characters unsupported by Prometheus with underscores in the ingested metric names and label names");
  relabel_config_ = set.String("relabelConfig", "", "Optional path to a file with relabeling rules, which are applied to all the ingested metrics. The path can point either to local file or to http url. The config is reloaded on SIGHUP signal");
  relabel_check_interval_ = set.Duration("relabelConfigCheckInterval", {}, "Interval for checking for changes in '-relabelConfig' file. By default the checking is disabled. Send SIGHUP signal in order to force config check for changes");
  max_insert_request_size_ = set.Bytes("maxInsertRequestSize", 32 << 20, "The maximum size in bytes of a single Prometheus remote_write API request");
  enable_metadata_ = set.Bool("enableMetadata", true, "Whether to enable metadata processing for metrics scraped from targets, received via remote write or exposition formats");
  tenant_from_headers_ = set.Bool("enableMultitenancyViaHeaders", true, "Whether the tenant may be set by the AccountID and ProjectID request headers");
  max_concurrent_inserts_ = set.Int("maxConcurrentInserts", static_cast<int64_t>(2 * sys::AvailableCpus()), "The maximum number of concurrent insert requests");
  max_queue_duration_ = set.Duration("insert.maxQueueDuration", minutes(1), "The maximum duration to wait in the queue when -maxConcurrentInserts concurrent insert requests are executed");
  import_max_line_len_ = set.Bytes("import.maxLineLen", 10 << 20, "The maximum length in bytes of a single line accepted by /api/v1/import");
  opentsdb_http_max_request_size_ = set.Bytes("opentsdbhttp.maxInsertRequestSize", 32 << 20, "The maximum size in bytes of a single OpenTSDB HTTP put request");
  datadog_max_request_size_ = set.Bytes("datadog.maxInsertRequestSize", 64 << 20, "The maximum size in bytes of a single DataDog POST request to /datadog/api/v2/series");
  datadog_sanitize_ = set.Bool("datadog.sanitizeMetricName", true, "Sanitize metric names for the ingested DataDog data to comply with DataDog behaviour");
  newrelic_max_request_size_ = set.Bytes("newrelic.maxInsertRequestSize", 64 << 20, "The maximum size in bytes of a single NewRelic request to /newrelic/infra/v2/metrics/events/bulk");
  zabbix_max_line_len_ = set.Bytes("zabbixconnector.maxLineLen", 32 << 20, "The maximum length in bytes of a single line accepted by /zabbixconnector/api/v1/history");
  zabbix_groups_value_ = set.String("zabbixconnector.addGroupsValue", "", "If set to non-empty value, enables adding Zabbix host groups to labels and set value for these labels");
  zabbix_empty_tags_value_ = set.String("zabbixconnector.addEmptyTagsValue", "", "If set to non-empty value, enables adding Zabbix tags without values to labels and set value for these labels");
  zabbix_duplicate_tags_separator_ = set.String("zabbixconnector.addDuplicateTagsSeparator", "", "If set to non-empty value, enables merging of duplicate Zabbix tag values and set a separator for the values of these labels");
  otlp_max_request_size_ = set.Bytes("opentelemetry.maxRequestSize", 64 << 20, "The maximum size in bytes of a single OpenTelemetry request");
  otlp_promote_scope_ = set.Bool("opentelemetry.promoteScopeMetadata", true, "Whether to promote OTel scope metadata (i.e. name, version, schema URL, and attributes) to metric labels");
  otlp_promote_all_ = set.Bool("opentelemetry.promoteAllResourceAttributes", true, "Whether to promote all resource attributes to labels, except for the ones configured with -opentelemetry.ignoreResourceAttributes");
  otlp_promote_ = set.Array("opentelemetry.promoteResourceAttributes", "Promote specific list of resource attributes to labels");
  otlp_ignore_ = set.Array("opentelemetry.ignoreResourceAttributes", "Resource attributes to ignore when -opentelemetry.promoteAllResourceAttributes is set");
  otlp_prometheus_naming_ = set.Bool("opentelemetry.usePrometheusNaming", false, "Whether to convert metric names and labels into Prometheus-compatible format for OpenTelemetry data");
  otlp_prometheus_metric_names_ = set.Bool("opentelemetry.convertMetricNamesToPrometheus", false, "Whether to convert only metric names into Prometheus-compatible format for OpenTelemetry data");
  otlp_prefix_underscores_ = set.Bool("opentelemetry.labelNameUnderscoreSanitization", true, "Whether to prepend 'key' to labels starting with '_' when -opentelemetry.usePrometheusNaming is set");
  csv_trim_ = set.Duration("csvTrimTimestamp", std::chrono::milliseconds(1), "Trim timestamps when importing csv data to this duration");
  graphite_trim_ = set.Duration("graphiteTrimTimestamp", seconds(1), "Trim timestamps for Graphite data to this duration");
  opentsdb_trim_ = set.Duration("opentsdbTrimTimestamp", seconds(1), "Trim timestamps for OpenTSDB 'telnet put' data to this duration");
  opentsdb_http_trim_ = set.Duration("opentsdbhttpTrimTimestamp", std::chrono::milliseconds(1), "Trim timestamps for OpenTSDB HTTP data to this duration");
  graphite_sanitize_ = set.Bool("graphite.sanitizeMetricName", false, "Sanitize metric names for the ingested Graphite data");
  influx_database_names_ = set.Array("influx.databaseNames", "Comma-separated list of database names to return from influx/query");
  influx_db_label_ = set.String("influxDBLabel", "db", "Default label for the DB name sent over '?db={db_name}' query parameter");
  influx_separator_ = set.String("influxMeasurementFieldSeparator", "_", "Separator for '{measurement}{separator}{field_name}' metric name when inserted via InfluxDB line protocol");
  influx_skip_measurement_ = set.Bool("influxSkipMeasurement", false, "Uses '{field_name}' as a metric name while ignoring '{measurement}' and '-influxMeasurementFieldSeparator'");
  influx_skip_single_field_ = set.Bool("influxSkipSingleField", false, "Uses '{measurement}' instead of '{measurement}{separator}{field_name}' for metric name if InfluxDB line contains only a single field");
  influx_force_stream_mode_ = set.Bool("influx.forceStreamMode", false, "Force stream mode parsing for ingested InfluxDB data");
  influx_max_line_size_ = set.Bytes("influx.maxLineSize", 256 << 10, "The maximum size in bytes for a single InfluxDB line during parsing in stream mode");
  influx_max_request_size_ = set.Bytes("influx.maxRequestSize", 64 << 20, "The maximum size in bytes of a single InfluxDB request in batch mode");
  influx_trim_ = set.Duration("influxTrimTimestamp", std::chrono::milliseconds(1), "Trim timestamps for InfluxDB line protocol data to this duration");
  graphite_addr_ = set.String("graphiteListenAddr", "", "TCP and UDP address to listen for Graphite plaintext data; usually :2003");
  influx_addr_ = set.String("influxListenAddr", "", "TCP and UDP address to listen for InfluxDB line protocol data; usually :8089. There is no need in it for HTTP");
  opentsdb_addr_ = set.String("opentsdbListenAddr", "", "TCP and UDP address to listen for OpenTSDB metrics: telnet put and HTTP /api/put messages; usually :4242");
  opentsdb_http_addr_ = set.String("opentsdbHTTPListenAddr", "", "TCP address to listen for OpenTSDB HTTP put requests; usually :4242");
  const char* proxy_help = "Whether connections at the address begin with a header of the PROXY protocol, version 2";
  graphite_uses_proxy_ = set.Bool("graphiteListenAddr.useProxyProtocol", false, proxy_help);
  influx_uses_proxy_ = set.Bool("influxListenAddr.useProxyProtocol", false, proxy_help);
  opentsdb_uses_proxy_ = set.Bool("opentsdbListenAddr.useProxyProtocol", false, proxy_help);
  opentsdb_http_uses_proxy_ = set.Bool("opentsdbHTTPListenAddr.useProxyProtocol", false, proxy_help);
  cluster_native_addr_ = set.String("clusternativeListenAddr", "", "TCP address to listen for data from other vminsert nodes in multi-level cluster setup; usually :8400");
  cluster_native_shutdown_duration_ = set.Duration("clusternative.vminsertConnsShutdownDuration", seconds(25), "The time needed for gradual closing of upstream vminsert connections during graceful shutdown");
  disable_rpc_compression_ = set.Bool("rpc.disableCompression", false, "Whether to disable compression of data sent to old vmstorage nodes");
  handshake_timeout_ = set.Duration("rpc.handshakeTimeout", seconds(5), "Timeout for RPC handshake between vminsert/vmselect and vmstorage");
  dial_timeout_ = set.Duration("vmstorageDialTimeout", seconds(3), "Timeout for establishing RPC connections from vminsert to vmstorage");
  user_timeout_ = set.Duration("vmstorageUserTimeout", seconds(3), "Network timeout for RPC connections from vminsert to vmstorage (Linux only)");
}

std::vector<std::string> InsertFlags::StorageNodes() const {
  if (storage_nodes_->empty()) VM_FATAL("missing -storageNode arg");
  std::vector<std::string> nodes = *storage_nodes_;
  std::sort(nodes.begin(), nodes.end());
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].empty()) {
      VM_FATAL("found empty address of storage node in the -storageNodes flag, please make sure that all -storageNode args are non-empty");
    }
    if (i > 0 && nodes[i] == nodes[i - 1]) {
      VM_FATAL("found equal addresses of storage nodes in the -storageNodes flag: \"{}\"", nodes[i]);
    }
    const Result<std::string> address = net::NormalizeAddr(nodes[i], 8400);
    if (!address.ok() || nodes[i].find('/') != std::string::npos) {
      VM_FATAL("cannot parse -storageNode=\"{}\": it must be host or host:port", nodes[i]);
    }
  }
  for (const int64_t length : {*max_label_name_len_, *max_label_value_len_}) {
    if (length < 1 || length > 65535) {
      VM_FATAL("-maxLabelNameLen and -maxLabelValueLen must be in the range [1..65535]; got {}", length);
    }
  }
  return nodes;
}

std::chrono::milliseconds InsertFlags::cluster_native_shutdown_duration() const {
  return InMilliseconds(*cluster_native_shutdown_duration_);
}

std::chrono::milliseconds InsertFlags::handshake_timeout() const { return InMilliseconds(*handshake_timeout_); }

InsertOptions InsertFlags::Inserting(size_t nodes_count, int64_t allowed_memory_bytes) const {
  InsertOptions options;
  options.prepare.max_labels_per_series = static_cast<size_t>(std::max<int64_t>(*max_labels_, 0));
  options.prepare.max_label_name_bytes = static_cast<size_t>(*max_label_name_len_);
  options.prepare.max_label_value_bytes = static_cast<size_t>(*max_label_value_len_);
  options.prepare.sort_labels = *sort_labels_;
  options.prepare.prometheus_naming = *prometheus_naming_;
  options.max_insert_request_bytes = static_cast<size_t>(std::max<int64_t>(*max_insert_request_size_, 0));
  options.max_concurrent_inserts = static_cast<size_t>(std::max<int64_t>(*max_concurrent_inserts_, 1));
  options.max_batch_bytes = static_cast<size_t>(
      std::clamp(allowed_memory_bytes / 4 / static_cast<int64_t>(options.max_concurrent_inserts) /
                     static_cast<int64_t>(nodes_count),
                 kMinBufferBytes, kMaxBufferBytes));
  options.max_turn_bytes = static_cast<size_t>(std::clamp(
      allowed_memory_bytes / 8 / static_cast<int64_t>(options.max_concurrent_inserts), kMinBufferBytes, kMaxTurnBytes));
  options.max_queue_duration = InMilliseconds(*max_queue_duration_);
  options.tenant_from_headers = *tenant_from_headers_;
  options.is_metadata_enabled = *enable_metadata_;
  const auto size_of = [](const int64_t* flag) { return static_cast<size_t>(std::max<int64_t>(*flag, 0)); };
  options.max_json_line_bytes = size_of(import_max_line_len_);
  options.max_opentsdb_request_bytes = size_of(opentsdb_http_max_request_size_);
  options.max_datadog_request_bytes = size_of(datadog_max_request_size_);
  options.sanitize_datadog_names = *datadog_sanitize_;
  options.max_newrelic_request_bytes = size_of(newrelic_max_request_size_);
  options.max_zabbix_line_bytes = size_of(zabbix_max_line_len_);
  options.zabbix = {*zabbix_groups_value_, *zabbix_empty_tags_value_, *zabbix_duplicate_tags_separator_};
  options.max_otlp_request_bytes = size_of(otlp_max_request_size_);
  if (*otlp_promote_all_ && !otlp_promote_->empty()) {
    VM_FATAL("cannot set both '-opentelemetry.promoteAllResourceAttributes' and '-opentelemetry.promoteResourceAttributes'");
  }
  if (!*otlp_promote_all_ && !otlp_ignore_->empty()) {
    VM_FATAL("'-opentelemetry.ignoreResourceAttributes' can only be set when '-opentelemetry.promoteAllResourceAttributes' is true.");
  }
  const std::vector<std::string>& listed = *otlp_promote_all_ ? *otlp_ignore_ : *otlp_promote_;
  options.otlp.resource_attributes.insert(listed.begin(), listed.end());
  options.otlp.promote_all_resource_attributes = *otlp_promote_all_;
  options.otlp.promote_scope = *otlp_promote_scope_;
  options.otlp.prometheus_naming = *otlp_prometheus_naming_;
  options.otlp.prometheus_metric_names = *otlp_prometheus_metric_names_;
  options.otlp.prefix_underscores = *otlp_prefix_underscores_;
  options.csv_trim_ms = InMilliseconds(*csv_trim_).count();
  options.graphite_trim_ms = InMilliseconds(*graphite_trim_).count();
  options.opentsdb_trim_ms = InMilliseconds(*opentsdb_trim_).count();
  options.opentsdb_http_trim_ms = InMilliseconds(*opentsdb_http_trim_).count();
  options.graphite.sanitize_metric_name = *graphite_sanitize_;
  options.influx.database_names = *influx_database_names_;
  options.influx.db_label = *influx_db_label_;
  options.influx.separator = *influx_separator_;
  options.influx.skip_measurement = *influx_skip_measurement_;
  options.influx.skip_single_field = *influx_skip_single_field_;
  options.influx.force_stream_mode = *influx_force_stream_mode_;
  options.influx.max_line_bytes = size_of(influx_max_line_size_);
  options.influx.max_request_bytes = size_of(influx_max_request_size_);
  options.influx.trim_timestamp_ms = InMilliseconds(*influx_trim_).count();
  return options;
}

std::chrono::milliseconds InsertFlags::relabel_check_interval() const { return InMilliseconds(*relabel_check_interval_); }

ShipOptions InsertFlags::Shipping(size_t nodes_count, int64_t allowed_memory_bytes) const {
  ShipOptions options;
  options.replication_factor = static_cast<size_t>(std::max<int64_t>(*replication_factor_, 1));
  options.max_node_buffer_bytes = static_cast<size_t>(
      std::clamp(allowed_memory_bytes / 4 / static_cast<int64_t>(nodes_count) / 2, kMinBufferBytes,
                 kMaxBufferBytes));
  options.drop_samples_on_overload = *drop_samples_on_overload_;
  options.disable_rerouting_on_unavailable = *disable_rerouting_on_unavailable_;
  options.reroute_from_slow_nodes = !*disable_rerouting_ && options.replication_factor == 1;
  if (options.replication_factor > 1 && !*disable_rerouting_) {
    VM_LOG_WARN("disabling slowness rerouting (controlled by -disableRerouting) because replicationFactor={} > 1; slowness "
                "rerouting is incompatible with replication and may cause data inconsistencies or even loss",
                options.replication_factor);
  }
  return options;
}

rpc::InsertConnOptions InsertFlags::Connections() const {
  rpc::InsertConnOptions options;
  options.dial.timeout = InMilliseconds(*dial_timeout_);
  options.dial.user_timeout = InMilliseconds(*user_timeout_);
  options.handshake_timeout = InMilliseconds(*handshake_timeout_);
  options.disable_compression = *disable_rpc_compression_;
  return options;
}

}  // namespace vm::insert
