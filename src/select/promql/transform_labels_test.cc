#include <gtest/gtest.h>

#include <re2/re2.h>

#include <iterator>
#include <random>
#include <tuple>

#include "select/promql/transform_test_util.h"
#include "select/promql/transform_text.h"

namespace vm::select::transform {
namespace {

std::string ApplyToLabels(const std::string& name, Tags tags, const std::vector<std::string>& texts) {
  Args args;
  args.Add(Make("m.x", std::move(tags), {1}));
  for (const std::string& text : texts) args.Add(text);
  return Apply(name, std::move(args));
}

TEST(TransformLabelsTest, SetsCopiesAndRemoves) {
  const Tags tags = {{"a", "1"}, {"b", "2"}};
  const std::tuple<const char*, std::vector<std::string>, const char*> cases[] = {
      {"label_set", {"a", "x", "c", "3"}, "m.x{a=x,b=2,c=3} 1"},
      {"label_set", {"a", "", "__name__", "n"}, "n{b=2} 1"},
      {"label_set", {"zz", ""}, "m.x{a=1,b=2} 1"},
      {"label_set", {}, "m.x{a=1,b=2} 1"},
      {"label_set", {"a"}, "error: the number of string args must be even; got 1"},
      {"label_del", {"a", "zz"}, "m.x{b=2} 1"},
      {"label_del", {"__name__"}, "{a=1,b=2} 1"},
      {"label_del", {}, "m.x{a=1,b=2} 1"},
      {"label_keep", {"a"}, "{a=1} 1"},
      {"label_keep", {"a", "__name__"}, "m.x{a=1} 1"},
      {"label_keep", {}, "{} 1"},
      {"label_copy", {"a", "c"}, "m.x{a=1,b=2,c=1} 1"},
      {"label_copy", {"zz", "a"}, "m.x{a=1,b=2} 1"},
      {"label_copy", {"__name__", "a", "a", "b"}, "m.x{a=m.x,b=m.x} 1"},
      {"label_move", {"a", "b"}, "m.x{b=1} 1"},
      {"label_move", {"a", "a"}, "m.x{a=1,b=2} 1"},
      {"label_move", {"__name__", "n"}, "{a=1,b=2,n=m.x} 1"},
      {"label_move", {"a", "__name__"}, "1{b=2} 1"},
      {"label_map", {"a", "1", "one"}, "m.x{a=one,b=2} 1"},
      {"label_map", {"a", "1", ""}, "m.x{b=2} 1"},
      {"label_map", {"a", "2", "x"}, "m.x{a=1,b=2} 1"},
      {"label_map", {"c", "", "new"}, "m.x{a=1,b=2,c=new} 1"},
      {"label_map", {"a", "1", "x", "1", "y"}, "m.x{a=y,b=2} 1"},
      {"label_map", {"a", "1"}, "error: the number of string args must be even; got 1"},
      {"label_join", {"c", "-", "a", "b"}, "m.x{a=1,b=2,c=1-2} 1"},
      {"label_join", {"a", "-", "a", "zz", "b"}, "m.x{a=1--2,b=2} 1"},
      {"label_join", {"a", "-"}, "m.x{b=2} 1"},
      {"label_join", {"a"}, "error: not enough args; got 2; want at least 3"},
      {"label_uppercase", {"__name__"}, "M.X{a=1,b=2} 1"},
      {"label_lowercase", {}, "error: not enough args; got 1; want at least 2"},
  };
  for (const auto& [name, texts, want] : cases) EXPECT_EQ(ApplyToLabels(name, tags, texts), want) << name;
}

TEST(TransformLabelsTest, ReplacesByRegularExpression) {
  const Tags tags = {{"a", "foo-bar-foo"}};
  const std::tuple<const char*, std::vector<std::string>, const char*> cases[] = {
      {"label_replace", {"b", "$1", "a", "(f.*)-foo"}, "m.x{a=foo-bar-foo,b=foo-bar} 1"},
      {"label_replace", {"b", "$1", "a", "(f.*)-bar"}, "m.x{a=foo-bar-foo} 1"},
      {"label_replace", {"b", "${1}x$2y$$", "a", "(foo).*(foo)"}, "m.x{a=foo-bar-foo,b=foox$} 1"},
      {"label_replace", {"b", "$1x", "a", "(foo).*"}, "m.x{a=foo-bar-foo} 1"},
      {"label_replace", {"b", "${n}!", "a", "(?P<n>foo).*"}, "m.x{a=foo-bar-foo,b=foo!} 1"},
      {"label_replace", {"b", "$", "a", ".*"}, "m.x{a=foo-bar-foo,b=$} 1"},
      {"label_replace", {"b", "${1", "a", ".*"}, "m.x{a=foo-bar-foo,b=${1} 1"},
      {"label_replace", {"b", "$01$9", "a", "(.*)"}, "m.x{a=foo-bar-foo} 1"},
      {"label_replace", {"a", "", "a", ".*"}, "m.x{} 1"},
      {"label_replace", {"b", "none", "zz", ""}, "m.x{a=foo-bar-foo,b=none} 1"},
      {"label_replace", {"__name__", "$1", "__name__", "(.).+"}, "m{a=foo-bar-foo} 1"},
      {"label_replace", {"b", "x", "a", "("},
       "error: cannot compile regex \"(\": error parsing regexp: missing closing ): `^(?:()$`"},
      {"label_replace", {"b", "x", "a", "+"},
       "error: cannot compile regex \"+\": error parsing regexp: missing argument to repetition operator: `+`"},
      {"label_replace", {"b", "x", "a"}, "error: unexpected number of args; got 4; want 5"},
      {"label_replace", {"b", "${n}!", "a", "(?<n>foo).*[(?<]?"}, "m.x{a=foo-bar-foo,b=foo!} 1"},
      {"label_replace", {"b", "x", "a", "\\C"},
       "error: cannot compile regex \"\\\\C\": error parsing regexp: invalid escape sequence: `\\C`"},
      {"label_transform", {"a", "foo", "x"}, "m.x{a=x-bar-x} 1"},
      {"label_transform", {"a", "o*", "x"}, "m.x{a=xfx-xbxaxrx-xfx} 1"},
      {"label_transform", {"a", "^f", "x"}, "m.x{a=xoo-bar-foo} 1"},
      {"label_transform", {"a", ".+", ""}, "m.x{} 1"},
      {"label_transform", {"a", "(f)|o", "[$1]"}, "m.x{a=[f][][]-bar-[f][][]} 1"},
      {"label_transform", {"a", "\\b", "|"}, "m.x{a=|foo|-|bar|-|foo|} 1"},
      {"label_transform", {"a", "b|", "x"}, "m.x{a=xfxoxox-xaxrx-xfxoxox} 1"},
      {"label_transform", {"zz", "q", "x"}, "m.x{a=foo-bar-foo} 1"},
      {"label_transform", {"zz", "$", "x"}, "m.x{a=foo-bar-foo,zz=x} 1"},
      {"label_match", {"a", "foo.*"}, "m.x{a=foo-bar-foo} 1"},
      {"label_match", {"a", "foo"}, ""},
      {"label_match", {"zz", ""}, "m.x{a=foo-bar-foo} 1"},
      {"label_mismatch", {"a", "foo.*"}, ""},
      {"label_mismatch", {"a", "["},
       "error: cannot compile regexp \"[\": error parsing regexp: missing closing ]: `[)$`"},
  };
  for (const auto& [name, texts, want] : cases) EXPECT_EQ(ApplyToLabels(name, tags, texts), want) << name;
}

TEST(TransformLabelsTest, ReplacingMatchesByThemselvesChangesNothing) {
  const std::string_view pieces[] = {"a", "b", "é", ".", "*", "?", "+", "|", "(", ")", "^",
                                     "$", "[ab]", "\\b", "(?i)"};
  std::mt19937 random(7);
  size_t compiled_count = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string expression;
    for (auto n = random() % 6; n > 0; --n) expression += pieces[random() % std::size(pieces)];
    std::string value;
    for (auto n = random() % 8; n > 0; --n) value += pieces[random() % 3];
    const auto regex = CompileGoRegex(expression);
    if (!regex.ok()) continue;
    ++compiled_count;
    std::string got;
    if (ReplaceTemplate("$0", *regex.value()).ReplaceAll(value, 1000, got)) {
      EXPECT_EQ(got, value) << expression;
    } else {
      EXPECT_EQ(got, "") << expression;
    }
  }
  EXPECT_GT(compiled_count, 1000u);
}

TEST(TransformLabelsTest, ADotMatchesNoLineFeed) {
  EXPECT_EQ(ApplyToLabels("label_match", {{"a", "x\ny"}}, {"a", "x.y"}), "");
  EXPECT_EQ(ApplyToLabels("label_match", {{"a", "x\ny"}}, {"a", "(?s)x.y"}), "m.x{a=x\ny} 1");
}

TEST(TransformLabelsTest, OtherBytesThanUtf8CountAsCharacters) {
  EXPECT_EQ(ApplyToLabels("label_match", {{"a", "x\xff"}}, {"a", "x."}), "m.x{a=x\xff} 1");
  EXPECT_EQ(ApplyToLabels("label_replace", {{"a", "x\xffy"}}, {"b", "$1$3", "a", "(.)(.)(.)"}), "m.x{a=x\xffy,b=xy} 1");
  EXPECT_EQ(ApplyToLabels("label_transform", {{"a", "\xe0\xa0"}}, {"a", ".", "z"}), "m.x{a=zz} 1");
}

TEST(TransformLabelsTest, MapsCaseOfUnicodeText) {
  EXPECT_EQ(ApplyToLabels("label_uppercase", {{"a", "straße ǆ éя"}}, {"a"}), "m.x{a=STRAßE Ǆ ÉЯ} 1");
  EXPECT_EQ(ApplyToLabels("label_lowercase", {{"a", "ÀΣЯ Ω"}}, {"a"}), "m.x{a=àσя ω} 1");
  EXPECT_EQ(ApplyToLabels("label_lowercase", {{"a", "A\xff" "B"}}, {"a"}), "m.x{a=a\xef\xbf\xbd" "b} 1");
}

TEST(TransformLabelsTest, RefusesValuesThatGrowWithoutEnd) {
  std::string all;
  for (int i = 0; i < 2000; ++i) all += "$0";
  const std::string value(64, 'x');
  EXPECT_EQ(ApplyToLabels("label_replace", {{"a", value}}, {"a", all, "a", ".*"}).substr(0, 46),
            "error: the value of label \"a\" would be 65536 b");
  const std::string half(40000, 'x');
  EXPECT_EQ(ApplyToLabels("label_join", {{"a", half}}, {"b", "", "a", "a"}),
            "error: the value of label \"b\" would be 80000 bytes long; the limit is 65535");
}

TEST(TransformLabelsTest, ReadsLabelsAsNumbers) {
  const auto call = [](const std::string& value) {
    Args args(2);
    args.Add(Make("m", {{"a", value}}, {5, kNaN})).Add("a");
    const std::string text = Apply("label_value", std::move(args), true);
    return text.substr(text.find('}') + 2);
  };
  EXPECT_EQ(call("12.5"), "12.5 -");
  EXPECT_EQ(call("-Inf"), "-inf -");
  EXPECT_EQ(call("0x1p-2"), "0.25 -");
  EXPECT_EQ(call("1_000"), "1000 -");
  EXPECT_EQ(call("1e-400"), "0 -");
  for (const char* bad : {"", " 1", "1 ", "1_", "_1", "1__0", "0x10", "1e400", "1e", "+nan", "infin", "1.2.3", "0b1"}) {
    EXPECT_EQ(call(bad), "- -") << bad;
  }
}

TEST(TransformLabelsTest, SplitsGraphiteNames) {
  const auto call = [](std::vector<double> positions) {
    Args args;
    args.Add(Make("a.bb.c", {}, {1}));
    for (const double position : positions) args.Add(position);
    return Apply("label_graphite_group", std::move(args));
  };
  EXPECT_EQ(call({0, 2}), "a.c{} 1");
  EXPECT_EQ(call({1, 3}), "bb.{} 1");
  EXPECT_EQ(call({-1, 1e30, kNaN}), "..{} 1");
  EXPECT_EQ(call({}), "error: unexpected number of args: 1; want at least 2 args");
}

TEST(TransformLabelsTest, ComparesLabels) {
  const auto call = [](const std::vector<std::string>& labels) {
    Args args;
    args.Add(Series{Make("x", {{"a", "x"}, {"b", "x"}}, {1}), Make("y", {{"a", "x"}}, {2}), Make("z", {}, {3})});
    for (const std::string& label : labels) args.Add(label);
    return Apply("labels_equal", std::move(args));
  };
  EXPECT_EQ(call({"a", "b"}), "x{a=x,b=x} 1\nz{} 3");
  EXPECT_EQ(call({"a", "b", "__name__"}), "x{a=x,b=x} 1");
  EXPECT_EQ(call({"a"}), "error: unexpected number of args; got 2; want at least 3");
}

TEST(TransformLabelsTest, DropsCommonLabels) {
  const auto call = [](Series first, Series second) {
    Args args;
    args.Add(std::move(first)).Add(std::move(second));
    return Apply("drop_common_labels", std::move(args));
  };
  EXPECT_EQ(call({Make("m", {{"a", "1"}, {"b", "2"}}, {1})}, {Make("m", {{"a", "1"}, {"b", "3"}}, {2})}),
            "{b=2} 1\n{b=3} 2");
  EXPECT_EQ(call({Make("m", {{"a", "1"}}, {1})}, {Make("n", {}, {2})}), "m{a=1} 1\nn{} 2");
  EXPECT_EQ(call({Make("m", {{"a", "1"}}, {1})}, {}), "{} 1");
  EXPECT_EQ(call({}, {}), "");
  EXPECT_EQ(Apply("drop_common_labels", Args()), "error: not enough args; got 0; want at least 1");
}

TEST(TransformLabelsTest, TakesOnlyTextsAsLabels) {
  const auto call = [](const std::string& name) {
    Args args;
    args.Add(1).Add(2).Add(3).Add(4).Add(5);
    return Apply(name, std::move(args));
  };
  EXPECT_EQ(call("label_replace"), "error: arg #2 must be a string");
  EXPECT_EQ(call("label_set"), "error: arg #1 must be a string");
  EXPECT_EQ(call("label_del"), "error: arg #2 must be a string");
  EXPECT_EQ(call("labels_equal"), "error: cannot get label name: arg #2 must be a string");
  EXPECT_EQ(call("label_map"), "error: cannot read label name: arg #2 must be a string");
  EXPECT_EQ(call("sort_by_label"), "error: cannot parse label #1 for sorting: arg #2 must be a string");
}

}  // namespace
}  // namespace vm::select::transform
