#pragma once

#include <cstdint>

#include "lib/model/tsid.h"

namespace vm::storage {

/// One sample of a known series on its way into a part.
struct RawRow {
  model::Tsid tsid;
  int64_t timestamp = 0;  // Unix milliseconds.
  double value = 0;
  uint8_t precision_bits = 64;  // 1 .. 64, where 64 is lossless.
};

}  // namespace vm::storage
