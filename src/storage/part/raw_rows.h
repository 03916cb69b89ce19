#pragma once

#include <span>
#include <vector>

#include "lib/base/result.h"
#include "storage/part/part_writer.h"
#include "storage/part/raw_row.h"
#include "storage/part/series_order.h"

namespace vm::storage {

/// Put all `rows` in order of series and time and encode them into one part in memory. Rows of equal series and time keep
/// their order. `*lossy_blocks` counts, when given, blocks that took rows without regard to lost digits, see
/// kShortBlocksLimit. `order`, when given, is used and learns; what comes out is the same. Requires at least one row.
Result<PartBuffers> BuildPart(std::span<const std::vector<RawRow>> rows, uint64_t* lossy_blocks = nullptr,
                              SeriesOrder* order = nullptr);
inline Result<PartBuffers> BuildPart(const std::vector<RawRow>& rows, uint64_t* lossy_blocks = nullptr,
                                     SeriesOrder* order = nullptr) {
  return BuildPart(std::span(&rows, 1), lossy_blocks, order);
}

}  // namespace vm::storage
