#pragma once

#include <cstdint>
#include <vector>

namespace vm::model {

/// Keep, of each interval ((k-1)*d, k*d], the sample with the greatest timestamp; of equal timestamps the
/// largest value, and any value before a staleness marker. `interval_ms` <= 0 keeps everything.
/// Timestamps are not changed. Requires sorted timestamps and equal lengths.
/// Reference: VictoriaMetrics lib/storage/dedup.go (v1.134 and later).
void DeduplicateSamples(std::vector<int64_t>& timestamps, std::vector<double>& values,
                        int64_t interval_ms);

/// The same on decimal mantissas of one scale, as merges do it.
void DeduplicateMantissas(std::vector<int64_t>& timestamps, std::vector<int64_t>& mantissas,
                          int64_t interval_ms);

/// Whether the samples hold two of one interval.
bool NeedsDedup(const std::vector<int64_t>& timestamps, int64_t interval_ms);

}  // namespace vm::model
