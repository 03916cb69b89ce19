#include "select/promql/transform.h"

#include <unordered_map>

#include "select/promql/transform_util.h"

namespace vm::select {
namespace {

using FunctionMap = std::unordered_map<std::string_view, TransformFunc>;

FunctionMap MakeFunctionMap() {
  FunctionMap map;
  for (const auto& entries :
       {transform::MathFunctions(), transform::LabelFunctions(), transform::RangeFunctions(),
        transform::HistogramFunctions(), transform::SortFunctions(), transform::TimeFunctions(),
        transform::RandomFunctions(), transform::SeriesFunctions()}) {
    for (const transform::Entry& entry : entries) map.emplace(entry.name, entry.func);
  }
  return map;
}

}  // namespace

TransformFunc FindTransform(std::string_view lower_case_name) {
  static const FunctionMap map = MakeFunctionMap();
  const auto it = map.find(lower_case_name);
  return it == map.end() ? nullptr : it->second;
}

}  // namespace vm::select
