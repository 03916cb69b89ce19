#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "insert/parse/json/json.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/metric_name.h"

namespace vm::insert {

struct DatadogPoint {
  int64_t timestamp = 0;  // Unix milliseconds; 0 or less: none.
  double value = 0;
};

/// Ranges of the labels and points of its DatadogRequest.
struct DatadogSeries {
  std::string_view metric;
  size_t first_label = 0;
  size_t labels_count = 0;
  size_t first_point = 0;
  size_t points_count = 0;
};

/// The series of a request as views into its body. Labels: host, device and tags of v1; resources, tags and the source type of v2. A tag
/// `host` becomes `exported_host`. Reusable; not thread-safe. Reference: VictoriaMetrics lib/protoparser/datadogv1, datadogv2.
class DatadogRequest {
 public:
  /// Replace the content. Errors: kInvalidInput.
  Status ParseV1(std::string_view body);
  Status ParseV2Json(std::string_view body);
  Status ParseV2Protobuf(ByteView body);

  std::span<const DatadogSeries> series() const { return series_; }
  std::span<const model::LabelView> labels(const DatadogSeries& series) const {
    return std::span(labels_).subspan(series.first_label, series.labels_count);
  }
  std::span<const DatadogPoint> points(const DatadogSeries& series) const {
    return std::span(points_).subspan(series.first_point, series.points_count);
  }

 private:
  void Clear();
  Status ParseJson(std::string_view body, bool is_v2);
  Status TakeSeries(const JsonValue& item, bool is_v2);
  Status TakePointsV1(const JsonValue& points);
  Status TakePointsV2(const JsonValue& points);
  void TakeProtobufSeries(ByteView src);
  void AddTag(std::string_view tag);

  JsonDocument document_;
  std::vector<DatadogSeries> series_;
  std::vector<model::LabelView> labels_;
  std::vector<DatadogPoint> points_;
};

/// `name:value`; without a colon the value is "no_label_value".
model::LabelView SplitDatadogTag(std::string_view tag);

/// The name as DataDog would show it: runs of other characters than letters, digits, `_` and `.` become one `_`, none beside a dot.
std::string SanitizeDatadogName(std::string_view name);

}  // namespace vm::insert
