#pragma once

#include <vector>

#include "lib/base/result.h"
#include "storage/part/part_writer.h"
#include "storage/part/raw_row.h"

namespace vm::storage {

/// Sort `rows` by series and time and encode them into one part in memory. Rows of equal series and time keep
/// their order. Requires at least one row.
Result<PartBuffers> BuildPart(std::vector<RawRow>& rows);

}  // namespace vm::storage
