#include "insert/http/series_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace vm::insert {
namespace {

const model::LabelView& LongestName(std::span<const model::LabelView> labels) {
  return *std::max_element(labels.begin(), labels.end(), [](const auto& a, const auto& b) {
    return a.name.size() < b.name.size();
  });
}

const model::LabelView& LongestValue(std::span<const model::LabelView> labels) {
  return *std::max_element(labels.begin(), labels.end(), [](const auto& a, const auto& b) {
    return a.value.size() < b.value.size();
  });
}

std::string SeriesText(std::span<const model::LabelView> labels) {
  constexpr size_t kMaxLength = 1000;
  std::string text = "{";
  for (const model::LabelView& label : labels) {
    if (text.size() > kMaxLength) return text + ",...}";
    if (text.size() > 1) text += ',';
    text += fmt::format("{}=\"{}\"", label.name.empty() ? "__name__" : label.name, log::Shorten(label.value, 100));
  }
  return text + "}";
}

bool MayReport(const IngestContext& context, log::Throttle LimitThrottles::*throttle) {
  return context.throttles != nullptr && (context.throttles->*throttle).Pass().has_value();
}

}  // namespace

SeriesWriter::SeriesWriter(const IngestContext& context, IngestOutput& output)
    : context_(context),
      output_(output),
      samples_(*context.placement, context.max_batch_bytes, context.buffers),
      metadata_(*context.placement, context.max_batch_bytes) {}

void SeriesWriter::AddExtraLabels() {
  for (const ExtraLabel& label : context_.extra_labels) {
    AddLabel(labels_, model::LabelView{label.name, label.value});
  }
}

bool SeriesWriter::SetSeries(model::Tenant tenant, std::span<model::LabelView> labels) {
  return CheckLabels(labels) && BeginSeries(tenant, labels);
}

bool SeriesWriter::EndLabels(bool with_extra_labels) {
  if (with_extra_labels) AddExtraLabels();
  std::span<model::LabelView> labels = labels_;
  if (!CheckLabels(labels)) return false;
  if (context_.relabeling != nullptr) labels_.swap(relabeled_);
  const model::Tenant tenant = context_.tenant ? *context_.tenant : TakeTenant(labels_);
  return BeginSeries(tenant, labels_);
}

bool SeriesWriter::SetLabels(std::span<model::LabelView> labels) {
  const bool is_plain =
      context_.tenant && context_.extra_labels.empty() &&
      std::none_of(labels.begin(), labels.end(), [](const model::LabelView& label) { return label.value.empty(); });
  if (is_plain) return CheckLabels(labels) && BeginSeries(*context_.tenant, labels);
  BeginLabels();
  for (const model::LabelView& label : labels) Add(label);
  return EndLabels();
}

bool SeriesWriter::TakesPlainSeries() const {
  return context_.tenant && context_.extra_labels.empty() && context_.relabeling == nullptr &&
         !context_.prepare.prometheus_naming && !context_.prepare.sort_labels;
}

PlainSeriesLimits SeriesWriter::plain_limits() const {
  const PrepareOptions& limits = context_.prepare;
  return {limits.max_labels_per_series, limits.max_label_name_bytes, limits.max_label_value_bytes};
}

void SeriesWriter::BeginPlacedSeries(size_t labels_size, size_t metric_name_at) {
  CountFor(*context_.tenant);
  samples_.BeginPlacedSeries(labels_size, metric_name_at);
}

bool SeriesWriter::BeginSeries(model::Tenant tenant, std::span<const model::LabelView> labels) {
  CountFor(tenant);
  samples_.BeginSeries(tenant, labels);
  return true;
}

void SeriesWriter::CountFor(model::Tenant tenant) {
  if (tenant == tenant_) return;
  HandOverCount();
  tenant_ = tenant;
}

void SeriesWriter::HandOverCount() {
  if (tenant_rows_ > 0) output_.tenant_rows[tenant_] += std::exchange(tenant_rows_, 0);
}

bool SeriesWriter::CheckLabels(std::span<model::LabelView>& labels) {
  const PrepareOptions& limits = context_.prepare;
  if (!texts_.empty()) texts_.clear();
  if (limits.prometheus_naming) UsePrometheusNames(labels, texts_);
  if (context_.relabeling != nullptr) {
    relabeled_.assign(labels.begin(), labels.end());
    context_.relabeling->Apply(relabeled_, texts_);
    labels = relabeled_;
    if (labels.empty()) {
      ++output_.relabeled_away_count;
      return false;
    }
  }
  switch (PrepareLabels(labels, limits)) {
    case Verdict::kKeep: return true;
    case Verdict::kNoLabels: return false;
    case Verdict::kTooManyLabels:
      ++output_.too_many_labels_count;
      if (MayReport(context_, &LimitThrottles::too_many_labels)) {
        output_.warnings.push_back(fmt::format(
            "ignoring series with {} labels for {}; either reduce the number of labels for this metric or increase "
            "-maxLabelsPerTimeseries={} cmd-line flag value",
            labels.size(), SeriesText(labels), limits.max_labels_per_series));
      }
      return false;
    case Verdict::kTooLongLabelName:
      ++output_.too_long_label_name_count;
      if (MayReport(context_, &LimitThrottles::too_long_name)) {
        const std::string_view name = LongestName(labels).name;
        output_.warnings.push_back(fmt::format(
            "ignoring series with label \"{}\" for {}; label name length={} exceeds max allowed {} - consider reducing label "
            "name length.",
            log::Shorten(name, 200), SeriesText(labels), name.size(), limits.max_label_name_bytes));
      }
      return false;
    case Verdict::kTooLongLabelValue:
      ++output_.too_long_label_value_count;
      if (MayReport(context_, &LimitThrottles::too_long_value)) {
        const model::LabelView& label = LongestValue(labels);
        output_.warnings.push_back(fmt::format(
            "ignoring series with {}=\"{}\" label for {}; label value length={} exceeds -maxLabelValueLen={}; either reduce "
            "the label value length or increase -maxLabelValueLen command-line flag value",
            label.name, log::Shorten(label.value, 200), SeriesText(labels), label.value.size(),
            limits.max_label_value_bytes));
      }
      return false;
  }
  return false;
}

void SeriesWriter::AddMetadata(const model::MetadataRow& row) {
  for (const std::string* text : {&row.name, &row.help, &row.unit}) {
    if (text->size() > model::kMaxRawLabelSize) {
      ++output_.too_long_metadata_count;
      return;
    }
  }
  metadata_.AddMetadata(row);
}

void SeriesWriter::HandOver() {
  HandOverCount();
  for (NodeBatch& batch : samples_.Finish()) output_.samples.push_back(std::move(batch));
  for (NodeBatch& batch : metadata_.Finish()) output_.metadata.push_back(std::move(batch));
}

}  // namespace vm::insert
