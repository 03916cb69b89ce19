#include <algorithm>
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

/// Rows with one value each; `to_ms` makes Unix milliseconds of their times.
template <class ToMs>
void WriteRows(const ParsedRows& rows, SeriesWriter& writer, IngestOutput& output, ToMs to_ms) {
  output.rows_count += rows.rows.size();
  output.invalid_lines_count += rows.bad_count;
  for (const ParsedRow& row : rows.rows) {
    writer.BeginLabels();
    writer.Add(model::LabelView{"", row.metric});
    for (const model::LabelView& label : rows.LabelsOf(row)) writer.Add(label);
    if (!writer.EndLabels()) continue;
    writer.AddSample(to_ms(row.timestamp), row.value);
  }
}

int64_t Trim(int64_t timestamp, int64_t trim_ms, int64_t min_trim_ms) {
  return trim_ms > min_trim_ms ? timestamp - timestamp % trim_ms : timestamp;
}

/// Seconds of 32 bits and milliseconds, told apart by their size.
int64_t OpentsdbMs(int64_t timestamp, int64_t now_ms) {
  return OpentsdbTimestampMs(timestamp == 0 ? now_ms / 1000 : timestamp);
}

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

IngestOutput IngestJsonLines(std::string_view lines, const IngestContext& context) {
  IngestOutput output;
  SeriesWriter writer(context, output);
  JsonLinesReader reader;
  reader.Start(lines, [&](std::string_view message) { output.AddError(message); });
  PlainJsonLine plain;
  const PlainSeriesLimits limits = writer.plain_limits();
  const char* const readable_end = lines.data() + lines.size();
  const bool takes_plain = writer.TakesPlainSeries();
  const auto take_plain = [&](std::string_view line) {
    if (!takes_plain || line.size() > kMaxPlainLine ||
        !ReadPlainJsonLine(line, readable_end, limits, writer.PlaceForLabels(line.size() + kPlainSeriesSlack), plain)) {
      return false;
    }
    output.rows_count += plain.values.size();
    // The name places its series as an empty label does.
    writer.BeginPlacedSeries(plain.labels_size, std::string_view::npos);
    for (size_t i = 0; i < plain.values.size(); ++i) writer.AddSample(plain.timestamps[i], plain.values[i]);
    return true;
  };
  while (const JsonLine* line = reader.Next(take_plain)) {
    output.rows_count += line->values.size();
    writer.BeginLabels();
    for (model::LabelView label : line->labels) {
      // The name places its series as an empty label does.
      if (label.name == "__name__") label.name = {};
      writer.Add(label);
    }
    if (!writer.EndLabels()) continue;
    for (size_t i = 0; i < line->values.size(); ++i) writer.AddSample(line->timestamps[i], line->values[i]);
  }
  output.invalid_lines_count = reader.bad_count();
  writer.Finish();
  return output;
}

IngestOutput IngestCsv(std::string_view lines, std::span<const CsvColumn> columns, bool is_first, int64_t trim_ms,
                       int64_t now_ms, const IngestContext& context) {
  IngestOutput output;
  SeriesWriter writer(context, output);
  ParsedRows rows;
  ParseCsv(rows, lines, columns, is_first, [&](std::string_view message) { output.AddError(message); });
  WriteRows(rows, writer, output,
            [&](int64_t timestamp) { return Trim(timestamp == 0 ? now_ms : timestamp, trim_ms, 1); });
  writer.Finish();
  return output;
}

Result<IngestOutput> IngestNative(NativeReader& reader, ByteView whole, const IngestContext& context) {
  IngestOutput output;
  SeriesWriter writer(context, output);
  VM_TRY(reader.Read(whole, [&](const NativeBlock& block) {
    output.rows_count += block.values.size();
    if (block.values.empty()) return;
    writer.BeginLabels();
    writer.Add(model::LabelView{"", block.name.metric_group});
    for (const model::Tag& tag : block.name.tags) writer.Add(model::LabelView{tag.key, tag.value});
    if (!writer.EndLabels()) return;
    for (size_t i = 0; i < block.values.size(); ++i) writer.AddSample(block.timestamps[i], block.values[i]);
  }));
  writer.Finish();
  return output;
}

