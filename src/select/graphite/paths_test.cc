#include "select/graphite/paths.h"

#include <gtest/gtest.h>

#include "select/graphite/conformance.h"

namespace vm::select::graphite {
namespace {

using Strings = std::vector<std::string>;

TEST(PathsTest, AgreesWithTheConformanceCases) {
  const size_t tried =
      ForEachCase("graphite_metrics_regexp", [](const Json& item) {
        const std::string delimiter = item["input"]["delimiter"];
        EXPECT_EQ(PathPatternToRegex(item["input"]["query"].get<std::string>(), delimiter[0]), item["expected"]);
      }) +
      ForEachCase("graphite_automatic_variants", [](const Json& item) {
        const std::string delimiter = item["input"]["delimiter"];
        EXPECT_EQ(AddAutomaticVariants(item["input"]["query"].get<std::string>(), delimiter[0]), item["expected"]);
      }) +
      ForEachCase("graphite_filter_leaves", [](const Json& item) {
        Strings paths = item["input"]["paths"];
        FilterLeaves(paths, item["input"]["delimiter"].get<std::string>()[0]);
        EXPECT_EQ(Json(paths), item["expected"]);
      }) +
      ForEachCase("graphite_sort_paths", [](const Json& item) {
        Strings paths = item["input"]["paths"];
        SortPaths(paths, item["input"]["delimiter"].get<std::string>()[0]);
        EXPECT_EQ(Json(paths), item["expected"]);
      });
  if (tried == 0) GTEST_SKIP() << "no shared conformance data";
}

TEST(PathsTest, PatternsMatchLeavesAndNodes) {
  const auto matches = [](const char* pattern, const char* path) {
    auto compiled = CompilePathPattern(pattern, '.');
    return compiled.ok() && compiled.value().Match(path);
  };
  EXPECT_TRUE(matches("a.{b,cd*}", "a.b"));
  EXPECT_TRUE(matches("a.{b,cd*}", "a.cdef."));
  EXPECT_FALSE(matches("a.{b,cd*}", "a.cd.f"));
  EXPECT_TRUE(matches("{,x}a", "a"));
  EXPECT_TRUE(matches("h[1-3]", "h2"));
  EXPECT_FALSE(matches("h[1-3]", "h4"));
  EXPECT_FALSE(CompilePathPattern("h[3-1]", '.').ok());
  EXPECT_TRUE(CompilePathPattern(std::string(20000, '{'), '.').ok());  // Nested without end.
}

TEST(PathsTest, WritesTrees) {
  EXPECT_EQ(FindResponse({"a.b", "a.c.", "a.b.", "a.d"}, '.', FindFormat::kTreeJson, true),
            R"([{"id":"a.b","text":"b","allowChildren":1,"expandable":1,"leaf":0},)"
            R"({"id":"a.c.","text":"c","allowChildren":1,"expandable":1,"leaf":0},)"
            R"({"id":"a.d","text":"d","allowChildren":0,"expandable":0,"leaf":1},)"
            R"({"id":"a.*","text": "*","allowChildren":1,"expandable":1,"leaf":0}])");
  EXPECT_EQ(FindResponse({"a"}, '.', FindFormat::kTreeJson, true), R"([{"id":"a","text":"a","allowChildren":0,"expandable":0,"leaf":1}])");
  EXPECT_EQ(FindResponse({}, '.', FindFormat::kTreeJson, true), "[]");
}

TEST(PathsTest, WritesCompletions) {
  EXPECT_EQ(FindResponse({"a.b", "a.c."}, '.', FindFormat::kCompleter, true),
            R"({"metrics":[{"path":"a.c.","name":"c","is_leaf":0},{"path":"a.b","name":"b","is_leaf":1},{"name": "*"}]})");
  EXPECT_EQ(FindResponse({}, '.', FindFormat::kCompleter, false), R"({"metrics":[]})");
}

TEST(PathsTest, WritesListsAndCalls) {
  EXPECT_EQ(StringsResponse({"a", "<b>"}), R"(["a","\u003cb>"])");
  EXPECT_EQ(ExpandResponse({{"a*", {"a", "ab."}}, {"x", {}}}), R"({"results":{"a*":["a","ab."],"x":[]}})");
  EXPECT_EQ(WrapJsonp("[]", "f"), "f([])");
  EXPECT_EQ(WrapJsonp("[]", ""), "[]");
  EXPECT_EQ(ContentTypeOf("f"), "text/javascript; charset=utf-8");
}

}  // namespace
}  // namespace vm::select::graphite
