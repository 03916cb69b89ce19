#include "lib/model/dedup.h"

#include "lib/base/check.h"
#include "lib/decimal/decimal.h"

namespace vm::model {
namespace {

// Timestamps come from peers and may be anything: the sums wrap.
int64_t WrapAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

int64_t IntervalEnd(int64_t timestamp, int64_t interval_ms) {
  const int64_t end = WrapAdd(timestamp, interval_ms - 1);
  return end - end % interval_ms;
}

bool IsStale(double v) { return decimal::IsStaleNaN(v); }
bool IsStale(int64_t v) { return v == decimal::kStaleNaNMantissa; }

// The value that stays among samples of one timestamp, which end at index `last`.
template <class V>
V Resolve(const std::vector<int64_t>& timestamps, const std::vector<V>& values, size_t last) {
  V best = values[last];
  for (size_t i = last; i > 0 && timestamps[i - 1] == timestamps[last];) {
    --i;
    if (IsStale(values[i])) continue;
    if (IsStale(best) || values[i] > best) best = values[i];
  }
  return best;
}

template <class V>
void Deduplicate(std::vector<int64_t>& timestamps, std::vector<V>& values, int64_t interval_ms) {
  VM_CHECK(timestamps.size() == values.size());
  if (!NeedsDedup(timestamps, interval_ms)) return;
  size_t kept = 0;
  const std::vector<int64_t> in_timestamps = timestamps;
  const std::vector<V> in_values = values;
  int64_t end = IntervalEnd(in_timestamps[0], interval_ms);
  for (size_t i = 1; i < in_timestamps.size(); ++i) {
    if (in_timestamps[i] <= end) continue;
    timestamps[kept] = in_timestamps[i - 1];
    values[kept++] = Resolve(in_timestamps, in_values, i - 1);
    end = WrapAdd(end, interval_ms);
    if (end < in_timestamps[i]) end = IntervalEnd(in_timestamps[i], interval_ms);
  }
  const size_t last = in_timestamps.size() - 1;
  timestamps[kept] = in_timestamps[last];
  values[kept++] = Resolve(in_timestamps, in_values, last);
  timestamps.resize(kept);
  values.resize(kept);
}

}  // namespace

bool NeedsDedup(const std::vector<int64_t>& timestamps, int64_t interval_ms) {
  if (timestamps.size() < 2 || interval_ms <= 0) return false;
  int64_t end = IntervalEnd(timestamps[0], interval_ms);
  for (size_t i = 1; i < timestamps.size(); ++i) {
    if (timestamps[i] <= end) return true;
    end = WrapAdd(end, interval_ms);
    if (end < timestamps[i]) end = IntervalEnd(timestamps[i], interval_ms);
  }
  return false;
}

void DeduplicateSamples(std::vector<int64_t>& timestamps, std::vector<double>& values,
                        int64_t interval_ms) {
  Deduplicate(timestamps, values, interval_ms);
}

void DeduplicateMantissas(std::vector<int64_t>& timestamps, std::vector<int64_t>& mantissas,
                          int64_t interval_ms) {
  Deduplicate(timestamps, mantissas, interval_ms);
}

}  // namespace vm::model
