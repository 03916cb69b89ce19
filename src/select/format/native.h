#pragma once

#include <string>

#include "lib/model/block.h"
#include "lib/model/metric_name.h"
#include "lib/model/time_range.h"

namespace vm::select {

/// The 16 bytes a native export starts with.
void AppendNativeHeader(std::string& dst, const model::TimeRange& range);
/// One block as it came from storage, with its series' name without the tenant.
void AppendNativeBlock(std::string& dst, const model::MetricName& name, const model::EncodedBlock& block);

}  // namespace vm::select
