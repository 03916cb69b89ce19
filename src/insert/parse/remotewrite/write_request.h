#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/metric_name.h"

namespace vm::insert {

struct RemoteSample {
  double value = 0;
  int64_t timestamp = 0;  // Unix milliseconds.
};

/// A range of the labels and a range of the samples of its WriteRequest.
struct RemoteSeries {
  size_t first_label = 0;
  size_t labels_count = 0;
  size_t first_sample = 0;
  size_t samples_count = 0;
};

struct RemoteMetadata {
  uint32_t type = 0;
  uint32_t account_id = 0;
  uint32_t project_id = 0;
  std::string_view metric_family_name;
  std::string_view help;
  std::string_view unit;
};

/// The decoded body of a Prometheus remote write 1.0; texts are views into the body. Native histograms
/// are already turned into `_count`, `_sum` and `_bucket{vmrange="..."}` series. Not thread-safe.
/// Reference: VictoriaMetrics lib/prompb/write_request_unmarshaler.go.
class WriteRequest {
 public:
  /// Replace the content by the protobuf message WriteRequest in `src`; unknown fields are skipped.
  /// Views stay valid as long as `src` and until the next call. Errors: kInvalidInput. `take` is shown each message TimeSeries
  /// before it is read; what it says it has taken becomes no series here. It may use what was read so far and call DropSeries.
  Status Unmarshal(ByteView src, const std::function<bool(ByteView message)>& take = nullptr);
  /// The same for a single message TimeSeries.
  Status UnmarshalTimeSeries(ByteView src);

  /// Forget the series read so far.
  void DropSeries();

  /// Drop the content; memory above what usual requests need goes too.
  void Trim();

  std::span<const RemoteSeries> series() const { return series_; }
  std::span<const RemoteMetadata> metadata() const { return metadata_; }
  std::span<const model::LabelView> labels(const RemoteSeries& series) const {
    return std::span(labels_).subspan(series.first_label, series.labels_count);
  }
  /// The same, to be sorted in place.
  std::span<model::LabelView> labels(const RemoteSeries& series) {
    return std::span(labels_).subspan(series.first_label, series.labels_count);
  }
  std::span<const RemoteSample> samples(const RemoteSeries& series) const {
    return std::span(samples_).subspan(series.first_sample, series.samples_count);
  }

 private:
  struct Histogram;

  void Clear();
  void TakeTimeSeries(ByteView src);
  void AppendHistogram(ByteView src, size_t first_label, size_t labels_count);
  void AppendBuckets(const Histogram& histogram, bool is_negative, double base);
  void AppendHistogramSeries(const Histogram& histogram, std::string_view name,
                             std::string_view vmrange, double value);

  std::vector<RemoteSeries> series_;
  std::vector<model::LabelView> labels_;
  std::vector<RemoteSample> samples_;
  std::vector<RemoteMetadata> metadata_;
  std::deque<std::string> texts_;  // Owns names and ranges of histogram series.
};

}  // namespace vm::insert