Result<IngestOutput> IngestInflux(std::string_view lines, const InfluxTimestamps& timestamps, std::string_view db,
                                  bool skip_bad_lines, int64_t now_ms, const InfluxOptions& options,
                                  const IngestContext& context) {
  // The limit on labels does not count the name here.
  IngestContext with_name = context;
  if (with_name.prepare.max_labels_per_series > 0) ++with_name.prepare.max_labels_per_series;
  IngestOutput output;
  SeriesWriter writer(with_name, output);
  InfluxLines parsed;
  VM_TRY(parsed.Parse(lines, skip_bad_lines, [&](std::string_view message) { output.AddError(message); }));
  output.invalid_lines_count = parsed.bad_count();
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
      if (writer.EndLabels(false)) writer.AddSample(timestamp, field.value);
    }
  }
  writer.Finish();
  return output;
}

IngestOutput IngestGraphite(std::string_view lines, const GraphiteOptions& options, int64_t trim_ms, int64_t now_ms,
                            const IngestContext& context) {
  IngestOutput output;
  SeriesWriter writer(context, output);
  ParsedRows rows;
  ParseGraphite(rows, lines, options, [&](std::string_view message) { output.AddError(message); });
  WriteRows(rows, writer, output, [&](int64_t seconds) {
    if (seconds == 0 || seconds == -1) seconds = now_ms / 1000;
    // Overflow wraps as it does in the reference.
    return Trim(static_cast<int64_t>(static_cast<uint64_t>(seconds) * 1000), trim_ms, 1000);
  });
  writer.Finish();
  return output;
}

IngestOutput IngestOpentsdbTelnet(std::string_view lines, int64_t trim_ms, int64_t now_ms,
                                  const IngestContext& context) {
  IngestOutput output;
  SeriesWriter writer(context, output);
  ParsedRows rows;
  ParseOpentsdbTelnet(rows, lines, [&](std::string_view message) { output.AddError(message); });
  WriteRows(rows, writer, output,
            [&](int64_t timestamp) { return Trim(OpentsdbMs(timestamp, now_ms), trim_ms, 1000); });
  writer.Finish();
  return output;
}

Result<IngestOutput> IngestOpentsdbPut(std::string_view body, int64_t trim_ms, int64_t now_ms,
                                       const IngestContext& context) {
  IngestOutput output;
  SeriesWriter writer(context, output);
  ParsedRows rows;
  JsonDocument document;
  VM_TRY(ParseOpentsdbPut(rows, document, body, [&](std::string_view message) { output.AddError(message); }));
  WriteRows(rows, writer, output, [&](int64_t timestamp) { return Trim(OpentsdbMs(timestamp, now_ms), trim_ms, 1); });
  writer.Finish();
  return output;
}

Result<IngestOutput> IngestDatadog(ByteView body, DatadogFormat format, bool sanitize_names, int64_t now_ms,
                                   const IngestContext& context) {
  IngestOutput output;
  SeriesWriter writer(context, output);
  DatadogRequest request;
  switch (format) {
    case DatadogFormat::kV1: VM_TRY(request.ParseV1(AsText(body))); break;
    case DatadogFormat::kV2Json: VM_TRY(request.ParseV2Json(AsText(body))); break;
    case DatadogFormat::kV2Protobuf: VM_TRY(request.ParseV2Protobuf(body)); break;
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
    }
  }
  writer.Finish();
  return output;
}

Result<IngestOutput> IngestDatadogSketches(ByteView body, bool sanitize_names, const IngestContext& context) {
  IngestOutput output;
  SeriesWriter writer(context, output);
  DatadogSketches request;
  VM_TRY(request.Parse(body));
  std::string name;
  for (const DatadogSketch& sketch : request.sketches()) {
    const auto points = request.points(sketch);
    if (points.empty()) continue;
    name = sanitize_names ? SanitizeDatadogName(sketch.metric) : std::string(sketch.metric);
    const size_t name_size = name.size();
    const auto write = [&](std::string_view suffix, std::string_view quantile, auto value_of) {
      name.resize(name_size);
      name += suffix;
      output.rows_count += points.size();
      writer.BeginLabels();
      writer.Add(model::LabelView{"host", sketch.host});
      writer.Add(model::LabelView{"", name});
      writer.Add(model::LabelView{"quantile", quantile});
      for (const std::string_view tag : request.tags(sketch)) writer.Add(SplitDatadogTag(tag));
      if (!writer.EndLabels()) return;
      for (const DatadogSketchPoint& point : points) writer.AddSample(point.timestamp, value_of(point));
    };
    for (const DatadogQuantile& quantile : kDatadogQuantiles) {
      write("", quantile.text, [&](const DatadogSketchPoint& point) { return request.Quantile(point, quantile.value); });
    }
    write(".sum", "", [](const DatadogSketchPoint& point) { return point.sum; });
    write(".count", "", [](const DatadogSketchPoint& point) { return static_cast<double>(point.count); });
    write(".min", "", [](const DatadogSketchPoint& point) { return point.min; });
    write(".max", "", [](const DatadogSketchPoint& point) { return point.max; });
  }
  writer.Finish();
  return output;
}

