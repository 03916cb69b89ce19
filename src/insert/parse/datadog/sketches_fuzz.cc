// The ranges of sketches and of their points follow each other, and each point has its quantiles.
#include "insert/parse/datadog/sketches.h"

#include <protozero/pbf_writer.hpp>

#include "lib/bytes/fuzz.h"

using namespace vm;          // NOLINT: one small program, nothing includes it
using namespace vm::insert;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

namespace {

std::string Body(bool is_packed) {
  std::string point, sketch, body;
  const std::vector<int32_t> keys = {-1400, 0, 1400};
  const std::vector<uint32_t> counts = {1, 2, 3};
  protozero::pbf_writer point_writer(point);
  point_writer.add_int64(1, 1700000000);
  point_writer.add_int64(2, 6);
  point_writer.add_double(3, -2.5);
  point_writer.add_double(4, 2.5);
  point_writer.add_double(6, 3);
  if (is_packed) {
    point_writer.add_packed_sint32(7, keys.begin(), keys.end());
    point_writer.add_packed_uint32(8, counts.begin(), counts.end());
  } else {
    for (const int32_t key : keys) point_writer.add_sint32(7, key);
    for (const uint32_t count : counts) point_writer.add_uint32(8, count);
  }
  protozero::pbf_writer sketch_writer(sketch);
  sketch_writer.add_string(1, "m");
  sketch_writer.add_string(2, "host");
  sketch_writer.add_string(4, "a:b");
  sketch_writer.add_message(7, point);
  protozero::pbf_writer(body).add_message(1, sketch);
  return body;
}

}  // namespace

VM_FUZZ_SEEDS(Body(true), Body(false))

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  DatadogSketches sketches;
  if (!sketches.Parse(ByteView(data, size)).ok()) return 0;
  size_t tags = 0, points = 0, keys = 0, counts = 0;
  for (const DatadogSketch& sketch : sketches.sketches()) {
    Require(sketch.first_tag == tags && sketch.first_point == points);
    tags += sketch.tags_count;
    points += sketch.points_count;
    fuzz::Touch(sketch.metric);
    fuzz::Touch(sketch.host);
    for (const std::string_view tag : sketches.tags(sketch)) fuzz::Touch(tag);
    for (const DatadogSketchPoint& point : sketches.points(sketch)) {
      Require(point.first_key == keys && point.first_count == counts);
      keys += point.keys_count;
      counts += point.counts_count;
      for (const DatadogQuantile& quantile : kDatadogQuantiles) {
        const double value = sketches.Quantile(point, quantile.value);
        Require(point.count != 0 || value == 0);
      }
    }
  }
  Require(tags + points + keys + counts <= size);
  return 0;
}
