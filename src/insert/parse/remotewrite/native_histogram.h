#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/bytes/bytes.h"
#include "lib/model/metric_name.h"

namespace vm::insert {

/// One of the samples that stand for a native histogram. Views are valid until the next one.
struct HistogramRow {
  std::string_view name;
  std::string_view vmrange;  // The label `vmrange`; empty: none.
  double value = 0;
};

/// Turns a native histogram of Prometheus into rows `_count`, `_sum` and `_bucket{vmrange="..."}`, one after the other, for a message of
/// some kilobytes may have thousands of buckets. Not thread-safe. Reference: VictoriaMetrics lib/prompb/write_request_unmarshaler.go.
class NativeHistogram {
 public:
  /// Replace the content by the protobuf message Histogram of the metric `name`; without a name there are no rows. Throws what a
  /// reader of protobuf messages throws.
  void Read(ByteView message, std::string_view name);
  /// False: there are no more.
  bool Next(HistogramRow& row);
  int64_t timestamp() const noexcept { return timestamp_; }  // Unix milliseconds.

 private:
  struct BucketSpan {
    int32_t offset = 0;
    uint32_t length = 0;
  };
  struct Buckets {
    std::vector<BucketSpan> spans;
    std::vector<int64_t> deltas;  // Of integer histograms: the difference to the previous bucket.
    std::vector<double> counts;   // Of float histograms.

    void Clear();
  };
  enum class Place : uint8_t { kCount, kSum, kZero, kPositive, kNegative, kEnd };

  static BucketSpan TakeSpan(ByteView src);
  void BeginBuckets(Place place);
  bool NextBucket(const Buckets& buckets, HistogramRow& row);

  double count_ = 0;
  double sum_ = 0;
  double zero_threshold_ = 0;
  double zero_count_ = 0;
  double base_ = 0;
  int64_t timestamp_ = 0;
  Buckets positive_, negative_;
  // Where Next is.
  Place place_ = Place::kEnd;
  size_t span_ = 0;
  uint32_t in_span_ = 0;
  size_t bucket_ = 0;
  uint32_t bucket_index_ = 0;  // Wraps like the int32 of the reference.
  uint64_t running_count_ = 0;
  std::string count_name_, sum_name_, bucket_name_;
  std::string range_;
};

/// The labels of `row`, made of those of its histogram.
void SetHistogramLabels(std::span<const model::LabelView> labels, const HistogramRow& row, std::vector<model::LabelView>& dst);

}  // namespace vm::insert
