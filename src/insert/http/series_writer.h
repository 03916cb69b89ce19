#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "insert/http/ingest.h"
#include "insert/parse/rows/plain_labels.h"

namespace vm::insert {

/// Prepares the series of one body and routes their samples into the batches of an IngestOutput. Not thread-safe.
class SeriesWriter {
 public:
  /// Of the rows that a thread with other duties makes before others go on with them.
  static constexpr size_t kMaxShortTurnBytes = 1 << 20;

  /// Both must outlive the writer.
  SeriesWriter(const IngestContext& context, IngestOutput& output);

  /// Begin a series. Then Add its labels, EndLabels, and AddSample. Views must stay until EndLabels.
  void BeginLabels() { labels_.clear(); }
  /// Labels without a value are left out.
  void Add(model::LabelView label) { AddLabel(labels_, label); }
  /// Labels of the request, for series whose name comes behind them; EndLabels adds them otherwise.
  void AddExtraLabels();
  /// False: the series is dropped.
  bool EndLabels(bool with_extra_labels = true);
  /// The same for all labels at once; where they need no change but their order they are not copied.
  bool SetLabels(std::span<model::LabelView> labels);
  /// The same for a series whose tenant is known; nothing is added.
  bool SetSeries(model::Tenant tenant, std::span<model::LabelView> labels);
  /// Whether nothing but `plain_limits` can change a series that comes with all of its labels: it may then be read into PlaceForLabels
  /// (parse/rows/plain_labels.h) and begun with BeginPlacedSeries.
  bool TakesPlainSeries() const;
  PlainSeriesLimits plain_limits() const;
  uint8_t* PlaceForLabels(size_t size) { return samples_.PlaceForLabels(*context_.tenant, size); }
  void BeginPlacedSeries(size_t labels_size, size_t metric_name_at);
  void AddSample(int64_t timestamp, double value) {
    samples_.AddSample(timestamp, value);
    ++tenant_rows_;
  }
  /// Samples read, also of series that are dropped.
  void CountRows(size_t rows_count) { output_.rows_count += rows_count; }

  void AddMetadata(const model::MetadataRow& row);

  /// Hand the batches over when they are many. True: the steps should pause. Ask after each row; the current series goes on.
  bool HandOverIfFull() {
    const size_t max_bytes = output_.is_short_turn ? std::min(kMaxShortTurnBytes, context_.max_turn_bytes) : context_.max_turn_bytes;
    if (samples_.buffered_bytes() + metadata_.buffered_bytes() < max_bytes) return false;
    HandOver();
    return true;
  }
  void HandOver();

 private:
  /// Of labels without empty values.
  bool BeginSeries(model::Tenant tenant, std::span<const model::LabelView> labels);
  void CountFor(model::Tenant tenant);
  void HandOverCount();
  /// Rename, relabel and check `labels`, which then may be those in relabeled_. False: the series is dropped.
  bool CheckLabels(std::span<model::LabelView>& labels);

  const IngestContext& context_;
  IngestOutput& output_;
  ShardWriter samples_;
  ShardWriter metadata_;
  std::vector<model::LabelView> labels_;
  std::vector<model::LabelView> relabeled_;
  std::deque<std::string> texts_;  // Changed names and values of the current series.
  model::Tenant tenant_;
  size_t tenant_rows_ = 0;  // Of tenant_, and not in the output yet.
};

}  // namespace vm::insert
