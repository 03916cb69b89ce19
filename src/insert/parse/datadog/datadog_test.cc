#include "insert/parse/datadog/datadog.h"

#include <gtest/gtest.h>

#include <protozero/pbf_writer.hpp>

#include "insert/parse/rows/conformance.h"

namespace vm::insert {
namespace {

using nlohmann::json;

TEST(DatadogTest, AgreesWithTheConformanceSeries) {
  size_t tried = 0;
  for (const char* protocol : {"datadogv1", "datadogv2"}) {
    const bool is_v2 = protocol == std::string("datadogv2");
    for (const json& item : ConformanceCases("parse", protocol)) {
      ++tried;
      SCOPED_TRACE(item.dump());
      const std::string input = item["input"];
      DatadogRequest request;
      const Status status = is_v2 ? request.ParseV2Json(input) : request.ParseV1(input);
      EXPECT_EQ(status.ok(), !item.value("error", false));
      if (!status.ok()) continue;
      const json& want = item["expected_series"];
      ASSERT_EQ(request.series().size(), want.size());
      for (size_t i = 0; i < want.size(); ++i) {
        const DatadogSeries& series = request.series()[i];
        EXPECT_EQ(series.metric, want[i]["metric"].get<std::string>());
        ASSERT_EQ(series.points_count, want[i]["points"].size());
        for (size_t k = 0; k < series.points_count; ++k) {
          EXPECT_EQ(request.points(series)[k].timestamp, want[i]["points"][k]["timestamp"].get<int64_t>() * 1000);
          EXPECT_EQ(request.points(series)[k].value, want[i]["points"][k]["value"].get<double>());
        }
      }
    }
  }
  if (tried == 0) GTEST_SKIP() << "no shared conformance data";
}

TEST(DatadogTest, AgreesWithTheConformanceNames) {
  const auto cases = ConformanceCases("datadog_sanitize_name");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const json& item : cases) {
    EXPECT_EQ(SanitizeDatadogName(item["input"].get<std::string>()), item["expected"].get<std::string>());
  }
  for (const json& item : ConformanceCases("datadog_split_tag")) {
    const std::string input = item["input"];
    EXPECT_EQ(SplitDatadogTag(input).name, item["expected"]["name"].get<std::string>());
    EXPECT_EQ(SplitDatadogTag(input).value, item["expected"]["value"].get<std::string>());
  }
}

json LabelsOf(const DatadogRequest& request, const DatadogSeries& series) {
  json list = json::array();
  for (const model::LabelView& label : request.labels(series)) {
    if (!label.value.empty()) list.push_back(std::string(label.name) + "=" + std::string(label.value));
  }
  return list;
}

TEST(DatadogTest, OrdersLabelsAsTheReference) {
  DatadogRequest request;
  ASSERT_TRUE(request.ParseV1("{\"series\":[{\"metric\":\"m\",\"tags\":[\"a:b\",\"host:x\",\"c\"],\"host\":\"h\",\"device\":\"d\","
                              "\"points\":[[1.5,2],[3]],\"type\":\"rate\"},{\"metric\":null}]}").ok());
  ASSERT_EQ(request.series().size(), 2u);
  EXPECT_EQ(LabelsOf(request, request.series()[0]),
            (json{"host=h", "device=d", "a=b", "exported_host=x", "c=no_label_value"}));
  EXPECT_EQ(request.points(request.series()[0])[0].timestamp, 1500);
  EXPECT_EQ(request.points(request.series()[0])[1].value, 0);
  ASSERT_TRUE(request.ParseV2Json("{\"series\":[{\"metric\":\"m\",\"tags\":[\"a:b\"],\"source_type_name\":\"s\","
                                  "\"resources\":[{\"type\":\"host\",\"name\":\"h\"}],\"points\":[{\"timestamp\":5,\"value\":6}]}]}").ok());
  EXPECT_EQ(LabelsOf(request, request.series()[0]), (json{"host=h", "a=b", "source_type_name=s"}));
}

TEST(DatadogTest, ReadsProtobuf) {
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
  DatadogRequest request;
  ASSERT_TRUE(request.ParseV2Protobuf(AsBytes(body)).ok());
  ASSERT_EQ(request.series().size(), 1u);
  EXPECT_EQ(request.series()[0].metric, "m");
  EXPECT_EQ(LabelsOf(request, request.series()[0]), (json{"host=h", "a=b", "source_type_name=src"}));
  EXPECT_EQ(request.points(request.series()[0])[0].timestamp, 7000);
  EXPECT_EQ(request.points(request.series()[0])[0].value, 2.5);
  for (size_t size = 1; size < body.size(); ++size) {
    EXPECT_FALSE(request.ParseV2Protobuf(AsBytes(body).first(size)).ok()) << size;
  }
}

TEST(DatadogTest, TakesTimesOfAnySize) {
  DatadogRequest request;
  ASSERT_TRUE(request.ParseV1("{\"series\":[{\"points\":[[1e300,1],[NaN,1]]}]}").ok());
  for (const DatadogPoint& point : request.points(request.series()[0])) EXPECT_EQ(point.timestamp, INT64_MIN);
}

TEST(DatadogTest, RefusesOtherTypes) {
  DatadogRequest request;
  for (const char* bad : {"[]", "{\"series\":{}}", "{\"series\":[1]}", "{\"series\":[{\"metric\":1}]}", "{\"series\":[{\"tags\":[1]}]}",
                          "{\"series\":[{\"points\":[1]}]}", "{\"series\":[{\"points\":[[\"1\",2]]}]}", "{\"series\":[{\"points\":1}]}"}) {
    EXPECT_FALSE(request.ParseV1(bad).ok()) << bad;
  }
  EXPECT_FALSE(request.ParseV2Json("{\"series\":[{\"points\":[{\"timestamp\":1.5}]}]}").ok());
  EXPECT_FALSE(request.ParseV2Json("{\"series\":[{\"points\":[{\"value\":\"1\"}]}]}").ok());
}

}  // namespace
}  // namespace vm::insert
