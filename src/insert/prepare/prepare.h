#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/metric_name.h"
#include "lib/model/tenant.h"

namespace vm::insert {

struct PrepareOptions {
  size_t max_labels_per_series = 40;   // -maxLabelsPerTimeseries; 0: no limit.
  size_t max_label_name_bytes = 256;   // -maxLabelNameLen
  size_t max_label_value_bytes = 4096; // -maxLabelValueLen
  bool sort_labels = false;            // -sortLabels
  bool prometheus_naming = false;      // -usePromCompatibleNaming
};

/// What becomes of a series.
enum class Verdict : uint8_t {
  kKeep,
  kNoLabels,           // Nothing is left: dropped without a count.
  kTooManyLabels,      // The other three are counted by their reason.
  kTooLongLabelName,
  kTooLongLabelValue,
};

/// Apply the label limits and, if wanted, sort the labels by name. Labels without a value must already
/// be left out (AddLabel does). Reference: app/vminsert/netstorage/insert_ctx.go.
Verdict PrepareLabels(std::span<model::LabelView> labels, const PrepareOptions& options);

/// Replace characters that Prometheus does not allow in names by `_`; `__name__` becomes the empty name. `texts` owns the changed ones.
/// Reference: app/vminsert/relabel.
void UsePrometheusNames(std::span<model::LabelView> labels, std::deque<std::string>& texts);

/// Append a label unless its value is empty.
inline void AddLabel(std::vector<model::LabelView>& labels, model::LabelView label) {
  if (!label.value.empty()) labels.push_back(label);
}

/// Tenant of a series sent to the multitenant endpoint. `vm_account_id` and `vm_project_id` are taken
/// out of the labels, `VictoriaMetrics_AccountID` and `VictoriaMetrics_ProjectID` stay; what does not
/// parse counts as 0.
model::Tenant TakeTenant(std::vector<model::LabelView>& labels);

}  // namespace vm::insert
