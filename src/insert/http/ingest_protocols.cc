#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "insert/http/ingest.h"
#include "insert/http/series_writer.h"
#include "insert/parse/csv/csv.h"
#include "insert/parse/datadog/datadog.h"
#include "insert/parse/datadog/sketches.h"
#include "insert/parse/json/json.h"
#include "insert/parse/newrelic/newrelic.h"
#include "insert/parse/opentsdb/put.h"
#include "insert/parse/opentsdb/telnet.h"
#include "insert/parse/otlp/firehose.h"
#include "insert/parse/otlp/otlp.h"
#include "insert/parse/rows/parsed_rows.h"
#include "insert/parse/vmimport/json_lines.h"
#include "insert/parse/vmimport/plain_json_line.h"
#include "lib/model/rows.h"

namespace vm::insert {
namespace {

/// Rows with one value each.
class RowsWriter {
 public:
  /// All must outlive the writer.
  RowsWriter(const ParsedRows& rows, SeriesWriter& writer, IngestOutput& output) : rows_(rows), writer_(writer) {
    output.rows_count += rows.rows.size();
    output.invalid_lines_count += rows.bad_count;
  }

  /// `to_ms` makes Unix milliseconds of their times. True: pause and go on.
  template <class ToMs>
  bool Next(ToMs to_ms) {
    while (next_ < rows_.rows.size()) {
      const ParsedRow& row = rows_.rows[next_++];
      writer_.BeginLabels();
      writer_.Add(model::LabelView{"", row.metric});
      for (const model::LabelView& label : rows_.LabelsOf(row)) writer_.Add(label);
      if (!writer_.EndLabels()) continue;
      writer_.AddSample(to_ms(row.timestamp), row.value);
      if (writer_.HandOverIfFull()) return true;
    }
    return false;
  }

