#include "select/graphite/tags.h"

#include <gtest/gtest.h>

#include "select/graphite/conformance.h"

namespace vm::select::graphite {
namespace {

using Strings = std::vector<std::string>;
using Filters = std::vector<model::TagFilter>;

TEST(TagsTest, AgreesWithTheConformanceCases) {
  const size_t tried = ForEachCase("graphite_unmarshal_tags", [](const Json& item) {
                         EXPECT_EQ(Json(UnmarshalTags(item["input"].get<std::string>())), item["expected"]);
                       }) +
                       ForEachCase("graphite_marshal_tags", [](const Json& item) {
                         EXPECT_EQ(MarshalTags(UnmarshalTags(item["input"].get<std::string>())), item["expected"]);
                       });
  if (tried == 0) GTEST_SKIP() << "no shared conformance data";
}

TEST(TagsTest, CanonicalPathsAreSorted) {
  model::MetricName name;
  name.metric_group = "m";
  name.tags = {{"b", "1"}, {"a", "x;y"}};
  EXPECT_EQ(CanonicalPath(name), "m;a=x;y;b=1");
  EXPECT_EQ(UnmarshalTags(""), Tags());
  EXPECT_EQ(MarshalTags({{"name", "m"}, {"a", "1"}, {"a-", "2"}}), "m;a-=2;a=1");
}

TEST(TagsTest, ReadsExpressions) {
  EXPECT_EQ(ParseTagExpression("a=b=c").value(), (model::TagFilter{"a", "b=c", false, false}));
  EXPECT_EQ(ParseTagExpression("name!=x").value(), (model::TagFilter{"", "x", true, false}));
  EXPECT_EQ(ParseTagExpression("a=~b|c").value(), (model::TagFilter{"a", "^(?:b|c).*", false, true}));
  EXPECT_EQ(ParseTagExpression("a!=~").value(), (model::TagFilter{"a", "^(?:).*", true, true}));
  EXPECT_EQ(ParseTagExpression("a").error().message(), "missing tag value in filter expression \"a\"");
}

TEST(TagsTest, ReadsPathsOfSeries) {
  EXPECT_EQ(FiltersOfPath("m;a=b;;c;d=;=e;f=g=h").value(),
            (Filters{{"", "m", false, false}, {"a", "b", false, false}, {"f", "g=h", false, false}}));
  EXPECT_EQ(FiltersOfPath(";a=b").error().message(), "cannot parse path=\";a=b\": metric cannot be empty");
  EXPECT_FALSE(FiltersOfPath("").ok());
}

TEST(TagsTest, FiltersAtTheFront) {
  Strings texts = {"ab", "b", "xab"};
  EXPECT_TRUE(FilterByRegex(texts, "").ok());
  EXPECT_EQ(texts.size(), 3u);
  EXPECT_TRUE(FilterByRegex(texts, "a|b").ok());
  EXPECT_EQ(texts, (Strings{"ab", "b"}));
  EXPECT_FALSE(FilterByRegex(texts, "(").ok());
  EXPECT_EQ(QuoteRegex("a.b*"), "a\\.b\\*");
}

TEST(TagsTest, TheMetricNameIsATag) {
  Strings names = {"__name__", "a", "z"};
  RenameMetricName(names);
  EXPECT_EQ(names, (Strings{"a", "name", "z"}));
  names = {"__name__", "name"};
  RenameMetricName(names);
  EXPECT_EQ(names, (Strings{"name"}));
}

TEST(TagsTest, WritesLists) {
  EXPECT_EQ(TagsResponse({"a", "b"}), R"([{"tag":"a"},{"tag":"b"}])");
  EXPECT_EQ(TagValuesResponse("a", {"x", "y"}, false), R"({"tag":"a","values":[{"count":1,"value":"x"},{"count":1,"value":"y"}]})");
  EXPECT_EQ(TagValuesResponse("a", {}, true), R"({"tag":"a","is_partial":true,"values":[]})");
}

}  // namespace
}  // namespace vm::select::graphite
