#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/regex/regex.h"

// Paths of the Graphite metrics API: names cut into parts by a delimiter, one byte. A path that ends in the delimiter is a node with
// something below, one that does not is a leaf.
namespace vm::select::graphite {

/// The regular expression, in Go's syntax, of all paths that a pattern with `*`, `{a,b}` and `[a-z]` means; `*` stops at the
/// delimiter. Matches leaves and nodes.
std::string PathPatternToRegex(std::string_view pattern, char delimiter);
/// The same, compiled. Errors: kInvalidInput.
Result<regex::Regex> CompilePathPattern(std::string_view pattern, char delimiter);

/// Where the first of `*`, `{` and `[` stands; npos: the pattern is a plain path.
size_t FindWildcard(std::string_view pattern);

/// `a,b.c` to `{a,b}.c`.
std::string AddAutomaticVariants(std::string_view pattern, char delimiter);
/// Drop nodes.
void FilterLeaves(std::vector<std::string>& paths, char delimiter);
/// Nodes first, each sorted.
void SortPaths(std::vector<std::string>& paths, char delimiter);
/// Each path once, sorted.
void DeduplicatePaths(std::vector<std::string>& paths);

/// Form of the answer of metrics/find.
enum class FindFormat { kTreeJson, kCompleter };
/// `paths` in any order but without duplicates. `add_wildcards`: an item for all of them when there are several.
std::string FindResponse(std::vector<std::string> paths, char delimiter, FindFormat format, bool add_wildcards);
/// `["a","b"]`
std::string StringsResponse(const std::vector<std::string>& strings);
/// Answer of metrics/expand by pattern.
std::string ExpandResponse(const std::map<std::string, std::vector<std::string>>& paths_by_pattern);

/// A JSON answer as a call of the function `jsonp`, unless that is empty.
std::string WrapJsonp(std::string json, std::string_view jsonp);
std::string_view ContentTypeOf(std::string_view jsonp);

}  // namespace vm::select::graphite
