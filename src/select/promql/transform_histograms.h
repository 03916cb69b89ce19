#pragma once

#include <vector>

#include "select/promql/series.h"

namespace vm::select {

/// Turn buckets with a `vmrange` label (`1.0e+00...2.0e+00`, counts per bucket) into cumulative ones with `le`, adding
/// empty buckets where ranges do not touch and a last one for +Inf. Series with `le` alone are kept as they are and
/// come first; those with neither, or with a `vmrange` that is no range, are dropped.
std::vector<TimeSeries> VmrangeBucketsToLe(std::vector<TimeSeries> list);

/// Make the counts of one histogram ascending at every point; `counts` has one list of points per bucket, sorted by
/// bound. A higher bucket includes the lower ones, so what is missing or smaller there is at least the count below it.
void FixBrokenBuckets(std::vector<std::vector<double>>& counts);

}  // namespace vm::select
