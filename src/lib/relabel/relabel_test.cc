#include "lib/relabel/relabel.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace vm::relabel {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// What `yaml` makes of `labels`; the metric name has the empty name.
Labels Apply(std::string_view yaml, const Labels& labels) {
  const auto rules = Rules::Parse(yaml);
  if (!rules.ok()) {
    ADD_FAILURE() << yaml << ": " << rules.error().message();
    return {};
  }
  std::vector<model::LabelView> views;
  for (const auto& [name, value] : labels) views.push_back({name, value});
  std::deque<std::string> texts;
  rules.value()->Apply(views, texts);
  Labels result;
  for (const model::LabelView& view : views) result.emplace_back(view.name, view.value);
  return result;
}

std::string ErrorOf(std::string_view yaml) {
  const auto rules = Rules::Parse(yaml);
  return rules.ok() ? "" : rules.error().message();
}

const Labels kFoo = {{"", "foo"}, {"a", "1"}, {"b", "2"}};
const Labels kDropped = {};

TEST(RelabelTest, ReplaceCopiesJoinedValues) {
  EXPECT_EQ(Apply("- source_labels: [a, b]\n  target_label: c\n", kFoo),
            (Labels{{"", "foo"}, {"a", "1"}, {"b", "2"}, {"c", "1;2"}}));
  EXPECT_EQ(Apply("- {source_labels: [a, b], separator: '-', target_label: a}", kFoo),
            (Labels{{"", "foo"}, {"a", "1-2"}, {"b", "2"}}));
  EXPECT_EQ(Apply("- {target_label: c, replacement: new}", kFoo),
            (Labels{{"", "foo"}, {"a", "1"}, {"b", "2"}, {"c", "new"}}));
}

TEST(RelabelTest, ReplaceRemovesALabelByAnEmptyValue) {
  EXPECT_EQ(Apply("- {target_label: a, replacement: ''}", kFoo), (Labels{{"", "foo"}, {"b", "2"}}));
}

TEST(RelabelTest, ReplaceChangesTheMetricName) {
  EXPECT_EQ(Apply("- {source_labels: [__name__], target_label: __name__, regex: '(.+)', replacement: 'x_$1'}", kFoo),
            (Labels{{"", "x_foo"}, {"a", "1"}, {"b", "2"}}));
}

TEST(RelabelTest, ReplaceUsesCapturesInValueAndTarget) {
  const Labels host = {{"", "up"}, {"instance", "db7:9100"}};
  EXPECT_EQ(Apply("- {source_labels: [instance], regex: '([a-z]+)(?P<id>[0-9]+):.*', target_label: '${1}_id', "
                  "replacement: '$id-${id}-$2-$$-$1x'}",
                  host),
            (Labels{{"", "up"}, {"instance", "db7:9100"}, {"db_id", "7-7-7-$-"}}));
  // The whole text must match.
  EXPECT_EQ(Apply("- {source_labels: [instance], regex: 'db', target_label: x}", host), host);
  EXPECT_EQ(Apply("- {source_labels: [instance], regex: ['db7:9100', other], target_label: x, replacement: y}", host),
            (Labels{{"", "up"}, {"instance", "db7:9100"}, {"x", "y"}}));
}

TEST(RelabelTest, ReplaceFillsInReferencesToLabels) {
  EXPECT_EQ(Apply("- {target_label: c, replacement: '{{a}}-{{none}}-{{b}}{{'}", kFoo),
            (Labels{{"", "foo"}, {"a", "1"}, {"b", "2"}, {"c", "1--2{{"}}));
}

TEST(RelabelTest, ReplaceAllChangesEachPart) {
  const Labels dotted = {{"", "a.b.c"}};
  const std::string_view rule =
      "- {action: replace_all, source_labels: [__name__], target_label: __name__, regex: '[.]', replacement: _}";
  EXPECT_EQ(Apply(rule, dotted), (Labels{{"", "a_b_c"}}));
  EXPECT_EQ(Apply("- {action: replace_all, source_labels: [__name__], target_label: __name__, regex: 'x*', "
                  "replacement: '-'}",
                  {{"", "axxb"}}),
            (Labels{{"", "-a-b-"}}));
}

TEST(RelabelTest, KeepAndDrop) {
  EXPECT_EQ(Apply("- {action: keep, source_labels: [a, b], regex: '1;2'}", kFoo), kFoo);
  EXPECT_EQ(Apply("- {action: keep, source_labels: [a], regex: '2'}", kFoo), kDropped);
  EXPECT_EQ(Apply("- {action: drop, source_labels: [a], regex: '1'}", kFoo), kDropped);
  EXPECT_EQ(Apply("- {action: drop, source_labels: [a], regex: '2'}", kFoo), kFoo);
  EXPECT_EQ(Apply("- {action: DROP, source_labels: [a], regex: 1}", kFoo), kDropped);
}

