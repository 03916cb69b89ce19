#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "insert/http/options.h"
#include "insert/parse/csv/columns.h"
#include "insert/parse/graphite/graphite.h"
#include "insert/parse/influx/influx.h"
#include "insert/parse/native/native.h"
#include "insert/parse/remotewrite/body.h"
#include "insert/parse/zabbix/zabbix.h"
#include "insert/prepare/extra_labels.h"
#include "insert/prepare/prepare.h"
#include "insert/shard/shard.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/hash/rendezvous.h"
#include "lib/log/log.h"
#include "lib/relabel/relabel.h"

namespace vm::insert {

/// At most one warning of a kind in 5 s.
struct LimitThrottles {
  log::Throttle too_many_labels{std::chrono::seconds(5)};
  log::Throttle too_long_name{std::chrono::seconds(5)};
  log::Throttle too_long_value{std::chrono::seconds(5)};
};

/// What holds for all bodies of one request.
struct IngestContext {
  const hash::Rendezvous* placement = nullptr;
  size_t max_batch_bytes = 30 << 20;
  PrepareOptions prepare;
  std::optional<model::Tenant> tenant;  // None: from the labels of each series.
  std::vector<ExtraLabel> extra_labels;
  std::shared_ptr<const relabel::Rules> relabeling;  // Null: none.
  bool is_metadata_enabled = true;
  BufferPool* buffers = nullptr;        // Null: each body gets its own memory.
  LimitThrottles* throttles = nullptr;  // Null: dropped series are counted only.
};

/// Longer lines are rare and have their cost elsewhere.
inline constexpr size_t kMaxPlainLine = 64 << 10;

/// The rows of one body, ready to be pushed, and what to count for them.
struct IngestOutput {
  std::vector<NodeBatch> samples;
  std::vector<NodeBatch> metadata;
  std::map<model::Tenant, size_t> tenant_rows;
  size_t rows_count = 0;
  size_t metadata_count = 0;
  size_t invalid_lines_count = 0;
  size_t relabeled_away_count = 0;  // Series of which relabeling left nothing.
  size_t too_many_labels_count = 0;
  size_t too_long_label_name_count = 0;
  size_t too_long_label_value_count = 0;
  size_t too_long_metadata_count = 0;
  std::vector<std::string> errors;    // About bad lines, for the log; at most kMaxErrors.
  std::vector<std::string> warnings;  // About dropped series, for the log.

  void AddError(std::string_view message) {
    if (errors.size() < kMaxErrors) errors.emplace_back(message);
  }
  static constexpr size_t kMaxErrors = 10;
};

/// Whole lines of text exposition to batches. Samples without a time get `default_timestamp`. Bad lines are
/// skipped, counted and reported. Pure: for a pool.
IngestOutput IngestText(std::string_view lines, int64_t default_timestamp,
                        const IngestContext& context);

/// A packed remote write body to batches. Errors: kInvalidInput. Pure: for a pool.
Result<IngestOutput> IngestRemoteWrite(ByteView body, const RemoteWriteBodyOptions& body_options,
                                       const IngestContext& context);

/// Lines of /api/v1/import. Bad lines are skipped, counted and reported; so they are below. Pure: for a pool.
IngestOutput IngestJsonLines(std::string_view lines, const IngestContext& context);

/// CSV lines. Samples without a time get `now_ms`; times are cut to multiples of `trim_ms`. `is_first`: the first line may be a header.
IngestOutput IngestCsv(std::string_view lines, std::span<const CsvColumn> columns, bool is_first, int64_t trim_ms,
                       int64_t now_ms, const IngestContext& context);

/// Whole parts of a native body. Errors: kInvalidInput.
Result<IngestOutput> IngestNative(NativeReader& reader, ByteView whole, const IngestContext& context);

/// InfluxDB lines; `db` is the argument of the request. Errors: kInvalidInput for a bad line without `skip_bad_lines`.
Result<IngestOutput> IngestInflux(std::string_view lines, const InfluxTimestamps& timestamps, std::string_view db,
                                  bool skip_bad_lines, int64_t now_ms, const InfluxOptions& options,
                                  const IngestContext& context);

/// Graphite lines; lines without a time or with -1 get `now_ms`, in whole seconds.
IngestOutput IngestGraphite(std::string_view lines, const GraphiteOptions& options, int64_t trim_ms, int64_t now_ms,
                            const IngestContext& context);

/// OpenTSDB telnet lines and JSON bodies.
IngestOutput IngestOpentsdbTelnet(std::string_view lines, int64_t trim_ms, int64_t now_ms, const IngestContext& context);
Result<IngestOutput> IngestOpentsdbPut(std::string_view body, int64_t trim_ms, int64_t now_ms,
                                       const IngestContext& context);

/// DataDog series: v1 as JSON, v2 as JSON or protobuf. Points without a time get `now_ms`, in whole seconds. Errors: kInvalidInput.
enum class DatadogFormat : uint8_t { kV1, kV2Json, kV2Protobuf };
Result<IngestOutput> IngestDatadog(ByteView body, DatadogFormat format, bool sanitize_names, int64_t now_ms,
                                   const IngestContext& context);

/// DataDog sketches: each becomes series of quantiles, sum, count, min and max. Errors: kInvalidInput.
Result<IngestOutput> IngestDatadogSketches(ByteView body, bool sanitize_names, const IngestContext& context);

/// New Relic events; those without a time get `now_ms`, in whole seconds. Errors: kInvalidInput.
Result<IngestOutput> IngestNewrelic(std::string_view body, int64_t now_ms, const IngestContext& context);

/// Lines of the Zabbix connector.
IngestOutput IngestZabbix(std::string_view lines, const ZabbixOptions& options, const IngestContext& context);

/// An OpenTelemetry request, inside of an AWS Firehose envelope or not. Errors: kInvalidInput.
Result<IngestOutput> IngestOtlp(ByteView body, bool is_firehose, const OtlpOptions& options, const IngestContext& context);

/// Rows as another vminsert sends them: they keep their tenants and get nodes of our own. Broken rows end the packet. Errors: kCorrupted.
Result<IngestOutput> IngestMetricRows(ByteView rows, const IngestContext& context);
Result<IngestOutput> IngestMetadataRows(ByteView rows, const IngestContext& context);

}  // namespace vm::insert
