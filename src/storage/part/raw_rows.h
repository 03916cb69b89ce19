#pragma once

#include <vector>

#include "lib/base/result.h"
#include "storage/part/part_writer.h"
#include "storage/part/raw_row.h"

namespace vm::storage {

/// Put `rows` in order of series and time and encode them into one part in memory. Rows of equal series and time keep
/// their order. `*lossy_blocks` counts, when given, blocks that took rows without regard to lost digits, see
/// kShortBlocksLimit. Requires at least one row.
Result<PartBuffers> BuildPart(const std::vector<RawRow>& rows, uint64_t* lossy_blocks = nullptr);

}  // namespace vm::storage
