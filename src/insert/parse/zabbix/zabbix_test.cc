#include "insert/parse/zabbix/zabbix.h"

#include <gtest/gtest.h>

#include "insert/parse/rows/conformance.h"

namespace vm::insert {
namespace {

using nlohmann::json;

/// `line` of a good item with other members in front of its own, which then count.
std::string Item(const std::string& members) {
  return "{" + members + R"("host":{"host":"h1","name":"n1"},"groups":["g1"],"item_tags":[{"tag":"a","value":"b"}],)" +
         R"("itemid":1,"name":"in1","clock":1712417868,"ns":425677241,"value":1.5,"type":0})";
}

TEST(ZabbixTest, AgreesWithTheConformanceRows) {
  const auto cases = ConformanceCases("parse", "zabbixconnector");
  if (cases.empty()) GTEST_SKIP() << "no shared conformance data";
  for (const json& item : cases) {
    SCOPED_TRACE(item.dump());
    const std::string input = item["input"];
    const ZabbixOptions options{item["options"]["add_groups_value"], item["options"]["add_empty_tags_value"],
                                item["options"]["add_duplicate_tags_separator"]};
    ZabbixReader reader(options);
    reader.Start(input, nullptr);
    for (const json& want : item["expected_rows"]) {
      const ZabbixRow* row = reader.Next();
      ASSERT_NE(row, nullptr);
      json tags = json::array();
      for (const model::LabelView& label : row->labels) {
        tags.push_back({label.name.empty() ? "__name__" : std::string(label.name), std::string(label.value)});
      }
      std::sort(tags.begin(), tags.end());
      EXPECT_EQ(tags, ConformanceTags(want));
      ExpectSameNumber(row->value, ConformanceNumber(want["value"]));
      EXPECT_EQ(row->timestamp, want["timestamp"].get<int64_t>());
    }
    EXPECT_EQ(reader.Next(), nullptr);
    if (item.value("invalid", false)) {
      EXPECT_GT(reader.bad_count(), 0u);
    }
  }
}

TEST(ZabbixTest, OrdersLabelsAsTheReference) {
  const ZabbixOptions options{"1", "", ""};
  ZabbixReader reader(options);
  const std::string body = Item("");
  reader.Start(body, nullptr);
  const ZabbixRow* row = reader.Next();
  ASSERT_NE(row, nullptr);
  const std::vector<std::pair<std::string, std::string>> want = {
      {"host", "h1"}, {"hostname", "n1"}, {"", "in1"}, {"group_g1", "1"}, {"tag_a", "b"}};
  ASSERT_EQ(row->labels.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(row->labels[i].name, want[i].first);
    EXPECT_EQ(row->labels[i].value, want[i].second);
  }
  EXPECT_EQ(row->value, 1.5);
  EXPECT_EQ(row->timestamp, 1712417868425);
}

TEST(ZabbixTest, MergesDuplicateTags) {
  const ZabbixOptions options{"", "none", ","};
  ZabbixReader reader(options);
  const std::string body = Item(
      R"("item_tags":[{"tag":"a","value":"1"},{"tag":"b","value":"2"},{"tag":"a","value":""},{"tag":"","value":"x"},)"
      R"({"tag":"a","value":"3"}],)");
  reader.Start(body, nullptr);
  const ZabbixRow* row = reader.Next();
  ASSERT_NE(row, nullptr);
  ASSERT_EQ(row->labels.size(), 5u);
  EXPECT_EQ(row->labels[3].name, "tag_a");
  EXPECT_EQ(row->labels[3].value, "1,none,3");
  EXPECT_EQ(row->labels[4].name, "tag_b");
  EXPECT_EQ(row->labels[4].value, "2");
}

TEST(ZabbixTest, SkipsTextsAndReportsBadLines) {
  const ZabbixOptions options;
  ZabbixReader reader(options);
  std::vector<std::string> messages;
  const std::string body = Item(R"("type":4,)") + "\r\n\n" + Item(R"("type":"0",)") + "\n" + Item(R"("clock":1.5,)") + "\n" +
                           Item(R"("value":"1",)") + "\n" + Item(R"("ns":null,)") + "\n" + Item(R"("type":3,)") + "\r\n{";
  reader.Start(body, [&](std::string_view message) { messages.emplace_back(message); });
  EXPECT_NE(reader.Next(), nullptr);
  EXPECT_EQ(reader.Next(), nullptr);
  EXPECT_EQ(reader.bad_count(), 6u);
  ASSERT_EQ(messages.size(), 5u);  // The text is none of them.
  EXPECT_TRUE(messages[0].starts_with("skipping json line \"{")) << messages[0];
  EXPECT_TRUE(messages[0].ends_with("missing `type` element")) << messages[0];
  EXPECT_TRUE(messages[1].ends_with("missing `clock` element: it must be an integer")) << messages[1];
  EXPECT_TRUE(messages[2].ends_with("missing `value` element: it must be a number")) << messages[2];
  EXPECT_TRUE(messages[3].ends_with("missing `ns` element: it must be an integer")) << messages[3];
}

TEST(ZabbixTest, TakesTimesOfAnySize) {
  const ZabbixOptions options;
  ZabbixReader reader(options);
  const std::string body = Item(R"("clock":9223372036854775807,"ns":-9223372036854775808,)");
  reader.Start(body, nullptr);
  ASSERT_NE(reader.Next(), nullptr);
}

}  // namespace
}  // namespace vm::insert
