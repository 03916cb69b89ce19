#include "insert/parse/datadog/datadog.h"

#include <fmt/format.h>

#include <new>
#include <optional>
#include <protozero/pbf_reader.hpp>
#include <stdexcept>

#include "insert/parse/prometheus/number.h"

namespace vm::insert {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

Error Bad(std::string message) { return Error(ErrorCode::kInvalidInput, std::move(message)); }

/// A text member; "" when it is absent or null. Errors: kInvalidInput for another type.
Result<std::string_view> TextMember(const JsonValue& object, std::string_view name) {
  const auto member = object.Find(name);
  if (!member || member->is(JsonType::kNull)) return std::string_view();
  if (!member->is(JsonType::kString)) return Bad(fmt::format("`{}` must be a string", name));
  return member->text();
}

/// An array member; nothing when it is absent or null. Errors: kInvalidInput for another type.
Result<std::optional<JsonValue>> ArrayMember(const JsonValue& object, std::string_view name) {
  const auto member = object.Find(name);
  if (!member || member->is(JsonType::kNull)) return std::optional<JsonValue>();
  if (!member->is(JsonType::kArray)) return Bad(fmt::format("`{}` must be an array", name));
  return member;
}

// Thrown and caught inside this file only, like the exceptions of protozero itself.
void Expect(const pbf_reader& reader, pbf_wire_type type, const char* what) {
  if (reader.wire_type() != type) throw std::runtime_error(std::string("cannot read ") + what);
}

std::string_view TakeText(pbf_reader& reader, const char* what) {
  Expect(reader, pbf_wire_type::length_delimited, what);
  const auto view = reader.get_view();
  return std::string_view(view.data(), view.size());
}

pbf_reader Reader(std::string_view src) { return pbf_reader(src.data(), src.size()); }

}  // namespace

model::LabelView SplitDatadogTag(std::string_view tag) {
  const size_t colon = tag.find(':');
  if (colon == std::string_view::npos) return {tag, "no_label_value"};
  return {tag.substr(0, colon), tag.substr(colon + 1)};
}

std::string SanitizeDatadogName(std::string_view name) {
  std::string out;
  out.reserve(name.size());
  for (const char c : name) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (is_plain) {
      out += c;
    } else if (c == '.') {
      if (out.ends_with('_')) out.pop_back();
      out += c;
    } else if (!out.ends_with('_') && !out.ends_with('.')) {
      out += '_';
    }
  }
  return out;
}

void DatadogRequest::Clear() {
  series_.clear();
  labels_.clear();
  points_.clear();
}

void DatadogRequest::AddTag(std::string_view tag) {
  model::LabelView label = SplitDatadogTag(tag);
  if (label.name == "host") label.name = "exported_host";
  labels_.push_back(label);
}

Status DatadogRequest::ParseV1(std::string_view body) { return ParseJson(body, false); }
Status DatadogRequest::ParseV2Json(std::string_view body) { return ParseJson(body, true); }

Status DatadogRequest::ParseJson(std::string_view body, bool is_v2) {
  Clear();
  VM_TRY(document_.Parse(body));
  const JsonValue root = document_.root();
  if (!root.is(JsonType::kObject)) return Bad("the request must be an object");
  VM_ASSIGN_OR_RETURN(const auto series, ArrayMember(root, "series"));
  if (!series) return Ok();
  for (const JsonValue item : *series) {
    if (!item.is(JsonType::kObject)) return Bad("items of `series` must be objects");
    VM_TRY(TakeSeries(item, is_v2));
  }
  return Ok();
}

Status DatadogRequest::TakeSeries(const JsonValue& item, bool is_v2) {
  DatadogSeries series;
  VM_ASSIGN_OR_RETURN(series.metric, TextMember(item, "metric"));
  series.first_label = labels_.size();
  if (is_v2) {
    VM_ASSIGN_OR_RETURN(const auto resources, ArrayMember(item, "resources"));
    if (resources) {
      for (const JsonValue resource : *resources) {
        VM_ASSIGN_OR_RETURN(const std::string_view type, TextMember(resource, "type"));
        VM_ASSIGN_OR_RETURN(const std::string_view name, TextMember(resource, "name"));
        labels_.push_back({type, name});
      }
    }
  } else {
    for (const char* name : {"host", "device"}) {
      VM_ASSIGN_OR_RETURN(const std::string_view value, TextMember(item, name));
      labels_.push_back({name, value});
    }
  }
  VM_ASSIGN_OR_RETURN(const auto tags, ArrayMember(item, "tags"));
  if (tags) {
    for (const JsonValue tag : *tags) {
      if (!tag.is(JsonType::kString)) return Bad("items of `tags` must be strings");
      AddTag(tag.text());
    }
  }
  if (is_v2) {
    VM_ASSIGN_OR_RETURN(const std::string_view source, TextMember(item, "source_type_name"));
    labels_.push_back({"source_type_name", source});
  }
  series.labels_count = labels_.size() - series.first_label;
  series.first_point = points_.size();
  VM_ASSIGN_OR_RETURN(const auto points, ArrayMember(item, "points"));
  if (points) VM_TRY(is_v2 ? TakePointsV2(*points) : TakePointsV1(*points));
  series.points_count = points_.size() - series.first_point;
  series_.push_back(series);
  return Ok();
}

