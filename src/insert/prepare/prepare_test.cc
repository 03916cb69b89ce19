#include "insert/prepare/prepare.h"

#include <gtest/gtest.h>

#include "insert/prepare/extra_labels.h"

namespace vm::insert {
namespace {

std::vector<model::LabelView> Labels(std::initializer_list<model::LabelView> list) { return list; }

TEST(PrepareLabelsTest, AppliesTheLimits) {
  PrepareOptions options;
  options.max_labels_per_series = 2;
  options.max_label_name_bytes = 3;
  options.max_label_value_bytes = 4;
  auto none = Labels({});
  EXPECT_EQ(PrepareLabels(none, options), Verdict::kNoLabels);
  auto good = Labels({{"", "abcd"}, {"abc", "x"}});
  EXPECT_EQ(PrepareLabels(good, options), Verdict::kKeep);
  auto many = Labels({{"a", "1"}, {"b", "1"}, {"c", "1"}});
  EXPECT_EQ(PrepareLabels(many, options), Verdict::kTooManyLabels);
  auto name = Labels({{"abcd", "1"}});
  EXPECT_EQ(PrepareLabels(name, options), Verdict::kTooLongLabelName);
  auto value = Labels({{"a", "12345"}});
  EXPECT_EQ(PrepareLabels(value, options), Verdict::kTooLongLabelValue);
}

TEST(PrepareLabelsTest, SortsOnlyWhenAsked) {
  PrepareOptions options;
  auto labels = Labels({{"b", "1"}, {"a", "2"}});
  ASSERT_EQ(PrepareLabels(labels, options), Verdict::kKeep);
  EXPECT_EQ(labels[0].name, "b");
  options.sort_labels = true;
  ASSERT_EQ(PrepareLabels(labels, options), Verdict::kKeep);
  EXPECT_EQ(labels[0].name, "a");
}

TEST(PrometheusNamesTest, ReplaceOtherCharacters) {
  std::deque<std::string> texts;
  auto labels = Labels({{"__name__", "foo.bar:\xc3\xa9-1"}, {"a.b:c", "v.w"}, {"ok_1", "x"}, {"", "plain"}});
  UsePrometheusNames(labels, texts);
  EXPECT_EQ(labels[0].name, "");
  EXPECT_EQ(labels[0].value, "foo_bar:__1");
  EXPECT_EQ(labels[1].name, "a_b_c");
  EXPECT_EQ(labels[1].value, "v.w");
  EXPECT_EQ(labels[2].name, "ok_1");
  EXPECT_EQ(labels[3].value, "plain");
  EXPECT_EQ(texts.size(), 2u);
}

TEST(TakeTenantTest, ReadsAndRemovesTheTenantLabels) {
  auto labels = Labels({{"vm_account_id", "5"}, {"a", "b"}, {"vm_project_id", "x7"},
                        {"VictoriaMetrics_ProjectID", "6"}});
  EXPECT_EQ(TakeTenant(labels), (model::Tenant{5, 6}));
  ASSERT_EQ(labels.size(), 2u);
  EXPECT_EQ(labels[0].name, "a");
}

std::vector<ExtraLabel> MustParse(std::string_view path, std::vector<std::string> args = {}) {
  auto labels = ParseExtraLabels(path, args);
  EXPECT_TRUE(labels.ok());
  return labels.ok() ? std::move(labels).value() : std::vector<ExtraLabel>{};
}

TEST(ExtraLabelsTest, ReadsPathAndArguments) {
  using L = std::vector<ExtraLabel>;
  EXPECT_EQ(MustParse("/foo/bar"), L{});
  EXPECT_EQ(MustParse("/foo", {"a=x", "b=y"}), (L{{"a", "x"}, {"b", "y"}}));
  EXPECT_EQ(MustParse("/metrics/job/foo", {"a=b"}), (L{{"job", "foo"}, {"a", "b"}}));
  EXPECT_EQ(MustParse("/foo/metrics/job@base64/Zm9v"), (L{{"job", "foo"}}));
  EXPECT_EQ(MustParse("/foo/metrics/job/x/a@base64/Zm9v"), (L{{"job", "x"}, {"a", "foo"}}));
  EXPECT_EQ(MustParse("/metrics/job/x/a//b/c"), (L{{"job", "x"}, {"b", "c"}}));
  EXPECT_EQ(MustParse("/metrics/job/titan/name@base64/zqDPgc6_zrzOt864zrXPjc-C"),
            (L{{"job", "titan"}, {"name", "Προμηθεύς"}}));
}

TEST(ExtraLabelsTest, RejectsBadItems) {
  EXPECT_FALSE(ParseExtraLabels("/metrics/job/foo/bar@base64/#$%", {}).ok());
  EXPECT_FALSE(ParseExtraLabels("/metrics/job/foo/bar", {}).ok());
  const std::vector<std::string> args = {"novalue"};
  const auto labels = ParseExtraLabels("/", args);
  ASSERT_FALSE(labels.ok());
  EXPECT_EQ(labels.error().message(),
            "`extra_label` query arg must have the format `name=value`; got \"novalue\"");
}

}  // namespace
}  // namespace vm::insert
