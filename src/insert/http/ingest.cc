#include "insert/http/ingest.h"

#include <utility>

#include "insert/http/series_writer.h"
#include "insert/parse/prometheus/plain_text_line.h"
#include "insert/parse/prometheus/text.h"
#include "insert/parse/remotewrite/plain_series.h"
#include "insert/parse/remotewrite/write_request.h"

namespace vm::insert {

IngestOutput IngestText(std::string_view lines, int64_t default_timestamp,
                        const IngestContext& context) {
  IngestOutput output;
  PrometheusText text;
  SeriesWriter writer(context, output);
  const auto on_bad_line = [&](std::string_view message) { output.AddError(message); };
  const auto time_of = [&](int64_t timestamp) { return timestamp == 0 ? default_timestamp : timestamp; };
  const auto write_rows = [&] {
    output.rows_count += text.rows().size();
    for (const TextRow& row : std::as_const(text).rows()) {
      writer.BeginLabels();
      writer.Add(model::LabelView{"", row.metric});
      for (const model::LabelView& label : text.labels(row)) writer.Add(label);
      if (writer.EndLabels()) writer.AddSample(time_of(row.timestamp), row.value);
    }
    text.DropRows();
  };
  const PlainSeriesLimits limits = writer.plain_limits();
  const char* const readable_end = lines.data() + lines.size();
  const auto take_plain = [&](std::string_view line) {
    if (!text.rows().empty()) write_rows();  // The order stays as it was sent.
    PlainTextLine plain;
    if (line.size() > kMaxPlainLine ||
        !ReadPlainTextLine(line, readable_end, limits, writer.PlaceForLabels(line.size() + kPlainSeriesSlack), plain)) {
      return false;
    }
    ++output.rows_count;
    writer.BeginPlacedSeries(plain.labels_size, std::string_view::npos);
    writer.AddSample(time_of(plain.timestamp), plain.value);
    return true;
  };
  if (writer.TakesPlainSeries()) {
    text.Parse(lines, on_bad_line, take_plain);
  } else {
    text.Parse(lines, on_bad_line);
  }
  write_rows();
  output.invalid_lines_count = text.bad_lines_count();
  if (context.is_metadata_enabled) {
    output.metadata_count = text.metadata().size();
    for (const TextMetadata& item : text.metadata()) {
      model::MetadataRow row;
      if (context.tenant) row.tenant = *context.tenant;
      row.type = item.type;
      row.name = item.metric;
      row.help = item.help;
      writer.AddMetadata(row);
    }
  }
  writer.Finish();
  return output;
}

Result<IngestOutput> IngestRemoteWrite(ByteView body, const RemoteWriteBodyOptions& body_options,
                                       const IngestContext& context) {
  PooledBuffer pooled(context.buffers);
  ByteBuffer& unpacked = pooled.bytes;
  VM_TRY(UnpackRemoteWriteBody(unpacked, body, body_options));
  thread_local WriteRequest request;  // Keeps the memory of its tables.
  const struct Trimmer {
    WriteRequest& used;
    ~Trimmer() { used.Trim(); }
  } trimmer{request};

  IngestOutput output;
  SeriesWriter writer(context, output);
  const auto write_series = [&] {
    for (const RemoteSeries& series : request.series()) {
      output.rows_count += series.samples_count;
      if (!writer.SetLabels(request.labels(series))) continue;
      for (const RemoteSample& sample : request.samples(series)) writer.AddSample(sample.timestamp, sample.value);
    }
  };
  PlainSeries plain;
  const PlainSeriesLimits limits = writer.plain_limits();
  const uint8_t* const readable_end = unpacked.data() + unpacked.size();
  const auto take_plain = [&](ByteView message) {
    if (!request.series().empty()) {
      // The order stays as it was sent.
      write_series();
      request.DropSeries();
    }
    uint8_t* const place = writer.PlaceForLabels(message.size() + kPlainSeriesSlack);
    if (!ReadPlainSeries(message, readable_end, limits, place, plain)) return false;
    output.rows_count += plain.samples.size();
    writer.BeginPlacedSeries(plain.labels_size, plain.metric_name_at);
    for (const RemoteSample& sample : plain.samples) writer.AddSample(sample.timestamp, sample.value);
    return true;
  };
  if (writer.TakesPlainSeries()) {
    VM_TRY(request.Unmarshal(unpacked, take_plain));
  } else {
    VM_TRY(request.Unmarshal(unpacked));
  }
  write_series();
  if (context.is_metadata_enabled) {
    output.metadata_count = request.metadata().size();
    for (const RemoteMetadata& item : request.metadata()) {
      model::MetadataRow row;
      row.tenant = context.tenant ? *context.tenant
                                  : model::Tenant{item.account_id, item.project_id};
      row.type = item.type;
      row.name = item.metric_family_name;
      row.help = item.help;
      row.unit = item.unit;
      writer.AddMetadata(row);
    }
  }
  writer.Finish();
  return output;
}

}  // namespace vm::insert
