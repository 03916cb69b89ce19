#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "insert/parse/remotewrite/write_request.h"
#include "lib/bytes/bytes.h"

// How remote write looks on the wire, for readers of its usual form.
namespace vm::insert::wire {

inline constexpr uint8_t kBytesField1 = 0x0a;
inline constexpr uint8_t kBytesField2 = 0x12;
inline constexpr uint8_t kFixed64Field1 = 0x09;
inline constexpr uint8_t kVarintField2 = 0x10;

/// Length of a field at `p` whose tag has been read: one or two bytes. False: longer, or cut off.
inline bool ReadShortLength(const uint8_t*& p, const uint8_t* end, size_t& length) {
  if (p == end) return false;
  length = *p++;
  if (length >= 0x80) {
    if (p == end || *p >= 0x80) return false;
    length = (length & 0x7f) | static_cast<size_t>(*p++) << 7;
  }
  return length <= static_cast<size_t>(end - p);
}

/// A sample as all known senders write it: value unless 0, then timestamp. False: read it field by field.
inline bool ReadPlainSample(const uint8_t* p, const uint8_t* end, RemoteSample& sample) {
  sample.value = 0;
  if (p != end && *p == kFixed64Field1) {
    if (end - p < 9) return false;
    sample.value = std::bit_cast<double>(__builtin_bswap64(LoadBigEndian<uint64_t>(p + 1)));  // Little-endian.
    p += 9;
  }
  if (p == end || *p++ != kVarintField2) return false;
  uint64_t value = 0;
  for (int shift = 0; shift < 63; shift += 7) {
    if (p == end) return false;
    const uint8_t byte = *p++;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      sample.timestamp = static_cast<int64_t>(value);
      return p == end;
    }
  }
  return false;
}

}  // namespace vm::insert::wire
