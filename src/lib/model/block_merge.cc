#include "lib/model/block_merge.h"

#include <algorithm>
#include <span>
#include <utility>

#include "lib/base/check.h"
#include "lib/decimal/decimal.h"

namespace vm::model {
namespace {

template <class V>
struct Samples {
  std::span<const int64_t> timestamps;
  std::span<const V> values;

  size_t DropBefore(int64_t min_timestamp) {
    size_t n = 0;
    while (n < timestamps.size() && timestamps[n] < min_timestamp) ++n;
    timestamps = timestamps.subspan(n);
    values = values.subspan(n);
    return n;
  }
};

template <class V>
void AppendFront(Samples<V>& src, size_t n, std::vector<int64_t>& timestamps, std::vector<V>& values) {
  timestamps.insert(timestamps.end(), src.timestamps.begin(),
                    src.timestamps.begin() + static_cast<ptrdiff_t>(n));
  values.insert(values.end(), src.values.begin(), src.values.begin() + static_cast<ptrdiff_t>(n));
  src.timestamps = src.timestamps.subspan(n);
  src.values = src.values.subspan(n);
}

template <class V>
size_t Merge(Samples<V> a, Samples<V> b, int64_t min_timestamp, std::vector<int64_t>& timestamps,
             std::vector<V>& values) {
  VM_CHECK(a.timestamps.size() == a.values.size() && b.timestamps.size() == b.values.size());
  const size_t dropped = a.DropBefore(min_timestamp) + b.DropBefore(min_timestamp);
  const size_t total = timestamps.size() + a.timestamps.size() + b.timestamps.size();
  timestamps.reserve(total);
  values.reserve(total);
  while (!a.timestamps.empty() && !b.timestamps.empty()) {
    // Not a binary search: timestamps that a corrupted block left unsorted must not stop the loop from advancing.
    const int64_t limit = b.timestamps.front();
    size_t n = 0;
    while (n < a.timestamps.size() && a.timestamps[n] <= limit) ++n;
    AppendFront(a, n, timestamps, values);
    std::swap(a, b);
  }
  AppendFront(a, a.timestamps.size(), timestamps, values);
  AppendFront(b, b.timestamps.size(), timestamps, values);
  return dropped;
}

}  // namespace

size_t MergeBlocks(DecodedBlock& a, DecodedBlock& b, int64_t min_timestamp, DecodedBlock& out) {
  VM_CHECK(&out != &a && &out != &b);
  VM_CHECK(a.tsid.metric_id == b.tsid.metric_id);
  const int16_t scale = decimal::CalibrateScale(a.mantissas, a.scale, b.mantissas, b.scale);
  a.scale = scale;
  b.scale = scale;
  out.tsid = b.tsid;
  out.scale = scale;
  out.precision_bits = std::min(a.precision_bits, b.precision_bits);
  out.timestamps.clear();
  out.mantissas.clear();
  return Merge<int64_t>({a.timestamps, a.mantissas}, {b.timestamps, b.mantissas}, min_timestamp,
                        out.timestamps, out.mantissas);
}

size_t MergeSamples(const DecodedBlock& a, const DecodedBlock& b, int64_t min_timestamp,
                    std::vector<int64_t>& timestamps, std::vector<double>& values) {
  thread_local std::vector<double> a_values, b_values;
  a_values.clear();
  b_values.clear();
  decimal::AppendDecimalsToFloats(a_values, a.mantissas, a.scale);
  decimal::AppendDecimalsToFloats(b_values, b.mantissas, b.scale);
  return Merge<double>({a.timestamps, a_values}, {b.timestamps, b_values}, min_timestamp, timestamps, values);
}

}  // namespace vm::model
