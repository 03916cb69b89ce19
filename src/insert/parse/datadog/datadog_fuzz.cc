// JSON of v1 and v2, protobuf of v2: the ranges of series follow each other. A clean name stays as it is.
#include "insert/parse/datadog/datadog.h"

#include <protozero/pbf_writer.hpp>

#include "lib/bytes/fuzz.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

namespace {

std::string Protobuf() {
  std::string resource, point, series, body;
  protozero::pbf_writer resource_writer(resource);
  resource_writer.add_string(1, "host");
  resource_writer.add_string(2, "h");
  protozero::pbf_writer point_writer(point);
  point_writer.add_double(1, 2.5);
  point_writer.add_int64(2, 7);
  protozero::pbf_writer series_writer(series);
  series_writer.add_message(1, resource);
  series_writer.add_string(2, "m");
  series_writer.add_string(3, "a:b");
  series_writer.add_message(4, point);
  series_writer.add_uint32(5, 3);
  series_writer.add_string(7, "src");
  protozero::pbf_writer(body).add_message(1, series);
  return body;
}

}  // namespace

VM_FUZZ_SEEDS("0{\"series\":[{\"metric\":\"m\",\"tags\":[\"a:b\",\"host:x\",\"c\"],\"host\":\"h\",\"device\":\"d\","
              "\"points\":[[1.5,2],[3]],\"type\":\"rate\"},{\"metric\":null}]}",
              "1{\"series\":[{\"metric\":\"m\",\"tags\":[\"a:b\"],\"source_type_name\":\"s\","
              "\"resources\":[{\"type\":\"host\",\"name\":\"h\"}],\"points\":[{\"timestamp\":5,\"value\":6}]}]}",
              "2" + Protobuf(), "3a..b__c-d._.e")

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteView src(data, size);
  DatadogRequest request;
  Status status = Ok();
  switch (fuzz::TakeChoice(src, 4)) {
    case 0: status = request.ParseV1(AsText(src)); break;
    case 1: status = request.ParseV2Json(AsText(src)); break;
    case 2: status = request.ParseV2Protobuf(src); break;
    default: {
      const std::string name = SanitizeDatadogName(AsText(src));
      Require(name.size() <= src.size() && SanitizeDatadogName(name) == name);
      const model::LabelView tag = SplitDatadogTag(AsText(src));
      fuzz::Touch(tag.name);
      fuzz::Touch(tag.value);
      return 0;
    }
  }
  if (!status.ok()) return 0;
  size_t labels = 0, points = 0;
  for (const DatadogSeries& series : request.series()) {
    Require(series.first_label == labels && series.first_point == points);
    labels += series.labels_count;
    points += series.points_count;
    fuzz::Touch(series.metric);
    for (const model::LabelView& label : request.labels(series)) {
      fuzz::Touch(label.name);
      fuzz::Touch(label.value);
    }
  }
  Require(labels + points <= 2 * size);
  return 0;
}