Status DatadogRequest::TakePointsV1(const JsonValue& points) {
  for (const JsonValue item : points) {
    if (!item.is(JsonType::kArray)) return Bad("items of `points` must be arrays");
    DatadogPoint point;
    size_t position = 0;
    for (const JsonValue number : item) {
      const std::optional<double> value = number.AsNumber();
      if (!value) return Bad("a point must be two numbers");
      if (position == 0) point.timestamp = TruncateToInt64(*value * 1000);
      if (position == 1) point.value = *value;
      ++position;
    }
    points_.push_back(point);
  }
  return Ok();
}

Status DatadogRequest::TakePointsV2(const JsonValue& points) {
  for (const JsonValue item : points) {
    if (!item.is(JsonType::kObject)) return Bad("items of `points` must be objects");
    DatadogPoint point;
    if (const auto timestamp = item.Find("timestamp")) {
      const std::optional<int64_t> seconds = timestamp->AsInteger();
      if (!seconds) return Bad("`timestamp` must be an integer");
      point.timestamp = static_cast<int64_t>(static_cast<uint64_t>(*seconds) * 1000);
    }
    if (const auto value = item.Find("value")) {
      const std::optional<double> number = value->AsNumber();
      if (!number) return Bad("`value` must be a number");
      point.value = *number;
    }
    points_.push_back(point);
  }
  return Ok();
}

Status DatadogRequest::ParseV2Protobuf(ByteView body) {
  Clear();
  try {
    pbf_reader reader = Reader(AsText(body));
    while (reader.next()) {
      if (reader.tag() == 1) {
        TakeProtobufSeries(AsBytes(TakeText(reader, "series data")));
      } else {
        reader.skip();
      }
    }
  } catch (const std::bad_alloc&) {
    throw;  // The body is not to blame.
  } catch (const std::exception& exception) {
    return Bad(exception.what());
  }
  return Ok();
}

void DatadogRequest::TakeProtobufSeries(ByteView src) {
  DatadogSeries series;
  series.first_label = labels_.size();
  series.first_point = points_.size();
  std::vector<std::string_view> tags;
  std::string_view source;
  pbf_reader reader = Reader(AsText(src));
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: {
        model::LabelView label;
        pbf_reader resource = Reader(TakeText(reader, "resource data"));
        while (resource.next()) {
          switch (resource.tag()) {
            case 1: label.name = TakeText(resource, "type"); break;
            case 2: label.value = TakeText(resource, "name"); break;
            default: resource.skip();
          }
        }
        labels_.push_back(label);
        break;
      }
      case 2: series.metric = TakeText(reader, "metric"); break;
      case 3: tags.push_back(TakeText(reader, "tag")); break;
      case 4: {
        DatadogPoint point;
        pbf_reader item = Reader(TakeText(reader, "point data"));
        while (item.next()) {
          switch (item.tag()) {
            case 1:
              Expect(item, pbf_wire_type::fixed64, "value");
              point.value = item.get_double();
              break;
            case 2:
              Expect(item, pbf_wire_type::varint, "timestamp");
              point.timestamp = static_cast<int64_t>(item.get_uint64() * 1000);
              break;
            default: item.skip();
          }
        }
        points_.push_back(point);
        break;
      }
      case 7: source = TakeText(reader, "source_type_name"); break;
      default: reader.skip();
    }
  }
  for (const std::string_view tag : tags) AddTag(tag);
  labels_.push_back({"source_type_name", source});
  series.labels_count = labels_.size() - series.first_label;
  series.points_count = points_.size() - series.first_point;
  series_.push_back(series);
}

}  // namespace vm::insert