TEST(RelabelTest, KeepAndDropMetrics) {
  EXPECT_EQ(Apply("- {action: keep_metrics, regex: [foo, bar]}", kFoo), kFoo);
  EXPECT_EQ(Apply("- {action: keep_metrics, regex: 'bar.*'}", kFoo), kDropped);
  EXPECT_EQ(Apply("- {action: drop_metrics, regex: 'f.+'}", kFoo), kDropped);
}

TEST(RelabelTest, ComparesLabels) {
  const Labels same = {{"", "m"}, {"a", "x"}, {"b", "x"}, {"all", "x,y"}};
  EXPECT_EQ(Apply("- {action: keep_if_equal, source_labels: [a, b]}", same), same);
  EXPECT_EQ(Apply("- {action: keep_if_equal, source_labels: [a, b]}", kFoo), kDropped);
  EXPECT_EQ(Apply("- {action: drop_if_equal, source_labels: [a, b]}", same), kDropped);
  EXPECT_EQ(Apply("- {action: drop_if_equal, source_labels: [a, b]}", kFoo), kFoo);
  EXPECT_EQ(Apply("- {action: keepequal, source_labels: [a], target_label: b}", same), same);
  EXPECT_EQ(Apply("- {action: keepequal, source_labels: [a], target_label: b}", kFoo), kDropped);
  EXPECT_EQ(Apply("- {action: dropequal, source_labels: [a], target_label: b}", same), kDropped);
  EXPECT_EQ(Apply("- {action: dropequal, source_labels: [a], target_label: b}", kFoo), kFoo);
  EXPECT_EQ(Apply("- {action: keep_if_contains, source_labels: [a], target_label: all}", same), same);
  EXPECT_EQ(Apply("- {action: keep_if_contains, source_labels: [a], target_label: b}", kFoo), kDropped);
  EXPECT_EQ(Apply("- {action: drop_if_contains, source_labels: [a], target_label: all}", same), kDropped);
}

TEST(RelabelTest, MapsDropsAndKeepsLabelNames) {
  const Labels meta = {{"", "m"}, {"k8s_app", "x"}, {"k8s_pod", "y"}};
  EXPECT_EQ(Apply("- {action: labelmap, regex: 'k8s_(.+)'}", meta),
            (Labels{{"", "m"}, {"k8s_app", "x"}, {"k8s_pod", "y"}, {"app", "x"}, {"pod", "y"}}));
  EXPECT_EQ(Apply("- {action: labelmap_all, regex: '8', replacement: '_'}", meta),
            (Labels{{"", "m"}, {"k_s_app", "x"}, {"k_s_pod", "y"}}));
  EXPECT_EQ(Apply("- {action: labeldrop, regex: 'k8s_.*'}", meta), (Labels{{"", "m"}}));
  EXPECT_EQ(Apply("- {action: labelkeep, regex: '__name__|k8s_pod'}", meta), (Labels{{"", "m"}, {"k8s_pod", "y"}}));
  EXPECT_EQ(Apply("- {action: labelkeep, regex: nothing}", meta), kDropped);
}

TEST(RelabelTest, HashmodAndCase) {
  // XXH64("foo") is 0x33bf00a859c4ba3f.
  EXPECT_EQ(Apply("- {action: hashmod, source_labels: [__name__], target_label: shard, modulus: 123}", {{"", "foo"}}),
            (Labels{{"", "foo"}, {"shard", std::to_string(0x33bf00a859c4ba3fU % 123)}}));
  EXPECT_EQ(Apply("- {action: uppercase, source_labels: [__name__], target_label: __name__}", {{"", "fOo_1"}}),
            (Labels{{"", "FOO_1"}}));
  EXPECT_EQ(Apply("- {action: lowercase, source_labels: [__name__], target_label: x}", {{"", "fOo_1"}}),
            (Labels{{"", "fOo_1"}, {"x", "foo_1"}}));
}

TEST(RelabelTest, GraphiteTakesTheNameApart) {
  const std::string_view rule =
      "- action: graphite\n  match: 'foo.*.*.bar'\n  labels: {__name__: 'bar_$1', x: 'a${2}b$7', y: '$0'}\n";
  EXPECT_EQ(Apply(rule, {{"", "foo.1.two.bar"}, {"k", "v"}}),
            (Labels{{"", "bar_1"}, {"k", "v"}, {"x", "atwob$7"}, {"y", "foo.1.two.bar"}}));
  for (const std::string_view name : {"foo.1.2.3.bar", "foo.1.2.baz", "x.foo.1.2.bar", "foo.1.2.bar.x", ""}) {
    EXPECT_EQ(Apply(rule, {{"", std::string(name)}, {"k", "v"}}).back(), (std::pair<std::string, std::string>("k", "v")))
        << name;
  }
}

