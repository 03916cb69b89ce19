#include "insert/http/ingest.h"

#include <algorithm>
#include <initializer_list>
#include <span>
#include <utility>

#include "insert/parse/prometheus/text.h"
#include "insert/parse/remotewrite/write_request.h"

namespace vm::insert {
namespace {

// Prepares and routes the series of one body.
class SeriesWriter {
 public:
  SeriesWriter(const IngestContext& context, IngestOutput& output)
      : context_(context),
        output_(output),
        samples_(*context.placement, context.max_batch_bytes),
        metadata_(*context.placement, context.max_batch_bytes) {}

  void BeginLabels() { labels_.clear(); }
  void Add(model::LabelView label) { AddLabel(labels_, label); }

  // False: the series is dropped.
  bool EndLabels() {
    for (const ExtraLabel& label : context_.extra_labels) {
      AddLabel(labels_, model::LabelView{label.name, label.value});
    }
    if (!context_.tenant) {
      const model::Tenant tenant = TakeTenant(labels_);
      return BeginSeries(tenant, labels_);
    }
    return BeginSeries(*context_.tenant, labels_);
  }

  // The same for labels that need no change but the order: they are not copied. Others go the way above.
  bool SetLabels(std::span<model::LabelView> labels) {
    const bool is_plain = context_.tenant && context_.extra_labels.empty() &&
                          std::none_of(labels.begin(), labels.end(),
                                       [](const model::LabelView& label) { return label.value.empty(); });
    if (is_plain) return BeginSeries(*context_.tenant, labels);
    BeginLabels();
    for (const model::LabelView& label : labels) Add(label);
    return EndLabels();
  }

  void AddSample(int64_t timestamp, double value) {
    samples_.AddSample(timestamp, value);
    ++*tenant_rows_;
  }

  void AddMetadata(const model::MetadataRow& row) {
    for (const std::string* text : {&row.name, &row.help, &row.unit}) {
      if (text->size() > model::kMaxRawLabelSize) {
        ++output_.too_long_metadata_count;
        return;
      }
    }
    metadata_.AddMetadata(row);
  }

  void Finish() {
    output_.samples = samples_.Finish();
    output_.metadata = metadata_.Finish();
  }

 private:
  bool BeginSeries(model::Tenant tenant, std::span<model::LabelView> labels) {
    switch (PrepareLabels(labels, context_.prepare)) {
      case Verdict::kKeep: break;
      case Verdict::kNoLabels: return false;
      case Verdict::kTooManyLabels:
        ++output_.too_many_labels_count;
        return Report(labels, "too many labels: " + std::to_string(labels.size()) +
                                  "; either reduce them or increase -maxLabelsPerTimeseries=" +
                                  std::to_string(context_.prepare.max_labels_per_series));
      case Verdict::kTooLongLabelName:
        ++output_.too_long_label_name_count;
        return Report(labels, "a label name is longer than -maxLabelNameLen=" +
                                  std::to_string(context_.prepare.max_label_name_bytes));
      case Verdict::kTooLongLabelValue:
        ++output_.too_long_label_value_count;
        return Report(labels, "a label value is longer than -maxLabelValueLen=" +
                                  std::to_string(context_.prepare.max_label_value_bytes));
    }
    if (tenant_rows_ == nullptr || tenant != tenant_) {
      tenant_ = tenant;
      tenant_rows_ = &output_.tenant_rows[tenant];
    }
    samples_.BeginSeries(tenant, labels);
    return true;
  }

  bool Report(std::span<const model::LabelView> labels, const std::string& reason) {
    if (output_.messages.size() < IngestOutput::kMaxMessages) {
      std::string name;
      for (const model::LabelView& label : labels) {
        if (label.name.empty() || label.name == "__name__") name = label.value.substr(0, 128);
      }
      output_.messages.push_back("ignoring series \"" + name + "\": " + reason);
    }
    return false;
  }

  const IngestContext& context_;
  IngestOutput& output_;
  ShardWriter samples_;
  ShardWriter metadata_;
  std::vector<model::LabelView> labels_;
  model::Tenant tenant_;
  size_t* tenant_rows_ = nullptr;  // Of tenant_, once a series has been begun.
};

}  // namespace

IngestOutput IngestText(std::string_view lines, int64_t default_timestamp,
                        const IngestContext& context) {
  IngestOutput output;
  PrometheusText text;
  text.Parse(lines, [&](std::string_view message) {
    if (output.messages.size() < IngestOutput::kMaxMessages) output.messages.emplace_back(message);
  });
  output.rows_count = text.rows().size();
  output.invalid_lines_count = text.bad_lines_count();

  SeriesWriter writer(context, output);
  for (const TextRow& row : std::as_const(text).rows()) {
    writer.BeginLabels();
    writer.Add(model::LabelView{"", row.metric});
    for (const model::LabelView& label : text.labels(row)) writer.Add(label);
    if (!writer.EndLabels()) continue;
    writer.AddSample(row.timestamp == 0 ? default_timestamp : row.timestamp, row.value);
  }
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
  ByteBuffer unpacked;
  VM_TRY(UnpackRemoteWriteBody(unpacked, body, body_options));
  WriteRequest request;
  VM_TRY(request.Unmarshal(unpacked));

  IngestOutput output;
  SeriesWriter writer(context, output);
  for (const RemoteSeries& series : request.series()) {
    output.rows_count += series.samples_count;
    if (!writer.SetLabels(request.labels(series))) continue;
    for (const RemoteSample& sample : request.samples(series)) {
      writer.AddSample(sample.timestamp, sample.value);
    }
  }
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
