#include "select/graphite/catalogue.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "select/graphite/functions.h"

namespace vm::select::graphite {
namespace {

using Json = nlohmann::json;

TEST(CatalogueTest, HasTheSupportedFunctions) {
  const Json all = Json::parse(FunctionsJson(false, ""));
  for (const auto& [name, entry] : all.items()) {
    const FunctionEntry* function = FindFunction(name);
    ASSERT_NE(function, nullptr) << name;
    EXPECT_NE(function->run, nullptr) << name;
    EXPECT_EQ(entry["name"], name);
    EXPECT_TRUE(entry["function"].get<std::string>().starts_with(name + "("));
    for (const Json& param : entry["params"]) EXPECT_FALSE(param["name"].get<std::string>().empty());
  }
  // Beside other names of the same, all are there.
  const std::set<std::string_view> aliases = {"logarithm", "max", "min", "roundFunction", "aliasByTags", "xFilesFactor"};
  for (const auto group : {ValueFunctions(), NameFunctions(), CombineFunctions(), FilterFunctions(), TimeFunctions(), MakeFunctions(),
                           ForecastFunctions()}) {
    for (const FunctionEntry& function : group) {
      if (function.run != nullptr && !aliases.contains(function.name)) {
        EXPECT_TRUE(all.contains(std::string(function.name))) << function.name;
      }
    }
  }
}

TEST(CatalogueTest, DescribesArguments) {
  const Json summarize = Json::parse(FunctionJson("summarize").value());
  EXPECT_EQ(summarize["function"], "summarize(seriesList, intervalString, func='sum', alignToFrom=False)");
  EXPECT_EQ(summarize["group"], "Transform");
  EXPECT_EQ(summarize["params"][0], (Json{{"name", "seriesList"}, {"type", "seriesList"}, {"required", true}}));
  EXPECT_EQ(summarize["params"][1]["suggestions"], (Json{"10min", "1h", "1d"}));
  EXPECT_EQ(summarize["params"][2]["default"], "sum");
  EXPECT_EQ(summarize["params"][2]["options"].size(), 16u);
  EXPECT_EQ(summarize["params"][3]["default"], false);
  const Json filter = Json::parse(FunctionJson("filterSeries").value());
  EXPECT_EQ(filter["params"][2]["options"], (Json{"!=", "<", "<=", "=", ">", ">="}));
  EXPECT_TRUE(Json::parse(FunctionJson("aliasByNode").value())["params"][1]["multiple"].get<bool>());
  EXPECT_FALSE(FunctionJson("mapSeries").has_value());
}

TEST(CatalogueTest, GroupsFunctions) {
  const Json groups = Json::parse(FunctionsJson(true, ""));
  EXPECT_EQ(groups["Alias"]["alias"]["name"], "alias");
  EXPECT_EQ(groups["Sorting"].size(), 5u);
  const Json sorting = Json::parse(FunctionsJson(false, "Sorting"));
  EXPECT_EQ(sorting, groups["Sorting"]);
  EXPECT_EQ(Json::parse(FunctionsJson(true, "Sorting")).size(), 1u);
}

}  // namespace
}  // namespace vm::select::graphite
