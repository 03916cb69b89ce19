#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <functional>
#include <string>

#include "lib/metricsql/ast.h"
#include "lib/metricsql/optimizer.h"
#include "lib/metricsql/parser.h"

namespace vm::metricsql {
namespace {

void ExpectParsed(std::string_view query, std::string_view want) {
  SCOPED_TRACE(query);
  const auto expr = Parse(query);
  ASSERT_TRUE(expr.ok()) << expr.error().message();
  EXPECT_EQ(ToString(*expr.value()), want);
  EXPECT_EQ(ToString(*Clone(*expr.value())), want);
}

void ExpectError(std::string_view query, std::string_view want) {
  SCOPED_TRACE(query);
  const auto expr = Parse(query);
  ASSERT_FALSE(expr.ok());
  EXPECT_EQ(expr.error().code(), ErrorCode::kInvalidInput);
  EXPECT_EQ(expr.error().message(), want);
}

void ExpectTooBig(const std::string& query) {
  const auto expr = Parse(query);
  ASSERT_FALSE(expr.ok()) << query.substr(0, 100);
  EXPECT_EQ(expr.error().code(), ErrorCode::kLimitExceeded) << expr.error().message().substr(0, 200);
}

std::string Repeat(std::string_view text, size_t n) {
  std::string all;
  for (size_t i = 0; i < n; ++i) all += text;
  return all;
}

TEST(ParseTest, PrintsCanonicalText) {
  ExpectParsed("-metric", "0 - metric");
  ExpectParsed("M1+ON(FOO)GROUP_left M2", "M1 + on(FOO) group_left() M2");
  ExpectParsed("sum by (s) (xx)[5s]", "(sum(xx) by(s))[5s]");
  ExpectParsed("5 - 1 + 3 * 2 ^ 2 ^ 3 - 2 OR M", "770 or M");
  ExpectParsed("2 * -4 ^ 0.5", "-4");
  ExpectParsed("rate(m[$__interval] offset $__interval) * $__interval", "rate(m offset 1i) * 1i");
  ExpectParsed("{\"3foo\"=\"bar\"}", "{\\3foo=\"bar\"}");
  ExpectParsed("{a=\"b\",or=\"c\" or d=\"e\"}", "{a=\"b\",or=\"c\" or d=\"e\"}");
  ExpectParsed("\xd0\xb9\\\xcc\x80", "\xd0\xb9\\\xcc\x80");  // A letter and an escaped combining mark.
}

TEST(ParseTest, FillModifiers) {
  ExpectParsed("a + fill(1) b", "a + fill(1) b");
  ExpectParsed("a + Fill(-1.5) fill_RIGHT(5m) b", "a + fill_left(-1.5) fill_right(5m) b");
  ExpectParsed("a + fill_left(1) fill(Inf) b", "a + fill(Inf) b");
  ExpectParsed("a / on(x) group_left(y) prefix 'p' fill_left(0) b",
               "a / on(x) group_left(y) prefix \"p\" fill_left(0) b");
  ExpectParsed("a + fill + b", "(a + (fill)) + b");
  ExpectError("a and fill(1) b", "fill modifier cannot be applied to \"and\"; unparsed data: \"fill(1) b\"");
  ExpectError("a + fill(b) c",
              "cannot parse fill fill value: positiveNumberExpr: unexpected token \"b\"; want \"number\"; "
              "unparsed data: \"b) c\"");
}

TEST(ParseTest, NamesWhatIsWrongAndWhere) {
  ExpectError("", "singleExpr: unexpected token \"\"; want \"(\", \"{\", \"-\", \"+\"; unparsed data: \"\"");
  ExpectError("foo bar", "unparsed data left: \"bar\"");
  ExpectError("~", "cannot find the first token: cannot recognize \"~\"");
  ExpectError("foo ~x", "cannot recognize \"~x\"; unparsed data: \"foo~x\"");
  ExpectError("sum(x) limit x",
              "cannot parse limit \"x\": strconv.Atoi: parsing \"x\": invalid syntax; unparsed data: \"x\"");
  ExpectError("foo[5Ki]",
              "cannot parse duration \"5Ki\": cannot parse duration \"5Ki\"; unparsed data: \"]\"");
  ExpectError("{\"foo\",__name__=\"bar\"}",
              "cannot expand WITH expressions: parse error: metric name must not be set twice: \"foo\" or \"bar\"");
  ExpectError("{a=~\"b(\"}",
              "cannot expand WITH expressions: invalid regexp in a=\"b(\": error parsing regexp: missing closing ): "
              "`^(?:b()$`");
  ExpectError("foo + bad(x)", "unsupported function \"bad\"");
  ExpectError("m[1m-2m]", "duration cannot be negative; got \"1m-2m\"");
}

TEST(WithTest, DefaultTemplates) {
  ExpectParsed("ru(a, b)", "(clamp_min(b - clamp_min(a, 0), 0) / clamp_min(b, 0)) * 100");
  ExpectParsed("ttf(a)",
               "smooth_exponential(clamp_max(clamp_max(0 - a, 0) / clamp_max(deriv_fast(a), 0), 3.1536e+07), "
               "clamp_max(step() / 300, 1))");
  ExpectParsed("range_median(x)", "range_quantile(0.5, x)");
  ExpectParsed("alias(x, \"y\")", "label_set(x, \"__name__\", \"y\")");
  ExpectParsed("alias + ru", "alias + ru");
  ExpectParsed("with (alias(a, b, c) = a * b * c) alias(2, 3, 4)", "24");
  ExpectError("RU(a, b)", "unsupported function \"RU\"");
}

TEST(WithTest, Scopes) {
  ExpectParsed("with (x = x+y, y = x+x) y", "(x + y) + (x + y)");
  ExpectParsed("with (a = 1, f(b) = a + b) with (a = 10) f(a)", "11");
  // An argument is expanded again where it is used, with the arguments before it in sight.
  ExpectParsed("with (f(a, b) = b) f(1, a)", "1");
  ExpectParsed("with (x = {}) x{a=\"b\"}", "{}");
  ExpectParsed("with (w = 5) m[w:w] offset w", "m[5:5] offset 5");
  ExpectParsed("with (f(x) = x) f(a + b) keep_metric_names", "a + b");
}

TEST(WithTest, NamesWhatIsWrong) {
  const auto fails = [](std::string_view query, const std::string& want) {
    ExpectError(query, "cannot expand WITH expressions: " + want);
  };
  fails("with (f(a) = a) f(1, 2)", "invalid number of args for \"f\"; got 2; want 1");
  fails("{lf}", "cannot find WITH template for \"lf\" inside \"{lf}\"");
  fails("with (lf = a) {lf}", "WITH template \"lf\" inside \"{lf}\" must be {...}; got \"a\"");
  fails("with (lf = {a=\"b\" or c=\"d\"}) {x=\"y\",lf}",
        "WITH template \"lf\" at \"{x=\\\"y\\\",lf}\" must be {...} without 'or'; got {a=\"b\" or c=\"d\"}");
  fails("with (x = 1) x{a=\"b\"}", "cannot expand \"x{a=\\\"b\\\"}\" to non-metric expression \"1\"");
  fails("with (x = {a=\"b\" or c=\"d\"}) x{e=\"f\" or g=\"h\"}",
        "\"x\" mustn't contain 'or' filters; got {a=\"b\" or c=\"d\"}");
  fails("\"foo\" + bar", "missing \"bar\" value inside StringExpr");
  fails("with (x = 1) \"foo\" + x", "\"x\" must be string expression; got \"1\"");
  fails("m[w]", "cannot parse window for m: cannot find WITH template for \"w\"");
  fails("with (w = a) m[1m:w]",
        "cannot parse step in m: unexpected value for WITH template \"w\"; got a; want duration");
  fails("with (w = 5m) m offset -w", "cannot parse offset in m: cannot find WITH template for \"-w\"");
  fails("with (f(x) = sum(m) by (x)) f(a + b)", "cannot use \"(a + b)\" instead of \"x\" in [x]");
  ExpectError("with (a = 1, a = 2) a",
              "duplicate `with` arg name for: a = 2; previous one: a = 1; unparsed data: \") a\"");
  ExpectError("with (f(a, a) = 2) a",
              "withArgExpr: duplicate func arg found in \"f\": \"a\"; unparsed data: \"= 2) a\"");
}

/// Deep queries need the stack that vmselect gives its threads.
void OnBigStack(std::function<void()> work) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, kStackBytes), 0);
  pthread_t thread;
  const auto run = [](void* todo) -> void* {
    (*static_cast<std::function<void()>*>(todo))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &work), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

