#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>

#include "lib/base/result.h"
#include "storage/part/part_reader.h"
#include "storage/part/part_writer.h"

namespace vm::storage {

/// What a merge does with the blocks of a series: the one place that drops, trims and thins out samples.
struct MergePolicy {
  int64_t retention_deadline_ms = INT64_MIN;  // Older blocks are dropped, older rows trimmed when decoded.
  int64_t dedup_interval_ms = 0;              // 0: keep every sample.
  std::function<bool(model::MetricId)> is_deleted;  // Empty: nothing is.
};

struct MergeStats {
  uint64_t rows_read = 0;
  uint64_t rows_deleted = 0;  // By deletion and retention.
  uint64_t rows_deduplicated = 0;
  uint64_t lossy_blocks = 0;  // Blocks joined although samples lost digits: see kShortBlocksLimit.
};

/// After this many consecutive blocks of a series with fewer rows than kShortBlockRows, all cut because of their
/// values, the next one takes rows as the original does, whatever their values lose: values of wildly different
/// magnitude would else give a block each.
inline constexpr size_t kShortBlocksLimit = 64;
inline constexpr size_t kShortBlockRows = 8;

/// Merge the blocks of `sources` into `writer`, which the caller finishes unless no rows were left. Full blocks that do
/// not overlap are copied as they are. Blocks are joined only when no sample changes by it, except after many short
/// ones. Errors: kCorrupted when a
/// source contradicts its metadata, kCancelled when `stop` is requested, kIo.
/// Reference: VictoriaMetrics lib/storage/merge.go.
Status MergeParts(std::span<const std::shared_ptr<const PartReader>> sources, PartWriter& writer,
                  const MergePolicy& policy, std::stop_token stop, MergeStats& stats);

/// Whether decimals can share one exponent without changing: fed one by one.
class CommonScale {
 public:
  /// Whether `mantissa` x 10^`exponent` can join; it has joined when true is returned.
  bool Join(int64_t mantissa, int16_t exponent) noexcept;
  bool JoinAll(std::span<const int64_t> mantissas, int16_t exponent) noexcept;
  void Reset() noexcept { *this = CommonScale(); }

 private:
  int32_t lowest_ = INT32_MIN;   // The common exponent must not be lower: digits would overflow.
  int32_t highest_ = INT32_MAX;  // Nor higher: digits would be cut off.
};

}  // namespace vm::storage
