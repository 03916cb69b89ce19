#include "select/promql/regex_cache.h"

#include <re2/re2.h>

#include <utility>

#include "select/promql/transform_text.h"

namespace vm::select {

Result<std::shared_ptr<const re2::RE2>> RegexCache::Compile(const std::string& expression) {
  if (auto found = texts_.Find(expression)) return found;
  if (auto small = transform::CompileGoRegex(expression, kMaxRegexBytes); small.ok()) {
    std::shared_ptr<const re2::RE2> regex = std::move(small).value();
    texts_.Put(expression, regex);
    return regex;
  }
  // Either wrong, or too big to be kept.
  VM_ASSIGN_OR_RETURN(auto regex, transform::CompileGoRegex(expression));
  return std::shared_ptr<const re2::RE2>(std::move(regex));
}

}  // namespace vm::select
