#include "insert/parse/vmimport/plain_json_line.h"

#include <optional>

#include "insert/parse/prometheus/number.h"

namespace vm::insert {
namespace {

/// Takes `text` off the front.
bool TakeExactly(const uint8_t*& p, const uint8_t* end, std::string_view text) {
  if (static_cast<size_t>(end - p) < text.size() || std::memcmp(p, text.data(), text.size()) != 0) return false;
  p += text.size();
  return true;
}

bool IsNumberByte(uint8_t c) {
  return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E';
}

/// Takes numbers and the closing bracket.
template <class T, class Parse>
bool TakeNumbers(const uint8_t*& p, const uint8_t* end, std::vector<T>& dst, Parse parse) {
  dst.clear();
  for (;;) {
    const uint8_t* const begin = p;
    while (p != end && IsNumberByte(*p)) ++p;
    const std::optional<T> number = parse(AsText(ByteView(begin, p)));
    if (!number || p == end) return false;
    dst.push_back(*number);
    const uint8_t after = *p++;
    if (after == ']') return true;
    if (after != ',') return false;
  }
}

}  // namespace

bool ReadPlainJsonLine(std::string_view line, const char* readable_end, const PlainSeriesLimits& limits, uint8_t* dst,
                       PlainJsonLine& out) {
  const uint8_t* p = AsBytes(line).data();
  const uint8_t* const end = p + line.size();
  if (static_cast<size_t>(readable_end - line.data()) < line.size() + kPlainLineSlack) return false;
  if (!TakeExactly(p, end, "{\"metric\":{\"")) return false;
  uint8_t* to = dst;
  size_t labels_count = 0;
  for (;;) {
    const uint8_t* const name = p;
    p = CopyUntil<'"', '\\'>(to + 2, name, end);
    if (p == nullptr || *p != '"') return false;
    size_t name_size = static_cast<size_t>(p - name);
    if (name_size == 0 || name_size > limits.max_name_bytes || name_size > UINT16_MAX) return false;
    if (IsMetricNameLabel(name, name_size)) name_size = 0;
    if (!TakeExactly(p, end, "\":\"")) return false;
    const uint8_t* const value = p;
    uint8_t* const value_to = to + 2 + name_size + 2;
    p = CopyUntil<'"', '\\'>(value_to, value, end);
    if (p == nullptr || *p != '"') return false;
    const size_t value_size = static_cast<size_t>(p - value);
    if (value_size == 0 || value_size > limits.max_value_bytes || value_size > UINT16_MAX) return false;
    StoreBigEndian(to, static_cast<uint16_t>(name_size));
    StoreBigEndian(value_to - 2, static_cast<uint16_t>(value_size));
    to = value_to + value_size;
    ++labels_count;
    if (TakeExactly(p, end, "\",\"")) continue;
    if (!TakeExactly(p, end, "\"},\"values\":[")) return false;
    break;
  }
  if (limits.max_labels > 0 && labels_count > limits.max_labels) return false;
  out.labels_size = static_cast<size_t>(to - dst);
  return TakeNumbers(p, end, out.values, ParseNumber) && TakeExactly(p, end, ",\"timestamps\":[") &&
         TakeNumbers(p, end, out.timestamps, ParseInteger) && TakeExactly(p, end, "}") && p == end &&
         out.timestamps.size() == out.values.size();
}

}  // namespace vm::insert
