#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/regex/regex.h"
#include "lib/regex/simplify.h"

namespace vm::regex {
namespace {

using nlohmann::json;

void CheckMatch(const json& test, Anchoring anchoring) {
  const auto& input = test.at("input");
  const auto regex = Regex::Compile(input.at("expr").get<std::string>(), anchoring);
  ASSERT_TRUE(regex.ok()) << regex.error().message();
  EXPECT_EQ(regex.value().Match(input.at("s").get<std::string>()), test.at("expected").get<bool>());
}

void CheckSimplify(const json& test, Anchoring anchoring) {
  const Simplified got = Simplify(test.at("input").get<std::string>(), anchoring);
  EXPECT_EQ(got.prefix, test.at("expected").at("prefix").get<std::string>());
  EXPECT_EQ(got.suffix, test.at("expected").at("suffix").get<std::string>());
}

void CheckCase(const json& test) {
  const std::string kind = test.at("kind");
  if (kind == "regex_match") return CheckMatch(test, Anchoring::kAnywhere);
  if (kind == "prom_regex_match") return CheckMatch(test, Anchoring::kWhole);
  if (kind == "simplify_regex") return CheckSimplify(test, Anchoring::kAnywhere);
  if (kind == "simplify_prom_regex") return CheckSimplify(test, Anchoring::kWhole);
  const std::string input = test.at("input");
  if (kind == "or_values_regex") {
    EXPECT_EQ(json(OrValues(input, Anchoring::kAnywhere)), test.at("expected"));
  } else if (kind == "or_values_prom_regex") {
    EXPECT_EQ(json(OrValues(input, Anchoring::kWhole)), test.at("expected"));
  } else if (kind == "regex_literals") {
    EXPECT_EQ(json(Literals(input)), test.at("expected"));
  } else if (kind == "remove_start_end_anchors") {
    EXPECT_EQ(std::string(RemoveStartEndAnchors(input)), test.at("expected").get<std::string>());
  } else if (kind == "regex_parse" || kind == "prom_regex_parse") {
    EXPECT_FALSE(Regex::Compile(input).ok());
  } else {
    ADD_FAILURE() << "unknown kind";
  }
}

TEST(RegexConformanceTest, EveryCaseOfEveryKind) {
  std::ifstream in(std::string(VM_SHARED_DIR) + "/conformance/regex.jsonl");
  if (!in) GTEST_SKIP() << "no conformance data";
  size_t ran = 0;
  for (std::string line; std::getline(in, line); ++ran) {
    SCOPED_TRACE(line);
    CheckCase(json::parse(line));
  }
  EXPECT_EQ(ran, 190U);
}

}  // namespace
}  // namespace vm::regex
