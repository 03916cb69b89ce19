#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "lib/bytes/bytes.h"

namespace vm::encoding {

/// Map signed to unsigned so that small magnitudes stay small. All arithmetic wraps.
constexpr uint64_t ZigZag64(int64_t v) noexcept {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
constexpr int64_t UnZigZag64(uint64_t u) noexcept {
  return static_cast<int64_t>((u >> 1) ^ (0 - (u & 1)));
}
constexpr uint16_t ZigZag16(int16_t v) noexcept {
  return static_cast<uint16_t>((static_cast<uint16_t>(v) << 1) ^ static_cast<uint16_t>(v >> 15));
}
constexpr int16_t UnZigZag16(uint16_t u) noexcept {
  return static_cast<int16_t>((u >> 1) ^ static_cast<uint16_t>(0 - (u & 1)));
}

/// Take a fixed-width big-endian number. Errors: kCorrupted when `src` is too short; `src` stays.
template <class T>
Result<T> TakeUint(ByteView& src) {
  if (src.size() < sizeof(T)) {
    return Error(ErrorCode::kCorrupted, "cannot unmarshal uint" + std::to_string(8 * sizeof(T)) +
                                            ": got " + std::to_string(src.size()) +
                                            " bytes; want " + std::to_string(sizeof(T)));
  }
  return TakeBigEndian<T>(src);
}

/// int64 and int16 as zigzag, then fixed-width big-endian.
inline void AppendInt64(ByteBuffer& dst, int64_t v) { AppendBigEndian<uint64_t>(dst, ZigZag64(v)); }
inline void AppendInt16(ByteBuffer& dst, int16_t v) { AppendBigEndian<uint16_t>(dst, ZigZag16(v)); }

/// LEB128, at most 10 bytes.
void AppendVarUint64(ByteBuffer& dst, uint64_t v);
/// Errors: kCorrupted on truncation, more than 10 bytes or a 10th byte above 1; `src` stays then.
/// Padded encodings are accepted.
Result<uint64_t> TakeVarUint64(ByteView& src);

/// A single zigzag LEB128 number. Writes -64 as `ff 00`, as v1.150 does.
void AppendVarInt64(ByteBuffer& dst, int64_t v);
/// The form used inside arrays: always the shortest.
inline void AppendVarInt64InArray(ByteBuffer& dst, int64_t v) { AppendVarUint64(dst, ZigZag64(v)); }
Result<int64_t> TakeVarInt64(ByteView& src);

/// A varint length, then the bytes.
void AppendBytes(ByteBuffer& dst, ByteView bytes);
Result<ByteView> TakeBytes(ByteView& src);

}  // namespace vm::encoding
