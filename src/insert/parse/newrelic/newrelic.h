#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "insert/parse/json/json.h"
#include "lib/base/result.h"
#include "lib/model/metric_name.h"

namespace vm::insert {

struct NewrelicSample {
  std::string_view name;
  double value = 0;
};

/// Ranges of the labels and samples of its NewrelicEvents.
struct NewrelicEvent {
  size_t first_label = 0;
  size_t labels_count = 0;
  size_t first_sample = 0;
  size_t samples_count = 0;
  int64_t timestamp = 0;  // Unix milliseconds; 0: none.
};

/// The events of a body as views into it. Reusable; not thread-safe. Reference: VictoriaMetrics lib/protoparser/newrelic.
class NewrelicEvents {
 public:
  /// Replace the content. Errors: kInvalidInput.
  Status Parse(std::string_view body);

  std::span<const NewrelicEvent> events() const { return events_; }
  std::span<const model::LabelView> labels(const NewrelicEvent& event) const {
    return std::span(labels_).subspan(event.first_label, event.labels_count);
  }
  std::span<const NewrelicSample> samples(const NewrelicEvent& event) const {
    return std::span(samples_).subspan(event.first_sample, event.samples_count);
  }

 private:
  Status TakeEvent(const JsonValue& object);

  JsonDocument document_;
  std::vector<NewrelicEvent> events_;
  std::vector<model::LabelView> labels_;
  std::vector<NewrelicSample> samples_;
};

}  // namespace vm::insert
