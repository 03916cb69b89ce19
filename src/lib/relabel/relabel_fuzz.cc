#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "lib/base/check.h"
#include "lib/relabel/relabel.h"

/// Any text is either refused or gives rules that leave no empty labels.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto rules = vm::relabel::Rules::Parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!rules.ok()) return 0;
  std::vector<vm::model::LabelView> labels = {{"", "a.b.c"}, {"job", "x;y"}, {"instance", "host:1"}};
  std::deque<std::string> texts;
  rules.value()->Apply(labels, texts);
  for (const vm::model::LabelView& label : labels) VM_CHECK(!label.value.empty());
  return 0;
}
