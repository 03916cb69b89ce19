#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "lib/base/check.h"

namespace vm {

/// Binary data that somebody else owns.
using ByteView = std::span<const uint8_t>;
/// Binary data that encoders append to.
using ByteBuffer = std::vector<uint8_t>;

inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline void Append(ByteBuffer& dst, ByteView bytes) {
  dst.insert(dst.end(), bytes.begin(), bytes.end());
}
inline void Append(ByteBuffer& dst, std::string_view text) { Append(dst, AsBytes(text)); }

/// Append `value` with its most significant byte first.
template <class T>
  requires std::is_unsigned_v<T>
void AppendBigEndian(ByteBuffer& dst, T value) {
  const size_t at = dst.size();
  dst.resize(at + sizeof(T));
  for (size_t i = 0; i < sizeof(T); ++i) {
    dst[at + i] = static_cast<uint8_t>(value >> (8 * (sizeof(T) - 1 - i)));
  }
}

/// Write sizeof(T) bytes at `dst`, most significant first; returns what follows them.
template <class T>
  requires std::is_unsigned_v<T>
uint8_t* StoreBigEndian(uint8_t* dst, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    dst[i] = static_cast<uint8_t>(value >> (8 * (sizeof(T) - 1 - i)));
  }
  return dst + sizeof(T);
}

/// Read sizeof(T) bytes at `src`, most significant first. Requires that they are there.
template <class T>
  requires std::is_unsigned_v<T>
T LoadBigEndian(const uint8_t* src) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = (value << 8) | src[i];
  return static_cast<T>(value);
}

/// Take a big-endian number off the front of `src`. Requires src.size() >= sizeof(T).
template <class T>
  requires std::is_unsigned_v<T>
T TakeBigEndian(ByteView& src) {
  VM_CHECK(src.size() >= sizeof(T));
  const T value = LoadBigEndian<T>(src.data());
  src = src.subspan(sizeof(T));
  return value;
}

/// Compare as unsigned bytes: negative, zero or positive, like memcmp with lengths.
int Compare(ByteView a, ByteView b) noexcept;
inline bool Less(ByteView a, ByteView b) noexcept { return Compare(a, b) < 0; }
inline bool Equal(ByteView a, ByteView b) noexcept {
  return a.size() == b.size() && Compare(a, b) == 0;
}

/// Lower-case hex of `bytes`.
std::string ToHex(ByteView bytes);
/// Bytes of a hex text; blanks are skipped. For tests and JSON fields: returns false on a bad digit.
bool FromHex(std::string_view hex, ByteBuffer& dst);

}  // namespace vm
