#include "insert/parse/datadog/sketches.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <protozero/pbf_writer.hpp>

namespace vm::insert {
namespace {

struct Point {
  int64_t timestamp = 0;
  int64_t count = 0;
  double min = 0;
  double max = 0;
  double sum = 0;
  std::vector<int32_t> keys;
  std::vector<uint32_t> counts;
};

std::string Body(const std::string& metric, const std::vector<std::string>& tags, const std::vector<Point>& points) {
  std::string sketch;
  protozero::pbf_writer writer(sketch);
  writer.add_string(1, metric);
  writer.add_string(2, "h");
  for (const std::string& tag : tags) writer.add_string(4, tag);
  for (const Point& point : points) {
    std::string item;
    protozero::pbf_writer point_writer(item);
    point_writer.add_int64(1, point.timestamp);
    point_writer.add_int64(2, point.count);
    point_writer.add_double(3, point.min);
    point_writer.add_double(4, point.max);
    point_writer.add_double(6, point.sum);
    point_writer.add_packed_sint32(7, point.keys.begin(), point.keys.end());
    point_writer.add_packed_uint32(8, point.counts.begin(), point.counts.end());
    writer.add_message(7, item);
  }
  std::string body;
  protozero::pbf_writer(body).add_message(1, sketch);
  return body;
}

TEST(DatadogSketchesTest, ReadsAllFields) {
  const std::string body = Body("m", {"a:b", "c"}, {{7, 2, 1.5, 2.5, 4, {1, -2}, {1, 1}}, {8}}) + Body("n", {}, {});
  DatadogSketches sketches;
  ASSERT_TRUE(sketches.Parse(AsBytes(body)).ok());
  ASSERT_EQ(sketches.sketches().size(), 2u);
  const DatadogSketch& sketch = sketches.sketches()[0];
  EXPECT_EQ(sketch.metric, "m");
  EXPECT_EQ(sketch.host, "h");
  ASSERT_EQ(sketch.tags_count, 2u);
  EXPECT_EQ(sketches.tags(sketch)[1], "c");
  ASSERT_EQ(sketch.points_count, 2u);
  const DatadogSketchPoint& point = sketches.points(sketch)[0];
  EXPECT_EQ(point.timestamp, 7000);
  EXPECT_EQ(point.count, 2);
  EXPECT_EQ(point.min, 1.5);
  EXPECT_EQ(point.max, 2.5);
  EXPECT_EQ(point.sum, 4);
  EXPECT_EQ(sketches.points(sketch)[1].timestamp, 8000);
  EXPECT_EQ(sketches.sketches()[1].metric, "n");
  EXPECT_EQ(sketches.sketches()[1].points_count, 0u);
}

TEST(DatadogSketchesTest, RefusesEveryTruncationAndOtherTypes) {
  const std::string body = Body("m", {"a:b"}, {{7, 2, 1.5, 2.5, 4, {1, 2}, {1, 1}}});
  DatadogSketches sketches;
  for (size_t size = 1; size < body.size(); ++size) {
    EXPECT_FALSE(sketches.Parse(AsBytes(body).first(size)).ok()) << size;
  }
  std::string sketch;
  protozero::pbf_writer(sketch).add_int64(1, 5);  // A number as name.
  std::string other;
  protozero::pbf_writer(other).add_message(1, sketch);
  const Status status = sketches.Parse(AsBytes(other));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message(), "cannot unmarshal DataDog Sketches request with size 4 bytes: cannot read metric");
}

TEST(DatadogSketchesTest, InterpolatesInsideOfBuckets) {
  const std::string body =
      Body("m", {}, {{1, 6, 8, 25, 100, {1472, 1473, 1514, 1515, 1524, 1531}, {1, 1, 1, 1, 1, 1}}, {1, 3, -1, 5, 1, {-1400, 0, 1400}, {1, 1, 1}}});
  DatadogSketches sketches;
  ASSERT_TRUE(sketches.Parse(AsBytes(body)).ok());
  const auto points = sketches.points(sketches.sketches()[0]);
  const auto quantile = [&](size_t i, double q) { return sketches.Quantile(points[i], q); };
  const auto bucket = [](int key) { return std::pow(1.015625, key - 1338); };
  EXPECT_NEAR(quantile(0, 0.5), bucket(1514), 1e-12);  // Rank 2 of 0..5: the third value.
  EXPECT_NEAR(quantile(0, 0.75), bucket(1524), 1e-12);
  EXPECT_NEAR(quantile(0, 0.99), bucket(1531), 1e-12);
  EXPECT_EQ(quantile(1, 0.5), 0);
  EXPECT_NEAR(quantile(1, 0.95), bucket(1400), 1e-12);
}

TEST(DatadogSketchesTest, HasAnAnswerForOddSketches) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::string body = Body("m", {},
                                {{1, 0, 3, 4, 5, {1}, {1}},          // No values.
                                 {1, 2, 3, 4, 5, {1, 2}, {1}},       // More keys than counts.
                                 {1, 9, 3, 4, 5, {1400}, {1}},       // Fewer values in buckets than said.
                                 {1, 2, 3, 4, 5, {0, 32767}, {1, 1}},
                                 {1, 3, 7, 4, 5, {1400, 1401}, {2, 1}},
                                 {1, std::numeric_limits<int64_t>::min(), 7, 4, 5, {1400}, {2}}});
  DatadogSketches sketches;
  ASSERT_TRUE(sketches.Parse(AsBytes(body)).ok());
  const auto points = sketches.points(sketches.sketches()[0]);
  EXPECT_EQ(sketches.Quantile(points[0], 0.5), 0);
  EXPECT_EQ(sketches.Quantile(points[1], 0.5), 0);
  EXPECT_EQ(sketches.Quantile(points[2], 0.5), 4);
  EXPECT_TRUE(std::isnan(sketches.Quantile(points[3], 0.75)) || sketches.Quantile(points[3], 0.75) == kInfinity);
  EXPECT_EQ(sketches.Quantile(points[4], 0.1), 7);  // The least value takes the place of the lower end of the first bucket.
  sketches.Quantile(points[5], 0.5);
}

}  // namespace
}  // namespace vm::insert