/// All walks over the tree of a query.
void ExpectWalks(const std::string& query) {
  SCOPED_TRACE(query.substr(0, 20));
  auto expr = Parse(query);
  ASSERT_TRUE(expr.ok()) << expr.error().message().substr(0, 200);
  (void)IsLikelyInvalid(*expr.value());
  ExprPtr copy = Clone(*expr.value());
  Optimize(copy);
  SwapScalarComparisons(*copy);
  EscapeDotsInRegexps(*copy);
  PushDownFilters(*copy, {LabelFilter{"l", "v"}});
  EXPECT_FALSE(ToString(*copy).empty());
  const auto pretty = Prettify(query);
  EXPECT_TRUE(pretty.ok() || pretty.error().code() == ErrorCode::kLimitExceeded) << pretty.error().message();
}

TEST(LimitsTest, WhatAQueryOfUsualLengthCanNestIsTaken) {
  OnBigStack([] {
    const size_t steps = kMaxNesting - 20;
    ExpectWalks(Repeat("(", steps / 2) + "x" + Repeat(")", steps / 2));
    ExpectWalks(Repeat("(x+", steps / 2) + "x" + Repeat(")", steps / 2));
    ExpectWalks(Repeat("-(", steps / 3) + "x" + Repeat(")", steps / 3));
    ExpectWalks(Repeat("-", steps) + "x");
    ExpectWalks(Repeat("sum(", steps / 2) + "x" + Repeat(")", steps / 2));
    ExpectWalks(Repeat("rate(", steps / 2) + "x" + Repeat("[1m:])", steps / 2));
  });
}

