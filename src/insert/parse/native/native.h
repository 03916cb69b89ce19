#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"
#include "lib/model/metric_name.h"
#include "lib/model/time_range.h"

namespace vm::insert {

/// The samples of one block.
struct NativeBlock {
  model::MetricName name;  // Without a tenant.
  std::vector<int64_t> timestamps;  // Unix milliseconds; as many as values.
  std::vector<double> values;
};

/// Reads a native body that arrives in pieces. Not thread-safe. Reference: VictoriaMetrics lib/protoparser/native.
class NativeReader {
 public:
  static constexpr size_t kMaxPartBytes = 1 << 20;  // Of a name, and of a block.

  /// How much of `bytes`, which begins where the last Read ended, is whole: the header, names with their blocks. At the end of the body
  /// that must be everything. Errors: kInvalidInput for sizes beyond the limits and for a body cut short.
  Result<size_t> WholeSize(ByteView bytes, bool is_end) const;

  /// Take a block off the front of `whole` parts; valid until the next call. Null: there is none left. Errors: kInvalidInput.
  Result<const NativeBlock*> Next(ByteView& whole);

 private:
  bool has_header_ = false;
  model::TimeRange range_;
  NativeBlock block_;
};

}  // namespace vm::insert
