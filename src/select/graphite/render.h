#pragma once

#include <cstdint>
#include <string>

#include "select/graphite/eval.h"

namespace vm::select::graphite {

/// Fewer points for a series with more than `max_points`: its own aggregate over the window, in steps of equal length.
void LimitPoints(SeriesList& list, const Window& window, int64_t max_points);

/// The JSON answer of the render API: series by their names. No value: null.
std::string RenderResponse(SeriesList list);

}  // namespace vm::select::graphite
