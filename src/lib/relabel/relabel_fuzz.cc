// Any text is either refused or gives rules that leave no empty labels. Rules of the same text do the same.
#include <deque>
#include <string>
#include <vector>

#include "lib/bytes/fuzz.h"
#include "lib/relabel/relabel.h"

using namespace vm;           // NOLINT: one small program, nothing includes it
using namespace vm::relabel;  // NOLINT: one small program, nothing includes it
using fuzz::Require;

VM_FUZZ_SEEDS("- source_labels: [job, instance]\n  separator: ;\n  regex: \"(x);?(.*)\"\n  target_label: a\n  replacement: \"$1-${2}\"\n",
              "- {action: replace_all, source_labels: [__name__], regex: \"[.]\", replacement: \"_\", target_label: b}\n# c\n",
              "- action: hashmod\n  source_labels: [job]\n  modulus: 7\n  target_label: m\n- action: keep_if_equal\n  source_labels: [a, b]\n",
              "- action: graphite\n  match: \"a.*.*\"\n  labels:\n    __name__: m\n    x: \"$1.${2}\"\n- action: lowercase\n  source_labels: [x]\n"
              "  target_label: x\n",
              "- if: 'a{job=~\"x.*\",instance!=\"\" or job!~\"y\"}'\n  action: labelmap\n  regex: \"(j)ob\"\n- action: labeldrop\n  regex: j\n",
              "- if:\n  - '{job=\"x\"}'\n  - 'b'\n  action: drop_if_contains\n  target_label: job\n  source_labels: [instance]\n",
              "- action: labelmap_all\n  regex: o\n  replacement: 0\n- action: keep\n  regex:\n  - x\n  - y\n  source_labels: [job]\n")

namespace {

std::string Apply(const Rules& rules) {
  std::vector<model::LabelView> labels = {{"", "a.b.c"}, {"job", "x;y"}, {"instance", "host:1"}, {"Empty", "\n"}};
  std::deque<std::string> texts;
  rules.Apply(labels, texts);
  std::string all;
  for (const model::LabelView& label : labels) {
    Require(!label.value.empty() && !label.name.starts_with("__"));
    all.append(label.name).append("=").append(label.value).append("\n");
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto rules = Rules::Parse(AsText(ByteView(data, size)));
  if (!rules.ok()) return 0;
  Require(Apply(*rules.value()) == Apply(*rules.value()));
  return 0;
}
