#pragma once

#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/http/args.h"
#include "lib/model/search_query.h"

namespace vm::select {

/// Groups are OR-ed, the filters of a group AND-ed.
using FilterGroups = std::vector<std::vector<model::TagFilter>>;

/// Filters of a series selector. Errors: kInvalidInput, also for `{}`.
Result<FilterGroups> ParseSelector(std::string_view text);

/// Filters of `extra_label` and `extra_filters`, which are AND-ed to everything a request asks for. A key given
/// in the URL hides the one of the body: a proxy in front may enforce it. `args` holds both. Errors: kInvalidInput.
Result<FilterGroups> ParseExtraFilters(const http::Args& url_args, const http::Args& args);

/// Each group of `groups` AND-ed with each of `extra`; no groups match all.
FilterGroups JoinFilters(const FilterGroups& groups, const FilterGroups& extra);

}  // namespace vm::select
