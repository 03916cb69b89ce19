#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/tenant.h"
#include "lib/model/time_range.h"

namespace vm::model {

/// One label filter. The empty key is the metric name.
struct TagFilter {
  std::string key;
  std::string value;
  bool is_negative = false;
  bool is_regexp = false;

  bool operator==(const TagFilter&) const = default;
};

/// What vmselect asks vmstorage for. Groups are OR-ed, the filters of a group AND-ed.
struct SearchQuery {
  Tenant tenant;
  TimeRange time_range;
  std::vector<std::vector<TagFilter>> tag_filter_groups;
  uint32_t max_metrics = 0;  // 0: the storage's own limit.

  bool operator==(const SearchQuery&) const = default;
};

void MarshalSearchQuery(ByteBuffer& dst, const SearchQuery& query);
/// Decode all of `src`; bytes left over are an error. Errors: kCorrupted.
/// Reference: VictoriaMetrics lib/storage/search.go.
Result<SearchQuery> UnmarshalSearchQuery(ByteView src);

}  // namespace vm::model
