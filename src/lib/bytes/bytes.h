#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
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

/// `value` with its bytes as they stand in memory when the most significant one comes first, and back. One instruction:
/// the compiler does not make it of a loop over bytes.
template <class T>
  requires std::is_unsigned_v<T>
constexpr T SwapToBigEndian(T value) noexcept {
  if constexpr (std::endian::native == std::endian::big || sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(value));
  if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(value));
  if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(value));
}

/// Write sizeof(T) bytes at `dst`, most significant first; returns what follows them.
template <class T>
  requires std::is_unsigned_v<T>
uint8_t* StoreBigEndian(uint8_t* dst, T value) noexcept {
  const T swapped = SwapToBigEndian(value);
  std::memcpy(dst, &swapped, sizeof(T));
  return dst + sizeof(T);
}

/// Append `value` with its most significant byte first.
template <class T>
  requires std::is_unsigned_v<T>
void AppendBigEndian(ByteBuffer& dst, T value) {
  uint8_t bytes[sizeof(T)];
  StoreBigEndian(bytes, value);
  dst.insert(dst.end(), bytes, bytes + sizeof(T));
}

/// Read sizeof(T) bytes at `src`, most significant first. Requires that they are there.
template <class T>
  requires std::is_unsigned_v<T>
T LoadBigEndian(const uint8_t* src) noexcept {
  T value;
  std::memcpy(&value, src, sizeof(T));
  return SwapToBigEndian(value);
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
