#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/metricsql/ast.h"
#include "lib/metricsql/lexer.h"
#include "lib/metricsql/optimizer.h"

namespace vm::metricsql {
namespace {

using nlohmann::json;

/// What an operation gives for a case: a value, or the text of its error.
struct Outcome {
  Outcome(json v) : value(std::move(v)) {}  // NOLINT: implicit
  Outcome(const Error& e) : error(e.message()) {}  // NOLINT: implicit
  json value;
  std::string error;
};

template <class T>
Outcome From(const Result<T>& result) {
  if (!result.ok()) return result.error();
  return json(result.value());
}

std::string Text(const json& test) { return test.at("input").get<std::string>(); }

Outcome ParseAndPrint(const json& test) { return From(ExpandWith(Text(test))); }

Outcome PrettifyTwice(const json& test) {
  auto once = Prettify(Text(test));
  if (!once.ok()) return once.error();
  const auto twice = Prettify(once.value());
  EXPECT_TRUE(twice.ok()) << once.value();
  EXPECT_TRUE(!twice.ok() || twice.value() == once.value()) << once.value();
  return json(once.value());
}

Outcome VisitOrder(const json& test) {
  const auto expr = Parse(Text(test));
  if (!expr.ok()) return expr.error();
  std::string order;
  VisitAll(
      *expr.value(), [&](const Expr& e) { order += ToString(e) + ","; },
      [&](const ModifierExpr& m) { order += ToString(m) + ","; });
  return json(order);
}

std::vector<LabelFilter> Filters(const std::string& selector) {
  auto metric = ParseMetricSelector(selector);
  EXPECT_TRUE(metric.ok()) << selector;
  return metric.ok() ? metric.value()->filter_groups[0] : std::vector<LabelFilter>();
}

Outcome OptimizeQuery(const json& test) {
  auto expr = Parse(Text(test));
  if (!expr.ok()) return expr.error();
  Optimize(expr.value());
  return json(ToString(*expr.value()));
}

Outcome Pushdown(const json& test) {
  const auto& input = test.at("input");
  auto expr = Parse(input.at("q").get<std::string>());
  if (!expr.ok()) return expr.error();
  PushDownFilters(*expr.value(), Filters(input.at("filters")));
  return json(ToString(*expr.value()));
}

Outcome Common(const json& test) {
  const auto expr = Parse(Text(test));
  if (!expr.ok()) return expr.error();
  MetricExpr metric;
  if (auto filters = CommonLabelFilters(*expr.value()); !filters.empty()) {
    metric.filter_groups.push_back(std::move(filters));
  }
  return json(ToString(metric));
}

Outcome Selector(const json& test) {
  const auto metric = ParseMetricSelector(Text(test));
  if (!metric.ok()) return metric.error();
  return json(true);
}

Outcome EscapeDotsInQuery(const json& test) {
  auto expr = Parse(Text(test));
  if (!expr.ok()) return expr.error();
  EscapeDotsInRegexps(*expr.value());
  return json(ToString(*expr.value()));
}

std::string Escaped(std::string_view text) {
  std::string dst;
  AppendEscapedIdent(dst, text);
  return dst;
}

std::string QuotedIdent(std::string_view text) {
  std::string dst;
  AppendQuotedIdent(dst, text);
  return dst;
}

Outcome ScannedNumber(const json& test) {
  const std::string text = Text(test);
  const auto size = ScanNumber(text);
  if (!size.ok()) return size.error();
  return json(text.substr(0, size.value()));
}

/// The cases that must fail have a text without a step.
Outcome Duration(const json& test, Result<int64_t> (*parse)(std::string_view, int64_t)) {
  const auto& input = test.at("input");
  if (input.is_string()) return From(parse(input.get<std::string>(), 42));
  return From(parse(input.at("s").get<std::string>(), input.at("step")));
}

template <class Function>
std::function<Outcome(const json&)> OnText(const Function& function) {
  return [function](const json& test) -> Outcome { return json(function(Text(test))); };
}

const std::map<std::string, std::function<Outcome(const json&)>>& Operations() {
  static const auto* const kOperations = new std::map<std::string, std::function<Outcome(const json&)>>{
      {"parse_same", ParseAndPrint},
      {"parse_another", ParseAndPrint},
      {"parse_invalid", ParseAndPrint},
      {"expand_with", ParseAndPrint},
      {"prettify_same", PrettifyTwice},
      {"prettify_another", PrettifyTwice},
      {"prettify_invalid", PrettifyTwice},
      {"optimize", OptimizeQuery},
      {"pushdown_filters", Pushdown},
      {"common_label_filters", Common},
      {"visit_order", VisitOrder},
      {"metric_selector", Selector},
      {"escape_dots", OnText(EscapeDots)},
      {"escape_dots_in_query", EscapeDotsInQuery},
      {"likely_invalid",
       [](const json& test) -> Outcome {
         const auto expr = Parse(Text(test));
         if (!expr.ok()) return expr.error();
         return json(IsLikelyInvalid(*expr.value()));
       }},
      {"is_supported_function", OnText(IsSupportedFunction)},
      {"lex", [](const json& test) { return From(Lex(Text(test))); }},
      {"scan_number", ScannedNumber},
      {"scan_number_multiplier", OnText(ScanNumberMultiplier)},
      {"parse_number", [](const json& test) { return From(ParseNumber(Text(test))); }},
      {"is_special_integer_prefix", OnText(IsSpecialIntegerPrefix)},
      {"scan_ident", OnText([](const std::string& text) { return text.substr(0, ScanIdent(text)); })},
      {"unescape_ident", OnText(UnescapeIdent)},
      {"escape_ident", OnText(Escaped)},
      {"quote_ident", OnText(QuotedIdent)},
      {"duration", [](const json& test) { return Duration(test, ParseDuration); }},
      {"positive_duration", [](const json& test) { return Duration(test, ParsePositiveDuration); }},
      {"is_binary_op", OnText(IsBinaryOpToken)},
      {"is_group_modifier", OnText(IsGroupModifier)},
      {"is_join_modifier", OnText(IsJoinModifier)},
      {"is_bool_modifier", OnText(IsBoolModifier)},
      {"is_aggregate_modifier", OnText(IsAggrModifier)},
  };
  return *kOperations;
}

/// Prettified, it must still name what is wrong with it when parsed.
void CheckPrettifyOkParseInvalid(const json& test) {
  const auto pretty = Prettify(Text(test));
  ASSERT_TRUE(pretty.ok()) << pretty.error().message();
  for (const std::string& query : {Text(test), pretty.value()}) {
    const auto expr = Parse(query);
    ASSERT_FALSE(expr.ok()) << query;
    EXPECT_NE(expr.error().message().find(test.at("parse_error_contains").get<std::string>()), std::string::npos)
        << expr.error().message();
  }
}

TEST(MetricsqlConformanceTest, EveryCaseOfEveryKind) {
  std::ifstream in(std::string(VM_SHARED_DIR) + "/conformance/metricsql_parse.jsonl");
  if (!in) GTEST_SKIP() << "no conformance data";
  size_t ran = 0;
  for (std::string line; std::getline(in, line); ++ran) {
    const auto test = json::parse(line);
    SCOPED_TRACE(line);
    const std::string kind = test.at("kind");
    if (kind == "prettify_ok_parse_invalid") {
      CheckPrettifyOkParseInvalid(test);
      continue;
    }
    const auto operation = Operations().find(kind);
    if (operation == Operations().end()) {
      ADD_FAILURE() << "unknown kind";
      continue;
    }
    const Outcome outcome = operation->second(test);
    if (test.value("error", false)) {
      EXPECT_FALSE(outcome.error.empty());
    } else {
      EXPECT_EQ(outcome.error, "");
      EXPECT_EQ(outcome.value, test.at("expected"));
    }
  }
  EXPECT_EQ(ran, 790U);
}

}  // namespace
}  // namespace vm::metricsql
