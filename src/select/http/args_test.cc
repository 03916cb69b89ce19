#include "select/http/args.h"

#include <gtest/gtest.h>

#include "select/http/filters.h"
#include "select/http/path.h"
#include "select/http/tenant_filters.h"

namespace vm::select {
namespace {

constexpr int64_t kNow = 1715776496789;

int64_t Time(std::string_view text) {
  const auto got = ParseTimeArg("time", text, 1234, kNow);
  return got.ok() ? got.value() : -1;
}

TEST(TimeArgTest, RoundsTheDefaultToSeconds) {
  EXPECT_EQ(ParseTimeArg("time", "", 1999, kNow).value(), 1000);
}

TEST(TimeArgTest, TakesWhatGrafanaAndVmalertSend) {
  EXPECT_EQ(Time("1795288367.5"), 1795288367500);
  EXPECT_EQ(Time("4"), 4000);
  EXPECT_EQ(Time("1.795288367e9"), 1795288367000);
  EXPECT_EQ(Time("1795288367500"), 1795288367500);
  EXPECT_EQ(Time("2026-11-21T19:12:47Z"), 1795288367000);
  EXPECT_EQ(Time("2026-11-21T21:12:47.25+02:00"), 1795288367250);
}

TEST(TimeArgTest, CountsBackFromNow) {
  EXPECT_EQ(Time("now"), kNow);
  EXPECT_EQ(Time("now-5m"), kNow - 300000);
  EXPECT_EQ(Time("-5m"), kNow - 300000);
  EXPECT_EQ(Time("5m"), kNow - 300000);
}

TEST(TimeArgTest, RefusesDatesThatDoNotExist) {
  for (const auto text : {"2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-21T25:00:00Z", "2026-11-21T00:00:00.Z", "x"}) {
    const auto got = ParseTimeArg("time", text, 0, kNow);
    ASSERT_FALSE(got.ok()) << text;
    EXPECT_EQ(got.error().message().find("cannot parse time=" + std::string(text)), 0u) << got.error().message();
  }
}

TEST(DurationArgTest, RefusesZeroAndLess) {
  for (const auto text : {"0", "-1", "0s", "nan", "inf", "3153600001"}) {
    EXPECT_FALSE(ParseDurationArg("step", text, 1).ok()) << text;
  }
  EXPECT_EQ(ParseDurationArg("step", "0", 1).error().message(), "step=0ms is out of allowed range [1ms ... 3153600000000ms]");
  EXPECT_EQ(ParseDurationArg("step", "undefined", 17).value(), 17);
  EXPECT_EQ(ParseDurationArg("step", "15", 17).value(), 15000);
}

TEST(IntArgTest, IsStrict) {
  EXPECT_EQ(ParseIntArg("limit", "").value(), 0);
  EXPECT_EQ(ParseIntArg("limit", "-3").value(), -3);
  EXPECT_FALSE(ParseIntArg("limit", "3x").ok());
}

TEST(BoolArgTest, TakesAnythingButNo) {
  for (const auto text : {"", "0", "f", "False", "NO"}) EXPECT_FALSE(ParseBoolArg(text)) << text;
  for (const auto text : {"1", "t", "yes", "2"}) EXPECT_TRUE(ParseBoolArg(text)) << text;
}

TEST(ExtraFiltersTest, UrlHidesTheBody) {
  const auto url = http::ParseQuery("extra_label=a=url");
  auto args = http::ParseQuery("extra_label=a=url");
  args.Prepend(http::ParseQuery("extra_label=a=body&extra_filters[]={b=\"body\"}"));
  const auto got = ParseExtraFilters(url, args);
  ASSERT_TRUE(got.ok());
  ASSERT_EQ(got.value().size(), 1u);
  EXPECT_EQ(got.value()[0], (std::vector<model::TagFilter>{{"b", "body"}, {"a", "url"}}));
}

TEST(ExtraFiltersTest, NameIsTheEmptyKey) {
  const auto args = http::ParseQuery("extra_label=__name__=up");
  const auto got = ParseExtraFilters(args, args);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got.value(), (FilterGroups{{{"", "up"}}}));
}

TEST(SelectorTest, RefusesTheEmptyOneAndOtherQueries) {
  EXPECT_FALSE(ParseSelector("{}").ok());
  EXPECT_FALSE(ParseSelector("1+1").ok());
  EXPECT_FALSE(ParseSelector("sum(x)").ok());
  EXPECT_TRUE(ParseSelector("{__name__!=\"\"}").ok());
}

SelectPath Path(std::string_view text, std::string_view account = {}, std::string_view project = {}) {
  auto path = ParseSelectPath(text, true, account, project);
  return path.ok() ? std::move(path).value() : SelectPath{"error", path.error().message(), ""};
}

TEST(SelectPathTest, TakesTenantFromPathOrHeaders) {
  EXPECT_EQ(Path("/select/42:7/prometheus/api/v1/query").tenant, "42:7");
  EXPECT_EQ(Path("/select/42/prometheus/api/v1/query", "1", "2").tenant, "42");
  EXPECT_EQ(Path("/select/prometheus/api/v1/query").tenant, "0:0");
  EXPECT_EQ(Path("/select/prometheus/api/v1/query", "1").tenant, "1:0");
  EXPECT_EQ(Path("/select/prometheus/api/v1/query", "multitenant").tenant, "multitenant");
  EXPECT_EQ(Path("/select/prometheus/api/v1/query").suffix, "prometheus/api/v1/query");
  EXPECT_EQ(Path("//select//0//prometheus//api/v1/query").suffix, "prometheus/api/v1/query");
  EXPECT_EQ(Path("/select").prefix, "error");
  EXPECT_EQ(Path("/select/").prefix, "error");
  EXPECT_FALSE(ParseSelectPath("/select/prometheus", false, "", "").ok());
}

TEST(TenantFiltersTest, SplitsGroupsIndependently) {
  const auto groups = ParseSelector("{vm_account_id=\"1\",a=\"b\" or vm_account_id=\"2\",c=\"d\"}");
  ASSERT_TRUE(groups.ok());
  const auto split = SplitTenantFilters(groups.value());
  EXPECT_EQ(split.tenants, (FilterGroups{{{"vm_account_id", "1"}}, {{"vm_account_id", "2"}}}));
  EXPECT_EQ(split.series, (FilterGroups{{{"a", "b"}}, {{"c", "d"}}}));
}

}  // namespace
}  // namespace vm::select
