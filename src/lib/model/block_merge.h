#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/model/block.h"

namespace vm::model {

/// Merge the samples of two blocks of one series by timestamp into `out`, whatever it held before.
///
/// Both are brought to a common scale first (digits may be lost, see decimal::CalibrationIsLossless) and may be
/// longer than kMaxRowsPerBlock together: the caller cuts. Of equal timestamps those of the side being copied
/// come first, starting with `a`. The smaller precision wins. Samples older than `min_timestamp` are left out;
/// their number is returned. `a` and `b` are changed. Requires `out` to be neither of them.
/// Reference: VictoriaMetrics lib/storage/merge.go, mergeBlocks.
size_t MergeBlocks(DecodedBlock& a, DecodedBlock& b, int64_t min_timestamp, DecodedBlock& out);

/// The same order of samples with values as floats, appended to `timestamps` and `values`: for blocks whose
/// scales cannot be joined without loss. The caller cuts them anew with decimal::LosslessPrefix.
size_t MergeSamples(const DecodedBlock& a, const DecodedBlock& b, int64_t min_timestamp,
                    std::vector<int64_t>& timestamps, std::vector<double>& values);

}  // namespace vm::model
