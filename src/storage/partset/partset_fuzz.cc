// Lists of parts: no name that leaves the folder is accepted.
#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "storage/partset/parts_json.h"

namespace {

using namespace vm::storage;  // NOLINT: one small program, nothing includes it

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckNames(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    Require(!name.empty() && name != "." && name != ".." && name.find('/') == name.npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  if (auto names = ParsePartNames(json); names.ok()) {
    CheckNames(names.value().small);
    CheckNames(names.value().big);
    std::sort(names.value().small.begin(), names.value().small.end());
    std::sort(names.value().big.begin(), names.value().big.end());
    const auto back = ParsePartNames(FormatPartNames(names.value()));
    Require(back.ok() && back.value() == names.value());
  }
  if (auto names = ParsePartNameList(json); names.ok()) {
    CheckNames(names.value());
    std::sort(names.value().begin(), names.value().end());
    const auto back = ParsePartNameList(FormatPartNameList(names.value()));
    Require(back.ok() && back.value() == names.value());
  }
  return 0;
}