 private:
  const ParsedRows& rows_;
  SeriesWriter& writer_;
  size_t next_ = 0;
};

int64_t Trim(int64_t timestamp, int64_t trim_ms, int64_t min_trim_ms) {
  return trim_ms > min_trim_ms ? timestamp - timestamp % trim_ms : timestamp;
}

/// Seconds of 32 bits and milliseconds, told apart by their size.
int64_t OpentsdbMs(int64_t timestamp, int64_t now_ms) {
  return OpentsdbTimestampMs(timestamp == 0 ? now_ms / 1000 : timestamp);
}

/// What a DataDog sketch becomes beside its quantiles.
struct SketchTotal {
  std::string_view suffix;
  double (*value_of)(const DatadogSketchPoint& point);
};
constexpr SketchTotal kSketchTotals[] = {
    {".sum", [](const DatadogSketchPoint& point) { return point.sum; }},
    {".count", [](const DatadogSketchPoint& point) { return static_cast<double>(point.count); }},
    {".min", [](const DatadogSketchPoint& point) { return point.min; }},
    {".max", [](const DatadogSketchPoint& point) { return point.max; }}};

/// Tenant and labels of a name as vminsert sends it, as views into it.
bool TakeRawLabels(ByteView raw, model::Tenant& tenant, std::vector<model::LabelView>& labels) {
  labels.clear();
  if (raw.size() < 8) return false;
  tenant.account_id = TakeBigEndian<uint32_t>(raw);
  tenant.project_id = TakeBigEndian<uint32_t>(raw);
  const auto take = [&raw](std::string_view& text) {
    if (raw.size() < 2) return false;
    const size_t size = TakeBigEndian<uint16_t>(raw);
    if (raw.size() < size) return false;
    text = AsText(raw.first(size));
    raw = raw.subspan(size);
    return true;
  };
  while (!raw.empty()) {
    model::LabelView& label = labels.emplace_back();
    if (!take(label.name) || !take(label.value)) return false;
  }
  return true;
}

}  // namespace

Steps IngestJsonLines(std::string_view lines, IngestContext context, IngestOutput& output) {
  SeriesWriter writer(context, output);
  JsonLinesReader reader;
  reader.Start(lines, [&](std::string_view message) { output.AddError(message); });
  PlainJsonLine plain;
  const PlainSeriesLimits limits = writer.plain_limits();
  const char* const readable_end = lines.data() + lines.size();
  const bool takes_plain = writer.TakesPlainSeries();
  std::string_view line;
  while (reader.NextLine(line)) {
    std::span<const double> values;
    std::span<const int64_t> timestamps;
    if (takes_plain && line.size() <= kMaxPlainLine &&
        ReadPlainJsonLine(line, readable_end, limits, writer.PlaceForLabels(line.size() + kPlainSeriesSlack), plain)) {
      values = plain.values;
      timestamps = plain.timestamps;
      output.rows_count += values.size();
      // The name places its series as an empty label does.
      writer.BeginPlacedSeries(plain.labels_size, std::string_view::npos);
    } else {
      const JsonLine* const parsed = reader.Read(line);
      if (parsed == nullptr) continue;
      values = parsed->values;
      timestamps = parsed->timestamps;
      output.rows_count += values.size();
      writer.BeginLabels();
      for (model::LabelView label : parsed->labels) {
        // As above.
        if (label.name == "__name__") label.name = {};
        writer.Add(label);
      }
      if (!writer.EndLabels()) continue;
    }
    for (size_t i = 0; i < values.size(); ++i) {
      writer.AddSample(timestamps[i], values[i]);
      if (writer.HandOverIfFull()) co_yield kPause;
    }
  }
  output.invalid_lines_count += reader.bad_count();
  writer.HandOver();
  co_return Ok();
}

Steps IngestCsv(std::string_view lines, std::span<const CsvColumn> columns, bool is_first, int64_t trim_ms, int64_t now_ms,
                IngestContext context, IngestOutput& output) {
  SeriesWriter writer(context, output);
  ParsedRows rows;
  ParseCsv(rows, lines, columns, is_first, [&](std::string_view message) { output.AddError(message); });
  const auto to_ms = [&](int64_t timestamp) { return Trim(timestamp == 0 ? now_ms : timestamp, trim_ms, 1); };
  RowsWriter rows_writer(rows, writer, output);
  while (rows_writer.Next(to_ms)) co_yield kPause;
  writer.HandOver();
  co_return Ok();
}

Steps IngestNative(NativeReader& reader, ByteView whole, IngestContext context, IngestOutput& output) {
  SeriesWriter writer(context, output);
  for (;;) {
    const Result<const NativeBlock*> next = reader.Next(whole);
    if (!next.ok()) co_return next.error();
    if (next.value() == nullptr) break;
    const NativeBlock& block = *next.value();
    output.rows_count += block.values.size();
    if (block.values.empty()) continue;
    writer.BeginLabels();
    writer.Add(model::LabelView{"", block.name.metric_group});
    for (const model::Tag& tag : block.name.tags) writer.Add(model::LabelView{tag.key, tag.value});
    if (!writer.EndLabels()) continue;
    for (size_t i = 0; i < block.values.size(); ++i) {
      writer.AddSample(block.timestamps[i], block.values[i]);
      if (writer.HandOverIfFull()) co_yield kPause;
    }
  }
  writer.HandOver();
  co_return Ok();
}

Steps IngestInflux(std::string_view lines, InfluxTimestamps timestamps, std::string_view db, bool skip_bad_lines,
                   int64_t now_ms, const InfluxOptions& options, IngestContext context, IngestOutput& output) {
  // The limit on labels does not count the name here.
  if (context.prepare.max_labels_per_series > 0) ++context.prepare.max_labels_per_series;
  SeriesWriter writer(context, output);
  InfluxLines parsed;
  VM_CO_TRY(parsed.Parse(lines, skip_bad_lines, [&](std::string_view message) { output.AddError(message); }));
  output.invalid_lines_count += parsed.bad_count();
  std::string name;
  for (const InfluxRow& row : parsed.rows()) {
    output.rows_count += row.fields_count;
    const auto labels = parsed.labels(row);
    const bool has_db = std::any_of(labels.begin(), labels.end(),
                                    [&](const model::LabelView& label) { return label.name == options.db_label; });
    const int64_t timestamp = timestamps.ToMs(row.timestamp, now_ms);
    const bool skips_field = !row.measurement.empty() && row.fields_count == 1 && options.skip_single_field;
    name.clear();
    if (!options.skip_measurement) name = row.measurement;
    if (!name.empty() && !skips_field) name += options.separator;
    const size_t prefix_size = name.size();
    for (const InfluxField& field : parsed.fields(row)) {
      name.resize(prefix_size);
      if (!skips_field) name += field.key;
      writer.BeginLabels();
      for (const model::LabelView& label : labels) writer.Add(label);
      if (!has_db) writer.Add(model::LabelView{options.db_label, db});
      // The name comes last, as in the reference: it decides about the node.
      writer.AddExtraLabels();
      writer.Add(model::LabelView{"", name});
      if (!writer.EndLabels(false)) continue;
      writer.AddSample(timestamp, field.value);
      if (writer.HandOverIfFull()) co_yield kPause;
    }
  }
  writer.HandOver();
  co_return Ok();
}

Steps IngestGraphite(std::string_view lines, const GraphiteOptions& options, int64_t trim_ms, int64_t now_ms,
                     IngestContext context, IngestOutput& output) {
  SeriesWriter writer(context, output);
  ParsedRows rows;
  ParseGraphite(rows, lines, options, [&](std::string_view message) { output.AddError(message); });
  const auto to_ms = [&](int64_t seconds) {
    if (seconds == 0 || seconds == -1) seconds = now_ms / 1000;
    // Overflow wraps as it does in the reference.
    return Trim(static_cast<int64_t>(static_cast<uint64_t>(seconds) * 1000), trim_ms, 1000);
  };
  RowsWriter rows_writer(rows, writer, output);
  while (rows_writer.Next(to_ms)) co_yield kPause;
  writer.HandOver();
  co_return Ok();
}

Steps IngestOpentsdbTelnet(std::string_view lines, int64_t trim_ms, int64_t now_ms, IngestContext context,
                           IngestOutput& output) {
  SeriesWriter writer(context, output);
  ParsedRows rows;
  ParseOpentsdbTelnet(rows, lines, [&](std::string_view message) { output.AddError(message); });
  const auto to_ms = [&](int64_t timestamp) { return Trim(OpentsdbMs(timestamp, now_ms), trim_ms, 1000); };
  RowsWriter rows_writer(rows, writer, output);
  while (rows_writer.Next(to_ms)) co_yield kPause;
  writer.HandOver();
  co_return Ok();
}

Steps IngestOpentsdbPut(std::string_view body, int64_t trim_ms, int64_t now_ms, IngestContext context,
                        IngestOutput& output) {
  SeriesWriter writer(context, output);
  ParsedRows rows;
  JsonDocument document;
  VM_CO_TRY(ParseOpentsdbPut(rows, document, body, [&](std::string_view message) { output.AddError(message); }));
  const auto to_ms = [&](int64_t timestamp) { return Trim(OpentsdbMs(timestamp, now_ms), trim_ms, 1); };
  RowsWriter rows_writer(rows, writer, output);
  while (rows_writer.Next(to_ms)) co_yield kPause;
  writer.HandOver();
  co_return Ok();
}

Steps IngestDatadog(ByteView body, DatadogFormat format, bool sanitize_names, int64_t now_ms, IngestContext context,
                    IngestOutput& output) {
  SeriesWriter writer(context, output);
  DatadogRequest request;
  switch (format) {
    case DatadogFormat::kV1: VM_CO_TRY(request.ParseV1(AsText(body))); break;
    case DatadogFormat::kV2Json: VM_CO_TRY(request.ParseV2Json(AsText(body))); break;
    case DatadogFormat::kV2Protobuf: VM_CO_TRY(request.ParseV2Protobuf(body)); break;
  }
  std::string name;
  for (const DatadogSeries& series : request.series()) {
    output.rows_count += series.points_count;
    name = sanitize_names ? SanitizeDatadogName(series.metric) : std::string(series.metric);
    writer.BeginLabels();
    writer.Add(model::LabelView{"", name});
    for (const model::LabelView& label : request.labels(series)) writer.Add(label);
    if (!writer.EndLabels()) continue;
    for (const DatadogPoint& point : request.points(series)) {
      writer.AddSample(point.timestamp > 0 ? point.timestamp : now_ms - now_ms % 1000, point.value);
      if (writer.HandOverIfFull()) co_yield kPause;
    }
  }
  writer.HandOver();
  co_return Ok();
}

Steps IngestDatadogSketches(ByteView body, bool sanitize_names, IngestContext context, IngestOutput& output) {
  SeriesWriter writer(context, output);
  DatadogSketches request;
  VM_CO_TRY(request.Parse(body));
  std::string name;
  for (const DatadogSketch& sketch : request.sketches()) {
    const auto points = request.points(sketch);
    if (points.empty()) continue;
    name = sanitize_names ? SanitizeDatadogName(sketch.metric) : std::string(sketch.metric);
    const size_t name_size = name.size();
    for (size_t i = 0; i < kDatadogQuantiles.size() + std::size(kSketchTotals); ++i) {
      const DatadogQuantile* const quantile = i < kDatadogQuantiles.size() ? &kDatadogQuantiles[i] : nullptr;
      const SketchTotal* const total = quantile == nullptr ? &kSketchTotals[i - kDatadogQuantiles.size()] : nullptr;
      name.resize(name_size);
      if (total != nullptr) name += total->suffix;
      output.rows_count += points.size();
      writer.BeginLabels();
      writer.Add(model::LabelView{"host", sketch.host});
      writer.Add(model::LabelView{"", name});
      if (quantile != nullptr) writer.Add(model::LabelView{"quantile", quantile->text});
      for (const std::string_view tag : request.tags(sketch)) writer.Add(SplitDatadogTag(tag));
      if (!writer.EndLabels()) continue;
      for (const DatadogSketchPoint& point : points) {
        const double value = quantile != nullptr ? request.Quantile(point, quantile->value) : total->value_of(point);
        writer.AddSample(point.timestamp, value);
        if (writer.HandOverIfFull()) co_yield kPause;
      }
    }
  }
  writer.HandOver();
  co_return Ok();
}

Steps IngestNewrelic(std::string_view body, int64_t now_ms, IngestContext context, IngestOutput& output) {
  SeriesWriter writer(context, output);
  NewrelicEvents events;
  VM_CO_TRY(events.Parse(body));
  for (const NewrelicEvent& event : events.events()) {
    output.rows_count += event.samples_count;
    const int64_t timestamp = event.timestamp == 0 ? now_ms - now_ms % 1000 : event.timestamp;
    for (const NewrelicSample& sample : events.samples(event)) {
      writer.BeginLabels();
      writer.Add(model::LabelView{"", sample.name});
      for (const model::LabelView& label : events.labels(event)) writer.Add(label);
      if (!writer.EndLabels()) continue;
      writer.AddSample(timestamp, sample.value);
      if (writer.HandOverIfFull()) co_yield kPause;
    }
  }
  writer.HandOver();
  co_return Ok();
}

Steps IngestZabbix(std::string_view lines, const ZabbixOptions& options, IngestContext context, IngestOutput& output) {
  SeriesWriter writer(context, output);
  ZabbixReader reader(options);
  reader.Start(lines, [&](std::string_view message) { output.AddError(message); });
  while (const ZabbixRow* row = reader.Next()) {
    ++output.rows_count;
    writer.BeginLabels();
    for (const model::LabelView& label : row->labels) writer.Add(label);
    if (!writer.EndLabels()) continue;
    writer.AddSample(row->timestamp, row->value);
    if (writer.HandOverIfFull()) co_yield kPause;
  }
  output.invalid_lines_count += reader.bad_count();
  writer.HandOver();
  co_return Ok();
}

namespace {

class OtlpWriter : public OtlpSink {
 public:
  OtlpWriter(const IngestContext& context, IngestOutput& output)
      : context_(context), output_(output), writer_(context, output) {}

