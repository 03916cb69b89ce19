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
#include "insert/parse/rows/steps.h"
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
  size_t max_turn_bytes = 8 << 20;  // Rows that are made before they are taken away, but for the last one.
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

/// Rows of one body, ready to be pushed, and what to count for all of them.
struct IngestOutput {
  std::vector<NodeBatch> samples;   // Those of this turn, to be taken away.
  std::vector<NodeBatch> metadata;
  bool is_short_turn = false;       // The next step shall be short: its thread has other duties.
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

// Bodies to batches. The steps pause whenever about `max_turn_bytes` of rows are in `output`, from where they are to be taken; a few
// bytes of a body can make a million times as many of rows. Views, references and `output` must outlive the steps. They compute: for a pool.

/// Whole lines of text exposition. Samples without a time get `default_timestamp`. Bad lines are skipped, counted and reported.
Steps IngestText(std::string_view lines, int64_t default_timestamp, IngestContext context, IngestOutput& output);

/// A packed remote write body. Errors: kInvalidInput.
Steps IngestRemoteWrite(ByteView body, RemoteWriteBodyOptions body_options, IngestContext context, IngestOutput& output);

/// Lines of /api/v1/import. Bad lines are skipped, counted and reported; so they are below.
Steps IngestJsonLines(std::string_view lines, IngestContext context, IngestOutput& output);

/// CSV lines. Samples without a time get `now_ms`; times are cut to multiples of `trim_ms`. `is_first`: the first line may be a header.
Steps IngestCsv(std::string_view lines, std::span<const CsvColumn> columns, bool is_first, int64_t trim_ms, int64_t now_ms,
                IngestContext context, IngestOutput& output);

/// Whole parts of a native body. Errors: kInvalidInput.
Steps IngestNative(NativeReader& reader, ByteView whole, IngestContext context, IngestOutput& output);

/// InfluxDB lines; `db` is the argument of the request. Errors: kInvalidInput for a bad line without `skip_bad_lines`.
Steps IngestInflux(std::string_view lines, InfluxTimestamps timestamps, std::string_view db, bool skip_bad_lines,
                   int64_t now_ms, const InfluxOptions& options, IngestContext context, IngestOutput& output);

/// Graphite lines; lines without a time or with -1 get `now_ms`, in whole seconds.
Steps IngestGraphite(std::string_view lines, const GraphiteOptions& options, int64_t trim_ms, int64_t now_ms,
                     IngestContext context, IngestOutput& output);

/// OpenTSDB telnet lines and JSON bodies.
Steps IngestOpentsdbTelnet(std::string_view lines, int64_t trim_ms, int64_t now_ms, IngestContext context,
                           IngestOutput& output);
Steps IngestOpentsdbPut(std::string_view body, int64_t trim_ms, int64_t now_ms, IngestContext context, IngestOutput& output);

/// DataDog series: v1 as JSON, v2 as JSON or protobuf. Points without a time get `now_ms`, in whole seconds. Errors: kInvalidInput.
enum class DatadogFormat : uint8_t { kV1, kV2Json, kV2Protobuf };
Steps IngestDatadog(ByteView body, DatadogFormat format, bool sanitize_names, int64_t now_ms, IngestContext context,
                    IngestOutput& output);

/// DataDog sketches: each becomes series of quantiles, sum, count, min and max. Errors: kInvalidInput.
Steps IngestDatadogSketches(ByteView body, bool sanitize_names, IngestContext context, IngestOutput& output);

/// New Relic events; those without a time get `now_ms`, in whole seconds. Errors: kInvalidInput.
Steps IngestNewrelic(std::string_view body, int64_t now_ms, IngestContext context, IngestOutput& output);

/// Lines of the Zabbix connector.
Steps IngestZabbix(std::string_view lines, const ZabbixOptions& options, IngestContext context, IngestOutput& output);

/// An OpenTelemetry request, inside of an AWS Firehose envelope or not. Errors: kInvalidInput.
Steps IngestOtlp(ByteView body, bool is_firehose, const OtlpOptions& options, IngestContext context, IngestOutput& output);

/// Rows as another vminsert sends them: they keep their tenants and get nodes of our own. Broken rows end the packet. Errors: kCorrupted.
Steps IngestMetricRows(ByteView rows, IngestContext context, IngestOutput& output);
Steps IngestMetadataRows(ByteView rows, IngestContext context, IngestOutput& output);

}  // namespace vm::insert
