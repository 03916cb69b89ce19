#include "insert/parse/remotewrite/plain_series.h"

#include <cstring>

#include "insert/parse/remotewrite/wire.h"

namespace vm::insert {
namespace {

constexpr size_t kStep = kPlainSeriesSlack;

/// Most texts are shorter than one step, which costs less than a call of memcpy. Writes up to kStep bytes more than `size`.
inline void CopyText(uint8_t* to, const uint8_t* from, size_t size, const uint8_t* readable_end) {
  if (static_cast<size_t>(readable_end - from) < kStep) {
    std::memcpy(to, from, size);
    return;
  }
  std::memcpy(to, from, kStep);
  if (size > kStep) [[unlikely]] std::memcpy(to + kStep, from + kStep, size - kStep);
}

}  // namespace

bool ReadPlainSeries(ByteView message, const uint8_t* readable_end, const PlainSeriesLimits& limits, uint8_t* dst,
                     PlainSeries& series) {
  series.metric_name_at = PlainSeries::kNowhere;
  series.samples.clear();
  const uint8_t* p = message.data();
  const uint8_t* const end = p + message.size();
  uint8_t* to = dst;
  size_t labels_count = 0;
  for (; p != end && *p == wire::kBytesField1; ++labels_count) {
    size_t label_size = 0;
    if (!wire::ReadShortLength(++p, end, label_size)) return false;
    const uint8_t* const label_end = p + label_size;
    size_t name_size = 0;
    if (p == label_end || *p != wire::kBytesField1 || !wire::ReadShortLength(++p, label_end, name_size)) return false;
    const uint8_t* const name = p;
    p += name_size;
    size_t value_size = 0;
    if (p == label_end || *p != wire::kBytesField2 || !wire::ReadShortLength(++p, label_end, value_size)) return false;
    if (p + value_size != label_end || value_size == 0) return false;
    if (name_size > limits.max_name_bytes || value_size > limits.max_value_bytes) return false;
    if (IsMetricNameLabel(name, name_size)) {
      if (series.metric_name_at != PlainSeries::kNowhere) return false;
      series.metric_name_at = static_cast<size_t>(to - dst);
      to = StoreBigEndian(to, uint16_t{0});
    } else {
      to = StoreBigEndian(to, static_cast<uint16_t>(name_size));
      CopyText(to, name, name_size, readable_end);
      to += name_size;
    }
    to = StoreBigEndian(to, static_cast<uint16_t>(value_size));
    CopyText(to, p, value_size, readable_end);
    to += value_size;
    p = label_end;
  }
  if (labels_count == 0 || (limits.max_labels > 0 && labels_count > limits.max_labels)) return false;
  series.labels_size = static_cast<size_t>(to - dst);
  while (p != end) {
    size_t sample_size = 0;
    if (*p != wire::kBytesField2 || !wire::ReadShortLength(++p, end, sample_size)) return false;
    if (!wire::ReadPlainSample(p, p + sample_size, series.samples.emplace_back())) return false;
    p += sample_size;
  }
  return true;
}

}  // namespace vm::insert
