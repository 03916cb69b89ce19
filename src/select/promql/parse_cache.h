#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "select/promql/query.h"
#include "select/promql/text_cache.h"

namespace vm::select {

/// Parsed queries by their text, also those that do not parse: dashboards and rules ask the same again and again.
/// Bounded by the bytes of the texts; what was not asked for longest goes first, half of it at a time. Thread-safe.
/// Reference: VictoriaMetrics app/vmselect/promql/parse_cache.go.
class ParseCache {
 public:
  using Parsed = std::shared_ptr<const Result<metricsql::ExprPtr>>;
  /// A parsed query takes some 30 times the memory of its text.
  static constexpr size_t kMaxTextBytes = 1 << 20;

  explicit ParseCache(QueryOptions options, size_t max_text_bytes = kMaxTextBytes)
      : options_(options), texts_(max_text_bytes, max_text_bytes) {}

  /// ParseQuery, or what it gave before. Never null.
  Parsed Parse(const std::string& query);

  uint64_t requests() const { return texts_.requests(); }
  uint64_t misses() const { return texts_.misses(); }
  size_t entries() const { return texts_.entries(); }

 private:
  const QueryOptions options_;
  TextCache<Result<metricsql::ExprPtr>> texts_;
};

}  // namespace vm::select
