#include "insert/parse/newrelic/newrelic.h"

#include <gtest/gtest.h>

#include "insert/parse/rows/conformance.h"

namespace vm::insert {
namespace {

using nlohmann::json;

TEST(NewrelicTest, AgreesWithTheConformanceRows) {
  const auto cases = ConformanceCases("parse", "newrelic");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const json& item : cases) {
    SCOPED_TRACE(item.dump());
    const std::string input = item["input"];
    NewrelicEvents events;
    const Status status = events.Parse(input);
    EXPECT_EQ(status.ok(), !item.value("error", false));
    if (!status.ok()) continue;
    const json& want = item["expected_rows"];
    ASSERT_EQ(events.events().size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      const NewrelicEvent& event = events.events()[i];
      EXPECT_EQ(TagsOf(events.labels(event)), ConformanceTags(want[i]));
      EXPECT_EQ(event.timestamp, want[i]["timestamp"].get<int64_t>());
      json samples = json::array();
      for (const NewrelicSample& sample : events.samples(event)) samples.push_back({std::string(sample.name), sample.value});
      EXPECT_EQ(samples, want[i]["samples"]);
    }
  }
}

TEST(NewrelicTest, TakesTextsAsLabelsAndNumbersAsSamples) {
  NewrelicEvents events;
  ASSERT_TRUE(events.Parse("[{\"Events\":[{\"a\":\"b\",\"e\":\"\",\"n\":1.5,\"t\":true,\"x\":null,\"\":3,\"timestamp\":4294967295}]}]").ok());
  const NewrelicEvent& event = events.events()[0];
  EXPECT_EQ(event.timestamp, 4294967295000);
  ASSERT_EQ(event.labels_count, 1u);
  ASSERT_EQ(event.samples_count, 1u);
  EXPECT_EQ(events.samples(event)[0].value, 1.5);
  EXPECT_FALSE(events.Parse("[{\"Events\":{}}]").ok());
  EXPECT_FALSE(events.Parse("[{\"Events\":[1]}]").ok());
}

TEST(NewrelicTest, TakesTimesOfAnySize) {
  NewrelicEvents events;
  ASSERT_TRUE(events.Parse("[{\"Events\":[{\"timestamp\":1e300},{\"timestamp\":NaN}]}]").ok());
  for (const NewrelicEvent& event : events.events()) EXPECT_EQ(event.timestamp, INT64_MIN);
}

}  // namespace
}  // namespace vm::insert
