#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "insert/parse/remotewrite/native_histogram.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/metric_name.h"

namespace vm::insert {

struct RemoteSample {
  double value = 0;
  int64_t timestamp = 0;  // Unix milliseconds.
};

struct RemoteMetadata {
  uint32_t type = 0;
  uint32_t account_id = 0;
  uint32_t project_id = 0;
  std::string_view metric_family_name;
  std::string_view help;
  std::string_view unit;
};

/// Reads the body of a Prometheus remote write 1.0 series by series; texts are views into the body. Not thread-safe.
/// Reference: VictoriaMetrics lib/prompb/write_request_unmarshaler.go.
class WriteRequest {
 public:
  /// Begin with the protobuf message WriteRequest in `src`, which must stay.
  void Start(ByteView src);
  /// The next message TimeSeries, for ReadSeries or for another reader. Metadata in front of it are read; unknown fields are skipped.
  /// False: there is none left. Errors: kInvalidInput.
  Result<bool> NextSeries(ByteView& message);

  /// Replace the current series by a message TimeSeries. Errors: kInvalidInput.
  Status ReadSeries(ByteView message);
  /// Of the current series; labels may be sorted in place.
  std::span<model::LabelView> labels() { return labels_; }
  std::span<const RemoteSample> samples() const { return samples_; }
  std::span<const ByteView> histograms() const { return histograms_; }
  /// Make `histogram` the one in `message`, one of histograms(). Errors: kInvalidInput.
  Status ReadHistogram(ByteView message, NativeHistogram& histogram) const;

  /// Those read so far.
  std::span<const RemoteMetadata> metadata() const { return metadata_; }

 private:
  void TakeTimeSeries(ByteView src);
  template <class Work>
  Status Guarded(Work work) const;

  size_t size_ = 0;  // Of the whole message.
  ByteView rest_;
  std::vector<model::LabelView> labels_;
  std::vector<RemoteSample> samples_;
  std::vector<ByteView> histograms_;
  std::vector<RemoteMetadata> metadata_;
};

}  // namespace vm::insert
