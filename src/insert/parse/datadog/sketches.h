#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::insert {

/// A distribution of values at one time: `counts[i]` of them in the bucket `keys[i]`.
struct DatadogSketchPoint {
  int64_t timestamp = 0;  // Unix milliseconds.
  int64_t count = 0;
  double min = 0;
  double max = 0;
  double sum = 0;
  size_t first_key = 0;
  size_t keys_count = 0;
  size_t first_count = 0;
  size_t counts_count = 0;
};

/// Ranges of the tags and points of its DatadogSketches.
struct DatadogSketch {
  std::string_view metric;
  std::string_view host;
  size_t first_tag = 0;
  size_t tags_count = 0;
  size_t first_point = 0;
  size_t points_count = 0;
};

/// A quantile that each sketch becomes a series of, as number and as text.
struct DatadogQuantile {
  double value;
  std::string_view text;
};
inline constexpr std::array<DatadogQuantile, 5> kDatadogQuantiles = {
    {{0.5, "0.5"}, {0.75, "0.75"}, {0.9, "0.9"}, {0.95, "0.95"}, {0.99, "0.99"}}};

/// The sketches of a request; texts are views into its body. Reusable; not thread-safe. Reference: VictoriaMetrics
/// lib/protoparser/datadogsketches.
class DatadogSketches {
 public:
  /// Replace the content. Errors: kInvalidInput.
  Status Parse(ByteView body);

  std::span<const DatadogSketch> sketches() const { return sketches_; }
  std::span<const std::string_view> tags(const DatadogSketch& sketch) const {
    return std::span(tags_).subspan(sketch.first_tag, sketch.tags_count);
  }
  std::span<const DatadogSketchPoint> points(const DatadogSketch& sketch) const {
    return std::span(points_).subspan(sketch.first_point, sketch.points_count);
  }
  /// The value below which a part of `quantile` of all values is; 0 when keys and counts do not belong together.
  double Quantile(const DatadogSketchPoint& point, double quantile) const;

 private:
  void TakeSketch(ByteView src);
  void TakePoint(ByteView src);

  std::vector<DatadogSketch> sketches_;
  std::vector<std::string_view> tags_;
  std::vector<DatadogSketchPoint> points_;
  std::vector<int32_t> keys_;
  std::vector<uint32_t> counts_;
};

}  // namespace vm::insert
