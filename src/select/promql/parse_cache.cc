#include "select/promql/parse_cache.h"

#include <utility>

namespace vm::select {

ParseCache::Parsed ParseCache::Parse(const std::string& query) {
  if (auto found = texts_.Find(query)) return found;
  auto parsed = std::make_shared<const Result<metricsql::ExprPtr>>(ParseQuery(query, options_));
  texts_.Put(query, parsed);
  return parsed;
}

}  // namespace vm::select
