#include "insert/parse/newrelic/newrelic.h"

#include <optional>

#include "insert/parse/prometheus/number.h"

namespace vm::insert {
namespace {

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

}  // namespace

Status NewrelicEvents::Parse(std::string_view body) {
  events_.clear();
  labels_.clear();
  samples_.clear();
  VM_TRY(document_.Parse(body));
  const JsonValue root = document_.root();
  if (!root.is(JsonType::kArray)) return Bad("cannot find the top-level array of MetricPost objects");
  for (const JsonValue post : root) {
    if (!post.is(JsonType::kObject)) return Bad("cannot find MetricPost object");
    for (const JsonValue member : post) {
      if (member.key() != "Events") continue;
      if (!member.is(JsonType::kArray)) return Bad("cannot find Events array in MetricPost object");
      for (const JsonValue event : member) {
        if (!event.is(JsonType::kObject)) return Bad("cannot find EventObject");
        VM_TRY(TakeEvent(event));
      }
    }
  }
  return Ok();
}

Status NewrelicEvents::TakeEvent(const JsonValue& object) {
  NewrelicEvent event;
  event.first_label = labels_.size();
  event.first_sample = samples_.size();
  for (const JsonValue member : object) {
    if (member.key().empty()) continue;
    if (member.is(JsonType::kString)) {
      if (!member.text().empty()) labels_.push_back(model::LabelView{member.key(), member.text()});
    } else if (member.is(JsonType::kNumber)) {
      const std::optional<double> number = member.AsNumber();
      if (member.key() != "timestamp") {
        samples_.push_back(NewrelicSample{member.key(), number.value_or(0)});
        continue;
      }
      if (!number) return Bad("cannot parse `timestamp` field");
      constexpr double kFirstMillisecond = 4294967296;  // Of 32 bits; below are seconds.
      event.timestamp = TruncateToInt64(*number < kFirstMillisecond ? *number * 1000 : *number);
    }
  }
  event.labels_count = labels_.size() - event.first_label;
  event.samples_count = samples_.size() - event.first_sample;
  events_.push_back(event);
  return Ok();
}

}  // namespace vm::insert
