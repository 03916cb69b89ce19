#include "select/graphite/render.h"

#include <algorithm>
#include <cmath>

#include "lib/base/still_busy.h"
#include "select/format/json_text.h"

namespace vm::select::graphite {

void LimitPoints(SeriesList& list, const Window& window, int64_t max_points) {
  const int64_t step = (window.end - window.start) / max_points;
  if (step <= 0) return;
  for (Series& s : list) {
    if (s.values.size() <= static_cast<uint64_t>(max_points)) continue;
    StillBusy();
    const double factor = s.x_files_factor > 0 ? s.x_files_factor : window.x_files_factor;
    s.values = SummarizeValues(s.timestamps, s.values, s.consolidate == nullptr ? Average : s.consolidate, window.start, window.end, step,
                               factor);
    s.timestamps = GridTimestamps(window.start, window.end, step);
    s.step = step;
  }
}

std::string RenderResponse(SeriesList list) {
  std::stable_sort(list.begin(), list.end(), [](const Series& a, const Series& b) { return a.name < b.name; });
  std::string out = "[";
  for (const Series& s : list) {
    StillBusy();
    out += out.size() == 1 ? "{\"target\":" : ",{\"target\":";
    AppendJsonString(out, s.name);
    out += ",\"tags\":{";
    for (const auto& [key, value] : s.tags) {
      if (out.back() != '{') out += ',';
      AppendJsonString(out, key);
      out += ": ";
      AppendJsonString(out, value);
    }
    out += "},\"datapoints\":[";
    for (size_t i = 0; i < s.values.size(); ++i) {
      out += i == 0 ? "[" : ",[";
      if (std::isfinite(s.values[i])) AppendJsonFloat(out, s.values[i]);
      else out += "null";
      out += ',';
      AppendInt(out, s.timestamps[i] / 1000);
      out += ']';
    }
    out += "]}";
  }
  return out + ']';
}

}  // namespace vm::select::graphite
