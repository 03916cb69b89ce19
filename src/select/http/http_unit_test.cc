#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/metricsql/ast.h"
#include "select/http/args.h"
#include "select/http/filters.h"
#include "select/http/path.h"
#include "select/http/tenant_filters.h"
#include "select/http/time_arg.h"

namespace vm::select {
namespace {

using Json = nlohmann::json;

constexpr int64_t kNowMs = 1715776496789;

/// Cases of the recorded unit tests of one kind; skips when they are not there.
std::vector<Json> CasesOf(const std::string& kind) {
  std::ifstream file(std::filesystem::path(VM_SHARED_DIR) / "conformance" / "http_unit.jsonl");
  std::vector<Json> cases;
  for (std::string line; std::getline(file, line);) {
    Json c = Json::parse(line);
    if (c["kind"] == kind) cases.push_back(std::move(c));
  }
  return cases;
}

#define VM_CASES_OR_SKIP(cases, kind)   \
  const auto cases = CasesOf(kind);     \
  if (cases.empty()) GTEST_SKIP() << "../shared/conformance/http_unit.jsonl is not here"

template <class T>
void ExpectNumber(const Json& c, const Result<T>& got) {
  SCOPED_TRACE(c.dump());
  if (c.value("error", false)) {
    EXPECT_FALSE(got.ok());
    return;
  }
  ASSERT_TRUE(got.ok()) << got.error().message();
  EXPECT_EQ(got.value(), c["expected"].get<int64_t>());
}

Result<int64_t> OrError(std::optional<int64_t> value) {
  if (!value) return Error(ErrorCode::kInvalidInput, "no number");
  return *value;
}

std::string Text(const std::vector<model::TagFilter>& group) {
  metricsql::MetricExpr expr;
  auto& filters = expr.filter_groups.emplace_back();
  for (const auto& f : group) filters.push_back({f.key.empty() ? "__name__" : f.key, f.value, f.is_negative, f.is_regexp});
  return metricsql::ToString(expr);
}

std::vector<std::string> Texts(const FilterGroups& groups) {
  std::vector<std::string> texts;
  for (const auto& group : groups) texts.push_back(Text(group));
  return texts;
}

TEST(HttpUnitTest, ReadsUnixTimestamps) {
  VM_CASES_OR_SKIP(cases, "parse_unix_timestamp_ns");
  for (const auto& c : cases) ExpectNumber(c, OrError(ParseUnixTimestampNs(c["input"].get<std::string>())));
}

TEST(HttpUnitTest, ReadsTimes) {
  VM_CASES_OR_SKIP(cases, "parse_time_at");
  for (const auto& c : cases) {
    ExpectNumber(c, ParseTimeNs(c["input"]["s"].get<std::string>(), c["input"]["current_time"].get<int64_t>()));
  }
}

TEST(HttpUnitTest, RefusesBadTimes) {
  VM_CASES_OR_SKIP(cases, "parse_time_ms");
  for (const auto& c : cases) ExpectNumber(c, ParseTimeNs(c["input"].get<std::string>(), kNowMs * 1'000'000));
}

TEST(HttpUnitTest, ReadsTimeArguments) {
  VM_CASES_OR_SKIP(cases, "query_arg_time");
  for (const auto& c : cases) ExpectNumber(c, ParseTimeArg("s", c["input"].get<std::string>(), 123, kNowMs));
}

TEST(HttpUnitTest, ReadsDurations) {
  VM_CASES_OR_SKIP(cases, "parse_duration");
  for (const auto& c : cases) ExpectNumber(c, ParseDurationArg("s", c["input"].get<std::string>(), 123));
}

TEST(HttpUnitTest, ReadsDurationArguments) {
  VM_CASES_OR_SKIP(cases, "query_arg_duration");
  for (const auto& c : cases) ExpectNumber(c, ParseDurationArg("s", c["input"].get<std::string>(), 123));
}

TEST(HttpUnitTest, ReadsTenants) {
  VM_CASES_OR_SKIP(cases, "tenant_token");
  for (const auto& c : cases) {
    SCOPED_TRACE(c.dump());
    const auto got = ParseTenant(c["input"].get<std::string>());
    ASSERT_EQ(got.ok(), !c.value("error", false));
    if (!got.ok()) continue;
    ASSERT_TRUE(got.value().has_value());
    EXPECT_EQ(std::to_string(got.value()->account_id) + ":" + std::to_string(got.value()->project_id), c["expected"]);
  }
}

TEST(HttpUnitTest, ReadsExtraFilters) {
  VM_CASES_OR_SKIP(cases, "extra_tag_filters");
  for (const auto& c : cases) {
    SCOPED_TRACE(c.dump());
    const auto args = http::ParseQuery(c["input"].get<std::string>());
    const auto got = ParseExtraFilters(args, args);
    ASSERT_EQ(got.ok(), !c.value("error", false));
    if (!got.ok()) continue;
    EXPECT_EQ(Texts(got.value()), c["expected"].get<std::vector<std::string>>());
  }
}

TEST(HttpUnitTest, JoinsFilters) {
  VM_CASES_OR_SKIP(cases, "join_tag_filters");
  for (const auto& c : cases) {
    SCOPED_TRACE(c.dump());
    FilterGroups sides[2];
    for (const auto& [side, name] : {std::pair{0, "src"}, std::pair{1, "etfs"}}) {
      if (!c["input"][name].is_string()) continue;
      auto groups = ParseSelector(c["input"][name].get<std::string>());
      ASSERT_TRUE(groups.ok());
      sides[side] = std::move(groups).value();
    }
    // The recording holds only the first selector of each side, hence only the first group can be compared.
    const auto got = Texts(JoinFilters(sides[0], sides[1]));
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0], c["expected"][0].get<std::string>());
  }
}

TEST(HttpUnitTest, KnowsTenancyLabels) {
  VM_CASES_OR_SKIP(cases, "is_tenancy_label");
  for (const auto& c : cases) EXPECT_EQ(IsTenancyLabel(c["input"].get<std::string>()), c["expected"].get<bool>());
}

std::vector<model::Tenant> TenantsOf(const Json& list) {
  std::vector<model::Tenant> tenants;
  for (const auto& t : list) tenants.push_back({t["account_id"].get<uint32_t>(), t["project_id"].get<uint32_t>()});
  return tenants;
}

TEST(HttpUnitTest, MatchesTenants) {
  VM_CASES_OR_SKIP(cases, "apply_filters_to_tenants");
  for (const auto& c : cases) {
    SCOPED_TRACE(c.dump());
    FilterGroups groups;
    for (const auto& group : c["input"]["filters"]) {
      auto& filters = groups.emplace_back();
      for (const auto& f : group) {
        filters.push_back({f["key"].get<std::string>(), f["value"].get<std::string>(), f["is_negative"].get<bool>(),
                           f["is_regexp"].get<bool>()});
      }
    }
    const auto got = MatchTenants(TenantsOf(c["input"]["tenants"]), groups);
    ASSERT_TRUE(got.ok());
    EXPECT_EQ(got.value(), TenantsOf(c["expected"]));
  }
}

}  // namespace
}  // namespace vm::select
