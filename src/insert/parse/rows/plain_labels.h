#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lib/bytes/bytes.h"

// For readers that bring the usual form of a series straight into labels as vminsert sends them: those of
// model::MarshalMetricNameRaw, without the tenant. One pass instead of a table of labels, which costs more than the rest of the
// work. They refuse any other form, broken or beyond the limits: the whole reader of the protocol has the last word.
namespace vm::insert {

/// What a series must keep to be read this way.
struct PlainSeriesLimits {
  size_t max_labels = 0;  // 0: any number.
  size_t max_name_bytes = 0;
  size_t max_value_bytes = 0;
};

/// Bytes that such a reader may write beyond the size of its input.
inline constexpr size_t kPlainSeriesSlack = 32;
/// Bytes that it may read beyond its input; it refuses when there are fewer.
inline constexpr size_t kPlainLineSlack = 8;

inline bool IsMetricNameLabel(const uint8_t* name, size_t size) {
  constexpr char kName[] = "__name__";
  return size == sizeof kName - 1 && std::memcmp(name, kName, sizeof kName - 1) == 0;
}

/// Copy up to the first of two bytes and return where that one stands; null when none comes before `end`. Reads and writes up to
/// 8 bytes more. Texts are short: a search and a copy by the library cost several times as much.
template <char kStop, char kOtherStop>
const uint8_t* CopyUntil(uint8_t* to, const uint8_t* from, const uint8_t* end) {
  static_assert(std::endian::native == std::endian::little);
  constexpr uint64_t kOnes = 0x0101010101010101;
  // Marks bytes that are `stop`; above a marked one there may be false marks, below there are none.
  const auto marks = [](uint64_t word, char stop) {
    word ^= kOnes * static_cast<uint8_t>(stop);
    return (word - kOnes) & ~word & 0x80 * kOnes;
  };
  for (; from < end; from += 8, to += 8) {
    uint64_t word;
    std::memcpy(&word, from, 8);
    std::memcpy(to, &word, 8);
    const uint64_t found = marks(word, kStop) | marks(word, kOtherStop);
    if (found == 0) continue;
    from += std::countr_zero(found) / 8;
    return from < end ? from : nullptr;
  }
  return nullptr;
}

}  // namespace vm::insert
