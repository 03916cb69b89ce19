#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/metricsql/ast.h"

namespace vm::metricsql {
namespace {

TEST(ParseTest, PrintsCanonicalText) {
  const std::pair<const char*, const char*> cases[] = {
      {"-metric", "0 - metric"},
      {"M1+ON(FOO)GROUP_left M2", "M1 + on(FOO) group_left() M2"},
      {"sum by (s) (xx)[5s]", "(sum(xx) by(s))[5s]"},
      {"5 - 1 + 3 * 2 ^ 2 ^ 3 - 2 OR M", "770 or M"},
      {"2 * -4 ^ 0.5", "-4"},
      {"rate(m[$__interval] offset $__interval) * $__interval", "rate(m offset 1i) * 1i"},
  };
  for (const auto& [query, want] : cases) {
    const auto expr = Parse(query);
    ASSERT_TRUE(expr.ok()) << query << ": " << expr.error().message();
    EXPECT_EQ(ToString(*expr.value()), want);
  }
}

/// Queries whose expansion needs WITH templates are skipped; everything else must match.
TEST(ParseTest, Conformance) {
  std::ifstream in(std::string(VM_SHARED_DIR) + "/conformance/metricsql_parse.jsonl");
  if (!in) GTEST_SKIP() << "no conformance data";
  size_t ran = 0;
  for (std::string line; std::getline(in, line);) {
    const auto test = nlohmann::json::parse(line);
    const std::string kind = test.at("kind");
    if (kind != "parse_same" && kind != "parse_another" && kind != "parse_invalid") continue;
    const std::string query = test.at("input");
    const auto expr = Parse(query);
    if (!expr.ok() && expr.error().message().find("WITH") != std::string::npos) continue;
    ++ran;
    if (kind == "parse_invalid") {
      EXPECT_FALSE(expr.ok()) << query;
      continue;
    }
    if (!expr.ok()) {
      ADD_FAILURE() << query << ": " << expr.error().message();
      continue;
    }
    const std::string want = test.contains("expected") ? test.at("expected").get<std::string>() : query;
    EXPECT_EQ(ToString(*expr.value()), want) << query;
  }
  EXPECT_GT(ran, 300U);
}

}  // namespace
}  // namespace vm::metricsql