TEST(LimitsTest, ChainsFoldToANumber) {
  OnBigStack([] {
    const size_t count = kMaxTreeDepth - 20;
    ExpectParsed("1" + Repeat("+1", count), std::to_string(count + 1));
    ExpectParsed("1" + Repeat("-1", count), std::to_string(1 - static_cast<int64_t>(count)));
    ExpectParsed("2" + Repeat("^1", count), "2");
    ExpectParsed("1" + Repeat("+2*3", count / 2), std::to_string(1 + 6 * (count / 2)));
  });
}

TEST(LimitsTest, NestingIsBounded) {
  for (const std::string_view open :
       {"(", "-", "+", "abs(", "sum by (x) (", "with (a = ", "with () ", "x @ (", "{a}+("}) {
    OnBigStack([open] {
      ExpectTooBig(Repeat(open, 100'000) + "1");
      EXPECT_FALSE(Prettify(Repeat(open, 100'000) + "1").ok());
    });
  }
  EXPECT_TRUE(Parse(Repeat("(", 200) + "x" + Repeat(")", 200)).ok());
}

TEST(LimitsTest, LongChainsOfOperatorsAreBounded) {
  OnBigStack([] {
    for (const std::string_view op : {" + x", " ^ x", " or x", " default x", " - -x"}) {
      ExpectTooBig("x" + Repeat(op, 100'000));
      EXPECT_FALSE(Prettify("x" + Repeat(op, 100'000)).ok());
    }
    for (const std::string_view op : {" + x", " ^ x"}) {
      const std::string chain = "x{a=\"b\"}" + Repeat(op, 950);
      auto expr = Parse(chain);
      ASSERT_TRUE(expr.ok());
      EXPECT_FALSE(IsLikelyInvalid(*expr.value()));
      Optimize(expr.value());
      EXPECT_NE(ToString(*Clone(*expr.value())).find("x{a=\"b\"} " + std::string(op.substr(1)) + "{"), std::string::npos);
      EXPECT_TRUE(Prettify(chain).ok());
      ExpectWalks("x" + Repeat(op, kMaxTreeDepth - 50));
    }
    // Chains in parentheses add up.
    std::string nested = "x";
    for (size_t i = 0; i < kMaxTreeDepth / 80; ++i) nested = "(" + nested + Repeat(" + x", 100) + ")";
    ExpectTooBig(nested);
  });
}

TEST(LimitsTest, ExponentialTemplatesAreBounded) {
  const auto doubling = [](const std::string& first, const std::string& args, const std::string& join) {
    std::string query = "with (a0" + args + " = " + first;
    for (int i = 1; i <= 40; ++i) {
      const std::string before = "a" + std::to_string(i - 1) + args;
      query += ", a" + std::to_string(i) + args + " = " + before + join + before;
    }
    return query + ") ";
  };
  ExpectTooBig(doubling("x", "", " + ") + "a40");
  ExpectTooBig(doubling("\"text\"", "", " + ") + "a40");
  ExpectTooBig(doubling("x + x", "(x)", " + ") + "a40(m)");
  ExpectTooBig(doubling("{a=\"b\"}", "", " or ") + "a40");
  // Arguments that hold a call of the template again.
  std::string calls = "m";
  for (int i = 0; i < 40; ++i) calls = "f(" + calls + ")";
  ExpectTooBig("with (f(x) = x + x) " + calls);
}

TEST(LimitsTest, DepthOfTemplatesIsBounded) {
  const auto chain = [](const std::string& first, int n) {
    std::string query = "with (a0 = " + first;
    for (int i = 1; i < n; ++i) query += ", a" + std::to_string(i) + " = -a" + std::to_string(i - 1);
    return query + ") a" + std::to_string(n - 1);
  };
  OnBigStack([&] { ExpectTooBig(chain("x", 100'000)); });
  EXPECT_TRUE(Parse(chain("x", 150)).ok());
  EXPECT_TRUE(Parse(chain("x" + Repeat(" + x", 600), 100)).ok());
  OnBigStack([&] { ExpectTooBig(chain("x" + Repeat(" + x", kMaxTreeDepth - 50), 190)); });
}

TEST(LimitsTest, BigListsOfFiltersAndLabelsAreBounded) {
  std::string filters, labels;
  for (int i = 0; i < 3000; ++i) {
    filters += "l" + std::to_string(i) + "=\"v\",";
    labels += "l" + std::to_string(i) + ",";
  }
  EXPECT_TRUE(Parse("m{" + filters + "}").ok());
  std::string groups = "t{x=\"y\"";
  for (int i = 0; i < 3000; ++i) groups += " or x=\"" + std::to_string(i) + "\"";
  ExpectTooBig("with (t = {" + filters + "}) " + groups + "}");
  ExpectTooBig("with (f(l) = sum(m) by (" + Repeat("l,", 3000) + ")) f((" + labels + "))");
}

TEST(LimitsTest, EffortOfTheOptimizerIsBounded) {
  std::string query = "x{l=\"v\"}";
  for (int i = 0; i < 900; ++i) query += " + x{l" + std::to_string(i) + "=\"v\"}";
  auto expr = Parse(query);
  ASSERT_TRUE(expr.ok());
  Optimize(expr.value());
  const std::string text = ToString(*expr.value());
  EXPECT_GT(text.size(), query.size());
  EXPECT_LT(text.size(), size_t{50} << 20);
}

TEST(OptimizeTest, SwapsScalarComparisons) {
  const auto swapped = [](std::string_view query) {
    const auto expr = Parse(query);
    EXPECT_TRUE(expr.ok());
    SwapScalarComparisons(*expr.value());
    return ToString(*expr.value());
  };
  EXPECT_EQ(swapped("123 < foo"), "foo > 123");
  EXPECT_EQ(swapped("sum(Time() >=bool foo)"), "sum(foo <=bool Time())");
  EXPECT_EQ(swapped("1 == on(a) foo"), "foo == on(a) 1");
  EXPECT_EQ(swapped("foo < 123"), "foo < 123");
  EXPECT_EQ(swapped("time() > 5"), "time() > 5");
}

TEST(PrettifyTest, NestingIsBounded) {
  EXPECT_TRUE(Prettify(Repeat("f(a, ", 200) + "x" + Repeat(")", 200)).ok());
  OnBigStack([] {
    const size_t levels = std::min<size_t>(1100, kMaxNesting / 2 - 1);
    const auto pretty = Prettify(Repeat("f(a, ", levels) + "x" + Repeat(")", levels));
    EXPECT_EQ(pretty.ok(), levels < 1100);
  });
}

// The reference leaves the parentheses out, and its own parser then takes the name for a modifier.
TEST(PrettifyTest, KeepsParenthesesAroundReservedWords) {
  const auto pretty = Prettify("a+(on)");
  ASSERT_TRUE(pretty.ok());
  EXPECT_EQ(pretty.value(), "a + (on)");
}

TEST(EscapeDotsTest, KeepsEscapedDotsAndRepetitions) {
  EXPECT_EQ(EscapeDots("a.b.*c.+d.{2}e\\.f."), "a\\.b.*c.+d.{2}e\\.f\\.");
}

}  // namespace
}  // namespace vm::metricsql