TEST(RelabelTest, IfChoosesTheSeries) {
  const std::string_view drop = "- {action: drop, if: 'foo{a=~\"1|x\"}'}";
  EXPECT_EQ(Apply(drop, kFoo), kDropped);
  EXPECT_EQ(Apply(drop, {{"", "bar"}, {"a", "1"}}), (Labels{{"", "bar"}, {"a", "1"}}));
  EXPECT_EQ(Apply("- {action: drop, if: ['bar', '{b!=\"3\"}']}", kFoo), kDropped);
  EXPECT_EQ(Apply("- {action: keep, if: '{b=\"3\" or a=\"1\"}'}", kFoo), kFoo);
  EXPECT_EQ(Apply("- {action: keep, if: 'bar'}", kFoo), kDropped);
  EXPECT_EQ(Apply("- {action: drop, if: '{none=\"\"}'}", kFoo), kDropped);
  EXPECT_EQ(Apply("- {action: drop, if: '{none!~\"x?\"}'}", kFoo), kFoo);
  EXPECT_EQ(Apply("- {target_label: c, replacement: z, if: '{a=\"2\"}'}", kFoo), kFoo);
}

TEST(RelabelTest, RulesRunInOrderAndHelperLabelsGo) {
  EXPECT_EQ(Apply("- {target_label: __tmp, source_labels: [a]}\n- {target_label: c, source_labels: [__tmp, b]}", kFoo),
            (Labels{{"", "foo"}, {"a", "1"}, {"b", "2"}, {"c", "1;2"}}));
  EXPECT_EQ(Apply("- {action: drop_metrics, regex: foo}\n- {target_label: back, replacement: again}", kFoo), kDropped);
}

TEST(RelabelTest, NoRules) {
  for (const std::string_view yaml : {"", "# nothing\n", "[]"}) {
    const auto rules = Rules::Parse(yaml);
    ASSERT_TRUE(rules.ok()) << yaml;
    EXPECT_EQ(rules.value()->size(), 0U);
  }
}

TEST(RelabelTest, TheTextIsWithoutComments) {
  const std::string with = Rules::Parse("# a\n- target_label: x  # b\n  replacement: y\n").value()->text();
  EXPECT_EQ(with, Rules::Parse("- target_label: x\n  replacement: y").value()->text());
  EXPECT_NE(with, Rules::Parse("- target_label: x\n  replacement: z").value()->text());
}

TEST(RelabelTest, RefusesBadRules) {
  EXPECT_EQ(ErrorOf("- action: replace\n"),
            "error when parsing `relabel_config` #1: missing `target_label` for `action=replace`");
  EXPECT_EQ(ErrorOf("- {target_label: a}\n- {action: nope}\n"),
            "error when parsing `relabel_config` #2: unknown `action` \"nope\"");
  EXPECT_EQ(ErrorOf("- {action: hashmod, source_labels: [a], target_label: b}"),
            "error when parsing `relabel_config` #1: unexpected `modulus` for `action=hashmod`: 0; must be greater than 0");
  EXPECT_EQ(ErrorOf("- {action: keep_if_equal, source_labels: [a]}"),
            "error when parsing `relabel_config` #1: `source_labels` must contain at least two entries for "
            "`action=keep_if_equal`; got [\"a\"]");
  EXPECT_EQ(ErrorOf("- {action: graphite, labels: {a: b}}").substr(0, 83),
            "error when parsing `relabel_config` #1: missing `match` for `action=graphite`; see ");
  EXPECT_EQ(ErrorOf("- {target_label: a, match: b}"),
            "error when parsing `relabel_config` #1: `match` config cannot be applied to `action=replace`; it is applied "
            "only to `action=graphite`");
  EXPECT_NE(ErrorOf("- {target_label: a, regex: '(('}").find("cannot parse `regex` \"^(?:(()$\""), std::string::npos);
  EXPECT_NE(ErrorOf("- {target_label: a, if: 'sum(x)'}").find("expecting series selector"), std::string::npos);
}

TEST(RelabelTest, RefusesWhatIsNoListOfRules) {
  EXPECT_EQ(ErrorOf("- target_label: a\n  tarRget: b\n"),
            "line 2: field tarRget not found in type promrelabel.RelabelConfig");
  EXPECT_EQ(ErrorOf("- {target_label: a, target_label: b}"), "line 1: key \"target_label\" already set in map");
  EXPECT_NE(ErrorOf("a: b"), "");
  EXPECT_NE(ErrorOf("- [a"), "");
  EXPECT_NE(ErrorOf("- {target_label: [a]}"), "");
  EXPECT_NE(ErrorOf("- {source_labels: a, target_label: b}"), "");
  EXPECT_NE(ErrorOf("- {action: hashmod, source_labels: [a], target_label: b, modulus: -1}"), "");
}

}  // namespace
}  // namespace vm::relabel
