#include "insert/http/ingest.h"

#include <utility>
#include <vector>

#include "insert/http/series_writer.h"
#include "insert/parse/prometheus/plain_text_line.h"
#include "insert/parse/prometheus/text.h"
#include "insert/parse/remotewrite/native_histogram.h"
#include "insert/parse/remotewrite/plain_series.h"
#include "insert/parse/remotewrite/write_request.h"

namespace vm::insert {

Steps IngestText(std::string_view lines, int64_t default_timestamp, IngestContext context, IngestOutput& output) {
  PrometheusText text;
  SeriesWriter writer(context, output);
  const auto on_bad_line = [&](std::string_view message) { output.AddError(message); };
  const auto time_of = [&](int64_t timestamp) { return timestamp == 0 ? default_timestamp : timestamp; };
  const auto write_row = [&](const TextRow& row) {
    writer.BeginLabels();
    writer.Add(model::LabelView{"", row.metric});
    for (const model::LabelView& label : std::as_const(text).labels(row)) writer.Add(label);
    if (writer.EndLabels()) writer.AddSample(time_of(row.timestamp), row.value);
  };
  const PlainSeriesLimits limits = writer.plain_limits();
  const char* const readable_end = lines.data() + lines.size();
  // Nothing is added to plain series: their rows are about as long as their lines, and need no pause.
  const auto take_plain = [&](std::string_view line) {
    if (!text.rows().empty()) {
      // The order stays as it was sent.
      output.rows_count += text.rows().size();
      for (const TextRow& row : std::as_const(text).rows()) write_row(row);
      text.DropRows();
    }
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
  output.rows_count += text.rows().size();
  for (const TextRow& row : std::as_const(text).rows()) {
    write_row(row);
    if (writer.HandOverIfFull()) co_yield kPause;
  }
  output.invalid_lines_count += text.bad_lines_count();
  if (context.is_metadata_enabled) {
    output.metadata_count += text.metadata().size();
    for (const TextMetadata& item : text.metadata()) {
      model::MetadataRow row;
      if (context.tenant) row.tenant = *context.tenant;
      row.type = item.type;
      row.name = item.metric;
      row.help = item.help;
      writer.AddMetadata(row);
    }
  }
  writer.HandOver();
  co_return Ok();
}

Steps IngestRemoteWrite(ByteView body, RemoteWriteBodyOptions body_options, IngestContext context, IngestOutput& output) {
  PooledBuffer pooled(context.buffers);
  ByteBuffer& unpacked = pooled.bytes;
  VM_CO_TRY(UnpackRemoteWriteBody(unpacked, body, body_options));
  SeriesWriter writer(context, output);
  WriteRequest request;
  request.Start(unpacked);
  PlainSeries plain;
  const PlainSeriesLimits limits = writer.plain_limits();
  const uint8_t* const readable_end = unpacked.data() + unpacked.size();
  const bool takes_plain = writer.TakesPlainSeries();
  NativeHistogram histogram;
  std::vector<model::LabelView> labels;
  for (;;) {
    ByteView message;
    VM_CO_ASSIGN_OR_RETURN(const bool has_series, request.NextSeries(message));
    if (!has_series) break;
    if (takes_plain && ReadPlainSeries(message, readable_end, limits,
                                       writer.PlaceForLabels(message.size() + kPlainSeriesSlack), plain)) {
      output.rows_count += plain.samples.size();
      writer.BeginPlacedSeries(plain.labels_size, plain.metric_name_at);
      for (const RemoteSample& sample : plain.samples) {
        writer.AddSample(sample.timestamp, sample.value);
        if (writer.HandOverIfFull()) co_yield kPause;
      }
      continue;
    }
    VM_CO_TRY(request.ReadSeries(message));
    output.rows_count += request.samples().size();
    if (!request.samples().empty() && writer.SetLabels(request.labels())) {
      for (const RemoteSample& sample : request.samples()) {
        writer.AddSample(sample.timestamp, sample.value);
        if (writer.HandOverIfFull()) co_yield kPause;
      }
    }
    // A few kilobytes of them can take as long as megabytes of samples.
    if (!request.histograms().empty() && output.is_short_turn) {
      writer.HandOver();
      co_yield kPause;
    }
    for (const ByteView packed : request.histograms()) {
      VM_CO_TRY(request.ReadHistogram(packed, histogram));
      for (HistogramRow row; histogram.Next(row);) {
        ++output.rows_count;
        SetHistogramLabels(request.labels(), row, labels);
        if (!writer.SetLabels(labels)) continue;
        writer.AddSample(histogram.timestamp(), row.value);
        if (writer.HandOverIfFull()) co_yield kPause;
      }
    }
  }
  if (context.is_metadata_enabled) {
    output.metadata_count += request.metadata().size();
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
  writer.HandOver();
  co_return Ok();
}

}  // namespace vm::insert
