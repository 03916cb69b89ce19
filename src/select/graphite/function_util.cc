#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "select/graphite/functions.h"

namespace vm::select::graphite {

int ToInt(double value) {
  // What does not fit is far beyond anything that is counted here.
  if (std::isnan(value)) return std::numeric_limits<int>::min();
  return static_cast<int>(std::clamp(value, -2147483648.0, 2147483647.0));
}

std::string ReplaceAll(std::string text, std::string_view from, std::string_view to) {
  constexpr size_t kMaxBytes = 1 << 20;
  for (size_t at = 0; text.size() <= kMaxBytes && (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::vector<std::string> SplitPath(std::string_view path) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t dot = path.find('.');
    parts.emplace_back(path.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    path.remove_prefix(dot + 1);
  }
}

std::string JoinPath(std::span<const std::string> parts) {
  std::string path;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) path += '.';
    path += parts[i];
  }
  return path;
}

int NodeIndex(int index, int size) {
  if (index < 0) index += size;
  return index < 0 || index >= size ? -1 : index;
}

std::string NameFromNodes(const Series& series, const std::vector<const Expr*>& nodes) {
  if (nodes.empty()) return {};
  const std::vector<std::string> parts = SplitPath(PathOfName(series.name));
  std::vector<std::string> chosen;
  for (const Expr* node : nodes) {
    if (node->is(Expr::Kind::kNumber)) {
      const int index = NodeIndex(ToInt(node->number), static_cast<int>(parts.size()));
      if (index >= 0) chosen.push_back(parts[static_cast<size_t>(index)]);
    } else if (const auto tag = series.tags.find(node->text); tag != series.tags.end() && !tag->second.empty()) {
      chosen.push_back(tag->second);
    }
  }
  return JoinPath(chosen);
}

std::string JoinedPaths(std::vector<std::string> paths, bool is_sorted) {
  std::set<std::string> seen;
  std::vector<std::string> different;
  for (std::string& path : paths) {
    if (seen.insert(path).second) different.push_back(std::move(path));
  }
  if (is_sorted) std::sort(different.begin(), different.end());
  std::string joined;
  for (const std::string& path : different) {
    if (&path != different.data()) joined += ',';
    joined += path;
  }
  return joined;
}

std::string AggregateName(std::string_view function, const std::vector<std::string>& paths) {
  if (paths.empty()) return "None";
  return std::string(function) + "Series(" + JoinedPaths(paths, !DependsOnOrder(function)) + ")";
}

std::vector<std::string> PathsOf(const SeriesList& list) {
  std::vector<std::string> paths;
  for (const Series& series : list) paths.push_back(series.path);
  return paths;
}

std::vector<std::span<const double>> RowsOf(const SeriesList& list) {
  std::vector<std::span<const double>> rows;
  for (const Series& series : list) rows.emplace_back(series.values);
  return rows;
}

Series EmptySeries(const Window& window, int64_t step) {
  Series series;
  series.timestamps = GridTimestamps(window.start, window.end, step);
  series.values.assign(series.timestamps.size(), std::numeric_limits<double>::quiet_NaN());
  series.step = step;
  return series;
}

bool NaturalLess(std::string_view a, std::string_view b) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto take = [&](std::string_view& text, bool digits) {
    size_t size = 0;
    while (size < text.size() && is_digit(text[size]) == digits) ++size;
    const std::string_view taken = text.substr(0, size);
    text.remove_prefix(size);
    return taken;
  };
  const auto number = [](std::string_view digits) {
    // What does not fit is the greatest number.
    uint64_t value = 0;
    for (const char c : digits) {
      if (value > (static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) - 9) / 10) return static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
      value = value * 10 + static_cast<uint64_t>(c - '0');
    }
    return value;
  };
  for (;;) {
    const std::string_view a_text = take(a, false);
    const std::string_view b_text = take(b, false);
    if (a_text != b_text) return a_text < b_text;
    if (a.empty() || b.empty()) return a < b;
    const uint64_t a_number = number(take(a, true));
    const uint64_t b_number = number(take(b, true));
    if (a_number != b_number) return a_number < b_number;
  }
}

std::string ToGoReplacement(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_group = text[i] == '\\' && i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9';
    out += is_group ? '$' : text[i];
  }
  return out;
}

}  // namespace vm::select::graphite
