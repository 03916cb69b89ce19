#include "insert/parse/prometheus/plain_text_line.h"

#include <optional>

#include "insert/parse/prometheus/number.h"

namespace vm::insert {
namespace {

bool IsBlank(uint8_t c) { return c == ' ' || c == '\t'; }

/// Takes the labels and the closing brace; returns what follows them, or null.
const uint8_t* TakeLabels(const uint8_t* p, const uint8_t* end, const PlainSeriesLimits& limits, uint8_t*& to,
                          size_t& labels_count) {
  if (p != end && *p == '}') return p + 1;
  for (;;) {
    if (p == end || *p == '}' || IsBlank(*p)) return nullptr;
    const uint8_t* const equals = CopyUntil<'=', '"'>(to + 2, p, end);
    if (equals == nullptr || *equals != '=' || end - equals < 2 || equals[1] != '"') return nullptr;
    const size_t name_size = static_cast<size_t>(equals - p);
    if (name_size == 0 || name_size > limits.max_name_bytes || name_size > UINT16_MAX || IsBlank(equals[-1]) || IsMetricNameLabel(p, name_size)) {
      return nullptr;
    }
    const uint8_t* const value = equals + 2;
    uint8_t* const value_to = to + 2 + name_size + 2;
    p = CopyUntil<'"', '\\'>(value_to, value, end);
    if (p == nullptr || *p != '"') return nullptr;
    // Labels without a value are left out.
    if (const size_t value_size = static_cast<size_t>(p - value); value_size > 0) {
      if (value_size > limits.max_value_bytes || value_size > UINT16_MAX) return nullptr;
      StoreBigEndian(to, static_cast<uint16_t>(name_size));
      StoreBigEndian(value_to - 2, static_cast<uint16_t>(value_size));
      to = value_to + value_size;
      ++labels_count;
    }
    ++p;
    if (p == end || (*p != ',' && *p != '}')) return nullptr;
    if (*p++ == '}') return p;
  }
}

std::optional<int64_t> PlainTimestamp(const uint8_t* p, const uint8_t* end) {
  constexpr ptrdiff_t kMaxDigits = 15;  // Exact as a double too, as which the whole reader takes it.
  if (end - p > kMaxDigits) return std::nullopt;
  int64_t timestamp = 0;
  for (; p != end; ++p) {
    if (*p < '0' || *p > '9') return std::nullopt;
    timestamp = timestamp * 10 + (*p - '0');
  }
  // Numbers in the range of int32 are seconds.
  return timestamp <= INT32_MAX ? timestamp * 1000 : timestamp;
}

}  // namespace

bool ReadPlainTextLine(std::string_view line, const char* readable_end, const PlainSeriesLimits& limits, uint8_t* dst,
                       PlainTextLine& out) {
  const uint8_t* p = AsBytes(line).data();
  const uint8_t* const end = p + line.size();
  if (static_cast<size_t>(readable_end - line.data()) < line.size() + kPlainLineSlack) return false;
  uint8_t* const metric_to = dst + 4;
  const uint8_t* const metric_end = CopyUntil<'{', ' '>(metric_to, p, end);
  if (metric_end == nullptr) return false;
  const size_t metric_size = static_cast<size_t>(metric_end - p);
  if (metric_size == 0 || metric_size > limits.max_value_bytes || metric_size > UINT16_MAX) return false;
  if (*metric_end == '{') {
    if (IsBlank(metric_end[-1])) return false;
  } else if (std::memchr(p, '\t', metric_size) != nullptr ||
             std::memchr(metric_end, '{', static_cast<size_t>(end - metric_end)) != nullptr) {
    return false;
  }
  StoreBigEndian(dst, uint16_t{0});
  StoreBigEndian(dst + 2, static_cast<uint16_t>(metric_size));
  uint8_t* to = metric_to + metric_size;
  size_t labels_count = 1;
  p = metric_end + 1;
  if (*metric_end == '{') {
    p = TakeLabels(p, end, limits, to, labels_count);
    if (p == nullptr) return false;
  }
  if (limits.max_labels > 0 && labels_count > limits.max_labels) return false;
  out.labels_size = static_cast<size_t>(to - dst);

  while (p != end && *p == ' ') ++p;
  const uint8_t* const number = p;
  while (p != end && *p != ' ') ++p;
  const std::optional<double> value = ParseNumber(AsText(ByteView(number, p)));
  if (!value) return false;
  out.value = *value;
  while (p != end && *p == ' ') ++p;
  const std::optional<int64_t> timestamp = PlainTimestamp(p, end);
  if (!timestamp) return false;
  out.timestamp = *timestamp;
  return true;
}

}  // namespace vm::insert
