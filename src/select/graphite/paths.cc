#include "select/graphite/paths.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "select/format/json_text.h"

namespace vm::select::graphite {
namespace {

/// As Go's regexp.QuoteMeta.
void AppendQuoted(std::string& dst, std::string_view text) {
  for (const char c : text) {
    if (std::string_view(R"(\.+*?()|[]{}^$)").find(c) != std::string_view::npos) dst += '\\';
    dst += c;
  }
}

/// Alternatives in braces nest; each level is a call.
constexpr int kMaxDepth = 100;

/// Takes the front of `pattern`: all of it, or inside of braces up to the `,` or `}` that ends an alternative.
std::string TakeRegex(std::string_view& pattern, const std::string& delimiter, int depth) {
  std::string out;
  while (!pattern.empty()) {
    const size_t special = std::min(pattern.find_first_of("*{[,}"), pattern.size());
    AppendQuoted(out, pattern.substr(0, special));
    pattern.remove_prefix(special);
    if (pattern.empty()) break;
    switch (pattern.front()) {
      case '*':
        out.append("[^").append(delimiter).append("]*");
        pattern.remove_prefix(1);
        break;
      case '[': {
        const size_t end = pattern.find(']');
        if (end == std::string_view::npos) {
          AppendQuoted(out, pattern);
          pattern = {};
          break;
        }
        out += pattern.substr(0, end + 1);
        pattern.remove_prefix(end + 1);
        break;
      }
      case '{': {
        if (depth >= kMaxDepth) {
          AppendQuoted(out, pattern);
          pattern = {};
          break;
        }
        std::vector<std::string> alternatives;
        do {
          pattern.remove_prefix(1);
          alternatives.push_back(TakeRegex(pattern, delimiter, depth + 1));
        } while (pattern.starts_with(','));
        const bool is_closed = !pattern.empty();
        out += is_closed ? "(?:" : "\\{";
        for (size_t i = 0; i < alternatives.size(); ++i) {
          if (i > 0) out += is_closed ? '|' : ',';
          out += alternatives[i];
        }
        if (is_closed) {
          out += ')';
          pattern.remove_prefix(1);
        }
        break;
      }
      default:  // `,` or `}`.
        if (depth > 0) return out;
        AppendQuoted(out, pattern.substr(0, 1));
        pattern.remove_prefix(1);
    }
  }
  return out;
}

std::string_view NameOf(std::string_view path, char delimiter) {
  while (path.ends_with(delimiter)) path.remove_suffix(1);
  const size_t last = path.rfind(delimiter);
  return last == std::string_view::npos ? path : path.substr(last + 1);
}

/// `blank` stands in front of the text.
void AppendTreeItem(std::string& out, std::string_view id, std::string_view text, bool has_children, std::string_view blank = "") {
  out += "{\"id\":";
  AppendJsonString(out, id);
  out.append(",\"text\":").append(blank);
  AppendJsonString(out, text);
  out += has_children ? ",\"allowChildren\":1,\"expandable\":1,\"leaf\":0}" : ",\"allowChildren\":0,\"expandable\":0,\"leaf\":1}";
}

std::string TreeJson(std::vector<std::string> paths, char delimiter, bool add_wildcards) {
  // A leaf that is a node, too, becomes one item, marked by two delimiters at its end.
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> items;
  for (std::string& path : paths) {
    if (!items.empty() && path.size() == items.back().size() + 1 && path.back() == delimiter && path.starts_with(items.back())) {
      items.back() = std::move(path) + delimiter;
      continue;
    }
    items.push_back(std::move(path));
  }
  std::string out = "[";
  bool is_any_node = false;
  for (const std::string& path : items) {
    if (out.size() > 1) out += ',';
    std::string_view id = path;
    const bool is_node = id.ends_with(delimiter);
    if (is_node && id.substr(0, id.size() - 1).ends_with(delimiter)) id.remove_suffix(2);
    is_any_node |= is_node;
    AppendTreeItem(out, id, NameOf(path, delimiter), is_node);
  }
  if (add_wildcards && items.size() > 1) {
    std::string_view first = items[0];
    while (first.ends_with(delimiter)) first.remove_suffix(1);
    const size_t last = first.rfind(delimiter);
    std::string id(last == std::string_view::npos ? std::string_view() : first.substr(0, last + 1));
    out += ',';
    AppendTreeItem(out, id + '*', "*", is_any_node, " ");  // With the blank of the reference, as below.
  }
  return out + ']';
}

std::string CompleterJson(const std::vector<std::string>& paths, char delimiter, bool add_wildcards) {
  std::string out = "{\"metrics\":[";
  for (size_t i = 0; i < paths.size(); ++i) {
    out += i == 0 ? "{\"path\":" : ",{\"path\":";
    AppendJsonString(out, paths[i]);
    out += ",\"name\":";
    AppendJsonString(out, NameOf(paths[i], delimiter));
    out += paths[i].ends_with(delimiter) ? ",\"is_leaf\":0}" : ",\"is_leaf\":1}";
  }
  if (add_wildcards && paths.size() > 1) out += ",{\"name\": \"*\"}";
  return out + "]}";
}

}  // namespace

std::string PathPatternToRegex(std::string_view pattern, char delimiter) {
  std::string quoted;
  AppendQuoted(quoted, std::string_view(&delimiter, 1));
  std::string out = TakeRegex(pattern, quoted, 0);
  if (!out.ends_with(quoted)) out += quoted + '?';
  return '^' + out + '$';
}

Result<regex::Regex> CompilePathPattern(std::string_view pattern, char delimiter) {
  auto compiled = regex::Regex::Compile(PathPatternToRegex(pattern, delimiter), regex::Anchoring::kAnywhere);
  if (compiled.ok()) return compiled;
  return std::move(compiled).error().WithContext("cannot convert query \"" + std::string(pattern) + "\" to regexp");
}

size_t FindWildcard(std::string_view pattern) { return pattern.find_first_of("*{["); }

std::string AddAutomaticVariants(std::string_view pattern, char delimiter) {
  std::string out;
  while (true) {
    const size_t end = pattern.find(delimiter);
    const std::string_view part = pattern.substr(0, end);
    const bool has_variants = part.find(',') != std::string_view::npos && part.find('{') == std::string_view::npos;
    if (has_variants) out += '{';
    out += part;
    if (has_variants) out += '}';
    if (end == std::string_view::npos) return out;
    out += delimiter;
    pattern.remove_prefix(end + 1);
  }
}

void FilterLeaves(std::vector<std::string>& paths, char delimiter) {
  std::erase_if(paths, [delimiter](const std::string& path) { return path.ends_with(delimiter); });
}

void SortPaths(std::vector<std::string>& paths, char delimiter) {
  std::sort(paths.begin(), paths.end(), [delimiter](const std::string& a, const std::string& b) {
    const bool is_a_leaf = !a.ends_with(delimiter);
    const bool is_b_leaf = !b.ends_with(delimiter);
    return std::tie(is_a_leaf, a) < std::tie(is_b_leaf, b);
  });
}

void DeduplicatePaths(std::vector<std::string>& paths) {
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
}

std::string FindResponse(std::vector<std::string> paths, char delimiter, FindFormat format, bool add_wildcards) {
  SortPaths(paths, delimiter);
  return format == FindFormat::kTreeJson ? TreeJson(std::move(paths), delimiter, add_wildcards)
                                         : CompleterJson(paths, delimiter, add_wildcards);
}

std::string StringsResponse(const std::vector<std::string>& strings) {
  std::string out = "[";
  for (const std::string& text : strings) {
    if (out.size() > 1) out += ',';
    AppendJsonString(out, text);
  }
  return out + ']';
}

std::string ExpandResponse(const std::map<std::string, std::vector<std::string>>& paths_by_pattern) {
  std::string out = "{\"results\":{";
  bool is_first = true;
  for (const auto& [pattern, paths] : paths_by_pattern) {
    if (!std::exchange(is_first, false)) out += ',';
    AppendJsonString(out, pattern);
    out += ':';
    out += StringsResponse(paths);
  }
  return out + "}}";
}

std::string WrapJsonp(std::string json, std::string_view jsonp) {
  return jsonp.empty() ? std::move(json) : std::string(jsonp) + '(' + json + ')';
}

std::string_view ContentTypeOf(std::string_view jsonp) {
  return jsonp.empty() ? "application/json" : "text/javascript; charset=utf-8";
}

}  // namespace vm::select::graphite
