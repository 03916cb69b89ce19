#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "insert/parse/rows/steps.h"
#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/metric_name.h"

namespace vm::insert {

struct OtlpOptions {
  bool promote_scope = true;                    // -opentelemetry.promoteScopeMetadata
  bool promote_all_resource_attributes = true;  // -opentelemetry.promoteAllResourceAttributes
  std::set<std::string, std::less<>> resource_attributes;  // All but these, or only these.
  bool prometheus_naming = false;               // -opentelemetry.usePrometheusNaming
  bool prometheus_metric_names = false;         // -opentelemetry.convertMetricNamesToPrometheus
  bool prefix_underscores = true;               // -opentelemetry.labelNameUnderscoreSanitization
};

/// Where samples and metadata go. Views are valid until the call returns.
class OtlpSink {
 public:
  virtual ~OtlpSink() = default;
  /// `labels` begins with `__name__`; Unix milliseconds. The sink may change the order of `labels`.
  virtual void OnSample(std::span<const model::LabelView> labels, int64_t timestamp, double value) = 0;
  /// Once a name. `type` is that of model::MetadataRow.
  virtual void OnMetadata(std::string_view name, uint32_t type, std::string_view help, std::string_view unit) = 0;
  /// Asked after each sample.
  virtual bool ShouldPause() { return false; }
};

/// Read an ExportMetricsServiceRequest, with a pause where `sink` wants one. Samples before an error have been handed over. All must
/// outlive the steps. Errors: kInvalidInput. Reference: VictoriaMetrics lib/protoparser/opentelemetry.
Steps ParseOtlp(ByteView body, const OtlpOptions& options, OtlpSink& sink);

}  // namespace vm::insert
