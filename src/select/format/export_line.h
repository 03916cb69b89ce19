#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/model/metric_name.h"

namespace vm::select {

/// Samples of one series that are exported together.
struct ExportBlock {
  const model::MetricName& name;
  std::span<const int64_t> timestamps;  // Unix milliseconds.
  std::span<const double> values;
};

/// `{"metric":{...},"values":[...],"timestamps":[...]}` and a line end; nothing without samples. NaN is null.
void AppendJsonExportLine(std::string& dst, const ExportBlock& block);
/// Samples that are worth a piece of a line or of an item: some 64 KiB of text.
inline constexpr size_t kSamplesPerPiece = 4096;
/// The same a piece at a time, for series whose text is big.
class JsonExportLine {
 public:
  explicit JsonExportLine(const ExportBlock& block) : block_(block) {}
  /// True: more is to come.
  bool AppendPiece(std::string& dst);

 private:
  const ExportBlock block_;
  size_t next_ = 0;  // Values first, then timestamps.
};
/// `name{a="b"} value timestamp`, a line per sample.
void AppendPrometheusExportLines(std::string& dst, const ExportBlock& block);
/// An element of the result of a Prometheus matrix; NaN is kept.
void AppendPromApiItem(std::string& dst, const ExportBlock& block);
/// The same a piece at a time.
class PromApiItem {
 public:
  explicit PromApiItem(const ExportBlock& block) : block_(block) {}
  /// True: more is to come.
  bool AppendPiece(std::string& dst);

 private:
  const ExportBlock block_;
  size_t next_ = 0;
};
inline constexpr std::string_view kPromApiHead = "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[";

/// `name{a="b"}` in exposition format; labels as they are stored.
void AppendPrometheusMetric(std::string& dst, const model::MetricName& name);
/// In quotes, with `\`, line feed and quote escaped.
void AppendPrometheusQuoted(std::string& dst, std::string_view value);

}  // namespace vm::select
