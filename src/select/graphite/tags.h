#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/model/metric_name.h"
#include "lib/model/search_query.h"

namespace vm::select::graphite {

/// The tags of a series by their names; the metric name is the tag `name`.
using Tags = std::map<std::string, std::string, std::less<>>;

/// `m;a=b;c=d`: tags sorted.
std::string CanonicalPath(const model::MetricName& name);
/// The reverse; parts without `=` are left out, of equal names the last one counts.
Tags UnmarshalTags(std::string_view path);
/// What UnmarshalTags gets the same tags from.
std::string MarshalTags(const Tags& tags);

/// The filter that `tag=value`, `tag!=value`, `tag=~regex` or `tag!=~regex` means; regular expressions are anchored at the front.
/// Errors: kInvalidInput.
Result<model::TagFilter> ParseTagExpression(std::string_view text);
/// The filters of one series `m;a=b;c=d`. Tags without a name or a value are left out. Errors: kInvalidInput.
Result<std::vector<model::TagFilter>> FiltersOfPath(std::string_view path);

/// Keep what a regular expression matches at its front; an empty one matches all. Errors: kInvalidInput.
Status FilterByRegex(std::vector<std::string>& texts, std::string_view filter);
/// `text` as a regular expression for itself.
std::string QuoteRegex(std::string_view text);
/// Label names as Graphite shows them: `__name__` becomes `name`. Sorted.
void RenameMetricName(std::vector<std::string>& names);

/// Answers of tags and tags/<name>.
std::string TagsResponse(const std::vector<std::string>& tags);
std::string TagValuesResponse(std::string_view tag, const std::vector<std::string>& values, bool is_partial);

}  // namespace vm::select::graphite
