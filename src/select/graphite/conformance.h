#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace vm::select::graphite {

using Json = nlohmann::json;

/// For tests: call `test` for each shared case of `kind`; returns how many there are.
template <class Test>
size_t ForEachCase(const std::string& kind, const Test& test) {
  std::ifstream file(std::string(VM_SHARED_DIR) + "/conformance/graphite.jsonl");
  size_t count = 0;
  for (std::string line; std::getline(file, line);) {
    const Json item = Json::parse(line);
    if (item["kind"] != kind) continue;
    SCOPED_TRACE(line);
    test(item);
    ++count;
  }
  return count;
}

}  // namespace vm::select::graphite
