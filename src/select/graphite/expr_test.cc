#include "select/graphite/expr.h"

#include <gtest/gtest.h>

#include "select/graphite/conformance.h"
#include "select/graphite/functions.h"
#include "select/graphite/time.h"

namespace vm::select::graphite {
namespace {

TEST(ExprTest, AgreesWithTheConformanceCases) {
  const auto text = [](const Json& item) { return item["input"].get<std::string>(); };
  const auto is_error = [](const Json& item) { return item.value("error", false); };
  const auto same_text = [&](const Json& item) {
    const auto parsed = ParseExpr(text(item));
    ASSERT_TRUE(parsed.ok()) << parsed.error().message();
    EXPECT_EQ(parsed.value().ToString(), item["expected"]);
  };
  const size_t tried =
      ForEachCase("graphite_lex", [&](const Json& item) {
        const auto tokens = Tokens(text(item));
        ASSERT_EQ(tokens.ok(), !is_error(item));
        if (tokens.ok()) {
          EXPECT_EQ(Json(tokens.value()), item["expected"]);
        }
      }) +
      ForEachCase("graphite_parse_same", same_text) + ForEachCase("graphite_parse_another", same_text) +
      ForEachCase("graphite_parse_invalid", [&](const Json& item) { EXPECT_FALSE(ParseExpr(text(item)).ok()); }) +
      ForEachCase("graphite_escape_ident", [&](const Json& item) {
        std::string escaped;
        AppendEscapedIdent(escaped, text(item));
        EXPECT_EQ(escaped, item["expected"]);
      }) +
      ForEachCase("graphite_quote_string", [&](const Json& item) { EXPECT_EQ(QuoteString(text(item)), item["expected"]); }) +
      ForEachCase("graphite_path_from_name", [&](const Json& item) { EXPECT_EQ(PathOfName(text(item)), item["expected"]); }) +
      ForEachCase("graphite_regexp_replacement", [&](const Json& item) { EXPECT_EQ(ToGoReplacement(text(item)), item["expected"]); }) +
      ForEachCase("graphite_node_index", [&](const Json& item) {
        EXPECT_EQ(NodeIndex(item["input"]["index"].get<int>(), item["input"]["size"].get<int>()), item["expected"].get<int>());
      }) +
      ForEachCase("graphite_natural_less", [&](const Json& item) {
        EXPECT_EQ(NaturalLess(item["input"]["a"].get<std::string>(), item["input"]["b"].get<std::string>()), item["expected"].get<bool>());
      }) +
      ForEachCase("graphite_interval", [&](const Json& item) {
        const auto interval = ParseInterval(text(item));
        ASSERT_EQ(interval.ok(), !is_error(item));
        if (interval.ok()) {
          EXPECT_EQ(interval.value(), item["expected"].get<int64_t>());
        }
      }) +
      ForEachCase("graphite_time", [&](const Json& item) {
        if (is_error(item)) {
          EXPECT_FALSE(ParseTime(text(item), 0).ok());
          return;
        }
        const auto time = ParseTime(item["input"]["s"].get<std::string>(), item["input"]["now_ms"].get<int64_t>());
        ASSERT_TRUE(time.ok());
        EXPECT_EQ(time.value(), item["expected"].get<int64_t>());
      });
  if (tried == 0) GTEST_SKIP() << "no shared conformance data";
}

TEST(ExprTest, ReadsCallsAndChains) {
  const auto parsed = ParseExpr("a.{b,c}*|scale(2)|alias('x', )");
  ASSERT_TRUE(parsed.ok());
  const Expr& alias = parsed.value();
  EXPECT_EQ(alias.text, "alias");
  ASSERT_EQ(alias.args.size(), 2u);
  EXPECT_EQ(alias.args[0].value.text, "scale");
  EXPECT_EQ(alias.args[0].value.args[0].value.text, "a.{b,c}*");
  EXPECT_EQ(alias.ToString(), "a.{b,c}*|scale(2)|alias('x')");
  const auto named = ParseExpr("f(a=-1,b=true,c=NONE)");
  ASSERT_TRUE(named.ok());
  EXPECT_EQ(named.value().args[0].name, "a");
  EXPECT_EQ(named.value().args[0].value.number, -1);
  EXPECT_TRUE(named.value().args[1].value.flag);
  EXPECT_TRUE(named.value().args[2].value.is(Expr::Kind::kNone));
}

TEST(ExprTest, DepthIsLimited) {
  std::string calls, chain = "a";
  for (int i = 0; i < 5000; ++i) {
    calls += "f(";
    chain += "|f";
  }
  EXPECT_FALSE(ParseExpr(calls).ok());
  EXPECT_FALSE(ParseExpr(chain).ok());
  EXPECT_EQ(PathOfName(chain), chain);
}

TEST(TimeTest, ReadsAllForms) {
  constexpr int64_t kNow = 1'700'000'000'123;
  const auto at = [](std::string_view text) { return ParseTime(text, kNow).value(); };
  EXPECT_EQ(at("yesterday"), kNow - kNow % 86400000 - 86400000);
  EXPECT_EQ(at("2021-02-23T18:36:12.5+01:00"), 1614101772500);
  EXPECT_EQ(at("9:3620210223"), 1614073000000 + 360000 - 400000);
  EXPECT_EQ(at("18:36 20210223"), 1614105360000);
  EXPECT_EQ(at("02/23/21"), 1614038400000);
  EXPECT_EQ(at("-1h"), kNow - 3600000);
  EXPECT_EQ(at("1"), 1000);
  for (const char* bad : {"", "24:00_20210223", "2021-02-23T18:36:12", "13/01/21", "x", "1e5"}) {
    EXPECT_FALSE(ParseTime(bad, kNow).ok()) << bad;
  }
  EXPECT_EQ(ParseTime("9999999999999999999y", kNow).value(), kMaxTimeMs);
}

TEST(TimeTest, AlignsToUnits) {
  constexpr int64_t kTime = 1614105372345;  // 2021-02-23T18:36:12.345Z, a Tuesday.
  const auto aligned = [](std::string_view unit) { return AlignToUnit(kTime, unit).value(); };
  EXPECT_EQ(aligned("ms"), kTime);
  EXPECT_EQ(aligned("seconds"), 1614105372000);
  EXPECT_EQ(aligned("min"), 1614105360000);
  EXPECT_EQ(aligned("hours"), 1614103200000);
  EXPECT_EQ(aligned("d"), 1614038400000);
  EXPECT_EQ(aligned("weeks"), 1613952000000);
  EXPECT_EQ(aligned("w3"), 1613520000000);  // The Wednesday before.
  EXPECT_EQ(aligned("mon"), 1612051200000);
  EXPECT_EQ(aligned("y"), 1606694400000);
  EXPECT_FALSE(AlignToUnit(kTime, "x").ok());
}

}  // namespace
}  // namespace vm::select::graphite