  void OnSample(std::span<const model::LabelView> labels, int64_t timestamp, double value) override {
    ++output_.rows_count;
    writer_.BeginLabels();
    for (const model::LabelView& label : labels) writer_.Add(label);
    if (writer_.EndLabels()) writer_.AddSample(timestamp, value);
  }
  void OnMetadata(std::string_view name, uint32_t type, std::string_view help, std::string_view unit) override {
    if (!context_.is_metadata_enabled) return;
    ++output_.metadata_count;
    model::MetadataRow row;
    if (context_.tenant) row.tenant = *context_.tenant;
    row.type = type;
    row.name = name;
    row.help = help;
    row.unit = unit;
    writer_.AddMetadata(row);
  }
  bool ShouldPause() override { return writer_.HandOverIfFull(); }
  void HandOver() { writer_.HandOver(); }

 private:
  const IngestContext& context_;
  IngestOutput& output_;
  SeriesWriter writer_;
};

}  // namespace

Steps IngestOtlp(ByteView body, bool is_firehose, const OtlpOptions& options, IngestContext context, IngestOutput& output) {
  ByteBuffer unpacked;
  if (is_firehose) {
    if (Status status = UnpackFirehose(unpacked, AsText(body)); !status.ok()) {
      co_return std::move(status).error().WithContext("cannot process request body");
    }
    body = unpacked;
  }
  OtlpWriter writer(context, output);
  Steps steps = ParseOtlp(body, options, writer);
  for (;;) {
    const Result<bool> has_more = steps.Next();
    if (!has_more.ok()) co_return has_more.error();
    if (!has_more.value()) break;
    co_yield kPause;
  }
  writer.HandOver();
  co_return Ok();
}

Steps IngestMetricRows(ByteView rows, IngestContext context, IngestOutput& output) {
  SeriesWriter writer(context, output);
  std::vector<model::LabelView> labels;
  ByteView last_name;
  bool is_kept = false;
  while (!rows.empty()) {
    VM_CO_ASSIGN_OR_RETURN(const model::MetricRow row, model::TakeMetricRow(rows));
    // Samples of one series follow each other.
    if (output.rows_count == 0 || !Equal(row.metric_name_raw, last_name)) {
      model::Tenant tenant;
      if (!TakeRawLabels(row.metric_name_raw, tenant, labels)) {
        co_return Error(ErrorCode::kCorrupted, "cannot unmarshal MetricNameRaw");
      }
      last_name = row.metric_name_raw;
      is_kept = writer.SetSeries(tenant, labels);
    }
    ++output.rows_count;
    if (!is_kept) continue;
    writer.AddSample(row.timestamp, row.value);
    if (writer.HandOverIfFull()) co_yield kPause;
  }
  writer.HandOver();
  co_return Ok();
}

Steps IngestMetadataRows(ByteView rows, IngestContext context, IngestOutput& output) {
  SeriesWriter writer(context, output);
  while (!rows.empty()) {
    VM_CO_ASSIGN_OR_RETURN(const model::MetadataRow row, model::TakeMetadataRow(rows));
    ++output.metadata_count;
    writer.AddMetadata(row);
    if (writer.HandOverIfFull()) co_yield kPause;
  }
  writer.HandOver();
  co_return Ok();
}

}  // namespace vm::insert
