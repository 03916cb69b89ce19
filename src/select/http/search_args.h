#pragma once

#include <cstdint>
#include <string>

#include "lib/base/result.h"
#include "lib/http/args.h"
#include "lib/model/search_query.h"
#include "lib/model/time_range.h"
#include "select/http/filters.h"
#include "select/http/options.h"

namespace vm::select {

/// What endpoints that look for series are asked in common.
struct SearchArgs {
  model::TimeRange range;
  FilterGroups filters;  // match[] joined with the extra filters.
  /// No `start`, and an `end` of about now.
  bool is_default_range = false;
};

/// Whose arguments are read.
enum class SearchKind : uint8_t { kSeries, kLabels };

/// Read `start`, `end`, `match[]` and the extra filters. `start` defaults to 0, for kLabels to 5 minutes before the
/// end. Errors: kInvalidInput, also without `match[]` when `needs_match`.
Result<SearchArgs> ParseSearchArgs(const ApiOptions& options, const http::Args& url_args, const http::Args& args, int64_t now_ms,
                                   SearchKind kind, bool needs_match);

/// `accountID=0, projectID=0, filters=[{__name__="m"}], timeRange=[...]`, for traces; long values are cut. The same in
/// quotes, for errors.
std::string SearchQueryText(const model::SearchQuery& query, bool is_multitenant);
std::string QuotedSearchQuery(const model::SearchQuery& query, bool is_multitenant);

}  // namespace vm::select