Result<IngestOutput> IngestNewrelic(std::string_view body, int64_t now_ms, const IngestContext& context) {
  IngestOutput output;
  SeriesWriter writer(context, output);
  NewrelicEvents events;
  VM_TRY(events.Parse(body));
  for (const NewrelicEvent& event : events.events()) {
    output.rows_count += event.samples_count;
    const int64_t timestamp = event.timestamp == 0 ? now_ms - now_ms % 1000 : event.timestamp;
    for (const NewrelicSample& sample : events.samples(event)) {
      writer.BeginLabels();
      writer.Add(model::LabelView{"", sample.name});
      for (const model::LabelView& label : events.labels(event)) writer.Add(label);
      if (writer.EndLabels()) writer.AddSample(timestamp, sample.value);
    }
  }
  writer.Finish();
  return output;
}

IngestOutput IngestZabbix(std::string_view lines, const ZabbixOptions& options, const IngestContext& context) {
  IngestOutput output;
  SeriesWriter writer(context, output);
  ZabbixReader reader(options);
  reader.Start(lines, [&](std::string_view message) { output.AddError(message); });
  while (const ZabbixRow* row = reader.Next()) {
    ++output.rows_count;
    writer.BeginLabels();
    for (const model::LabelView& label : row->labels) writer.Add(label);
    if (writer.EndLabels()) writer.AddSample(row->timestamp, row->value);
  }
  output.invalid_lines_count = reader.bad_count();
  writer.Finish();
  return output;
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
  void Finish() { writer_.Finish(); }

 private:
  const IngestContext& context_;
  IngestOutput& output_;
  SeriesWriter writer_;
};

}  // namespace

Result<IngestOutput> IngestOtlp(ByteView body, bool is_firehose, const OtlpOptions& options, const IngestContext& context) {
  ByteBuffer unpacked;
  if (is_firehose) {
    if (Status status = UnpackFirehose(unpacked, AsText(body)); !status.ok()) {
      return std::move(status).error().WithContext("cannot process request body");
    }
    body = unpacked;
  }
  IngestOutput output;
  OtlpWriter writer(context, output);
  VM_TRY(ParseOtlp(body, options, writer));
  writer.Finish();
  return output;
}

Result<IngestOutput> IngestMetricRows(ByteView rows, const IngestContext& context) {
  IngestOutput output;
  SeriesWriter writer(context, output);
  std::vector<model::LabelView> labels;
  ByteView last_name;
  bool is_kept = false;
  while (!rows.empty()) {
    VM_ASSIGN_OR_RETURN(const model::MetricRow row, model::TakeMetricRow(rows));
    // Samples of one series follow each other.
    if (output.rows_count == 0 || !Equal(row.metric_name_raw, last_name)) {
      model::Tenant tenant;
      if (!TakeRawLabels(row.metric_name_raw, tenant, labels)) {
        return Error(ErrorCode::kCorrupted, "cannot unmarshal MetricNameRaw");
      }
      last_name = row.metric_name_raw;
      is_kept = writer.SetSeries(tenant, labels);
    }
    ++output.rows_count;
    if (is_kept) writer.AddSample(row.timestamp, row.value);
  }
  writer.Finish();
  return output;
}

Result<IngestOutput> IngestMetadataRows(ByteView rows, const IngestContext& context) {
  IngestOutput output;
  SeriesWriter writer(context, output);
  while (!rows.empty()) {
    VM_ASSIGN_OR_RETURN(const model::MetadataRow row, model::TakeMetadataRow(rows));
    ++output.metadata_count;
    writer.AddMetadata(row);
  }
  writer.Finish();
  return output;
}

}  // namespace vm::insert
