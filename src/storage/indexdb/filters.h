#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/model/metric_name.h"
#include "lib/model/search_query.h"
#include "lib/regex/regex.h"

// Internals of indexdb: label filters in the form in which tag rows answer them.
namespace vm::indexdb {

/// Key of label filters whose value is a Graphite path expression for the metric name.
inline constexpr std::string_view kGraphiteKey = "__graphite__";

/// The series that have the label with a value that matches are kept, or taken away.
struct Filter {
  enum class Kind : uint8_t { kAny, kValues, kRegex };

  std::string label;   // Empty: the metric name.
  std::string metric;  // Not empty: of this metric name alone, by its composite rows.
  Kind kind = Kind::kAny;
  bool subtract = false;            // The matching ids are taken away.
  bool invert = false;              // kRegex: values that do not match count as matching.
  std::vector<std::string> values;  // kValues: exactly these, sorted.
  std::optional<regex::Regex> regex;

  /// Whether a row with this value counts. The empty value never does.
  bool MatchesValue(std::string_view value) const;
  /// Whether the filter lets a series with this name pass.
  bool Passes(const model::MetricName& name) const;
  /// Key of its tag rows.
  std::string RowKey() const;
  /// Filters with a smaller number are likely to be cheaper and to leave less.
  int Rank() const;
};

/// Turn the filters of a group into look-ups, all of which have to pass. None stands for any series with a metric name.
/// kGraphiteKey is not handled here.
std::vector<Filter> CompileFilters(const std::vector<model::TagFilter>& group);

/// With a filter on metric names and another positive one: the same for each name, on composite rows. Otherwise the
/// filters as they are. `converted` tells which.
std::vector<std::vector<Filter>> ToComposite(std::vector<Filter> filters, bool& converted);

/// The name of a group that is `{__name__="name"}` and nothing else, or nothing.
std::optional<std::string_view> SingleName(const std::vector<std::vector<model::TagFilter>>& groups);

/// Key of the composite rows of `metric` and `label`.
std::string CompositeKey(std::string_view metric, std::string_view label);

/// The paths that match as a regexp for one node of a Graphite path. Errors: kInvalidInput.
Result<regex::Regex> GraphiteNodeRegex(std::string_view node);
/// `(a|b)` as Graphite's `{a,b}`, `(.*)` as `*`.
std::string ToGraphiteWildcards(std::string_view query);

}  // namespace vm::indexdb
